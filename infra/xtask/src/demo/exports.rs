//! Reservations as files, which cost a credit each.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};
use stack::{paths, wait_for};

use super::aftermath::PATIENCE;
use super::scene::{Answer, Booking, Person, Scene};
use super::story::decision;

pub(super) async fn an_export_costs_a_credit(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("A customer wants her reservations as a file, which costs a credit");
    let jana = scene.jana.clone();
    let refusal = scene.call(&jana, "asks for a file without credits", "create_job", &own_csv()).await?;
    refusal.expect(402, "insufficient_credits").map(drop)
}

pub(super) async fn a_customer_takes_her_reservations_along(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("With a credit she gets the file, once, however often she asks");
    let jana = scene.jana.clone();
    let job_id = scene.order(&jana, "asks for the file", &own_csv()).await?;
    let again = scene.call_again(&jana, "presses the button again", "create_job", &own_csv()).await?;
    let again = again.expect(202, "queued")?;
    let is_replay = again.body.get("idempotent_replay") == Some(&json!(true));
    ensure!(again.text("job_id")? == job_id && is_replay, "another job: {}", again.body);

    let file = fetch(scene, &jana, &job_id).await?;
    let bookings: Vec<Booking> =
        all_bookings(scene).filter(|booking| booking.customer == jana.name).collect();
    must_hold(scene, &rows_of_csv(&file)?, &bookings).await?;
    scene.balance_must_be(&jana, 2).await
}

pub(super) async fn the_shop_gets_its_reservations(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("The shop wants its reservations; an operator gives a credit for it");
    let (jana, eva, operator) = (scene.jana.clone(), scene.eva.clone(), scene.operator());
    let provider = scene.file.provider_id.to_string();
    let request = export(&json!({ "format": "json", "provider_id": provider }));
    let refusal = scene.call(&jana, "asks for what the shop has", "create_job", &request).await?;
    refusal.expect(403, "forbidden")?;
    let refusal = scene.call(&eva, "asks for it without credits", "create_job", &request).await?;
    refusal.expect(402, "insufficient_credits")?;
    let owner = scene.file.users.owner.id;
    let gift = json!({ "user_id": owner, "amount": 1, "reason": "The first one is free" });
    let given = scene.call(&operator, "gives Eva a credit", "ops/credits/adjust", &gift).await?;
    given.expect(200, "credits: 1")?;

    let job_id = scene.order(&eva, "asks again", &request).await?;
    let file = fetch(scene, &eva, &job_id).await?;
    let bookings: Vec<Booking> = all_bookings(scene).filter(|booking| booking.provider == provider).collect();
    must_hold(scene, &rows_of_json(&file)?, &bookings).await?;
    scene.balance_must_be(&eva, 0).await
}

/// The caller's own reservations.
pub(super) fn own_csv() -> Value {
    export(&json!({ "format": "csv" }))
}

fn export(input: &Value) -> Value {
    json!({ "kind": "reservation_export", "input": input })
}

fn all_bookings(scene: &Scene) -> impl Iterator<Item = Booking> {
    scene.bookings.iter().map(|(_, booking)| booking.clone())
}

impl Scene {
    /// Somebody orders a paid job and gets it; its id.
    pub(super) async fn order(&mut self, who: &Person, what: &str, request: &Value) -> Result<String> {
        let job = self.call(who, what, "create_job", request).await?.expect(202, "queued")?;
        ensure!(job.minor("credits_held")? == 1, "it costs a credit: {}", job.body);
        job.text("job_id")
    }

    /// Whoever ordered a paid job asks for it until it has ended, which is to be in this way.
    pub(super) async fn job_ends(
        &self,
        who: &Person,
        what: &str,
        job_id: &str,
        status: &str,
    ) -> Result<Answer> {
        let started = Instant::now();
        let path = format!("get_job?job_id={job_id}");
        let ended = async || {
            let job = self.get(who, &path).await?;
            match decision(&job.body).as_str() {
                "succeeded" | "failed" => Ok(job),
                _ => bail!("{} {}", job.status, job.body),
            }
        };
        let job = wait_for("the end of a paid job", PATIENCE, ended, || Ok(())).await?;
        self.story.line(who.name, what, Some(job.status), &decision(&job.body), started.elapsed());
        job.expect(200, status)
    }
}

/// Waits for an export and keeps its file for whoever reads the story; its content.
async fn fetch(scene: &Scene, who: &Person, job_id: &str) -> Result<String> {
    let job = scene.job_ends(who, "fetches the file", job_id, "succeeded").await?;
    let member = |name: &str| job.body.get("result")?.get(name);
    let text = |name: &str| member(name).and_then(Value::as_str).with_context(|| format!("no {name}"));
    let count = member("reservations").and_then(Value::as_u64).context("no count")?;
    let (name, content) = (text("file_name")?, text("content")?);
    let path = paths::local().join(name);
    fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    let shown = path.strip_prefix(paths::root()).unwrap_or(&path);
    scene.story.note(&format!("{}: {count} reservations", shown.display()));
    Ok(content.to_owned())
}

/// What is looked at of a reservation in a file.
struct Row {
    id: String,
    status: String,
    amount_minor: i64,
    currency: String,
}

impl Row {
    fn read(cell: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let cell = |name: &str| cell(name).with_context(|| format!("no {name} in the file"));
        Ok(Self {
            id: cell("reservation_id")?,
            status: cell("status")?,
            amount_minor: cell("amount_total_minor")?.parse()?,
            currency: cell("currency")?,
        })
    }
}

fn rows_of_csv(content: &str) -> Result<Vec<Row>> {
    let mut reader = csv::Reader::from_reader(content.as_bytes());
    let records = reader.deserialize::<BTreeMap<String, String>>();
    records.map(|record| record.map(|record| Row::read(|name| record.get(name).cloned()))?).collect()
}

fn rows_of_json(content: &str) -> Result<Vec<Row>> {
    let reservations: Vec<Map<String, Value>> = serde_json::from_str(content)?;
    let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    reservations.iter().map(|members| Row::read(|name| members.get(name).map(cell))).collect()
}

/// Fails unless a file holds these reservations as they stand now, and no others.
async fn must_hold(scene: &mut Scene, rows: &[Row], bookings: &[Booking]) -> Result<()> {
    ensure!(rows.len() == bookings.len(), "{} reservations, not {}", rows.len(), bookings.len());
    for booking in bookings {
        let row = rows.iter().find(|row| row.id == booking.id);
        let row = row.with_context(|| format!("{} is not in the file", booking.id))?;
        let is_as_booked = row.amount_minor == booking.amount_minor && row.currency == booking.currency;
        ensure!(is_as_booked, "{} cost something else", booking.id);
        scene.must_be(booking, &row.status).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_tell_the_same_of_a_reservation() {
        let table = "reservation_id,status,amount_total_minor,currency,notes\nr1,hold,1200,CZK,\"a, b\"\n";
        let list = r#"[{"reservation_id":"r1","status":"hold","amount_total_minor":1200,"currency":"CZK"}]"#;
        for rows in [rows_of_csv(table).unwrap(), rows_of_json(list).unwrap()] {
            let [row] = rows.as_slice() else { panic!("{} rows", rows.len()) };
            let told = (row.id.as_str(), row.status.as_str(), row.amount_minor, row.currency.as_str());
            assert_eq!(told, ("r1", "hold", 1200, "CZK"));
        }
    }

    #[test]
    fn a_file_without_a_column_is_no_export() {
        assert!(rows_of_csv("reservation_id,status\nr1,hold\n").is_err());
        assert!(rows_of_json(r#"[{"reservation_id":"r1"}]"#).is_err());
    }
}
