//! The guard's table and the AWS account it is in.

use std::time::Duration;

use aws_credential_types::Credentials;

use super::reader::Reader;

/// Rate limits and in-flight claims.
#[derive(Debug, Clone)]
pub struct GuardConfig {
    /// `GUARD_TABLE` and how to reach it. None: the guard is off.
    pub table: Option<(String, AwsConfig)>,
    /// For one statement, connecting and a second try included. What takes longer is worth less than the wait.
    pub timeout: Duration,
    /// `RATE_LIMIT_PER_CALLER`: requests a minute and function. None: the endpoint's own limit.
    pub rate_limit_per_caller: Option<u32>,
    /// `RATE_LIMIT_PER_ADDRESS`: requests a minute and function. None: the endpoint's own limit.
    pub rate_limit_per_address: Option<u32>,
}

/// How AWS is called.
#[derive(Debug, Clone)]
pub struct AwsConfig {
    /// `AWS_REGION`.
    pub region: String,
    /// `AWS_ENDPOINT_URL`: instead of the region's own endpoints.
    pub endpoint_url: Option<String>,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, as Lambda gives them; they last as
    /// long as the sandbox.
    pub credentials: Credentials,
}

const GUARD_TIMEOUT: Duration = Duration::from_millis(300);

pub(super) fn guard(reader: &mut Reader<'_>) -> GuardConfig {
    let table = reader.text("GUARD_TABLE");
    GuardConfig {
        table: table.and_then(|table| Some((table, aws(reader)?))),
        timeout: GUARD_TIMEOUT,
        rate_limit_per_caller: limit(reader, "RATE_LIMIT_PER_CALLER"),
        rate_limit_per_address: limit(reader, "RATE_LIMIT_PER_ADDRESS"),
    }
}

/// How AWS is called; every setting it needs is required.
pub(super) fn aws(reader: &mut Reader<'_>) -> Option<AwsConfig> {
    let region = reader.required_if("AWS_REGION", true);
    let access_key_id = reader.required_if("AWS_ACCESS_KEY_ID", true);
    let secret_access_key = reader.required_if("AWS_SECRET_ACCESS_KEY", true);
    let session_token = reader.text("AWS_SESSION_TOKEN");
    let endpoint_url = reader.url("AWS_ENDPOINT_URL");
    Some(AwsConfig {
        region: region?,
        endpoint_url,
        credentials: Credentials::new(access_key_id?, secret_access_key?, session_token, None, "environment"),
    })
}

/// A limit of 0 stands for "not set", as a template's default does.
fn limit(reader: &mut Reader<'_>, name: &'static str) -> Option<u32> {
    reader.integer(name, 0..=1_000_000).filter(|limit| *limit > 0)
}
