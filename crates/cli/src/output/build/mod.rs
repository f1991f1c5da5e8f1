//! Shows a build in the looks of BuildKit's: numbered parts in plain text, or a list that moves on a terminal.
//!
//! Both go to standard error, as with Docker, so that standard output has the image's ID only (`-q`).

mod logs;
mod plain;
mod terminal;

use std::io::{self, IsTerminal};
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use engine::build::{BuildEvent, BuildProgress};

use self::logs::Logs;
use self::plain::Plain;
use self::terminal::Terminal;

/// `--progress`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// A list that moves if standard error is a terminal, else plain.
    #[default]
    Auto,
    /// Lines.
    Plain,
    /// A list that moves.
    Tty,
    /// Nothing.
    Quiet,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" | "auto" => Ok(Mode::Auto),
            "plain" => Ok(Mode::Plain),
            "tty" => Ok(Mode::Tty),
            "quiet" => Ok(Mode::Quiet),
            _ => Err(format!("invalid progress mode {text:?} (expected auto, plain, tty or quiet)")),
        }
    }
}

/// Shows one build.
pub struct Show {
    looks: Looks,
    logs: Mutex<Logs>,
}

enum Looks {
    None,
    Plain(Mutex<Plain<io::Stderr>>),
    Terminal(Box<Mutex<Terminal>>),
}

impl Show {
    /// What suits the command line and standard error.
    pub fn new(mode: Mode) -> Self {
        let begun = Instant::now();
        let moves = mode == Mode::Tty || mode == Mode::Auto && io::stderr().is_terminal();
        let looks = match mode {
            Mode::Quiet => Looks::None,
            _ if moves => Looks::Terminal(Box::new(Mutex::new(Terminal::new()))),
            _ => Looks::Plain(Mutex::new(Plain::new(io::stderr(), Box::new(move || begun.elapsed())))),
        };
        Show { looks, logs: Mutex::new(Logs::new(Box::new(move || begun.elapsed()))) }
    }

    /// Leaves the last state on the screen, and gives what is to be said below it: what a step that failed has written,
    /// and warnings. Empty, or whole lines.
    pub fn finish(self, succeeded: bool) -> String {
        match self.looks {
            Looks::None => {}
            Looks::Plain(plain) => plain.into_inner().unwrap_or_else(PoisonError::into_inner).finish(),
            Looks::Terminal(list) => {
                list.into_inner().unwrap_or_else(PoisonError::into_inner).finish(succeeded)
            }
        }
        self.logs.into_inner().unwrap_or_else(PoisonError::into_inner).ending()
    }
}

impl BuildProgress for Show {
    fn event(&self, event: BuildEvent<'_>) {
        lock(&self.logs).event(event);
        match &self.looks {
            Looks::None => {}
            Looks::Plain(plain) => lock(plain).event(event),
            Looks::Terminal(list) => lock(list).event(event),
        }
    }
}

/// Nothing here is left half-done by a panic, so a poisoned lock is as good as another.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name that fits on a line beside a number, as BuildKit cuts it.
fn shortened(name: &str) -> String {
    const MOST: usize = 72;
    let name = name.split('\n').next().unwrap_or_default();
    match name.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}

/// Cuts what comes in pieces into lines.
#[derive(Default)]
struct Cutter(Vec<u8>);

impl Cutter {
    /// The lines that are whole now.
    fn push(&mut self, piece: &[u8]) -> Vec<String> {
        self.0.extend_from_slice(piece);
        let Some(end) = self.0.iter().rposition(|&byte| byte == b'\n') else { return Vec::new() };
        let rest = self.0.split_off(end + 1);
        let whole = std::mem::replace(&mut self.0, rest);
        let text = String::from_utf8_lossy(&whole);
        text.lines().map(str::to_owned).collect()
    }

    /// What no newline ended.
    fn rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.0);
        (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned())
    }
}

#[cfg(test)]
mod tests;
