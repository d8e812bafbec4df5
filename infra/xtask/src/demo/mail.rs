//! The e-mails that went out, as the stand-in for Resend has them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use serde_json::Value;
use stack::wait_for;

use super::scene::Scene;

/// How long the worker may take to send what is still queued.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many there are of each kind, to whom. Fails unless everybody was told everything, once.
pub(super) async fn table(scene: &mut Scene) -> Result<Table> {
    let notifications = sent(scene).await?;
    let url = format!("{}/_admin/emails", scene.file.resend_api_base);
    let emails: Vec<Value> = scene.http.get(url).send().await?.json().await?;
    ensure!(emails.len() == notifications.len(), "{} e-mails for {notifications:?}", emails.len());
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for email in &emails {
        let text = |pointer| email.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (_, kind) =
            notifications.iter().find(|(id, _)| id == text("/id")).context("an unknown e-mail")?;
        *counts.entry((kind, text("/to/0"))).or_default() += 1;
    }
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(["e-mail", "to", "sent"]);
    if let Some(column) = table.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for ((kind, to), count) in counts {
        table.add_row([kind, to, &count.to_string()]);
    }
    Ok(table)
}

/// What was written down to be told, as Resend's id and the kind, once all of it is sent. A booking that was cancelled
/// before anybody could be told that it is firm is not told of any more.
async fn sent(scene: &mut Scene) -> Result<Vec<(String, String)>> {
    let database = &mut scene.database;
    let all_sent = async || -> Result<Vec<(String, String)>> {
        let query = "select n.status, n.message_id, n.kind from public.notification_logs n
            where (n.kind, n.status) <> ('confirmation', 'obsolete')";
        let told: Vec<(String, Option<String>, String)> =
            sqlx::query_as(query).fetch_all(&mut *database).await?;
        let sent = told.into_iter().map(|(status, message_id, kind)| {
            ensure!(status == "sent", "{kind} is {status}");
            Ok((message_id.context("sent without an id")?, kind))
        });
        sent.collect()
    };
    wait_for("the e-mails", PATIENCE, all_sent, || Ok(())).await
}
