//! Looks through what functions have written: every line for machines to read, none with a secret or a person in it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::Value;

const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
const MEMBERS: [&str; 4] = ["timestamp", "level", "message", "context"];
/// What gives secrets and persons away, whosever they are.
const SIGNS: [(&str, &str); 6] = [
    ("a client secret", "_secret_"),
    ("a token", "eyJ"),
    ("a key of Stripe's", "sk_test_"),
    ("a key of Stripe's", "sk_live_"),
    ("a signing secret", "whsec_"),
    ("an e-mail address", "@"),
];
/// Less than this is in many lines by chance.
const SHORTEST: usize = 3;

/// What must not be in a log.
#[derive(Debug, Clone, Default)]
pub struct LogCheck {
    forbidden: Vec<(String, String)>,
}

/// What a look through came to.
#[derive(Debug, Default)]
pub struct CheckedLogs {
    /// How many lines there were.
    pub lines: usize,
    /// What is wrong, by place; never the value itself.
    pub findings: Vec<String>,
}

impl LogCheck {
    /// Forbids a value, and says in findings `what` it is.
    pub fn forbid(&mut self, what: &str, value: &str) {
        if value.len() >= SHORTEST {
            self.forbidden.push((what.to_owned(), value.to_owned()));
        }
    }

    /// Looks through every log in a folder.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn folder(&self, folder: &Path) -> Result<CheckedLogs> {
        let mut checked = CheckedLogs::default();
        let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // The last line may be being written.
            let whole_lines = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
            self.text(&name, whole_lines, &mut checked);
        }
        Ok(checked)
    }

    /// Looks through the lines of one log.
    pub fn text(&self, name: &str, text: &str, checked: &mut CheckedLogs) {
        for (index, line) in text.lines().enumerate() {
            checked.lines += 1;
            let mut find = |what: &str| checked.findings.push(format!("{name}:{}: {what}", index + 1));
            for (what, value) in &self.forbidden {
                if line.contains(value.as_str()) {
                    find(what);
                }
            }
            for (what, _) in SIGNS.iter().filter(|(_, sign)| line.contains(sign)) {
                find(what);
            }
            if let Err(problem) = well_formed(line) {
                find(problem);
            }
        }
    }
}

/// `{timestamp, level, message, context}`, and the members of CloudWatch's embedded metrics where it has some.
fn well_formed(line: &str) -> Result<(), &'static str> {
    let line: Value = serde_json::from_str(line).map_err(|_| "not JSON")?;
    let text = |name: &str| line.get(name).and_then(Value::as_str);
    if text("timestamp").is_none_or(|at| at.parse::<Timestamp>().is_err()) {
        return Err("no timestamp");
    }
    if !text("level").is_some_and(|level| LEVELS.contains(&level)) {
        return Err("no level");
    }
    if text("message").is_none_or(str::is_empty) {
        return Err("no message");
    }
    if !line.get("context").is_some_and(Value::is_object) {
        return Err("no context");
    }
    let announced = announced(&line);
    let is_known = |name: &String| MEMBERS.contains(&name.as_str()) || announced.contains(&name.as_str());
    if !line.as_object().is_some_and(|members| members.keys().all(is_known)) {
        return Err("a member that nobody announces");
    }
    metrics_in_order(&line)
}

/// See <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
fn metrics_in_order(line: &Value) -> Result<(), &'static str> {
    let Some(metadata) = line.get("_aws") else { return Ok(()) };
    if !metadata.get("Timestamp").is_some_and(Value::is_u64) {
        return Err("metrics without a time");
    }
    let is_number = |name: &str| line.get(name).is_some_and(Value::is_number);
    if !metrics(metadata).into_iter().all(is_number) {
        return Err("a metric that is no number");
    }
    let is_text = |name: &str| line.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    if !dimensions(metadata).into_iter().all(is_text) {
        return Err("a dimension without a text");
    }
    Ok(())
}

/// The members that embedded metrics are made of, and that of the directives themselves.
fn announced(line: &Value) -> Vec<&str> {
    let Some(metadata) = line.get("_aws") else { return Vec::new() };
    [vec!["_aws"], metrics(metadata), dimensions(metadata)].concat()
}

/// The names of the metrics in all directives.
fn metrics(metadata: &Value) -> Vec<&str> {
    let metrics = items(metadata.get("CloudWatchMetrics")).flat_map(|one| items(one.get("Metrics")));
    metrics.filter_map(|metric| metric.get("Name")?.as_str()).collect()
}

/// The names of the dimensions in all sets of all directives.
fn dimensions(metadata: &Value) -> Vec<&str> {
    let sets = items(metadata.get("CloudWatchMetrics")).flat_map(|one| items(one.get("Dimensions")));
    sets.flat_map(|set| items(Some(set))).filter_map(Value::as_str).collect()
}

fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        r#"{"timestamp":"2026-11-21T12:00:00.000Z","level":"INFO","message":"told","context":{}}"#;

    fn findings(text: &str) -> Vec<String> {
        let mut check = LogCheck::default();
        check.forbid("a name", "Ada Lovelace");
        check.forbid("too short to tell", "IN");
        let mut checked = CheckedLogs::default();
        check.text("f.log", text, &mut checked);
        assert_eq!(checked.lines, text.lines().count());
        checked.findings
    }

    #[test]
    fn a_line_in_order_is_no_finding() {
        let metric = r#""_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Dimensions":[["Function"]],"Metrics":[{"Name":"N"}]}]}"#;
        let metrics =
            LINE.replace("\"context\"", &format!("{metric},\"Function\":\"f\",\"N\":1,\"context\""));
        assert_eq!(findings(&format!("{LINE}\n{metrics}\n")), Vec::<String>::new());
        for (right, wrong, what) in [
            ("\"N\":1,", "", "a metric that is no number"),
            ("\"N\":1,", "\"N\":\"1\",", "a metric that is no number"),
            ("\"N\":1", "\"N\":1,\"M\":1", "a member that nobody announces"),
            ("\"Function\":\"f\",", "", "a dimension without a text"),
            ("\"Function\":\"f\"", "\"Function\":\"\"", "a dimension without a text"),
            ("\"Function\":\"f\"", "\"Function\":1", "a dimension without a text"),
            ("\"Timestamp\":1,", "", "metrics without a time"),
            ("\"Timestamp\":1,", "\"Timestamp\":\"now\",", "metrics without a time"),
        ] {
            assert!(metrics.contains(right));
            assert_eq!(findings(&metrics.replace(right, wrong)), [format!("f.log:1: {what}")], "{wrong}");
        }
    }

    #[test]
    fn whatever_leaks_is_found_by_its_place_and_not_repeated() {
        for (leak, what) in [
            ("Ada Lovelace", "a name"),
            ("ada@example.org", "an e-mail address"),
            ("pi_1_secret_2", "a client secret"),
            ("eyJhbGciOiJIUzI1NiJ9", "a token"),
            ("sk_test_51abc", "a key of Stripe's"),
            ("whsec_abc", "a signing secret"),
        ] {
            let text = format!("{LINE}\n{}", LINE.replace("told", &format!("of {leak}.")));
            assert_eq!(findings(&text), [format!("f.log:2: {what}")]);
        }
    }

    #[test]
    fn a_line_of_another_shape_is_found() {
        for (line, what) in [
            ("Error: no database".to_owned(), "not JSON"),
            (LINE.replace("2026-11-21T12", "yesterday"), "no timestamp"),
            (LINE.replace("INFO", "LOUD"), "no level"),
            (LINE.replace("told", ""), "no message"),
            (LINE.replace("{}", "[]"), "no context"),
            (LINE.replace("\"context\"", "\"user\":1,\"context\""), "a member that nobody announces"),
        ] {
            assert_eq!(findings(&line), [format!("f.log:1: {what}")]);
        }
    }
}
