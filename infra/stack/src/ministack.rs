//! AWS as far as the stack needs it: DynamoDB with the guard table, or an account to deploy into.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::daemon::Daemon;
use crate::net::{http_client, port_or_free};
use crate::run::Run;

/// The region every local AWS client names.
pub(crate) const REGION: &str = "eu-central-1";
/// The table of rate limits and claims.
pub(crate) const GUARD_TABLE: &str = "kitloop-guard-local";

/// A running ministack.
pub(crate) struct Ministack {
    /// What `AWS_ENDPOINT_URL` is set to.
    pub url: String,
    _daemon: Daemon,
}

impl Ministack {
    /// Starts it and makes the guard table.
    pub(crate) async fn start(run: &Run, program: &Path, port: Option<u16>) -> Result<Self> {
        let log = run.folder().join("ministack.log");
        let ministack = Self::empty(run, program, port, &[], &log).await?;
        ministack.create_guard_table().await?;
        Ok(ministack)
    }

    /// Starts it with nothing in it. Functions that are deployed into it find `environment` in theirs.
    pub(crate) async fn empty(
        run: &Run,
        program: &Path,
        port: Option<u16>,
        environment: &[(&str, String)],
        log: &Path,
    ) -> Result<Self> {
        let port = port_or_free(port)?;
        let url = format!("http://127.0.0.1:{port}");
        let folder = run.subfolder("ministack")?;
        let mut command = Command::new(program);
        command
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("MINISTACK_REGION", REGION)
            // What its functions take for AWS, and what it says its own host is.
            .env("AWS_ENDPOINT_URL", &url)
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("TMPDIR", &folder)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&folder);
        let mut daemon = Daemon::start(run, "ministack", &mut command, log)?;
        daemon.ready_at(port).await?;
        Ok(Self { url, _daemon: daemon })
    }

    /// The key of an item is `pk`; `ttl` (seconds since 1970) says when it may be forgotten.
    async fn create_guard_table(&self) -> Result<()> {
        let table = json!({
            "TableName": GUARD_TABLE,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
        });
        self.dynamodb("CreateTable", &table).await?;
        let time_to_live = json!({
            "TableName": GUARD_TABLE,
            "TimeToLiveSpecification": { "AttributeName": "ttl", "Enabled": true },
        });
        self.dynamodb("UpdateTimeToLive", &time_to_live).await
    }

    /// A request to a service's API; the signature is not checked, its scope names the service.
    pub(crate) fn request(&self, service: &str, method: Method, path: &str) -> Result<RequestBuilder> {
        let scope = format!("test/20260101/{REGION}/{service}/aws4_request");
        let signature = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
        let request = http_client()?.request(method, format!("{}{path}", self.url));
        Ok(request.header("authorization", signature))
    }

    /// Calls an operation of DynamoDB's JSON protocol.
    async fn dynamodb(&self, operation: &str, request: &Value) -> Result<()> {
        let response = self
            .request("dynamodb", Method::POST, "")?
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("content-type", "application/x-amz-json-1.0")
            .body(request.to_string())
            .send()
            .await
            .with_context(|| format!("cannot call DynamoDB's {operation}"))?;
        if !response.status().is_success() {
            bail!("DynamoDB refused {operation}: {}", response.text().await?);
        }
        Ok(())
    }
}
