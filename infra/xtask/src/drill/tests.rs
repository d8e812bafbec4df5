//! What the runbook speaks of is there. Reads files only; whether it works is for the drill.

use std::collections::BTreeSet;
use std::fs;

use clap::CommandFactory;
use serde_norway::Value;
use stack::paths;

use super::runbook::Runbook;
use crate::cli::Cli;

/// What answers under /ops.
#[path = "../../../../functions/ops/src/resource.rs"]
mod resource;
use resource::Resource;

fn file(path: &str) -> String {
    fs::read_to_string(paths::root().join(path)).unwrap()
}

/// The runbook, and what its words stand for; a command that goes on in the next line is one line.
fn texts() -> String {
    let words = file("docs/runbook.sh");
    let code = words.lines().filter(|line| !line.starts_with('#'));
    code.fold(file("docs/runbook.md"), |text, line| text + line + "\n").replace("\\\n", " ")
}

fn yaml(path: &str) -> Value {
    serde_norway::from_str(&file(path)).unwrap()
}

/// The names in a section of a template.
fn names(template: &Value, section: &str) -> BTreeSet<String> {
    let entries = template[section].as_mapping().unwrap();
    entries.keys().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
}

/// What stands between each occurrence of `before` at the beginning of a word and the end of its command.
fn arguments<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    let is_end = |character| "`|;#\n)".contains(character);
    let begins_word =
        |at: usize| !text[..at].ends_with(|last: char| last.is_alphanumeric() || "_-/".contains(last));
    let found = text.match_indices(before).filter(|(at, _)| begins_word(*at));
    found.map(|(at, _)| text[at + before.len()..].split(is_end).next().unwrap().trim()).collect()
}

/// The words of these commands, without quotation marks, and without what a variable stands for.
fn words(text: &str, before: &str) -> BTreeSet<String> {
    let all = arguments(text, before).into_iter().flat_map(str::split_whitespace);
    let bare = all.map(|word| word.trim_matches(['"', '\'']).to_owned());
    bare.filter(|word| !word.is_empty() && !word.contains('$')).collect()
}

/// Fails unless there is something in `found`, and all of it in `known`.
fn assert_known(found: &BTreeSet<String>, known: &BTreeSet<String>) {
    assert!(!found.is_empty());
    let unknown: Vec<&String> = found.difference(known).collect();
    assert!(unknown.is_empty(), "there is no {unknown:?}");
}

#[test]
fn every_command_of_ours_is_one_that_our_command_line_takes() {
    let text = texts();
    let calls = arguments(&text, "cargo xtask ");
    assert!(calls.len() > 5);
    for call in calls {
        let words =
            || ["xtask"].into_iter().chain(call.split_whitespace().map(|word| word.trim_matches('"')));
        // The database is named by the environment.
        let database = ["--database-url", "postgres://owner@localhost/kitloop"];
        let parsed = Cli::command().try_get_matches_from(words());
        let parsed = parsed.or_else(|_| Cli::command().try_get_matches_from(words().chain(database)));
        assert!(parsed.is_ok(), "cargo xtask {call}: {}", parsed.unwrap_err());
    }
}

#[test]
fn every_path_under_ops_is_one_that_answers_to_that_method() {
    let text = texts();
    for method in ["GET", "POST"] {
        let paths = arguments(&text, &format!("ops {method} "));
        assert!(!paths.is_empty());
        for path in paths {
            let path = path.split(['?', ' ']).next().unwrap().trim_matches(['"', '\'']);
            let resource = Resource::at(&path.split('/').collect::<Vec<_>>());
            assert_ne!(resource, Resource::Unknown, "{path}");
            assert!(resource.methods().contains(&method), "{method} {path}");
        }
    }
}

#[test]
fn every_function_and_alarm_that_is_named_is_deployed() {
    let named_by = |path: &str, property: &str| -> BTreeSet<String> {
        let template = yaml(path);
        let resources = template["Resources"].as_mapping().unwrap().values();
        let names = resources.filter_map(|resource| match &resource["Properties"][property] {
            Value::Tagged(name) => {
                Some(name.value.as_str()?.strip_prefix("kitloop-${Environment}-")?.to_owned())
            }
            _ => None,
        });
        names.collect()
    };
    let text = texts();
    let deployed = named_by("template.yaml", "FunctionName");
    let alarms = named_by("infra/alarms.yaml", "AlarmName");
    assert_known(&words(&text, "restart "), &deployed);
    let scheduled = |word: &String| !["ENABLED", "DISABLED"].contains(&word.as_str());
    assert_known(&words(&text, "set_schedule ").into_iter().filter(scheduled).collect(), &deployed);
    let in_full = text.split("kitloop-$ENVIRONMENT-").skip(1);
    let name = |rest: &str| {
        rest.split(|end: char| !(end.is_ascii_lowercase() || end == '-')).next().map(str::to_owned)
    };
    let in_full = in_full.filter_map(name).filter(|name| !name.is_empty()).collect();
    assert_known(&in_full, &deployed.union(&alarms).cloned().collect());
}

#[test]
fn a_secret_that_leaked_is_forgotten_by_all_functions_that_had_it_or_is_taken_back_elsewhere() {
    let (runbook, template) = (Runbook::read().unwrap(), yaml("template.yaml"));
    let mut restarts = 0;
    for block in runbook.0.iter().filter(|block| block.name.starts_with("leaked-")) {
        let script = block.script.replace("\\\n", " ");
        let restarted = words(&script, "restart ");
        if restarted.is_empty() {
            continue;
        }
        restarts += 1;
        let secret = words(&script, "replace ").into_iter().next().unwrap();
        let reference = format!("ssm:/kitloop/${{Environment}}/{secret}");
        let resources = template["Resources"].as_mapping().unwrap().values();
        let holders = resources.filter(|resource| {
            serde_norway::to_string(&resource["Properties"]["Environment"]).unwrap().contains(&reference)
        });
        let names = holders.map(|resource| match &resource["Properties"]["FunctionName"] {
            Value::Tagged(name) => name.value.as_str().unwrap().replace("kitloop-${Environment}-", ""),
            name => panic!("{name:?} is not of the environment"),
        });
        assert_eq!(restarted, names.collect(), "{secret}");
    }
    assert!(restarts > 2);
}

#[test]
fn every_secret_output_and_route_that_is_named_is_in_the_template() {
    let (text, template) = (texts(), file("template.yaml"));
    let marked = |mark: &str| -> BTreeSet<String> {
        let rests = template.split(mark).skip(1);
        rests
            .filter_map(|rest| rest.split(|end: char| !(end.is_alphanumeric() || end == '_')).next())
            .map(str::to_owned)
            .collect()
    };
    let secrets = marked("ssm:/kitloop/${Environment}/");
    for word in ["rotate ", "replace ", "settle ", "store ", "$(secret "] {
        let named = words(&text, word).into_iter().filter(|name| name.contains('_')).collect();
        assert_known(&named, &secrets);
    }
    let outputs = names(&yaml("template.yaml"), "Outputs");
    assert_known(&words(&text, "$(output "), &outputs);
    let routes = marked("Path: /");
    let called = |word: &String| word.contains('_');
    assert_known(&words(&text, "scheduled ").into_iter().filter(called).collect(), &routes);
}

#[test]
fn every_alarm_leads_to_a_section_and_every_such_name_is_an_alarm() {
    let runbook = file("docs/runbook.md");
    let alarms = ["template.yaml", "infra/alarms.yaml"].map(yaml).into_iter().flat_map(|template| {
        let is_alarm = |id: &String| template["Resources"][id.as_str()]["Type"] == "AWS::CloudWatch::Alarm";
        names(&template, "Resources").into_iter().filter(is_alarm).collect::<Vec<_>>()
    });
    let table = runbook.lines().filter(|line| line.starts_with("| `") && line.contains("Alarm`"));
    let named: BTreeSet<String> = table
        .flat_map(|line| line.split('|').nth(1).unwrap().split('`'))
        .filter(|name| name.ends_with("Alarm"))
        .map(str::to_owned)
        .collect();
    assert_eq!(named, alarms.collect());
}

#[test]
fn every_link_leads_somewhere() {
    let anchors = |path: &str| -> BTreeSet<String> {
        let text = file(path);
        let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
        let anchor = |heading: &str| -> String {
            let title = heading.trim_start_matches('#').trim().to_lowercase();
            let kept =
                title.chars().filter(|character| character.is_alphanumeric() || " -_".contains(*character));
            kept.map(|character| if character == ' ' { '-' } else { character }).collect()
        };
        headings.map(anchor).collect()
    };
    let runbook = file("docs/runbook.md");
    for link in runbook.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let path = match path.strip_prefix("../") {
            Some(above) => above.to_owned(),
            None if path.is_empty() => "docs/runbook.md".to_owned(),
            None => format!("docs/{path}"),
        };
        assert!(paths::root().join(&path).exists(), "{link}");
        assert!(anchor.is_empty() || anchors(&path).contains(anchor), "{link}");
    }
}

#[test]
fn every_block_is_in_a_scenario_and_every_scenario_has_blocks_that_are_there() {
    let runbook = Runbook::read().unwrap();
    let written: BTreeSet<&str> = runbook.0.iter().map(|block| block.name.as_str()).collect();
    assert_eq!(written, super::blocks().collect());
}
