//! Least privilege: what a function may touch is named, and it is what the function is given.

use std::collections::BTreeSet;

use serde_norway::Value;

use super::template::{Function, Template, children, choices, members, reference, text, texts};

/// Where secrets are in the Parameter Store, as environment variables and policies spell it.
const SECRETS: &str = "/kitloop/${Environment}/";

/// How the names of settings end that must not stand in the template. Sentry's DSN is none of them: whoever knows it can
/// report errors, and read nothing.
const SECRET_NAMES: &[&str] = &["_SECRET", "_KEY", "_TOKEN", "_PASSWORD", "_WEBHOOK_URL", "DATABASE_URL"];

/// Statements that allow more than they name.
pub(super) fn wildcards(template: &Template) -> Vec<String> {
    let resources = template.section("Resources").into_iter();
    resources
        .flat_map(|(id, resource)| statements(resource).into_iter().map(move |statement| (id, statement)))
        .flat_map(|(id, statement)| {
            excesses(statement).into_iter().map(move |excess| format!("{id} {excess}"))
        })
        .collect()
}

/// All policy statements in a value but those of a key's own policy, where `*` means that key alone.
fn statements(value: &Value) -> Vec<&Value> {
    if value.get("Effect").is_some() {
        return vec![value];
    }
    let Some(mapping) = value.as_mapping() else {
        return children(value).into_iter().flat_map(statements).collect();
    };
    let inner = mapping.iter().filter(|(name, _)| name.as_str() != Some("KeyPolicy"));
    inner.flat_map(|(_, child)| statements(child)).collect()
}

fn excesses(statement: &Value) -> Vec<String> {
    if text(statement, &["Effect"]) == Some("Deny") {
        return Vec::new();
    }
    let excess = |(name, value): (&str, &Value)| match name {
        "NotAction" | "NotResource" | "NotPrincipal" => Some(format!("allows all but what {name} names")),
        "Action" | "Resource" | "Principal" => {
            let wide = texts(value).into_iter().find(|text| text.contains('*'))?;
            Some(format!("allows {wide:?} as {name}"))
        }
        _ => None,
    };
    members(statement).into_iter().filter_map(excess).collect()
}

/// Policies that a function asks for and that stand elsewhere, where nobody checks what they allow. Beside them SAM gives
/// each role AWS's own for logs, traces and network interfaces.
pub(super) fn foreign_policies(function: &Function<'_>) -> Vec<String> {
    let is_ours =
        |policy: &&Value| reference(policy).is_some_and(|id| function.template.resource(id).is_some());
    let foreign = policies(function).into_iter().filter(|policy| !is_ours(policy));
    foreign
        .map(|policy| format!("{} has a policy of another kind than !Ref: {policy:?}", function.id))
        .collect()
}

fn policies<'a>(function: &Function<'a>) -> Vec<&'a Value> {
    let listed = function.property("Policies").into_iter();
    listed
        .flat_map(|policies| policies.as_sequence().map_or(vec![policies], |list| list.iter().collect()))
        .collect()
}

/// Secrets that stand in the template, or come as its parameters.
pub(super) fn plain_secrets(function: &Function<'_>) -> Vec<String> {
    let secrets = function.variables().into_iter().filter(|(name, _)| is_secret(name));
    let plain = secrets.filter(|(_, value)| choices(value).into_iter().any(|value| secret(value).is_none()));
    plain.map(|(name, _)| format!("{}: {name} is not an ssm: reference", function.id)).collect()
}

fn is_secret(name: &str) -> bool {
    SECRET_NAMES.iter().any(|ending| name.ends_with(ending))
}

/// The name in `!Sub ssm:/kitloop/${Environment}/name`.
fn secret(value: &Value) -> Option<&str> {
    let Value::Tagged(tagged) = value else { return None };
    let text = tagged.value.as_str().filter(|_| tagged.tag == "Sub")?;
    text.strip_prefix("ssm:")?.strip_prefix(SECRETS)
}

/// Secrets that a function is given and may not read, or may read without need.
pub(super) fn unmatched_secrets(function: &Function<'_>) -> Vec<String> {
    let variables = function.variables();
    let given: BTreeSet<&str> =
        variables.into_iter().flat_map(|(_, value)| choices(value)).filter_map(secret).collect();
    let documents =
        policies(function).into_iter().filter_map(|it| function.template.resource(reference(it)?));
    let named = documents.flat_map(texts).filter_map(|text| text.split_once(":parameter"));
    let readable: BTreeSet<&str> = named.filter_map(|(_, path)| path.strip_prefix(SECRETS)).collect();
    let id = function.id;
    let unreadable =
        given.difference(&readable).map(|name| format!("{id} may not read {name}, which it is given"));
    let needless =
        readable.difference(&given).map(|name| format!("{id} may read {name}, which it is not given"));
    unreadable.chain(needless).collect()
}
