//! Where a scenario plays: the deployment, the operator's terminal, and what goes wrong.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use serde_json::Value;
use stack::wait_for;

use super::runbook::{Block, Runbook};
use super::terminal::Terminal;
use crate::demo::scene::{Booking, Scene};

/// Longer than a worker takes that has just been started, and a secret to be read again.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Everything that a scenario needs.
pub(super) struct Stage<'a> {
    /// The deployment, and who uses it.
    pub(super) scene: &'a mut Scene,
    runbook: &'a Runbook,
    terminal: Terminal,
    played: Vec<String>,
}

impl<'a> Stage<'a> {
    pub(super) fn set(scene: &'a mut Scene, runbook: &'a Runbook, terminal: Terminal) -> Result<Self> {
        terminal.set("OPERATOR", "Ada")?;
        Ok(Self { scene, runbook, terminal, played: Vec::new() })
    }

    /// Begins a scenario.
    pub(super) fn begin(&mut self, title: &str) {
        self.scene.story.chapter(title);
    }

    /// Ends a scenario; the blocks that it ran.
    pub(super) fn end(&mut self) -> Vec<String> {
        std::mem::take(&mut self.played)
    }

    /// A file that the operator writes.
    pub(super) fn file(&self, name: &str) -> String {
        self.terminal.file(name).display().to_string()
    }

    /// Sets a variable that the next blocks need.
    pub(super) fn know(&self, name: &str, value: &str) -> Result<()> {
        self.terminal.set(name, value)
    }

    /// The operator runs a block of the runbook; what it printed.
    pub(super) async fn operator(&mut self, name: &str) -> Result<String> {
        self.operator_types(name, "").await
    }

    /// As [`Self::operator`], and types this when asked.
    pub(super) async fn operator_types(&mut self, name: &str, typed: &str) -> Result<String> {
        let started = Instant::now();
        let printed = self.terminal.run(self.runbook.block(name)?, typed).await?;
        self.scene.story.line("operator", &format!("runs {name}"), None, "", started.elapsed());
        self.played.push(name.to_owned());
        Ok(printed)
    }

    /// What goes wrong by commands that are in no runbook, with the words of docs/runbook.sh.
    pub(super) async fn fate(&self, what: &str, script: &str) -> Result<String> {
        let started = Instant::now();
        let block = Block { name: what.to_owned(), script: format!("{script}\n"), printed: Vec::new() };
        let printed = self.terminal.run(&block, "").await?;
        self.scene.story.line("fate", what, None, "", started.elapsed());
        Ok(printed)
    }

    /// A secret as it is stored now.
    pub(super) async fn secret(&self, name: &str) -> Result<String> {
        let block =
            Block { name: format!("secret {name}"), script: format!("secret {name}\n"), printed: Vec::new() };
        Ok(self.terminal.run(&block, "").await?.trim().to_owned())
    }

    /// Stores a secret.
    pub(super) async fn store(&self, name: &str, value: &str) -> Result<()> {
        let block =
            Block { name: format!("store {name}"), script: format!("store {name}\n"), printed: Vec::new() };
        self.terminal.run(&block, &format!("{value}\n")).await.map(drop)
    }

    /// What goes wrong, or is mended, in the database.
    pub(super) async fn database(&mut self, who: &str, what: &str, statement: &'static str) -> Result<u64> {
        let started = Instant::now();
        let done = sqlx::raw_sql(statement).execute(&mut self.scene.database).await?;
        self.scene.story.line(who, what, None, "", started.elapsed());
        Ok(done.rows_affected())
    }

    /// What /ready says.
    pub(super) async fn ready(&self) -> Result<Value> {
        let url = format!("{}/ready", self.scene.file.base_url);
        Ok(self.scene.http.get(url).send().await?.json().await?)
    }

    /// Waits until a part of the product is in this state, by /ready, which remembers some things for half a minute.
    pub(super) async fn part_becomes(&self, part: &str, status: &str) -> Result<()> {
        let started = Instant::now();
        let reached = async || {
            let ready = self.ready().await?;
            let is = ready.pointer(&format!("/parts/{part}")).and_then(Value::as_str);
            ensure!(is == Some(status), "{ready}");
            Ok(())
        };
        wait_for(part, PATIENCE, reached, || Ok(())).await?;
        self.scene.story.line("time", &format!("{part} is {status}"), None, status, started.elapsed());
        Ok(())
    }

    /// Waits until every part of the product is there: the worker, too, which its schedule starts.
    pub(super) async fn is_ready(&self) -> Result<()> {
        let started = Instant::now();
        let ready = async || {
            let ready = self.ready().await?;
            ensure!(ready.get("status").and_then(Value::as_str) == Some("ready"), "{ready}");
            Ok(())
        };
        wait_for("the product", PATIENCE, ready, || Ok(())).await?;
        self.scene.story.line("time", "every part is ready", None, "ready", started.elapsed());
        Ok(())
    }

    /// What an operator sees there.
    pub(super) async fn ops(&self, path: &str) -> Result<Value> {
        let url = format!("{}/ops/{path}", self.scene.file.base_url);
        let request = self.scene.http.get(url).bearer_auth(&self.scene.file.admin_token);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// Fails unless a part of the product is in this state, by /ready.
    pub(super) async fn part_is(&self, part: &str, status: &str) -> Result<()> {
        let ready = self.ready().await?;
        let is = ready.pointer(&format!("/parts/{part}")).and_then(Value::as_str);
        ensure!(is == Some(status), "{part} is not {status}: {ready}");
        self.scene.story.note(&format!("/ready says {part}: {status}"));
        Ok(())
    }

    /// Waits until a reservation is in this state.
    pub(super) async fn becomes(&mut self, booking: &Booking, status: &str) -> Result<()> {
        let query = "select r.status from public.reservations r where r.id = $1::uuid";
        self.comes(&format!("the reservation becomes {status}"), query, booking, status).await
    }

    /// Waits until the query says this of a reservation.
    pub(super) async fn comes(
        &mut self,
        what: &str,
        query: &'static str,
        booking: &Booking,
        wanted: &str,
    ) -> Result<()> {
        let started = Instant::now();
        let database = &mut self.scene.database;
        let reached = async || -> Result<()> {
            let is: Option<String> =
                sqlx::query_scalar(query).bind(&booking.id).fetch_optional(&mut *database).await?;
            ensure!(is.as_deref() == Some(wanted), "it is {is:?}");
            Ok(())
        };
        wait_for(what, PATIENCE, reached, || Ok(())).await?;
        self.scene.story.line("time", what, None, wanted, started.elapsed());
        Ok(())
    }

    /// Waits until a delivery of Stripe's about this object is answered so.
    pub(super) async fn delivery_answered(&self, object_id: &str, status: u16) -> Result<()> {
        let answered = async || {
            let deliveries = self.scene.stripe.deliveries().await?;
            let mut about = deliveries.iter().filter(|it| it.object_id.as_deref() == Some(object_id));
            about.find(|delivery| delivery.status == Some(status)).map(drop).context("no such delivery")
        };
        wait_for("Stripe's delivery", PATIENCE, answered, || Ok(())).await?;
        self.scene.story.note(&format!("Stripe's delivery is answered with {status}"));
        Ok(())
    }

    /// Has Stripe deliver, once, an event of this type that was lost on its way; the answer's status.
    pub(super) async fn deliver_once(&self, event_type: &str, secret: &str) -> Result<u16> {
        let file = &self.scene.file;
        let url = format!("{}/v1/events?limit=1&type={event_type}", file.stripe_api_base);
        let page: Value = self.scene.http.get(url).bearer_auth("sk_test_drill").send().await?.json().await?;
        let body = page.pointer("/data/0").context("Stripe has no such event")?.to_string();
        let signature = stripe_stand_in::signature(secret, &body, Timestamp::now().as_second());
        let request = self.scene.http.post(self.webhook_url()?).header("stripe-signature", signature);
        Ok(request.header("content-type", "application/json").body(body).send().await?.status().as_u16())
    }

    /// The URL of the webhook's function.
    pub(super) fn webhook_url(&self) -> Result<&str> {
        let url = self.scene.file.functions.get("stripe_webhook").context("the webhook has no URL")?;
        Ok(url)
    }

    /// Fails unless the text is there.
    pub(super) fn must_print(&self, printed: &str, text: &str) -> Result<()> {
        if !printed.contains(text) {
            bail!("`{text}` is not in:\n{printed}");
        }
        Ok(())
    }
}
