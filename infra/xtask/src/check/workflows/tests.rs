use super::{check, violations};

/// A workflow of one job with one step.
fn workflow(step: &str) -> String {
    format!("on: push\njobs:\n  build:\n    steps:\n      - {step}\n")
}

/// A step that runs these lines.
fn script(lines: &[&str]) -> String {
    let line_break = "\n          ";
    ["run: |", &lines.join(line_break)].join(line_break)
}

#[test]
fn our_own_workflows_keep_the_rules() {
    assert_eq!(check(), Ok(()));
}

#[test]
fn a_workflow_that_is_no_yaml_is_found() {
    assert_eq!(violations("jobs: [").len(), 1);
}

#[test]
fn a_command_that_exists_may_be_called() {
    for words in ["check", "migrate up", "test -p kitloop", "deploy-local", "drill"] {
        assert_eq!(violations(&workflow(&format!("run: cargo xtask {words}"))), Vec::<String>::new());
    }
}

#[test]
fn a_command_that_does_not_exist_is_found() {
    for call in ["cargo xtask inspect", "cargo xtask migrate", "cargo xtask migrate sideways", "cargo xtask"]
    {
        assert_eq!(violations(&workflow(&format!("run: {call}"))), [format!("there is no `{call}`")]);
    }
}

#[test]
fn a_call_is_found_behind_other_commands_but_not_in_a_comment() {
    let script = script(&["cargo build # not cargo xtask deploy", "true && cargo xtask build"]);
    assert_eq!(violations(&workflow(&script)), ["there is no `cargo xtask build`"]);
}

#[test]
fn a_call_may_go_on_in_the_next_line() {
    assert_eq!(violations(&workflow(&script(&[r"cargo xtask migrate \", "up"]))), Vec::<String>::new());
}

#[test]
fn an_action_is_pinned_to_a_commit_or_our_own() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    for action in [format!("actions/checkout@{commit}"), "./.github/workflows/ci.yml".to_owned()] {
        assert_eq!(violations(&workflow(&format!("uses: {action}"))), Vec::<String>::new());
    }
    for action in ["actions/checkout@v4", "actions/checkout"] {
        let found = violations(&workflow(&format!("uses: {action}")));
        assert_eq!(found, [format!("{action} is not pinned to a commit")]);
    }
}
