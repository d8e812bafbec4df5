//! Rules for .github/workflows: what they call is there, and what they use cannot change behind our back.

#[cfg(test)]
mod tests;

use clap::CommandFactory;
use serde_norway::Value;
use stack::paths;

use super::Findings;
use super::sources::{conclude, files, without_comments};
use crate::cli::Cli;

/// How a workflow's script calls our command line.
const CALL: &str = "cargo xtask";

/// A git commit in full: a tag can be moved, a commit cannot.
const COMMIT_DIGITS: usize = 40;

pub(super) fn check() -> Findings {
    let workflows = files(&paths::root().join(".github/workflows"), ".yml")?;
    let findings = workflows.iter().flat_map(|file| {
        let place = file.path.strip_prefix(paths::root()).unwrap_or(&file.path).display();
        violations(&file.text).into_iter().map(move |violation| format!("{place}: {violation}"))
    });
    conclude(findings.collect())
}

/// Everything that is wrong with a workflow.
fn violations(text: &str) -> Vec<String> {
    let workflow: Value = match serde_norway::from_str(text) {
        Ok(workflow) => workflow,
        Err(error) => return vec![error.to_string()],
    };
    let calls = texts(&workflow, "run").into_iter().flat_map(unknown_calls);
    let actions = texts(&workflow, "uses").into_iter().filter(|action| !is_pinned(action));
    calls.chain(actions.map(|action| format!("{action} is not pinned to a commit"))).collect()
}

/// The texts under a key, wherever it stands.
fn texts<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    match value {
        Value::Mapping(mapping) => mapping
            .iter()
            .flat_map(|(name, value)| match value {
                Value::String(text) if name.as_str() == Some(key) => vec![text.as_str()],
                _ => texts(value, key),
            })
            .collect(),
        Value::Sequence(values) => values.iter().flat_map(|value| texts(value, key)).collect(),
        _ => Vec::new(),
    }
}

/// A workflow of this repository is as old as the one that calls it.
fn is_pinned(action: &str) -> bool {
    let is_commit = |version: &str| {
        version.len() == COMMIT_DIGITS && version.chars().all(|digit| digit.is_ascii_hexdigit())
    };
    action.starts_with("./") || action.rsplit_once('@').is_some_and(|(_, version)| is_commit(version))
}

/// The calls in a script of commands that our command line does not have.
fn unknown_calls(script: &str) -> Vec<String> {
    let code = without_comments(&script.replace("\\\n", " "), "#");
    let calls = code.lines().flat_map(|line| line.split(CALL).skip(1));
    calls.filter(|words| !is_known(words)).map(|words| format!("there is no `{CALL}{words}`")).collect()
}

/// Whether each word names a subcommand of the one before, down to one that has none.
fn is_known(words: &str) -> bool {
    let mut words = words.split_whitespace();
    let mut command = Cli::command();
    while command.has_subcommands() {
        match words.next().and_then(|word| command.find_subcommand(word)) {
            Some(subcommand) => command = subcommand.clone(),
            None => return false,
        }
    }
    true
}
