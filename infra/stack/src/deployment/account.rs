//! What a deployment needs around it, as an operator sets it up: an account of AWS, a database, Stripe, Resend, secrets.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use test_support::ISSUER;

use super::outputs::Outputs;
use super::shell::Shell;
use super::{routes, sam};
use crate::migrations;
use crate::net::LOOPBACK_HOSTS;
use crate::options::Options;
use crate::private_file::write_private;
use crate::progress::Step;
use crate::resend::Resend;
use crate::run::Run;
use crate::seed::DATABASE;
use crate::servers::{Programs, Servers};
use crate::settings::{EMAIL_FROM, Secrets};
use crate::stripe::Stripe;
use crate::tools;

/// A place to deploy into, with nothing in it yet. Everything stops when this is dropped.
pub struct Account {
    pub(super) shell: Shell,
    pub(super) servers: Servers,
    pub(super) stripe: Stripe,
    pub(super) resend: Resend,
    pub(super) secrets: Secrets,
    run: Run,
}

impl Account {
    /// Installs what is missing and starts everything.
    ///
    /// # Errors
    /// When something cannot be installed or does not start; without Python nothing can.
    pub async fn open() -> Result<Self> {
        let programs = Programs::install().await?;
        let tools = tools::deployment_tools().await?;
        let step = Step::begin("Starting PostgreSQL, PgBouncer, ministack and the stand-ins");
        let run = Run::start()?;
        // Webhooks are sent nowhere until the function that takes them has a URL.
        let stripe = Stripe::stand_in(None, "http://127.0.0.1:9/").await?;
        let resend = Resend::start(&Options::default()).await?;
        let environment = [
            // For what the template has no parameter, because in the cloud there is only one.
            ("RESEND_API_BASE", resend.api_base.clone()),
            ("NO_PROXY", LOOPBACK_HOSTS.to_owned()),
        ];
        let servers = Servers::empty(&run, &programs, &environment).await?;
        let ministack =
            servers.ministack.as_ref().context("a deployment needs ministack, which needs Python")?;
        let shell = Shell::open(&run, &tools, &programs.emulators.cargo_lambda, &ministack.url)?;
        step.done();
        Ok(Self { shell, servers, stripe, resend, secrets: Secrets::random(), run })
    }

    /// Builds the functions of the project.
    ///
    /// # Errors
    /// When one does not compile.
    pub async fn build(&self) -> Result<()> {
        sam::build(&self.shell, &self.build_folder()).await
    }

    /// Stores the secrets that the template refers to; returns their names.
    ///
    /// # Errors
    /// When the Parameter Store refuses.
    pub async fn store_secrets(&self) -> Result<Vec<String>> {
        let Self { servers, stripe, resend, secrets, .. } = self;
        let mut names = Vec::new();
        for (name, value) in [
            ("database_url", servers.pooler.endpoint.url(&servers.postgres.app, DATABASE)),
            ("supabase_jwt_secret", secrets.jwt.clone()),
            ("stripe_secret_key", stripe.secret_key.clone()),
            ("stripe_webhook_secret", stripe.webhook_secret.clone()),
            ("resend_api_key", resend.api_key.clone()),
            ("cron_secret", secrets.cron.clone()),
            ("admin_token", secrets.admin.clone()),
        ] {
            let name = format!("/kitloop/{}/{name}", sam::ENVIRONMENT);
            let parameter = json!({ "Name": name, "Type": "SecureString", "Value": value });
            // By a private file, because arguments show in the list of processes.
            let file = self.run.folder().join("parameter.json");
            write_private(&file, &parameter.to_string())?;
            let input = format!("file://{}", file.display());
            self.shell.aws(&["ssm", "put-parameter", "--cli-input-json", &input]).await?;
            fs::remove_file(&file)?;
            names.push(name);
        }
        Ok(names)
    }

    /// Runs the migrations as the owner, over a direct connection, and gives the role of the functions its password;
    /// returns how many migrations it was.
    ///
    /// # Errors
    /// When a migration fails.
    pub async fn migrate(&self) -> Result<usize> {
        let postgres = &self.servers.postgres;
        let url = postgres.endpoint.url(&postgres.owner, DATABASE);
        let mut connection = migrations::connect(&url, Some(&postgres.endpoint.authority)).await?;
        let count = migrations::up(&mut connection).await?;
        postgres.let_functions_in().await?;
        Ok(count)
    }

    /// Deploys what was built, and enters what ministack leaves out.
    pub(super) async fn deploy(&self, parameters: &[(&str, &str)]) -> Result<Outputs> {
        let always =
            [("JwtIssuer", ISSUER), ("StripeApiBase", &*self.stripe.api_base), ("EmailFrom", EMAIL_FROM)];
        let parameters: Vec<(&str, &str)> = always.iter().chain(parameters).copied().collect();
        sam::deploy(&self.shell, &self.build_folder(), &parameters).await?;
        let ministack = self.servers.ministack.as_ref().context("ministack does not run")?;
        routes::enter(ministack, &self.template().await?, &self.resources().await?).await?;
        let describe = ["cloudformation", "describe-stacks", "--stack-name", sam::STACK];
        Outputs::read(&self.shell.aws(&describe).await?, &ministack.url)
    }

    /// Raises `SETTINGS_VERSION` in the built template, as an operator does in the project's.
    pub(super) fn raise_settings_version(&self) -> Result<()> {
        let file = self.build_folder().join("template.yaml");
        let template =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        fs::write(&file, raised(&template)?).with_context(|| format!("cannot write {}", file.display()))
    }

    /// The physical ids of the stack's resources, by their logical ids.
    pub(super) async fn resources(&self) -> Result<BTreeMap<String, String>> {
        let describe = ["cloudformation", "describe-stack-resources", "--stack-name", sam::STACK];
        let described = self.shell.aws(&describe).await?;
        let resources = described.get("StackResources").and_then(Value::as_array);
        let text = |resource: &Value, field| resource.get(field).and_then(Value::as_str).map(str::to_owned);
        let ids = |resource: &Value| {
            Some((text(resource, "LogicalResourceId")?, text(resource, "PhysicalResourceId")?))
        };
        Ok(resources.context("the stack has no resources")?.iter().filter_map(ids).collect())
    }

    /// The template as CloudFormation has it, after SAM's transform.
    async fn template(&self) -> Result<Value> {
        let get = [
            "cloudformation",
            "get-template",
            "--stack-name",
            sam::STACK,
            "--template-stage",
            "Processed",
            "--query",
            "TemplateBody",
        ];
        match self.shell.aws(&get).await? {
            // The command line parses what it takes for JSON, and leaves the rest as it is.
            Value::String(text) => Ok(serde_json::from_str(&text)?),
            template => Ok(template),
        }
    }

    fn build_folder(&self) -> PathBuf {
        self.run.folder().join("build")
    }
}

/// The template with the next `SETTINGS_VERSION`.
fn raised(template: &str) -> Result<String> {
    const NAME: &str = "SETTINGS_VERSION: ";
    let (before, rest) = template.split_once(NAME).context("the template has no SETTINGS_VERSION")?;
    let (version, after) = rest.split_at(rest.find('\n').unwrap_or(rest.len()));
    let number: u32 = version.trim_matches(['\'', '"']).parse().context("SETTINGS_VERSION is no number")?;
    ensure!(!after.contains(NAME), "the template has SETTINGS_VERSION more than once");
    Ok(format!("{before}{NAME}'{}'{after}", number + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_version_is_raised_by_one() {
        for written in ["1", "'1'", "\"1\""] {
            let template = format!("Variables:\n  SETTINGS_VERSION: {written}\n  LOG_LEVEL: INFO\n");
            let expected = "Variables:\n  SETTINGS_VERSION: '2'\n  LOG_LEVEL: INFO\n";
            assert_eq!(raised(&template).unwrap(), expected);
        }
        assert!(raised("Variables: {}").is_err());
    }
}
