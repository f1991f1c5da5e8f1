//! `layercake tour`: what images, layers and containers are on the disk, shown with a small image and real commands.
//!
//! The steps follow the order of Docker's pages on storage drivers. What is shown after `$ layercake …` is what this
//! program prints as a child process; what is shown after other commands is done here, by hand.
//!
//! | module | subject |
//! | --- | --- |
//! | `image` | the images, made from a table |
//! | `place` | the temporary directory and its store |
//! | `guide` | how it looks |
//! | `files` | what `ls` and the like would print |
//! | `steps` | the steps |

mod files;
mod guide;
mod image;
mod place;
mod steps;

use std::io;
use std::path::Path;

use crate::output::failure::Failure;
use crate::output::stdout;
use guide::Guide;
use place::Place;

/// How a tour goes.
#[derive(Debug, Default)]
pub struct Options {
    /// Wait for Enter between steps, on a terminal.
    pub pause: bool,
    /// Leave the store there.
    pub keep: bool,
    /// The storage driver, if it shall not be the best one.
    pub driver: Option<String>,
}

/// Gives the tour. When it returns, nothing of it is left, unless it was to be kept.
///
/// # Errors
/// No store can be made, or a command failed; the message is the command's.
pub fn run(options: &Options) -> Result<(), Failure> {
    let place = place::find(options.driver.as_deref())?;
    let tour = Tour { guide: Guide::new(options.pause), place };
    let walked = steps::walk(&tour, options);
    let keep = options.keep && walked.is_ok();
    let dir = tour.place.dir().to_owned();
    let ended = tour.place.end(keep);
    walked.and(ended)?;
    stdout::print(&if keep {
        kept(&dir)
    } else {
        format!("\n{} is gone. That was the tour.\n", dir.display())
    })
}

fn kept(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "\nKept, with both containers mounted. To look around:  export LAYERCAKE_ROOT={dir}/store\n\
         To remove it:  layercake umount --all && layercake rm --wait one two && rm -r {dir}\n"
    )
}

/// A tour on its way.
struct Tour {
    guide: Guide,
    place: Place,
}

impl Tour {
    /// Runs a command line of layercake and shows it with its output, which is returned.
    fn run(&self, line: &str) -> Result<String, Failure> {
        let output = self.ask(line)?;
        self.guide.command(line, &output)?;
        Ok(output)
    }

    /// As [`run`](Self::run), with long IDs shortened in what is shown.
    fn run_short(&self, line: &str) -> Result<String, Failure> {
        let output = self.ask(line)?;
        self.guide.command(line, &files::shorten(&output))?;
        Ok(output)
    }

    /// Runs a command line of layercake, and shows nothing.
    fn ask(&self, line: &str) -> Result<String, Failure> {
        self.place.ask(&words(line)[1..])
    }

    /// Shows a command of the shell with what was done in its place.
    fn shell(&self, line: &str, output: io::Result<String>) -> Result<(), Failure> {
        let output = output.map_err(|err| Failure::plain(format_args!("{line}: {err}")))?;
        self.guide.command(&files::shorten(line), &output)
    }
}

/// Splits a command line at its spaces; single quotes keep words together.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (n, part) in line.split('\'').enumerate() {
        let mut pieces = part.split(if n % 2 == 0 { ' ' } else { '\'' });
        if let (Some(first), Some(word)) = (pieces.next(), words.last_mut()) {
            word.push_str(first);
        }
        words.extend(pieces.map(str::to_owned));
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_split_as_the_shell_does() {
        assert_eq!(
            words("layercake ps -a --format 'table {{.ID}} x' one"),
            ["layercake", "ps", "-a", "--format", "table {{.ID}} x", "one"]
        );
        assert_eq!(words("a -c'b c'd"), ["a", "-cb cd"]);
    }
}
