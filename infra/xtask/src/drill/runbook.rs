//! docs/runbook.md as the drill reads it: its command blocks, each with a name, and what they are said to print.
//!
//! ````text
//! <!-- drill: name -->
//! ```sh
//! a command
//! ```
//!
//! ```text
//! a line of what it prints, in which … stands for anything
//! ```
//! ````

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use stack::paths;

/// One block of commands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// What the drill calls it.
    pub(super) name: String,
    /// The commands, as they stand there.
    pub(super) script: String,
    /// Lines that the commands print, in this order, maybe among others.
    pub(super) printed: Vec<String>,
}

/// All blocks, in their order.
#[derive(Debug)]
pub(super) struct Runbook(pub(super) Vec<Block>);

/// Where the reader is.
enum Place {
    Text,
    /// After the comment that names the next block.
    Named(String),
    Commands,
    Printed,
    /// In a fence of some other language.
    Other,
}

impl Runbook {
    /// Reads docs/runbook.md.
    ///
    /// # Errors
    /// When a command block has no name, a name no block, two blocks the same name, or a fence no end.
    pub(super) fn read() -> Result<Self> {
        let file = paths::root().join("docs/runbook.md");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(&text).with_context(|| format!("in {}", file.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut place = Place::Text;
        for (number, line) in (1..).zip(text.lines()) {
            place = step(place, line, &mut blocks).with_context(|| format!("line {number}"))?;
        }
        ensure!(matches!(place, Place::Text), "something that was begun does not end");
        for (index, block) in blocks.iter().enumerate() {
            let is_new = !blocks.iter().take(index).any(|before| before.name == block.name);
            ensure!(is_new, "two blocks are called {}", block.name);
        }
        Ok(Self(blocks))
    }

    /// The block of this name.
    pub(super) fn block(&self, name: &str) -> Result<&Block> {
        self.0.iter().find(|block| block.name == name).with_context(|| format!("there is no block {name}"))
    }
}

/// Takes in one line, and says where that leads.
fn step(place: Place, line: &str, blocks: &mut Vec<Block>) -> Result<Place> {
    Ok(match (place, line) {
        (Place::Text, "```sh") => bail!("a command block without a name"),
        // Before any block it is about something else.
        (Place::Text, "```text") if !blocks.is_empty() => Place::Printed,
        (Place::Text, line) if line.starts_with("```") => Place::Other,
        (Place::Text, line) => match name(line) {
            Some(name) => Place::Named(name.to_owned()),
            None => Place::Text,
        },
        (Place::Named(name), "```sh") => {
            blocks.push(Block { name, script: String::new(), printed: Vec::new() });
            Place::Commands
        }
        (Place::Named(name), _) => bail!("no command block follows the name {name}"),
        (_, "```") => Place::Text,
        (place, line) => {
            match (&place, blocks.last_mut()) {
                (Place::Commands, Some(block)) => {
                    block.script.push_str(line);
                    block.script.push('\n');
                }
                (Place::Printed, Some(block)) => block.printed.push(line.to_owned()),
                _ => {}
            }
            place
        }
    })
}

/// The name in a comment that names a block.
fn name(line: &str) -> Option<&str> {
    line.strip_prefix("<!-- drill: ")?.strip_suffix(" -->")
}

impl Block {
    /// The first line that should have been printed and was not.
    pub(super) fn missing_in(&self, output: &str) -> Option<&str> {
        let mut lines = output.lines();
        let is_missing = |expected: &&String| !lines.any(|line| matches(expected, line.trim_end()));
        self.printed.iter().find(is_missing).map(String::as_str)
    }
}

/// Whether a line is the expected one, in which … stands for anything.
fn matches(expected: &str, line: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", Runbook::parse(text).unwrap_err())
    }

    #[test]
    fn a_block_has_a_name_its_commands_and_what_they_print() {
        let text = "# Title\n```text\nnot ours\n```\n\n<!-- drill: look -->\n```sh\nready\nops GET metrics\n```\n\n\
            ```text\n  \"ok\": true\n```\n```json\n{}\n```\n<!-- drill: act -->\n```sh\nrepair\n```\n";
        let runbook = Runbook::parse(text).unwrap();
        let block = |name: &str, script: &str, printed: &[&str]| Block {
            name: name.to_owned(),
            script: script.to_owned(),
            printed: printed.iter().map(|&line| line.to_owned()).collect(),
        };
        assert_eq!(
            runbook.0,
            [block("look", "ready\nops GET metrics\n", &["  \"ok\": true"]), block("act", "repair\n", &[])]
        );
        assert_eq!(runbook.block("act").unwrap().script, "repair\n");
        assert_eq!(runbook.block("rest").unwrap_err().to_string(), "there is no block rest");
    }

    #[test]
    fn what_the_drill_could_not_run_is_refused() {
        assert_eq!(error("text\n```sh\nready\n```\n"), "line 2: a command block without a name");
        assert_eq!(error("<!-- drill: look -->\n\n"), "line 2: no command block follows the name look");
        let block = "<!-- drill: look -->\n```sh\nready\n```\n";
        assert_eq!(error(&block.repeat(2)), "two blocks are called look");
        assert_eq!(error(block.trim_end_matches("```\n")), "something that was begun does not end");
    }

    #[test]
    fn what_is_printed_has_the_expected_lines_in_their_order() {
        let printed = ["\"status\": \"ready\",", "  at … by …", "end"].map(str::to_owned).to_vec();
        let block = Block { name: String::new(), script: String::new(), printed };
        let missing = |output: &str| block.missing_in(output).map(str::to_owned);
        assert_eq!(missing("{\n\"status\": \"ready\",\n  at 12:00 by Ada\n\nend  \n}"), None);
        assert_eq!(missing("\"status\": \"ready\",\n  at 12:00\nend").unwrap(), "  at … by …");
        assert_eq!(missing("end\n\"status\": \"ready\",\n  at 12:00 by Ada").unwrap(), "end");
        assert_eq!(missing("\"status\": \"ready\", \"more\": 1").unwrap(), "\"status\": \"ready\",");
    }
}
