//! A job that nobody can do.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use stack::wait_for;

use super::aftermath::PATIENCE;
use super::exports::own_csv;
use super::scene::{Person, Scene};

/// Known to a version that was taken back, and not to this one.
const UNKNOWN_KIND: &str = "packing_list";
/// How often it is tried.
const ATTEMPTS: i32 = 3;

pub(super) async fn a_poison_job_ends_as_a_dead_letter(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("A job that this version does not know fails for good, and nobody waits for it");
    let (jana, operator) = (scene.jana.clone(), scene.operator());
    let poison = ordered_from_a_newer_version(scene, &jana).await?;
    let export = scene.order(&jana, "asks for another file, behind it", &own_csv()).await?;
    scene.balance_must_be(&jana, 0).await?;
    scene.job_ends(&jana, "fetches that file", &export, "succeeded").await?;

    let mut status = attempt_fails(scene, &poison, 1).await?;
    for attempt in 2..=ATTEMPTS {
        ensure!(status == "queued", "the job is {status} after attempt {}", attempt - 1);
        let_pause_pass(scene, &poison).await?;
        status = attempt_fails(scene, &poison, attempt).await?;
    }
    ensure!(status == "failed", "the job is {status} after the last attempt");

    let job = scene.job_ends(&jana, "asks what became of the list", &poison, "failed").await?;
    ensure!(job.text("last_error")? == "unknown_kind", "another error: {}", job.body);
    scene.balance_must_be(&jana, 1).await?;
    let letters = scene.look(&operator, "lists dead letters", "ops/dead-letters?status=open").await?;
    let letters = letters.body.get("items").and_then(Value::as_array).context("no list")?;
    let text = |letter: &Value, name: &str| letter.get(name).and_then(Value::as_str).map(str::to_owned);
    let letter = letters.iter().find(|letter| text(letter, "job_id").as_ref() == Some(&poison));
    let letter = letter.context("no dead letter of the job")?;
    let (kind, error) = (text(letter, "kind"), text(letter, "last_error"));
    ensure!(kind.as_deref() == Some(UNKNOWN_KIND), "of another kind: {letter}");
    scene.story.note(&format!("{UNKNOWN_KIND}: {}", error.unwrap_or_default()));
    Ok(())
}

/// The version that knew the kind was there long enough to take an order for it; the job's id.
async fn ordered_from_a_newer_version(scene: &mut Scene, who: &Person) -> Result<String> {
    let started = Instant::now();
    let query = "select answer ->> 'job_id', answer ->> 'status' from kitloop.create_job(
            'user:' || $1, 'demo-newer-version', 'hash', $1::uuid, '{}', $2, 1, $3, null, '{}'
        )";
    let user = scene.file.users.customer.id.to_string();
    let order = sqlx::query_as(query).bind(user).bind(UNKNOWN_KIND).bind(ATTEMPTS);
    let (job_id, status): (String, String) = order.fetch_one(&mut scene.database).await?;
    let what = "orders a packing list; then its version is rolled back";
    scene.story.line(who.name, what, None, &status, started.elapsed());
    Ok(job_id)
}

/// Waits for the worker to give the job back; where it stands then.
async fn attempt_fails(scene: &mut Scene, job_id: &str, attempt: i32) -> Result<String> {
    let started = Instant::now();
    let query = "select j.status, j.last_error from public.jobs j
        where j.id = $1::uuid and j.attempts >= $2 and j.status <> 'running'";
    let database = &mut scene.database;
    let given_back = async || -> Result<(String, String)> {
        Ok(sqlx::query_as(query).bind(job_id).bind(attempt).fetch_one(&mut *database).await?)
    };
    let (status, error) = wait_for("the next attempt", PATIENCE, given_back, || Ok(())).await?;
    let what = format!("fails in attempt {attempt} of {ATTEMPTS}: {error}");
    scene.story.line("worker", &what, None, &status, started.elapsed());
    Ok(status)
}

/// Makes the next attempt due now.
async fn let_pause_pass(scene: &mut Scene, job_id: &str) -> Result<()> {
    let started = Instant::now();
    let update =
        "update public.jobs set run_after = clock_timestamp() where id = $1::uuid and status = 'queued'";
    sqlx::query(update).bind(job_id).execute(&mut scene.database).await?;
    scene.story.line("time", "passes; the next attempt is due", None, "", started.elapsed());
    Ok(())
}
