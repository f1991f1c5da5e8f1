//! The user's terminal: raw while it is a container's, and its size.

use std::io::IsTerminal;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::output::failure::Failure;

/// The state of the terminal at standard input. It is so again when this is dropped.
#[derive(Debug)]
#[must_use = "the terminal becomes usual again when this is dropped"]
pub struct Kept {
    before: Termios,
}

impl Kept {
    /// For programs that change the terminal, and may end without changing it back. `None` if there is none.
    pub fn stdin() -> Option<Self> {
        let stdin = std::io::stdin();
        stdin.is_terminal().then(|| tcgetattr(&stdin).ok()).flatten().map(|before| Self { before })
    }

    /// Makes it hand on every key; `None` if it is no terminal.
    ///
    /// # Errors
    /// The terminal refuses.
    pub fn raw_stdin() -> Result<Option<Self>, Failure> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let failed = |err| Failure::plain(format_args!("cannot set up the terminal: {err}"));
        let before = tcgetattr(&stdin).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Now, &raw).map_err(failed)?;
        Ok(Some(Self { before }))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Rows and columns of the terminal that is written to; `None` if there is none.
pub fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(std::io::stdout()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0)?;
    Some((size.ws_row, size.ws_col))
}

/// Refuses to attach a container's terminal to an input that is none, as Docker does.
///
/// # Errors
/// Standard input is no terminal.
pub fn check_input(attach_stdin: bool, tty: bool) -> Result<(), Failure> {
    if attach_stdin && tty && !std::io::stdin().is_terminal() {
        return Err(Failure::plain("the input device is not a TTY"));
    }
    Ok(())
}
