//! Alarms and dashboard ask for what is there: an alarm on a metric that nobody emits never goes off.

use kitloop::telemetry::{Metric, Outcome};
use serde_json::Value as Json;
use serde_norway::Value;

use super::template::{Template, at, children, text};

/// The namespace of our own metrics.
const OURS: &str = "Kitloop";

/// What stands in the names of alarms and functions for the deployment's.
const ENVIRONMENT: &str = "${Environment}";

/// So many metrics one alarm may look at, beside its expressions:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html>.
const MOST_METRICS: usize = 10;

/// The templates that ask for metrics, and the one that has what AWS measures.
pub(super) struct Monitoring<'a> {
    pub(super) product: &'a Template,
    pub(super) alarms: &'a Template,
    pub(super) dashboard: &'a Template,
}

/// A metric that an alarm or a widget asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    namespace: String,
    name: String,
    /// The names of the dimensions, with their values where those are asked for.
    dimensions: Vec<(String, Option<String>)>,
}

impl Monitoring<'_> {
    /// Everything asked for that none of the functions in these folders emits, alarms that ask for too much, and those that
    /// the dashboard does not show.
    pub(super) fn violations(&self, emitted: &[Metric], folders: &[String]) -> Vec<String> {
        let body = match self.dashboard_body() {
            Ok(body) => body,
            Err(error) => return vec![format!("the dashboard's body: {error}")],
        };
        let asked_by_alarms = [self.product, self.alarms].into_iter().flat_map(asked_by_alarms);
        let asked = asked_by_alarms.chain(asked_by_widgets(&body));
        let unknown = asked.filter_map(|asked| match asked.namespace.as_str() {
            OURS => asked.unknown_of_ours(emitted, folders),
            _ => asked.unknown_of_aws(self.product),
        });
        let overfull = [self.product, self.alarms].into_iter().flat_map(overfull_alarms);
        unknown.chain(overfull).chain(self.mismatched_alarms(&body)).collect()
    }

    /// The body as JSON, with a number in place of everything that is only known when it is deployed.
    fn dashboard_body(&self) -> Result<Json, String> {
        let dashboards = self.dashboard.resources("AWS::CloudWatch::Dashboard");
        let body = dashboards.first().and_then(|(_, it)| at(it, &["Properties", "DashboardBody"]));
        let text = body.and_then(substituted).ok_or("is not there")?;
        let mut json = text.to_owned();
        while let Some((before, rest)) = json.split_once("${") {
            let (_, after) = rest.split_once('}').ok_or("a placeholder has no end")?;
            json = format!("{before}0{after}");
        }
        serde_json::from_str(&json).map_err(|error| error.to_string())
    }

    /// The dashboard shows the alarms that are there whenever it is, and no others. Those of the product, which wait for
    /// what the others cannot wait for, have the dashboard's own condition.
    fn mismatched_alarms(&self, body: &Json) -> Vec<String> {
        let mut alarms = self.alarms.resources("AWS::CloudWatch::Alarm");
        alarms.retain(|(_, alarm)| alarm.get("Condition").is_none());
        alarms.extend(self.product.resources("AWS::CloudWatch::Alarm"));
        let names = alarms.iter().filter_map(|(_, alarm)| {
            let name = at(alarm, &["Properties", "AlarmName"]).and_then(substituted)?;
            name.rsplit_once(ENVIRONMENT).map(|(_, name)| name)
        });
        let names: Vec<&str> = names.collect();
        let shown: Vec<&str> = widgets(body)
            .into_iter()
            .filter_map(|widget| widget.pointer("/properties/alarms")?.as_array())
            .flatten()
            .filter_map(|alarm| alarm.as_str()?.strip_prefix('0'))
            .collect();
        let nameless = alarms.len().saturating_sub(names.len());
        let nameless =
            (nameless > 0).then(|| format!("{nameless} alarms have no name with {ENVIRONMENT} in it"));
        let hidden = names.iter().filter(|name| !shown.contains(name));
        let absent = shown.iter().filter(|name| !names.contains(name));
        nameless
            .into_iter()
            .chain(hidden.map(|name| format!("the dashboard does not show the alarm {name}")))
            .chain(absent.map(|name| format!("the dashboard shows {name}, which is no alarm")))
            .collect()
    }
}

impl Asked {
    fn unknown_of_ours(&self, emitted: &[Metric], folders: &[String]) -> Option<String> {
        let Self { name, .. } = self;
        let mut dimensions: Vec<&str> = self.dimensions.iter().map(|(name, _)| name.as_str()).collect();
        dimensions.sort_unstable();
        let is_emitted = emitted.iter().any(|metric| {
            let mut emitted: Vec<&str> = metric.dimensions.iter().map(String::as_str).collect();
            emitted.sort_unstable();
            metric.name == *name && emitted == dimensions
        });
        if !is_emitted {
            return Some(format!("no function emits {name} by {}", dimensions.join(", ")));
        }
        let foreign = self.dimensions.iter().find(|(dimension, value)| {
            let value = value.as_deref();
            match dimension.as_str() {
                "Function" => value.is_some_and(|value| !folders.iter().any(|folder| folder == value)),
                "Outcome" => value.is_some_and(|value| Outcome::ALL.iter().all(|it| it.as_str() != value)),
                _ => false,
            }
        });
        foreign.map(|(dimension, value)| {
            format!("no function emits {name} with the {dimension} {}", value.as_deref().unwrap_or_default())
        })
    }

    /// Of AWS's own metrics, whether there is such a function.
    fn unknown_of_aws(&self, product: &Template) -> Option<String> {
        let asked = self.dimensions.iter().find(|(name, _)| name == "FunctionName");
        let asked = asked.and_then(|(_, value)| value.as_deref())?;
        let is_there = product
            .functions()
            .iter()
            .any(|function| function.property("FunctionName").and_then(substituted) == Some(asked));
        (!is_there).then(|| format!("{} is asked for of {asked}, which is no function", self.name))
    }
}

/// A text, also in `!Sub`, with or without variables of its own.
fn substituted(value: &Value) -> Option<&str> {
    match value {
        Value::Tagged(tagged) if tagged.tag == "Sub" => match &tagged.value {
            Value::Sequence(parts) => parts.first()?.as_str(),
            text => text.as_str(),
        },
        other => other.as_str(),
    }
}

/// Whether an alarm counts this metric of Lambda's, such as `Errors`, of this function.
pub(super) fn counts(alarms: &Template, metric: &str, function_name: &Value) -> bool {
    let function_name = substituted(function_name);
    asked_by_alarms(alarms).iter().filter(|asked| asked.name == metric).any(|asked| {
        let of_function = asked.dimensions.iter().find(|(name, _)| name == "FunctionName");
        of_function.is_some_and(|(_, value)| value.as_deref() == function_name)
    })
}

fn asked_by_alarms(alarms: &Template) -> Vec<Asked> {
    let resources = alarms.section("Resources");
    resources.into_iter().flat_map(|(_, resource)| metrics_in(resource)).collect()
}

/// Alarms that CloudWatch would not take.
fn overfull_alarms(template: &Template) -> Vec<String> {
    let alarms = template.resources("AWS::CloudWatch::Alarm").into_iter();
    let counted = alarms.map(|(id, alarm)| (id, metrics_in(alarm).len()));
    counted
        .filter(|(_, count)| *count > MOST_METRICS)
        .map(|(id, count)| format!("{id} looks at {count} metrics, and may at {MOST_METRICS}"))
        .collect()
}

/// Every metric in a value, however deep.
fn metrics_in(value: &Value) -> Vec<Asked> {
    let own = text(value, &["Namespace"]).zip(text(value, &["MetricName"])).map(|(namespace, name)| Asked {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        dimensions: dimensions_of(value),
    });
    own.into_iter().chain(children(value).into_iter().flat_map(metrics_in)).collect()
}

fn dimensions_of(metric: &Value) -> Vec<(String, Option<String>)> {
    let dimensions = metric.get("Dimensions").map(children).unwrap_or_default();
    let described = dimensions.into_iter().filter_map(|dimension| {
        let value = dimension.get("Value").and_then(substituted);
        Some((text(dimension, &["Name"])?.to_owned(), value.map(str::to_owned)))
    });
    described.collect()
}

fn widgets(body: &Json) -> Vec<&Json> {
    body.get("widgets").and_then(Json::as_array).into_iter().flatten().collect()
}

fn asked_by_widgets(body: &Json) -> Vec<Asked> {
    let metrics = widgets(body)
        .into_iter()
        .filter_map(|widget| widget.pointer("/properties/metrics")?.as_array())
        .flatten()
        .filter_map(Json::as_array);
    metrics.filter_map(|metric| asked_by_row(metric)).collect()
}

/// A row of a widget: the metric with its dimensions, or a search for several.
/// See <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html>.
fn asked_by_row(row: &[Json]) -> Option<Asked> {
    if let Some(expression) = row.first()?.get("expression") {
        return asked_by_search(expression.as_str()?);
    }
    let texts: Vec<&str> = row.iter().filter_map(Json::as_str).collect();
    let (namespace, name, dimensions) = match texts.as_slice() {
        [namespace, name, dimensions @ ..] => (*namespace, *name, dimensions),
        _ => return None,
    };
    let dimensions = dimensions.chunks(2).filter_map(|pair| match pair {
        [name, value] => Some(((*name).to_owned(), Some((*value).to_owned()))),
        _ => None,
    });
    Some(Asked { namespace: namespace.to_owned(), name: name.to_owned(), dimensions: dimensions.collect() })
}

/// `SEARCH('{Namespace,Dimension,…} MetricName="Name" …', …)`.
fn asked_by_search(expression: &str) -> Option<Asked> {
    let (schema, rest) = expression.split_once('{')?.1.split_once('}')?;
    let (name, _) = rest.split_once("MetricName=\"")?.1.split_once('"')?;
    let mut schema = schema.split(',');
    Some(Asked {
        namespace: schema.next()?.to_owned(),
        name: name.to_owned(),
        dimensions: schema.map(|dimension| (dimension.to_owned(), None)).collect(),
    })
}
