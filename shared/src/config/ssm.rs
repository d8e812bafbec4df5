//! Settings of the form `ssm:/path/name`: the value is a parameter of AWS Systems Manager's Parameter Store.
//!
//! One signed call is all that is needed, so it is made by hand: the generated client would be the largest crate of
//! the build. See <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html>.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use serde::Deserialize;
use serde_json::json;

use super::aws::{self, AwsConfig};
use super::reader::{BadSetting, ConfigErrors, Reader};
use crate::clock;
use crate::network::Network;

const PREFIX: &str = "ssm:";
/// `GetParameters` takes this many names at most.
const NAMES_PER_CALL: usize = 10;
const TIMEOUT: Duration = Duration::from_secs(3);

/// What the Parameter Store gave the settings that refer to it.
#[derive(Default)]
pub(super) struct Parameters {
    /// By the setting's name.
    values: HashMap<String, String>,
    references: HashMap<String, Parameter>,
}

impl Parameters {
    /// The value of a setting that refers to a parameter.
    pub(super) fn value(&self, setting: &str) -> Option<&String> {
        self.values.get(setting)
    }

    /// The parameter that a setting refers to.
    pub(super) fn parameter(&self, setting: &str) -> Option<Parameter> {
        self.references.get(setting).cloned()
    }
}

/// A parameter, and how it is read.
#[derive(Clone)]
pub(super) struct Parameter {
    name: String,
    aws: AwsConfig,
    network: Network,
}

impl Parameter {
    /// Its value now.
    ///
    /// # Errors
    /// Says in a few words why it cannot be read.
    pub(super) async fn read(&self) -> Result<String, String> {
        let mut found = get_parameters(&self.aws, &[&self.name], &self.network).await?;
        let value = found.remove(&self.name).ok_or_else(|| "the parameter does not exist".to_owned())?;
        Ok(value.trim().to_owned())
    }
}

/// The values of those `variables` that refer to parameters.
pub(super) async fn resolve(
    variables: &HashMap<String, String>,
    network: &Network,
) -> Result<Parameters, ConfigErrors> {
    let references: Vec<(&str, &str)> = (variables.iter())
        .filter_map(|(setting, value)| Some((setting.as_str(), value.trim().strip_prefix(PREFIX)?)))
        .collect();
    if references.is_empty() {
        return Ok(Parameters::default());
    }
    let lookup = |name: &str| variables.get(name).cloned();
    let mut reader = Reader::new(&lookup);
    let aws = aws::aws(&mut reader);
    let Some(aws) = reader.finish(aws)? else { return Ok(Parameters::default()) };
    let names: Vec<&str> = references.iter().map(|(_, name)| *name).collect();
    let mut found = HashMap::new();
    for names in names.chunks(NAMES_PER_CALL) {
        let page = get_parameters(&aws, names, network).await;
        found.extend(page.map_err(|error| unreadable(&references, &error))?);
    }
    let parameter =
        |name: &str| Parameter { name: name.to_owned(), aws: aws.clone(), network: network.clone() };
    Ok(Parameters {
        values: assign(&references, &found)?,
        references: (references.iter())
            .map(|(setting, name)| ((*setting).to_owned(), parameter(name)))
            .collect(),
    })
}

/// Gives each setting its parameter's value, or names every setting whose parameter is not there.
fn assign(
    references: &[(&str, &str)],
    parameters: &HashMap<String, String>,
) -> Result<HashMap<String, String>, ConfigErrors> {
    let mut values = HashMap::new();
    let mut problems = Vec::new();
    for (setting, name) in references {
        match parameters.get(*name) {
            Some(value) => drop(values.insert((*setting).to_owned(), value.clone())),
            None => problems.push(problem(setting, "refers to a parameter that does not exist")),
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(ConfigErrors(problems)) }
}

fn unreadable(references: &[(&str, &str)], error: &str) -> ConfigErrors {
    let text = format!("refers to a parameter that cannot be read: {error}");
    ConfigErrors(references.iter().map(|(setting, _)| problem(setting, &text)).collect())
}

fn problem(setting: &str, problem: &str) -> BadSetting {
    BadSetting { setting: setting.to_owned().into(), problem: problem.to_owned() }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    parameters: Vec<FoundParameter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FoundParameter {
    name: String,
    value: String,
}

async fn get_parameters(
    aws: &AwsConfig,
    names: &[&str],
    network: &Network,
) -> Result<HashMap<String, String>, String> {
    let request = signed_request(aws, names, clock::now().into())?;
    let mut request = reqwest::Request::try_from(request).map_err(|error| error.to_string())?;
    *request.timeout_mut() = Some(TIMEOUT);
    let response = network.client()?.execute(request).await.map_err(|error| error.to_string())?;
    // The body of an error is left unread: it may quote what was asked.
    let response = response.error_for_status().map_err(|error| error.to_string())?;
    let found: Found = response.json().await.map_err(|error| error.to_string())?;
    Ok(found.parameters.into_iter().map(|parameter| (parameter.name, parameter.value)).collect())
}

fn signed_request(
    aws: &AwsConfig,
    names: &[&str],
    now: SystemTime,
) -> Result<::http::Request<Vec<u8>>, String> {
    let own_endpoint = || format!("https://ssm.{}.amazonaws.com", aws.region);
    let url = format!("{}/", aws.endpoint_url.clone().unwrap_or_else(own_endpoint));
    let mut request = ::http::Request::post(&url)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", "AmazonSSM.GetParameters")
        .body(json!({"Names": names, "WithDecryption": true}).to_string().into_bytes())
        .map_err(|error| error.to_string())?;
    let identity: Identity = aws.credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&aws.region)
        .name("ssm")
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| error.to_string())?;
    let instructions = {
        let headers =
            request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let signable = SignableRequest::new("POST", &url, headers, SignableBody::Bytes(request.body()))
            .map_err(|error| error.to_string())?;
        sign(signable, &params.into()).map_err(|error| error.to_string())?.into_parts().0
    };
    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_setting_gets_its_parameter() {
        let references = [("CRON_SECRET", "/kitloop/cron"), ("DATABASE_URL", "/kitloop/db")];
        let values =
            assign(&references, &texts(&[("/kitloop/db", "postgres://x"), ("/kitloop/cron", "tick")]));
        let values = values.unwrap();
        assert_eq!(values["CRON_SECRET"], "tick");
        assert_eq!(values["DATABASE_URL"], "postgres://x");
    }

    #[test]
    fn every_missing_parameter_is_named_at_once() {
        let references = [("A", "/a"), ("B", "/b"), ("C", "/c")];
        let errors = assign(&references, &texts(&[("/b", "x")])).unwrap_err();
        let named: Vec<&str> = errors.0.iter().map(|problem| problem.setting.as_ref()).collect();
        assert_eq!(named, ["A", "C"]);
    }

    #[tokio::test]
    async fn without_references_aws_is_not_asked() {
        let variables = texts(&[("CRON_SECRET", "plain")]);
        let resolved = resolve(&variables, &Network::default()).await.unwrap();
        assert!(resolved.values.is_empty());
    }

    #[tokio::test]
    async fn references_need_the_settings_of_aws() {
        let variables = texts(&[("CRON_SECRET", "ssm:/kitloop/cron")]);
        let errors = resolve(&variables, &Network::default()).await.err().unwrap();
        assert_eq!(errors.0.len(), 3, "{errors}");
    }
}
