//! The parameters of a request, and the check that there are no others.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::api_error::ApiError;

/// What a parameter may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// A whole number, zero or more.
    Integer,
    Boolean,
    /// Text of at most so many characters.
    Text(usize),
    OneOf(&'static [&'static str]),
    TextList,
    /// `metadata[key]=value`, or empty to remove all.
    Metadata,
    /// A time, or `[gt]`, `[gte]`, `[lt]`, `[lte]`.
    TimeRange,
    Object(&'static [Rule]),
    /// `name[0][member]=value`.
    ObjectList(&'static [Rule]),
}

/// One parameter that an operation takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    name: &'static str,
    kind: Kind,
    required: bool,
}

pub(crate) const fn required(name: &'static str, kind: Kind) -> Rule {
    Rule { name, kind, required: true }
}

pub(crate) const fn optional(name: &'static str, kind: Kind) -> Rule {
    Rule { name, kind, required: false }
}

const RANGE: &[Rule] = &[
    optional("gt", Kind::Integer),
    optional("gte", Kind::Integer),
    optional("lt", Kind::Integer),
    optional("lte", Kind::Integer),
];

/// <https://docs.stripe.com/api/metadata>
const MOST_METADATA_KEYS: usize = 50;
const LONGEST_METADATA_KEY: usize = 40;
const LONGEST_METADATA_VALUE: usize = 500;

/// The parameters of one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params(pub(crate) Map<String, Value>);

impl Params {
    /// Refuses what the rules do not know, what is missing, and what is of the wrong kind.
    pub(crate) fn check(&self, rules: &[Rule]) -> Result<(), ApiError> {
        check_members(&self.0, rules, None)
    }

    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    pub(crate) fn boolean(&self, name: &str) -> Option<bool> {
        self.text(name).map(|text| text == "true")
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    pub(crate) fn list(&self, name: &str) -> Option<Vec<String>> {
        let items = self.0.get(name)?.as_array()?;
        Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// The members of a parameter that is an object; none if it is not there.
    pub(crate) fn object(&self, name: &str) -> Self {
        Self(self.0.get(name).and_then(Value::as_object).cloned().unwrap_or_default())
    }

    /// The objects of a parameter that is a list of them.
    pub(crate) fn objects(&self, name: &str) -> Vec<Self> {
        let items = self.0.get(name).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_object).cloned().map(Self).collect()
    }

    pub(crate) fn member(&self, name: &str, member: &str) -> Option<&str> {
        self.0.get(name)?.get(member)?.as_str()
    }

    /// Applies `metadata`: an empty value removes its key, an empty `metadata` removes all.
    pub(crate) fn apply_metadata(&self, metadata: &mut BTreeMap<String, String>) {
        match self.0.get("metadata") {
            Some(Value::Object(members)) => {
                for (key, value) in members {
                    match value.as_str() {
                        None | Some("") => metadata.remove(key),
                        Some(value) => metadata.insert(key.clone(), value.to_owned()),
                    };
                }
            }
            Some(_) => metadata.clear(),
            None => {}
        }
    }
}

fn check_members(members: &Map<String, Value>, rules: &[Rule], parent: Option<&str>) -> Result<(), ApiError> {
    let full_name = |name: &str| parent.map_or_else(|| name.to_owned(), |parent| format!("{parent}[{name}]"));
    for (name, value) in members {
        let rule = rules.iter().find(|rule| rule.name == name);
        let rule = rule.ok_or_else(|| ApiError::unknown(&full_name(name)))?;
        check_value(&full_name(name), value, rule.kind)?;
    }
    match rules.iter().find(|rule| rule.required && !members.contains_key(rule.name)) {
        Some(rule) => Err(ApiError::missing(&full_name(rule.name))),
        None => Ok(()),
    }
}

fn check_value(name: &str, value: &Value, kind: Kind) -> Result<(), ApiError> {
    match (kind, value) {
        (Kind::Metadata, Value::String(text)) if text.is_empty() => Ok(()),
        (Kind::Metadata, Value::Object(members)) => check_metadata(members),
        (Kind::TimeRange, Value::Object(members)) => check_members(members, RANGE, Some(name)),
        (Kind::Object(rules), Value::Object(members)) => check_members(members, rules, Some(name)),
        (Kind::TextList, Value::Array(items)) => {
            items.iter().try_for_each(|item| check_value(name, item, Kind::Text(5000)))
        }
        (Kind::ObjectList(rules), Value::Array(items)) => items
            .iter()
            .enumerate()
            .try_for_each(|(at, item)| check_value(&format!("{name}[{at}]"), item, Kind::Object(rules))),
        (Kind::TextList | Kind::ObjectList(_), _) => Err(ApiError::malformed(name, "Invalid array")),
        (Kind::Metadata | Kind::Object(_), _) => Err(ApiError::malformed(name, "Invalid hash")),
        (_, Value::String(text)) => check_text(name, text, kind),
        _ => Err(ApiError::malformed(name, "Invalid string")),
    }
}

fn check_text(name: &str, text: &str, kind: Kind) -> Result<(), ApiError> {
    if text.is_empty() {
        let message = format!("You passed an empty string for '{name}'.");
        return Err(ApiError::invalid("parameter_invalid_empty", name, message));
    }
    let (code, problem) = match kind {
        Kind::Integer | Kind::TimeRange => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let is_integer = digits.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<i64>().is_ok();
            ("parameter_invalid_integer", (!is_integer).then(|| format!("Invalid integer: {text}")))
        }
        Kind::Boolean => {
            let problem = (!["true", "false"].contains(&text)).then(|| format!("Invalid boolean: {text}"));
            ("parameter_invalid_boolean", problem)
        }
        Kind::OneOf(words) => {
            let problem = format!("Invalid {name}: must be one of {}", words.join(", "));
            ("parameter_invalid", (!words.contains(&text)).then_some(problem))
        }
        Kind::Text(longest) => {
            let problem = format!("Invalid string: '{name}' must be at most {longest} characters");
            ("parameter_invalid_string", (text.chars().count() > longest).then_some(problem))
        }
        Kind::TextList | Kind::Metadata | Kind::Object(_) | Kind::ObjectList(_) => {
            ("parameter_invalid", None)
        }
    };
    problem.map_or(Ok(()), |problem| Err(ApiError::invalid(code, name, problem)))
}

fn check_metadata(members: &Map<String, Value>) -> Result<(), ApiError> {
    if members.len() > MOST_METADATA_KEYS {
        let message = format!("You can have up to {MOST_METADATA_KEYS} metadata keys.");
        return Err(ApiError::invalid("metadata_too_many_keys", "metadata", message));
    }
    for (key, value) in members {
        let name = format!("metadata[{key}]");
        if key.chars().count() > LONGEST_METADATA_KEY {
            let message = format!("Metadata keys can be up to {LONGEST_METADATA_KEY} characters long.");
            return Err(ApiError::invalid("metadata_key_too_long", &name, message));
        }
        let value =
            value.as_str().ok_or_else(|| ApiError::malformed(&name, "Metadata values must be strings"))?;
        if value.chars().count() > LONGEST_METADATA_VALUE {
            let message = format!("Metadata values can be up to {LONGEST_METADATA_VALUE} characters long.");
            return Err(ApiError::invalid("metadata_value_too_long", &name, message));
        }
    }
    Ok(())
}
