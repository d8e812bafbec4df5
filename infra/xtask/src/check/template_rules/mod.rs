//! Rules for template.yaml and the templates of infra/ that no linter knows.

mod monitoring;
mod operation;
mod permissions;
mod template;
#[cfg(test)]
mod tests;

use std::fs;

use kitloop::telemetry;
use stack::{functions, paths};

use super::sources::conclude;
use monitoring::Monitoring;
use template::{Function, Template, at, children, text, texts};

pub(super) fn check() -> super::Findings {
    let product = read("template.yaml")?;
    let [alarms, dashboard, network] =
        ["infra/alarms.yaml", "infra/dashboard.yaml", "infra/network.yaml"].map(read);
    let (alarms, dashboard, network) = (alarms?, dashboard?, network?);
    let folders = functions::names().map_err(|error| format!("{error:#}"))?;
    let monitoring = Monitoring { product: &product, alarms: &alarms, dashboard: &dashboard };
    let beside = [&alarms, &dashboard, &network].into_iter().flat_map(violations_anywhere);
    conclude(
        violations(&product, &alarms, &folders)
            .into_iter()
            .chain(beside)
            .chain(monitoring.violations(&telemetry::catalogue(), &folders))
            .collect(),
    )
}

fn read(path: &str) -> Result<Template, String> {
    let text = fs::read_to_string(paths::root().join(path)).map_err(|error| format!("{path}: {error}"))?;
    Template::parse(&text).map_err(|error| format!("{path}: {error}"))
}

/// Everything that is wrong with a template for the functions in these folders, beside its alarms.
fn violations(product: &Template, alarms: &Template, folders: &[String]) -> Vec<String> {
    let functions = product.functions();
    [
        violations_anywhere(product),
        ungrouped_parameters(product),
        folders_and_resources(&functions, folders),
        functions.iter().flat_map(|function| violations_of(function, alarms)).collect(),
    ]
    .concat()
}

/// What no template may have.
fn violations_anywhere(template: &Template) -> Vec<String> {
    [undescribed_parameters(template), permissions::wildcards(template)].concat()
}

fn violations_of(function: &Function<'_>, alarms: &Template) -> Vec<String> {
    let required = [
        operation::timeout(function),
        operation::log_group(function),
        operation::switch(function),
        operation::alarm(function, alarms),
    ];
    let mut found: Vec<String> = required.into_iter().flatten().collect();
    found.extend(operation::watches(function, alarms));
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

/// Whoever fills the parameters in finds each of them once, beside those that it belongs to.
fn ungrouped_parameters(product: &Template) -> Vec<String> {
    let metadata = product.section("Metadata");
    let interface = metadata.into_iter().find(|(name, _)| *name == "AWS::CloudFormation::Interface");
    let groups = interface.and_then(|(_, interface)| at(interface, &["ParameterGroups"]));
    let groups = groups.map(children).unwrap_or_default();
    let grouped: Vec<&str> =
        groups.into_iter().filter_map(|group| group.get("Parameters")).flat_map(texts).collect();
    let parameters = product.section("Parameters").into_iter();
    parameters
        .map(|(name, _)| (name, grouped.iter().filter(|grouped| **grouped == name).count()))
        .filter(|(_, count)| *count != 1)
        .map(|(name, count)| format!("{name} is in {count} groups of parameters"))
        .collect()
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
