//! How our own endpoint is registered: the commands of infra/README.md, and which events it is registered for.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, ensure};
use stripe_stand_in::StandIn;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// What stands in the place of the stack.
const STACK: &str = r#"output() { echo "https://api.shop.example/$1"; }"#;

fn file(path: &str) -> anyhow::Result<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))
}

/// The block of commands that registers the endpoint.
fn commands() -> anyhow::Result<String> {
    let text = file("infra/README.md")?;
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut blocks = blocks.filter(|block| block.contains("/v1/webhook_endpoints"));
    let block = blocks.next().context("no block registers the endpoint")?;
    ensure!(blocks.next().is_none(), "two blocks register the endpoint");
    Ok(block.to_owned())
}

/// Runs the commands against the stand-in, and answers with the parameters that Stripe would have had.
async fn registered() -> anyhow::Result<serde_json::Value> {
    let stand_in = StandIn::start(None).await?;
    let script = format!("{STACK}\n{}", commands()?.replace("https://api.stripe.com", stand_in.base_url()));
    let mut bash = Command::new("bash");
    bash.args(["-c", &script]).env("NO_PROXY", "*").stdin(Stdio::piped()).stdout(Stdio::null());
    let mut bash = bash.spawn()?;
    bash.stdin.take().context("no input")?.write_all(b"rk_test_endpoints\n").await?;
    bash.wait().await?;
    let requests = stand_in.admin().requests().await?;
    let [request] = requests.as_slice() else { anyhow::bail!("{requests:?}") };
    // The stand-in has endpoints made in another way: it let the key pass, and does not know the path.
    assert_eq!(
        (request.method.as_str(), request.path.as_str(), request.status),
        ("POST", "/v1/webhook_endpoints", Some(404))
    );
    Ok(request.params.clone())
}

fn texts(list: &serde_json::Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// The patterns in the README's sentence on the endpoint, such as `refund.*`.
fn patterns() -> anyhow::Result<BTreeSet<String>> {
    let text = file("README.md")?;
    let sentence =
        text.split("`StripeWebhookFunctionUrl` as an endpoint for ").nth(1).context("no sentence")?;
    let list = sentence.split(", and put").next().context("no end")?;
    Ok(list.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

fn is_of(pattern: &str, event_type: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => event_type.starts_with(beginning),
        None => event_type == pattern,
    }
}

/// What the types of an object's events begin with, for each object that `Event::parse` has a type of ours for.
fn families() -> anyhow::Result<BTreeSet<String>> {
    let code = file("shared/src/stripe/event.rs")?;
    let arms = code.lines().filter_map(|line| line.split_once("\" => typed(object, "));
    let objects = arms.filter_map(|(name, _)| name.trim_start().strip_prefix('"'));
    let family = |object| match object {
        "dispute" => "charge.dispute.".to_owned(),
        "subscription" => "customer.subscription.".to_owned(),
        other => format!("{other}."),
    };
    Ok(objects.map(family).collect())
}

#[tokio::test]
async fn the_endpoint_is_registered_for_every_kind_of_event_that_takes_effect() -> anyhow::Result<()> {
    let params = registered().await?;
    assert_eq!(params["url"], "https://api.shop.example/StripeWebhookFunctionUrl");
    let (events, patterns, families) = (texts(&params["enabled_events"]), patterns()?, families()?);
    assert!(families.len() > 5, "{families:?}");
    for family in families {
        assert!(events.iter().any(|event| event.starts_with(&family)), "no event of {family}*");
    }
    for event in &events {
        assert!(patterns.iter().any(|pattern| is_of(pattern, event)), "README.md does not name {event}");
    }
    for pattern in &patterns {
        assert!(events.iter().any(|event| is_of(pattern, event)), "infra/README.md has nothing of {pattern}");
    }
    Ok(())
}
