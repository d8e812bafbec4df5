//! A secret in the Parameter Store, of one test's own.

use anyhow::{Result, ensure};
use serde_json::json;
use uuid::Uuid;

use crate::database::variable;

/// A SecureString whose value may change while a function runs.
#[derive(Debug)]
pub struct Parameter {
    endpoint: String,
    name: String,
}

impl Parameter {
    /// Stores a first value.
    ///
    /// # Errors
    /// If the store is not there.
    pub async fn of(value: &str) -> Result<Self> {
        let name = format!("/kitloop/{}/secret", Uuid::new_v4());
        let parameter = Self { endpoint: variable("KITLOOP_TEST_DYNAMODB_URL")?, name };
        parameter.put(value).await?;
        Ok(parameter)
    }

    /// The settings with which `setting` refers to it.
    #[must_use]
    pub fn settings(&self, setting: &'static str) -> [(&'static str, String); 5] {
        [
            (setting, format!("ssm:{}", self.name)),
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_REGION", "eu-central-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ]
    }

    /// Stores another value.
    ///
    /// # Errors
    /// If the store is not there.
    pub async fn put(&self, value: &str) -> Result<()> {
        let scope = "Credential=test/20260101/eu-central-1/ssm/aws4_request";
        let request = json!({"Name": self.name, "Value": value, "Type": "SecureString", "Overwrite": true});
        let answer = reqwest::Client::builder()
            .no_proxy()
            .build()?
            .post(&self.endpoint)
            .header("x-amz-target", "AmazonSSM.PutParameter")
            .header("content-type", "application/x-amz-json-1.1")
            .header("authorization", format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=x"))
            .body(request.to_string())
            .send()
            .await?;
        ensure!(answer.status().is_success(), "{}", answer.status());
        Ok(())
    }
}
