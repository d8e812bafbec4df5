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
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

/// Reads the functions of the project's template.
pub(crate) fn functions() -> Result<Vec<TemplateFunction>> {
    let file = paths::root().join("template.yaml");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    parse(&text).with_context(|| format!("cannot understand {}", file.display()))
}

fn parse(text: &str) -> Result<Vec<TemplateFunction>> {
    let template: Value = serde_norway::from_str(text)?;
    let default_timeout = timeout(&template["Globals"]["Function"]).unwrap_or(DEFAULT_TIMEOUT);
    let Some(resources) = template["Resources"].as_mapping() else { bail!("there are no Resources") };
    resources
        .iter()
        .filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function")
        .map(|(id, resource)| {
            function(resource, default_timeout).with_context(|| format!("in {}", id.as_str().unwrap_or("?")))
        })
        .collect()
}

fn function(resource: &Value, default_timeout: Duration) -> Result<TemplateFunction> {
    let name = resource["Metadata"]["BuildProperties"]["Binary"].as_str().context("there is no Binary")?;
    let properties = &resource["Properties"];
    let mut function = TemplateFunction {
        name: name.to_owned(),
        timeout: timeout(properties).unwrap_or(default_timeout),
        paths: Vec::new(),
        schedules: Vec::new(),
    };
    for event in properties["Events"].as_mapping().into_iter().flat_map(|events| events.values()) {
        let properties = &event["Properties"];
        match event["Type"].as_str() {
            Some("HttpApi") => {
                function.paths.push(properties["Path"].as_str().context("a route has no Path")?.to_owned());
            }
            Some("Schedule") => function.schedules.push(rate(&properties["Schedule"])?),
            Some("ScheduleV2") => function.schedules.push(rate(&properties["ScheduleExpression"])?),
            other => bail!("the local stack has no events of type {}", other.unwrap_or("?")),
        }
    }
    Ok(function)
}

fn timeout(properties: &Value) -> Option<Duration> {
    properties["Timeout"].as_u64().map(Duration::from_secs)
}

/// The interval of `rate(5 minutes)`.
fn rate(expression: &Value) -> Result<Duration> {
    let text = expression.as_str().unwrap_or_default();
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
