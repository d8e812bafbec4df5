//! Rules for template.yaml that no linter knows.

mod operation;
mod permissions;
mod template;
#[cfg(test)]
mod tests;

use std::fs;

use stack::{functions, paths};

use super::sources::conclude;
use template::{Function, Template, text};

pub(super) fn check() -> super::Findings {
    let file = paths::root().join("template.yaml");
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let folders = functions::names().map_err(|error| format!("{error:#}"))?;
    conclude(violations(&Template::parse(&text)?, &folders))
}

/// Everything that is wrong with a template for the functions in these folders.
fn violations(template: &Template, folders: &[String]) -> Vec<String> {
    let functions = template.functions();
    [
        undescribed_parameters(template),
        permissions::wildcards(template),
        folders_and_resources(&functions, folders),
        functions.iter().flat_map(violations_of).collect(),
    ]
    .concat()
}

fn violations_of(function: &Function<'_>) -> Vec<String> {
    let required = [operation::timeout(function), operation::log_group(function), operation::alarm(function)];
    let mut found: Vec<String> = required.into_iter().flatten().collect();
    found.extend(operation::dead_letter_queues(function));
    found.extend(permissions::foreign_policies(function));
    found.extend(permissions::plain_secrets(function));
    found.extend(permissions::unmatched_secrets(function));
    found
}

fn undescribed_parameters(template: &Template) -> Vec<String> {
    let mut parameters = template.section("Parameters");
    parameters.retain(|(_, parameter)| text(parameter, &["Description"]).is_none_or(str::is_empty));
    parameters.into_iter().map(|(name, _)| format!("parameter {name} has no Description")).collect()
}

/// A folder of `functions/` is one resource, and a resource is one folder.
fn folders_and_resources(functions: &[Function<'_>], folders: &[String]) -> Vec<String> {
    let resources_of = |folder: &str| functions.iter().filter(|it| it.binary() == Some(folder)).count();
    let miscounted =
        folders.iter().map(|folder| (folder, resources_of(folder))).filter(|(_, count)| *count != 1);
    let without_folder =
        functions.iter().filter(|it| !folders.iter().any(|folder| it.binary() == Some(folder.as_str())));
    miscounted
        .map(|(folder, count)| format!("functions/{folder} has {count} resources"))
        .chain(without_folder.map(|function| format!("{} is no folder of functions/", function.id)))
        .collect()
}
