//! The product as AWS runs it, on this machine: built and deployed by SAM's own command line, in an account that
//! ministack keeps. Functions run as Lambda runs them, from what was uploaded, with secrets from the Parameter Store.

mod account;
mod outputs;
mod routes;
mod sam;
mod shell;

use std::collections::BTreeMap;
use std::ffi::OsString;

use anyhow::{Context, Result};
use serde_json::Value;

pub use account::Account;
pub use outputs::Outputs;

use crate::seed::{self, DATABASE};
use crate::stack_file::StackFile;

/// A deployed stack with seeded data, and all that it talks to. It stops when this is dropped.
pub struct Deployment {
    /// As of the local stack: the HTTP API in `base_url`, the URLs of functions that have their own, databases, shops,
    /// users with their tokens, secrets, the stand-ins.
    pub file: StackFile,
    /// What the stack tells of itself, with addresses that lead to this machine.
    pub outputs: Outputs,
    account: Account,
}

impl Deployment {
    /// Deploys what was built into an account whose database is migrated; opens the shops, and registers the webhook's
    /// function URL at Stripe.
    ///
    /// # Errors
    /// When CloudFormation does not reach the state that the template describes.
    pub async fn first(account: Account) -> Result<Self> {
        let outputs = account.deploy(&[]).await?;
        let functions = outputs.function_urls();
        let webhook = functions.get("stripe_webhook").context("the webhook has no URL")?;
        account.stripe.register_endpoint(webhook).await?;
        let seed = seed::fill(&account.servers.postgres).await?;
        let Account { servers, stripe, resend, secrets, .. } = &account;
        let base_url = outputs.base_url()?;
        let file = StackFile::describe(base_url, functions, servers, stripe, resend, secrets.clone(), seed)?;
        Ok(Self { file, outputs, account })
    }

    /// Deploys again, with these parameters and a new `SETTINGS_VERSION`, without which no sandbox would hear of them.
    ///
    /// # Errors
    /// As [`Deployment::first`].
    pub async fn update(&mut self, parameters: &[(&str, &str)]) -> Result<()> {
        self.account.raise_settings_version()?;
        self.outputs = self.account.deploy(parameters).await?;
        Ok(())
    }

    /// Deletes the stack.
    ///
    /// # Errors
    /// When a resource cannot be deleted.
    pub async fn delete(&self) -> Result<()> {
        sam::delete(&self.account.shell).await
    }

    /// What the command line of AWS answers to these arguments; null where it has nothing to say.
    ///
    /// # Errors
    /// When AWS refuses.
    pub async fn aws(&self, arguments: &[&str]) -> Result<Value> {
        self.account.shell.aws(arguments).await
    }

    /// The physical id of one of the stack's resources.
    ///
    /// # Errors
    /// When the stack has no such resource.
    pub async fn resource(&self, logical_id: &str) -> Result<String> {
        let mut resources = self.account.resources().await?;
        resources.remove(logical_id).with_context(|| format!("the stack has no resource {logical_id}"))
    }

    /// The environment of an operator's terminal: `PATH` with aws, sam and cargo-lambda, an account of AWS that is on
    /// this machine, `ENVIRONMENT`, `BASE_URL`, `ADMIN_TOKEN`, `CRON_SECRET`, and the owner's direct connection in
    /// `DATABASE_URL` with `DATABASE_CA_FILE`. Remove every other variable that begins with `AWS_` before.
    pub fn environment(&self) -> BTreeMap<String, OsString> {
        let postgres = &self.account.servers.postgres;
        let StackFile { base_url, admin_token, cron_secret, .. } = &self.file;
        let mut environment: BTreeMap<String, OsString> = self.account.shell.variables().collect();
        for (name, value) in [
            ("ENVIRONMENT", sam::ENVIRONMENT),
            ("BASE_URL", base_url),
            ("ADMIN_TOKEN", admin_token),
            ("CRON_SECRET", cron_secret),
            ("DATABASE_URL", &postgres.endpoint.url(&postgres.owner, DATABASE)),
        ] {
            environment.insert(name.to_owned(), value.into());
        }
        environment.insert("DATABASE_CA_FILE".to_owned(), postgres.endpoint.authority.clone().into());
        environment
    }
}
