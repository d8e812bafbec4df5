//! What a stack tells after its deployment: names, and addresses, which lead to this machine here.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

/// The outputs of a stack, by their keys.
#[derive(Clone, Debug)]
pub struct Outputs(BTreeMap<String, String>);

impl Outputs {
    /// Reads CloudFormation's description of a stack; addresses are those under which `endpoint`, an emulator of AWS,
    /// answers them.
    pub(super) fn read(description: &Value, endpoint: &str) -> Result<Self> {
        let outputs = description.pointer("/Stacks/0/Outputs").and_then(Value::as_array);
        let outputs = outputs.context("the stack has no outputs")?;
        let text = |output: &Value, field| output.get(field).and_then(Value::as_str).map(str::to_owned);
        let read = |output: &Value| {
            let value = text(output, "OutputValue")?;
            Some((text(output, "OutputKey")?, local_address(&value, endpoint).unwrap_or(value)))
        };
        Ok(Self(outputs.iter().filter_map(read).collect()))
    }

    /// The value of an output.
    ///
    /// # Errors
    /// When the stack has none of this key.
    pub fn get(&self, key: &str) -> Result<&str> {
        self.0.get(key).map(String::as_str).with_context(|| format!("the stack has no output {key}"))
    }

    /// The HTTP API, without a slash at the end.
    pub(super) fn base_url(&self) -> Result<String> {
        let health = self.get("HealthRoute")?;
        Ok(health.strip_suffix("/health").context("HealthRoute does not end in /health")?.to_owned())
    }

    /// The URLs of the functions that have one, by the functions' names.
    pub(super) fn function_urls(&self) -> BTreeMap<String, String> {
        let of_function = |(key, url): (&String, &String)| {
            Some((snake_case(key.strip_suffix("FunctionUrl")?), url.clone()))
        };
        self.0.iter().filter_map(of_function).collect()
    }
}

/// Where the emulator answers an address of an HTTP API or of a function, whose host no resolver knows.
fn local_address(url: &str, endpoint: &str) -> Option<String> {
    let (_scheme, rest) = url.split_once("://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut labels = host.split('.');
    let (id, kind) = (labels.next()?, labels.next()?);
    matches!(kind, "execute-api" | "lambda-url").then(|| format!("{endpoint}/_aws/{kind}/{id}{path}"))
}

/// `reserve_gear` for `ReserveGear`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ENDPOINT: &str = "http://127.0.0.1:4566";

    fn outputs(pairs: &[(&str, &str)]) -> Outputs {
        let outputs: Vec<Value> =
            pairs.iter().map(|(key, value)| json!({"OutputKey": key, "OutputValue": value})).collect();
        Outputs::read(&json!({"Stacks": [{"StackName": "kitloop-local", "Outputs": outputs}]}), ENDPOINT)
            .unwrap()
    }

    #[test]
    fn addresses_lead_to_the_emulator() {
        let outputs = outputs(&[
            ("HealthRoute", "https://1a2b3c4d.execute-api.eu-central-1.amazonaws.com/health"),
            ("StripeWebhookFunctionUrl", "https://abc123.lambda-url.eu-central-1.on.aws/"),
            ("ReserveGearFunctionUrl", "https://def456.lambda-url.eu-central-1.on.aws/"),
            ("GuardTableName", "kitloop-local-GuardTable-1"),
            ("UndeliveredEventsUrl", "https://sqs.eu-central-1.amazonaws.com/1/kitloop"),
        ]);
        assert_eq!(outputs.base_url().unwrap(), "http://127.0.0.1:4566/_aws/execute-api/1a2b3c4d");
        let expected = BTreeMap::from([
            ("reserve_gear".to_owned(), "http://127.0.0.1:4566/_aws/lambda-url/def456/".to_owned()),
            ("stripe_webhook".to_owned(), "http://127.0.0.1:4566/_aws/lambda-url/abc123/".to_owned()),
        ]);
        assert_eq!(outputs.function_urls(), expected);
        assert_eq!(outputs.get("GuardTableName").unwrap(), "kitloop-local-GuardTable-1");
        let queue = "https://sqs.eu-central-1.amazonaws.com/1/kitloop";
        assert_eq!(outputs.get("UndeliveredEventsUrl").unwrap(), queue);
    }

    #[test]
    fn an_output_that_is_not_there_is_named() {
        let error = outputs(&[]).get("HealthRoute").unwrap_err();
        assert_eq!(error.to_string(), "the stack has no output HealthRoute");
    }
}
