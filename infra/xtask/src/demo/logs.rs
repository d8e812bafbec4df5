//! What the functions wrote while the story went on: no secret of it, and nobody.

use anyhow::{Result, bail};
use serde_json::Value;
use stack::LocalStack;

use super::scene::Scene;

/// Fails with the place of every line that holds a secret or a person, or that a machine cannot read.
pub(super) async fn check(scene: &mut Scene, stack: &LocalStack) -> Result<()> {
    let mut check = stack.log_check();
    let people = "
        select v.what, v.value
        from public.customers c
        cross join lateral (values ('a name', c.name), ('an address', c.email), ('a telephone', c.phone)) v (what, value)
        where v.value is not null
        union
        select 'an address', p.contact_email from public.providers p where p.contact_email is not null";
    let people: Vec<(String, String)> = sqlx::query_as(people).fetch_all(&mut scene.database).await?;
    let url = format!("{}/v1/payment_intents?limit=100", scene.file.stripe_api_base);
    let intents: Value = scene.http.get(url).bearer_auth("sk_test_demo").send().await?.json().await?;
    let intents = intents.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
    let client_secrets: Vec<&str> =
        intents.iter().filter_map(|intent| intent.get("client_secret")?.as_str()).collect();
    if people.is_empty() || client_secrets.is_empty() {
        bail!("the story has nobody and no payment that a log could give away");
    }
    for (what, value) in &people {
        check.forbid(what, value);
    }
    for client_secret in client_secrets {
        check.forbid("a client secret", client_secret);
    }
    let checked = check.folder(&stack::paths::logs())?;
    if checked.findings.is_empty() {
        println!("Logs: {} lines, none with a secret or a person of the story.", checked.lines);
        return Ok(());
    }
    bail!("the functions' logs in {}: {:#?}", stack::paths::logs().display(), checked.findings)
}
