//! AWS as far as the stack needs it: DynamoDB with the guard table.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::daemon::Daemon;
use crate::net::{http_client, port_or_free};
use crate::run::Run;

/// The region every local AWS client names.
pub(crate) const REGION: &str = "eu-central-1";
/// The table of rate limits and claims.
pub(crate) const GUARD_TABLE: &str = "kitloop-guard-local";

/// A running ministack that has the guard table.
pub(crate) struct Ministack {
    /// What `AWS_ENDPOINT_URL` is set to.
    pub url: String,
    _daemon: Daemon,
}

impl Ministack {
    /// Starts it and makes the guard table.
    pub(crate) async fn start(run: &Run, program: &Path, port: Option<u16>) -> Result<Self> {
        let port = port_or_free(port)?;
        let folder = run.subfolder("ministack")?;
        let mut command = Command::new(program);
        command
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("MINISTACK_REGION", REGION)
            .env("TMPDIR", &folder)
            .current_dir(&folder);
        let mut daemon = Daemon::start(run, "ministack", &mut command, &run.folder().join("ministack.log"))?;
        daemon.ready_at(port).await?;
        let ministack = Self { url: format!("http://127.0.0.1:{port}"), _daemon: daemon };
        ministack.create_guard_table().await?;
        Ok(ministack)
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

    /// Calls an operation of DynamoDB's JSON protocol; the signature is not checked, its scope names the service.
    async fn dynamodb(&self, operation: &str, request: &Value) -> Result<()> {
        let scope = format!("test/20260101/{REGION}/dynamodb/aws4_request");
        let response = http_client()?
            .post(&self.url)
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
            )
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
