//! Questions to the user.

use std::io::{self, BufRead, Read};
use std::path::Path;

use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{InputModes, LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::failure::Failure;
use super::stdout;

/// Asks `question`, which ends where Docker adds `[y/N]`; everything but `y` and `yes` is a no, and so is the end of the
/// input.
///
/// # Errors
/// The question cannot be printed.
pub fn confirm(question: &str) -> Result<bool, Failure> {
    let answer = ask(&format!("{question} [y/N] "))?;
    Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}

/// Asks `question` for a line; without the white space around it, and empty at the end of the input.
///
/// # Errors
/// The question cannot be printed.
pub fn ask(question: &str) -> Result<String, Failure> {
    stdout::print(question)?;
    let mut answer = String::new();
    let _ = io::stdin().lock().read_line(&mut answer);
    Ok(answer.trim().to_owned())
}

/// Asks `question` on a terminal for a line that does not show.
///
/// # Errors
/// The question cannot be printed, or the terminal will not be silent.
pub fn ask_secret(question: &str) -> Result<String, Failure> {
    let terminal = |err: &io::Error| Failure::io("read", Path::new("/dev/stdin"), err);
    stdout::print(question)?;
    let silence = Silence::begin().map_err(|err| terminal(&err))?;
    let typed = read_secret(io::stdin().lock().bytes());
    drop(silence);
    stdout::print("\n")?;
    match typed.map_err(|err| terminal(&err))? {
        Typed::Line(line) => Ok(String::from_utf8_lossy(&line).trim().to_owned()),
        Typed::Interrupt => {
            // As if the terminal had sent the signal, which it was kept from.
            let _ = kill_process(getpid(), Signal::INT);
            Err(Failure::plain("interrupted").code(130))
        }
    }
}

/// The terminal on standard input without echo, until this is dropped.
struct Silence(Termios);

impl Silence {
    /// Keys reach us one by one, those for signals too: a signal would leave the terminal silent.
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN);
        silent.input_modes.insert(InputModes::ICRNL);
        tcsetattr(io::stdin(), OptionalActions::Drain, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// What came of a question for a secret.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    Line(Vec<u8>),
    Interrupt,
}

/// Reads a line key by key, with the keys that edit one.
fn read_secret(keys: impl Iterator<Item = io::Result<u8>>) -> io::Result<Typed> {
    const CTRL_C: u8 = 3;
    const CTRL_D: u8 = 4;
    const CTRL_U: u8 = 21;
    let mut line = Vec::new();
    for key in keys {
        match key? {
            b'\n' | b'\r' => break,
            CTRL_C => return Ok(Typed::Interrupt),
            CTRL_D if line.is_empty() => break,
            CTRL_D => {}
            CTRL_U => line.clear(),
            8 | 127 => {
                // One character, of however many bytes.
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            byte => line.push(byte),
        }
    }
    Ok(Typed::Line(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_can_be_edited_while_it_is_typed() {
        for (typed, expected) in [
            ("secret\n", "secret"),
            ("secret\rmore", "secret"),
            ("end", "end"),
            ("\x04", ""),
            ("a\x04b\n", "ab"),
            ("wrong\x15right\n", "right"),
            ("ax\x7fb\n", "ab"),
            ("ü\x7f\x7f\x08a\n", "a"),
            ("pässé\x7f\n", "päss"),
        ] {
            let read = read_secret(typed.bytes().map(Ok)).unwrap();
            assert_eq!(read, Typed::Line(expected.as_bytes().to_vec()), "{typed:?}");
        }
        assert_eq!(read_secret("abc\x03d\n".bytes().map(Ok)).unwrap(), Typed::Interrupt);
    }
}
