//! The question before something that cannot be undone.

use std::io::{self, BufRead};

use super::failure::Failure;
use super::stdout;

/// Asks `question`, which ends where Docker adds `[y/N]`; everything but `y` and `yes` is a no, and so is the end of the
/// input.
///
/// # Errors
/// The question cannot be printed.
pub fn confirm(question: &str) -> Result<bool, Failure> {
    stdout::print(&format!("{question} [y/N] "))?;
    let mut answer = String::new();
    let _ = io::stdin().lock().read_line(&mut answer);
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
