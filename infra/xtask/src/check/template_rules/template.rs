//! A SAM template as its rules see it: sections, functions, and values between CloudFormation's tags.

use serde_norway::Value;

/// The whole template.
pub(super) struct Template(Value);

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        serde_norway::from_str(text).map(Self).map_err(|error| error.to_string())
    }

    /// The entries of a section, such as `Parameters`.
    pub(super) fn section(&self, name: &str) -> Vec<(&str, &Value)> {
        self.0.get(name).map(members).unwrap_or_default()
    }

    pub(super) fn resource(&self, id: &str) -> Option<&Value> {
        self.0.get("Resources")?.get(id)
    }

    /// The resources of a type, with their ids.
    pub(super) fn resources<'a>(&'a self, of_type: &str) -> Vec<(&'a str, &'a Value)> {
        let mut resources = self.section("Resources");
        resources.retain(|(_, resource)| text(resource, &["Type"]) == Some(of_type));
        resources
    }

    pub(super) fn functions(&self) -> Vec<Function<'_>> {
        let functions = self.resources("AWS::Serverless::Function");
        functions.into_iter().map(|(id, resource)| Function { id, resource, template: self }).collect()
    }
}

/// A function, with what it has from `Globals`.
pub(super) struct Function<'a> {
    pub(super) id: &'a str,
    pub(super) template: &'a Template,
    resource: &'a Value,
}

impl<'a> Function<'a> {
    /// The program, which is also the folder under `functions/`.
    pub(super) fn binary(&self) -> Option<&'a str> {
        text(self.resource, &["Metadata", "BuildProperties", "Binary"])
    }

    /// A property of its own, or else of all functions.
    pub(super) fn property(&self, name: &str) -> Option<&'a Value> {
        self.levels().into_iter().find_map(|properties| properties.get(name))
    }

    /// The variables of its environment: its own, then those of all functions that it does not set itself.
    pub(super) fn variables(&self) -> Vec<(&'a str, &'a Value)> {
        let mut variables: Vec<(&str, &Value)> = Vec::new();
        for level in self.levels() {
            for (name, value) in at(level, &["Environment", "Variables"]).map(members).unwrap_or_default() {
                if !variables.iter().any(|(known, _)| *known == name) {
                    variables.push((name, value));
                }
            }
        }
        variables
    }

    /// The events that Lambda takes in and calls it with later: nobody waits for what comes of them.
    pub(super) fn asynchronous_events(&self) -> Vec<(&'a str, &'a Value)> {
        let mut events = self.property("Events").map(members).unwrap_or_default();
        events.retain(|(_, event)| text(event, &["Type"]) != Some("HttpApi"));
        events
    }

    fn levels(&self) -> Vec<&'a Value> {
        let globals = at(&self.template.0, &["Globals", "Function"]);
        [self.resource.get("Properties"), globals].into_iter().flatten().collect()
    }
}

/// The value at the end of a path of names.
pub(super) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| value.get(*name))
}

/// The text at the end of a path of names.
pub(super) fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(value, path)?.as_str()
}

/// The entries of a mapping, none of anything else.
pub(super) fn members(value: &Value) -> Vec<(&str, &Value)> {
    let entries = value.as_mapping().into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.as_str()?, value))).collect()
}

/// Every text in a value, however deep.
pub(super) fn texts(value: &Value) -> Vec<&str> {
    let own = value.as_str();
    let inner = children(value).into_iter().flat_map(texts);
    own.into_iter().chain(inner).collect()
}

/// What is directly inside a mapping or a sequence.
pub(super) fn children(value: &Value) -> Vec<&Value> {
    let of_mapping = value.as_mapping().into_iter().flatten().map(|(_, child)| child);
    of_mapping.chain(value.as_sequence().into_iter().flatten()).collect()
}

/// The id in `!Ref Id` or `!GetAtt Id.Attribute`.
pub(super) fn reference(value: &Value) -> Option<&str> {
    let Value::Tagged(tagged) = value else { return None };
    let is_reference = tagged.tag == "Ref" || tagged.tag == "GetAtt";
    let target = tagged.value.as_str().filter(|_| is_reference)?;
    Some(target.split_once('.').map_or(target, |(id, _)| id))
}

/// What a value may turn out to be: either branch of an `!If`, and nothing where that says `AWS::NoValue`.
pub(super) fn choices(value: &Value) -> Vec<&Value> {
    match value {
        Value::Tagged(tagged) if tagged.tag == "If" => {
            tagged.value.as_sequence().into_iter().flatten().skip(1).flat_map(choices).collect()
        }
        value if reference(value) == Some("AWS::NoValue") => Vec::new(),
        value => vec![value],
    }
}
