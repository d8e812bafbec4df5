//! What the stack takes from template.yaml: which function answers which path, and when its schedule fires.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_norway::Value;

use crate::paths;

/// A function of the template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TemplateFunction {
    /// The binary, which is also the folder under `functions/`.
    pub name: String,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// The paths of its HTTP API routes.
    pub paths: Vec<String>,
    /// How often its schedules fire.
    pub schedules: Vec<Duration>,
}

/// What Lambda allows a function for which the template says nothing.
const DEFAULT_TIMEOUT_SECONDS: u64 = 3;

/// Reads the functions of the project's template.
pub(crate) fn functions() -> Result<Vec<TemplateFunction>> {
    let file = paths::root().join("template.yaml");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    parse(&text).with_context(|| format!("cannot understand {}", file.display()))
}

/// The parts of the template's format that are read here, under the names they have there.
mod format {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_norway::Value;

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub(super) struct Template {
        #[serde(default)]
        pub(super) globals: Globals,
        pub(super) resources: BTreeMap<String, Value>,
    }

    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub(super) struct Globals {
        #[serde(default)]
        pub(super) function: Properties,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub(super) struct Function {
        pub(super) metadata: Metadata,
        pub(super) properties: Properties,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub(super) struct Metadata {
        pub(super) build_properties: BuildProperties,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub(super) struct BuildProperties {
        pub(super) binary: String,
    }

    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub(super) struct Properties {
        pub(super) timeout: Option<u64>,
        #[serde(default)]
        pub(super) events: BTreeMap<String, Event>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub(super) struct Event {
        pub(super) r#type: String,
        pub(super) properties: EventProperties,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub(super) struct EventProperties {
        /// Of a route.
        pub(super) path: Option<String>,
        /// Of a schedule of the first kind.
        pub(super) schedule: Option<String>,
        /// Of a schedule of the second kind.
        pub(super) schedule_expression: Option<String>,
    }
}

fn parse(text: &str) -> Result<Vec<TemplateFunction>> {
    let template: format::Template = serde_norway::from_str(text)?;
    let default_timeout = template.globals.function.timeout.unwrap_or(DEFAULT_TIMEOUT_SECONDS);
    let is_function =
        |resource: &Value| resource.get("Type").is_some_and(|it| it == "AWS::Serverless::Function");
    template
        .resources
        .into_iter()
        .filter(|(_, resource)| is_function(resource))
        .map(|(id, resource)| {
            let function = serde_norway::from_value(resource).map_err(anyhow::Error::from);
            function.and_then(|it| describe(it, default_timeout)).with_context(|| format!("in {id}"))
        })
        .collect()
}

fn describe(function: format::Function, default_timeout: u64) -> Result<TemplateFunction> {
    let format::Properties { timeout, events } = function.properties;
    let mut described = TemplateFunction {
        name: function.metadata.build_properties.binary,
        timeout: Duration::from_secs(timeout.unwrap_or(default_timeout)),
        paths: Vec::new(),
        schedules: Vec::new(),
    };
    for (name, format::Event { r#type, properties }) in events {
        match r#type.as_str() {
            "HttpApi" => {
                described.paths.push(properties.path.with_context(|| format!("{name} has no Path"))?)
            }
            "Schedule" => described.schedules.push(rate(&properties.schedule.unwrap_or_default())?),
            "ScheduleV2" => {
                described.schedules.push(rate(&properties.schedule_expression.unwrap_or_default())?)
            }
            // Of a topic, to which nobody publishes here.
            "SNS" => {}
            other => bail!("the local stack has no events of type {other}"),
        }
    }
    Ok(described)
}

/// The interval of `rate(5 minutes)`.
fn rate(text: &str) -> Result<Duration> {
    let interval = text.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')'));
    let (count, unit) = interval.and_then(|interval| interval.split_once(' ')).unwrap_or_default();
    let seconds = match unit.trim_end_matches('s') {
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => bail!("the local stack understands only rate(…) schedules, not {text:?}"),
    };
    let count: u64 = count.parse().with_context(|| format!("{text:?} has no number"))?;
    Ok(Duration::from_secs(count * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "
Globals: { Function: { Timeout: 15 } }
Resources:
  Table: { Type: AWS::DynamoDB::Table }
  Sweep:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: sweep } }
    Properties:
      FunctionName: !Sub kitloop-${Environment}-sweep
      Events:
        Clock: { Type: ScheduleV2, Properties: { ScheduleExpression: rate(5 minutes) } }
        Route: { Type: HttpApi, Properties: { ApiId: !Ref HttpApi, Path: /sweep, Method: ANY } }
";

    #[test]
    fn routes_and_schedules_are_read_between_cloudformation_tags() {
        let expected = TemplateFunction {
            name: "sweep".to_owned(),
            timeout: Duration::from_secs(15),
            paths: vec!["/sweep".to_owned()],
            schedules: vec![Duration::from_secs(300)],
        };
        assert_eq!(parse(TEMPLATE).unwrap(), [expected]);
    }

    #[test]
    fn a_schedule_we_cannot_fire_is_an_error() {
        let error = parse(&TEMPLATE.replace("rate(5 minutes)", "cron(0 3 * * ? *)")).unwrap_err();
        assert!(format!("{error:#}").contains("cron(0 3 * * ? *)"), "{error:#}");
    }

    #[test]
    fn the_template_of_the_project_names_every_function() {
        let mut names: Vec<String> = functions().unwrap().into_iter().map(|function| function.name).collect();
        names.sort();
        assert_eq!(names, crate::functions::names().unwrap());
    }
}
