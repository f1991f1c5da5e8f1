//! `top`.

use std::process::Command;

use model::ContainerId;

use crate::{Engine, Error, Result};

/// The processes of a container, as `ps` of the host shows them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Processes {
    /// The columns' titles.
    pub titles: Vec<String>,
    /// A row for each process.
    pub rows: Vec<Vec<String>>,
}

impl Engine {
    /// Lists the processes of a container that runs. `args` are those of ps(1), `-ef` if there are none.
    ///
    /// # Errors
    /// It does not run; `ps` is not installed, or does not show a column `PID`.
    pub fn top(&self, id: &ContainerId, args: &[String]) -> Result<Processes> {
        let process = self.running_process(id)?;
        let members = runtime::members::of(process.pid());
        let usual = ["-ef".to_owned()];
        let args = if args.is_empty() { &usual[..] } else { args };
        let output = Command::new("ps").args(args).output().map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::invalid("ps is not installed on this machine"),
            _ => Error::io("run", "ps")(e),
        })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::invalid(format!("running ps failed: {}", said.trim())));
        }
        parse(&String::from_utf8_lossy(&output.stdout), |pid| members.contains(&pid))
    }
}

fn parse(text: &str, is_member: impl Fn(u32) -> bool) -> Result<Processes> {
    let mut lines = text.lines();
    let titles: Vec<String> =
        lines.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let pid = titles.iter().position(|title| title == "PID");
    let pid = pid.ok_or_else(|| Error::invalid("Couldn't find PID field in ps output"))?;
    let rows = lines.filter_map(|line| {
        let row = fields(line, titles.len());
        is_member(row.get(pid)?.parse().ok()?).then_some(row)
    });
    Ok(Processes { rows: rows.collect(), titles: titles.clone() })
}

/// The last column, a command line, may have spaces in it.
fn fields(line: &str, columns: usize) -> Vec<String> {
    let mut fields = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        if fields.len() + 1 == columns {
            fields.push(rest.to_owned());
            break;
        }
        let (field, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        fields.push(field.to_owned());
        rest = after.trim_start();
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_members_are_shown_and_commands_are_whole() {
        let text = "UID   PID  PPID CMD\nroot    7     1 sh -c  sleep 5\nroot   70     1 other\n";
        let shown = parse(text, |pid| pid == 7).unwrap();
        assert_eq!(shown.titles, ["UID", "PID", "PPID", "CMD"]);
        assert_eq!(shown.rows, [["root", "7", "1", "sh -c  sleep 5"]]);
        assert!(parse("A B\n1 2\n", |_| true).is_err());
    }
}
