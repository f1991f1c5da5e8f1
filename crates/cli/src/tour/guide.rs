//! How the tour looks: numbered steps, some lines of explanation, commands with their output.

use std::cell::Cell;
use std::io::{BufRead, IsTerminal};

use crate::output::failure::Failure;
use crate::output::stdout;

/// The width of explanations. Output is as wide as it is.
const WIDTH: usize = 84;

/// Writes a tour to standard output.
pub struct Guide {
    colour: bool,
    pause: bool,
    steps: Cell<u32>,
}

impl Guide {
    /// A guide for the terminal, or for a pipe: plain there, and where the user says so (<https://no-color.org>).
    /// It waits between steps if `pause` says so and somebody is there to press Enter.
    pub fn new(pause: bool) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let is = |name, value: fn(&str) -> bool| std::env::var(name).is_ok_and(|text| value(&text));
        let plain = is("NO_COLOR", |text| !text.is_empty()) || is("TERM", |text| text == "dumb");
        Self {
            colour: terminal && !plain,
            pause: pause && terminal && std::io::stdin().is_terminal(),
            steps: Cell::new(0),
        }
    }

    /// Begins a step.
    pub fn step(&self, title: &str) -> Result<(), Failure> {
        let number = self.steps.get() + 1;
        self.steps.set(number);
        if self.pause && number > 1 {
            stdout::print(&format!("\n{}", self.style("2", "— Enter goes on, Ctrl-C ends the tour —")))?;
            let _ = std::io::stdin().lock().read_line(&mut String::new());
        }
        stdout::print(&format!("\n{}\n", self.style("1", &format!("{number}. {title}"))))
    }

    /// Explains, in a paragraph.
    pub fn text(&self, text: &str) -> Result<(), Failure> {
        stdout::print(&format!("\n{}", wrap(text, WIDTH)))
    }

    /// Something that is not done here, and why.
    pub fn skipped(&self, why: &str) -> Result<(), Failure> {
        stdout::print(&format!("\n{}\n", self.style("2", wrap(&format!("Skipped: {why}"), WIDTH).trim_end())))
    }

    /// Shows a command and what it prints.
    pub fn command(&self, line: &str, output: &str) -> Result<(), Failure> {
        self.call(&format!("$ {line}"), output)
    }

    /// Shows anything that was done, and what came of it.
    pub fn call(&self, line: &str, output: &str) -> Result<(), Failure> {
        let mut text = format!("\n    {}\n", self.style("1", line));
        text.extend(output.lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n"));
        stdout::print(&text)
    }

    fn style(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Breaks a paragraph into lines, each with its newline.
fn wrap(text: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            lines.push('\n');
            column = 0;
        }
        if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_wrapped() {
        assert_eq!(wrap("one two  three\nfour", 9), "one two\nthree\nfour\n");
        assert_eq!(wrap("toolongtofit a", 5), "toolongtofit\na\n");
        assert_eq!(wrap("", 5), "\n");
    }
}
