use super::*;
use proptest::prelude::*;

fn ignore(text: &str) -> Ignore {
    Ignore::parse(text.as_bytes()).unwrap()
}

#[test]
fn patterns_match_as_dockers_do() {
    for (pattern, path, expected) in [
        ("a", "a", true),
        ("a", "b", false),
        ("a", "a/b", true),
        ("a", "ab", false),
        ("a", "b/a", false),
        ("/a", "a", true),
        ("./a/", "a", true),
        ("a/../b", "b", true),
        ("a//b", "a/b", true),
        ("a/b", "a", false),
        ("*", "a/b/c", true),
        ("*.go", "x.go", true),
        ("*.go", "a/x.go", false),
        ("*/x.go", "a/x.go", true),
        ("*/x.go", "a/b/x.go", false),
        ("**", "a/b", true),
        ("**/x.go", "x.go", true),
        ("**/x.go", "a/b/x.go", true),
        ("**/x.go", "a/bx.go", false),
        ("**x.go", "a/x.go", true),
        ("a/**", "a", false),
        ("a/**", "a/b/c", true),
        ("a/**/z", "a/z", true),
        ("a/**/z", "a/b/c/z", true),
        ("a/**/z", "a/bz", false),
        ("**/a/**/z", "q/a/z", true),
        ("a?c", "abc", true),
        ("a?c", "a/c", false),
        ("[a-c]x", "bx", true),
        ("[^a-c]x", "bx", false),
        ("[!a]x", "!x", true),
        ("[!a]x", "bx", false),
        ("\\*", "*", true),
        ("\\*", "a", false),
        ("a b", "a b", true),
        (".", "a", false),
        ("/", "a", false),
        ("", "a", false),
    ] {
        assert_eq!(ignore(pattern).excludes(path), expected, "{pattern:?} on {path:?}");
    }
}

#[test]
fn the_last_pattern_that_matches_decides() {
    let docs = ignore("# comment\n*.md\n!README*.md\n  README-secret.md  \n");
    for (path, expected) in [
        ("x.md", true),
        ("README.md", false),
        ("README-secret.md", true),
        ("a.txt", false),
        ("# comment", false),
    ] {
        assert_eq!(docs.excludes(path), expected, "{path:?}");
    }
    let kept = ignore("dir\n!dir/keep\n");
    assert!(kept.excludes("dir/a") && !kept.excludes("dir/keep/b") && kept.excludes("dir"));
}

#[test]
fn a_directory_is_read_if_something_below_it_is_kept() {
    let kept = ignore("*\n!src/lib/*.rs\n!a*\n");
    assert!(!kept.excludes_all_below("src"), "src/lib may be kept");
    let kept = ignore("*\n!src/lib/*.rs\n");
    assert!(!kept.excludes_all_below("src/lib/deep"), "below what a pattern begins with");
    assert!(kept.excludes_all_below("target"));
    assert!(!ignore("").excludes_all_below("a"));
}

#[test]
fn malformed_patterns_are_refused() {
    assert_eq!(Ignore::parse(b"!").unwrap_err().0, "illegal exclusion pattern: \"!\"");
    for pattern in ["[", "[]a]", "[a-", "a\\"] {
        let error = Ignore::parse(pattern.as_bytes()).unwrap_err();
        assert_eq!(error.0, format!("error parsing pattern {pattern:?}: syntax error in pattern"));
    }
}

/// The pattern as a regular expression, by the rules that Docker's documentation gives.
fn regex(pattern: &str) -> regex_lite::Regex {
    let mut text = String::from("^");
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.next_if_eq(&'*').is_some() => match (chars.next_if_eq(&'/'), chars.peek()) {
                (None, None) => text += ".*",
                _ => text += "(.*/)?",
            },
            '*' => text += "[^/]*",
            '?' => text += "[^/]",
            c => text.push(c),
        }
    }
    regex_lite::Regex::new(&(text + "(/.*)?$")).unwrap()
}

proptest! {
    #[test]
    fn patterns_match_what_their_regular_expressions_do(
        pattern in "[ab?]{0,2}(\\*\\*?|/\\*\\*/|/)?[ab]{0,2}(/|\\*\\*/|\\*)?[ab]{1,2}",
        path in "[ab]{1,3}(/[ab]{1,3}){0,3}",
    ) {
        let clean = clean(&pattern);
        prop_assume!(!clean.is_empty() && !clean.contains("***"));
        prop_assert_eq!(ignore(&pattern).excludes(&path), regex(&clean).is_match(&path), "{} on {}", clean, path);
    }

    #[test]
    fn what_is_skipped_whole_is_excluded_below(
        patterns in "(!?[ab*]{1,3}(/[ab*]{1,2})?\n){1,4}", path in "[ab]{1,2}(/[ab]{1,2}){1,3}",
    ) {
        let rules = ignore(&patterns);
        let (directory, _) = path.split_once('/').unwrap();
        prop_assert!(!rules.excludes_all_below(directory) || rules.excludes(&path), "{:?} {}", patterns, path);
    }
}
