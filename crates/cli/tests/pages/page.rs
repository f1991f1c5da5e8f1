//! Walks through a page.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use testkit::registry::Server;

use super::images;

/// What stands for any lines.
const ANY_LINES: &str = "[any lines]";
/// What stands for anything in a line.
const ANYTHING: &str = "[..]";

/// A directory to walk through a page in: a home, an empty store, and a registry instead of Docker Hub.
pub struct Page {
    dir: TempDir,
    _registry: Server,
}

/// A command with what it shall print.
struct Step {
    command: String,
    expected: Vec<String>,
}

impl Page {
    /// A place for the page `name`; `None`, with the reason said, where it cannot be walked through.
    pub fn open(name: &str) -> Option<Self> {
        if !testkit::require_root(name) {
            return None;
        }
        if let Some(why) = images::missing() {
            testkit::machine::skip(name, why);
            return None;
        }
        let registry = images::registry();
        let page = Self { dir: TempDir::with_prefix("layercake-page-").unwrap(), _registry: registry };
        fs::create_dir_all(page.path("home")).unwrap();
        fs::create_dir_all(page.path("layercake")).unwrap();
        fs::write(page.path("here"), page.path("home").to_str().unwrap()).unwrap();
        // Settings that lie in the data root count without being named.
        let mirror = format!(r#"{{"registry-mirrors": ["http://{}"]}}"#, page._registry.address());
        fs::write(page.path("layercake/daemon.json"), mirror).unwrap();
        // A store with nothing in it: a named one that is not there is an error for commands that only look.
        page.type_in("layercake image prune --force");
        Some(page)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Types every command, and compares what it prints.
    ///
    /// # Panics
    /// Something else was printed. The message is the whole walk as it was.
    #[track_caller]
    pub fn walk(&self, text: &str) {
        let mut names = HashMap::new();
        let mut actual = String::new();
        let mut first_difference = None;
        for (number, step) in steps(text).iter().enumerate() {
            let printed = self.type_in(&step.command);
            if !fits(&step.expected, &printed, &mut names) && first_difference.is_none() {
                first_difference = Some((number + 1, step.command.clone(), step.expected.join("\n")));
            }
            actual += &format!("$ {}\n", step.command);
            actual.extend(printed.iter().map(|line| format!("{line}\n")));
        }
        if let Some((number, command, expected)) = first_difference {
            panic!(
                "command {number} printed something else: {command}\nexpected:\n{expected}\n\nthe walk:\n{actual}"
            );
        }
    }

    /// The lines that a command prints, without empty ones. The next command starts where this one ended.
    fn type_in(&self, command: &str) -> Vec<String> {
        let here = fs::read_to_string(self.path("here")).unwrap();
        let script = format!("trap 'pwd >\"$HERE\"' EXIT\n{command}\n");
        let output = self.shell(&script).current_dir(here.trim()).output().unwrap();
        let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|line| line.trim_end().to_owned())
            .filter(|line| !line.is_empty())
            .collect();
        if !output.status.success() {
            lines.push(format!("[{}]", output.status));
        }
        lines
    }

    /// A shell as the reader's: `layercake` is at hand, and `$ROOT` is the data root.
    fn shell(&self, script: &str) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_layercake"));
        let mut path = binary.parent().unwrap().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        let mut shell = Command::new("bash");
        shell
            .args(["-c", &format!("exec 2>&1\n{script}")])
            .env("PATH", path)
            .env("HOME", self.path("home"))
            .env("HERE", self.path("here"))
            .env("ROOT", self.path("layercake"))
            .env("LAYERCAKE_ROOT", self.path("layercake"))
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        for name in ["DOCKER_CONFIG", "DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME"] {
            shell.env_remove(name);
        }
        shell
    }
}

impl Drop for Page {
    /// Nothing goes on running, and nothing stays mounted, whatever failed.
    fn drop(&mut self) {
        self.type_in("layercake rm -f $(layercake ps -aq); layercake umount --all");
        for mount in sys::mount::table(self.dir.path()).unwrap_or_default().iter().rev() {
            let _ = sys::mount::detach(&mount.target);
        }
    }
}

/// The commands of a page; a line that ends in a backslash goes on in the next, which starts with a blank.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("# ") && !line.is_empty()) {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { command: command.to_owned(), expected: Vec::new() }),
            (None, Some(step)) if step.expected.is_empty() && step.command.ends_with('\\') => {
                step.command += &format!("\n{line}");
            }
            (None, Some(step)) => step.expected.push(line.to_owned()),
            (None, None) => {}
        }
    }
    steps
}

/// Whether the lines are those that were expected.
fn fits(expected: &[String], printed: &[String], names: &mut HashMap<String, String>) -> bool {
    match (expected.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == ANY_LINES => (0..=printed.len()).any(|skipped| {
            let mut tried = names.clone();
            let found = fits(rest, &printed[skipped..], &mut tried);
            if found {
                *names = tried;
            }
            found
        }),
        (Some((first, rest)), Some((line, lines))) => {
            let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            let first = first.split_whitespace().collect::<Vec<_>>().join(" ");
            matches(&first, &line, names) && fits(rest, lines, names)
        }
        _ => false,
    }
}

/// Whether `line` is what `pattern` says. What a name stands for is learnt.
fn matches(pattern: &str, line: &str, names: &mut HashMap<String, String>) -> bool {
    let Some((before, name, after)) = placeholder(pattern) else { return pattern == line };
    let Some(rest) = line.strip_prefix(before) else { return false };
    if let Some(known) = names.get(name) {
        let known = known.clone();
        return rest.strip_prefix(known.as_str()).is_some_and(|rest| matches(after, rest, names));
    }
    let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    for end in ends {
        let (value, rest) = rest.split_at(end);
        let is_word = name == ".." || (!value.is_empty() && !value.contains(' '));
        let mut tried = names.clone();
        if name != ".." {
            tried.insert(name.to_owned(), value.to_owned());
        }
        if is_word && matches(after, rest, &mut tried) {
            *names = tried;
            return true;
        }
    }
    false
}

/// The first `[name]` of a pattern, with what is before and after it. `["x"]` is none.
fn placeholder(pattern: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(open) = pattern[from..].find('[').map(|at| from + at) {
        let close = open + pattern[open..].find(']')?;
        let name = &pattern[open + 1..close];
        let is_name = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b' ');
        if is_name || pattern[open..].starts_with(ANYTHING) {
            return Some((&pattern[..open], name, &pattern[close + 1..]));
        }
        from = open + 1;
    }
    None
}

#[test]
fn a_name_stands_for_the_same_again() {
    let lines = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let fit =
        |expected: &[&str], printed: &[&str]| fits(&lines(expected), &lines(printed), &mut HashMap::new());
    assert!(fit(&["a [x] b [..]", "[x]"], &["a  12   b anything at all", "12"]));
    assert!(!fit(&["a [x] b", "[x]"], &["a 12 b", "13"]));
    assert!(fit(&["[any lines]", "end"], &["1", "2", "end"]));
    assert!(!fit(&["[any lines]", "end"], &["1", "2"]));
    assert!(fit(&["CMD [\"/bin/sh\"] 0B"], &["CMD [\"/bin/sh\"]   0B"]));
    assert!(!fit(&["[x]"], &["two words"]));
}
