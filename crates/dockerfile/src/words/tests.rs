//! What is said about words in general; the cases that Docker answered are in [`crate::changes`]' tests.

use super::*;

fn get(name: &str) -> Option<String> {
    match name {
        "a" => Some("one/two".to_owned()),
        "empty" => Some(String::new()),
        _ => None,
    }
}

fn word(text: &str) -> Result<String> {
    Expander::new('\\', &get).word(text)
}

#[test]
fn the_escape_may_be_another_one() {
    let windows = Expander::new('`', &get);
    assert_eq!(windows.word("c:\\$a`$a`\"").unwrap(), "c:\\one/two$a\"");
    assert_eq!(split("a` b c\\ d", '`'), ["a` b", "c\\", "d"]);
}

#[test]
fn quotes_can_stay() {
    let keep = Expander { quotes: Quotes::Keep, keep_unset: true, ..Expander::new('\\', &get) };
    let line = "RUN echo \"$a\" '$a' \\\"x $none ${none} \"\\$a\"";
    assert_eq!(keep.word(line).unwrap(), "RUN echo \"one/two\" '$a' \\\"x $none ${none} \"\\$a\"");
}

#[test]
fn quotes_are_characters_in_documents() {
    let document = Expander { quotes: Quotes::Ignore, ..Expander::new('\\', &get) };
    assert_eq!(document.word("it's \"$a\" \\$a\n").unwrap(), "it's \"one/two\" $a\n");
}

#[test]
fn words_in_words_have_an_end() {
    let deep = |depth: usize| "${x:-".repeat(depth) + &"}".repeat(depth);
    assert_eq!(word(&deep(60)).unwrap(), "");
    let error = word(&deep(100_000)).unwrap_err().to_string();
    assert!(error.ends_with("substitutions stand in each other too deep"), "{}", &error[error.len() - 80..]);
}

#[test]
fn patterns_take_away_and_replace() {
    for (text, expected) in [
        ("${a#*/}", "two"),
        ("${a%/*}", "one"),
        ("${a##*o}", ""),
        ("${a%%o*}", ""),
        ("${a/o/0}", "0ne/two"),
        ("${a//o/0}", "0ne/tw0"),
        ("${a//\\//.}", "one.two"),
        ("${none:-${a#*/}}", "two"),
        ("${empty:+x}${a:+y}${empty+z}", "yz"),
    ] {
        assert_eq!(word(text).as_deref(), Ok(expected), "{text}");
    }
}
