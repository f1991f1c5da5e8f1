use super::*;

fn lines(text: &str) -> Vec<(String, Span)> {
    let (_, lines) = read(&Source::new("Dockerfile", text), text).unwrap();
    lines.into_iter().map(|line| (line.text, line.span)).collect()
}

fn texts(text: &str) -> Vec<String> {
    lines(text).into_iter().map(|(text, _)| text).collect()
}

#[test]
fn continued_lines_are_joined_and_comments_among_them_go() {
    let text = "\u{feff}# c\n\n  FROM a\nRUN a && \\\n  # comment\n\n    b \\  \n c\n";
    let expected =
        [("FROM a".to_owned(), Span::line(3)), ("RUN a &&     b  c".to_owned(), Span { first: 4, last: 8 })];
    assert_eq!(lines(text), expected);
}

#[test]
fn two_escapes_continue_nothing() {
    assert_eq!(texts("RUN a \\\\\nRUN b"), ["RUN a \\\\", "RUN b"]);
    assert_eq!(texts("RUN a \\"), ["RUN a "]);
}

#[test]
fn carriage_returns_are_no_part_of_lines() {
    assert_eq!(texts("FROM a\r\nRUN b \\\r\n c\r\n"), ["FROM a", "RUN b  c"]);
}

#[test]
fn the_escape_directive_counts_before_all_else_only() {
    assert_eq!(texts("# escape=`\nRUN a `\n b\\\nRUN c"), ["RUN a  b\\", "RUN c"]);
    assert_eq!(texts("# no directive\n# escape=`\nRUN a `\nRUN b"), ["RUN a `", "RUN b"]);
    assert_eq!(texts("#!/bin/x\n# escape=`\nRUN a `\n b"), ["RUN a  b"]);
}

#[test]
fn directives_are_read() {
    let text = "# syntax = docker/dockerfile:1 \n#escape=\\\n# check=skip=all\nFROM a";
    let (directives, _) = read(&Source::new("d", text), text).unwrap();
    let expected = Directives {
        syntax: Some("docker/dockerfile:1".into()),
        escape: Some('\\'),
        check: Some("skip=all".into()),
    };
    assert_eq!(directives, expected);
}

#[test]
fn bad_directives_are_refused_in_their_line() {
    for (text, why, line) in [
        ("# escape=x\nFROM a", "invalid escape token 'x' does not match ` or \\", 1),
        ("# escape=`\n# escape=`\nFROM a", "only one escape parser directive can be used", 2),
        ("# syntax=a\n# Syntax=b\nFROM a", "only one syntax parser directive can be used", 2),
    ] {
        let error = read(&Source::new("d", text), text).err().unwrap();
        assert_eq!(error.to_string(), why);
        assert_eq!(error.span, Span::line(line));
    }
}

fn documents(text: &str) -> Vec<Heredoc> {
    let (_, lines) = read(&Source::new("d", text), text).unwrap();
    lines.into_iter().flat_map(|line| line.heredocs).collect()
}

fn document(name: &str, content: &str, expand: bool, chomp: bool) -> Heredoc {
    Heredoc { name: name.into(), content: content.into(), expand, chomp }
}

#[test]
fn here_documents_belong_to_their_line() {
    let text =
        "RUN cat <<A 3<<-'B c' > x\na\n\tA\nA\n\tb\n\tB c\nCOPY <<\"f.txt\" <<g /\n1\nf.txt\ng\nCMD x <<y\n";
    assert_eq!(
        documents(text),
        [
            document("A", "a\n\tA\n", true, false),
            document("B c", "\tb\n", false, true),
            document("f.txt", "1\n", false, false),
            document("g", "", true, false),
        ]
    );
    assert_eq!(lines(text)[1].1, Span { first: 7, last: 10 });
}

#[test]
fn the_tabs_of_a_document_go_when_it_is_asked_for() {
    assert_eq!(document("x", "\t\ta\n b\n\n", true, true).data(), "a\n b\n\n");
    assert_eq!(document("x", "\ta\n", true, false).data(), "\ta\n");
}

#[test]
fn not_every_pair_of_angles_is_a_document() {
    assert_eq!(documents("RUN a <<< b\nRUN [\"a\", \"<<EOF\"]\nENV x=<<y\nRUN echo $((1<<2)) '<<x y'"), []);
}

#[test]
fn a_document_without_an_end_is_refused() {
    let text = "FROM a\nRUN <<EOF\nx\n";
    let error = read(&Source::new("d", text), text).err().unwrap();
    assert_eq!(
        (error.to_string().as_str(), error.span),
        ("unterminated heredoc", Span { first: 2, last: 3 })
    );
}
