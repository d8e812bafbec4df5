//! What the functions write while they work: lines that machines can read, one per request and decision, without a
//! secret or a person in them.

mod stage;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use stack::{CheckedLogs, LogCheck};
use test_support::{CRON_SECRET, JWT_SECRET, WEBHOOK_SECRET};

use stage::{CorrelationIds, EMAIL, FUNCTIONS, NAME, PHONE, Stage, secrets};

/// What was written during a journey, and what must not be in it.
struct Journey {
    lines: Vec<Value>,
    /// The correlation ids that were sent, one for each request.
    correlation_ids: Vec<String>,
    /// How many events Stripe delivered.
    events: usize,
    /// The lines as they were written.
    output: String,
    /// Looks for the secrets and persons of the journey.
    check: LogCheck,
}

/// Plays, waits until Stripe has delivered everything, and reads what was written.
async fn journey(log_level: &str) -> Result<Journey> {
    let stage = Stage::open(log_level).await?;
    let mut ids = CorrelationIds::default();
    let client_secret = stage.play(&mut ids).await?;
    let events = stage.product.at_stripe("events").await?.len();
    stage.product.wait_for_deliveries().await?;
    let output = stage.output()?;
    let check = secrets(&stage, &client_secret)?;
    let lines = output.lines().map(|line| serde_json::from_str(line).context(line.to_owned()));
    let lines = lines.collect::<Result<_>>()?;
    Ok(Journey { lines, correlation_ids: ids.0, events, output, check })
}

/// A text in the context of a line.
fn in_context<'a>(line: &'a Value, name: &str) -> Option<&'a str> {
    line.get("context")?.get(name)?.as_str()
}

impl Journey {
    fn with_message(&self, message: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["message"] == message).collect()
    }

    /// What is wrong with the lines, or in them that should not be.
    fn findings(&self, output: &str) -> Vec<String> {
        let mut checked = CheckedLogs::default();
        self.check.text("output", output, &mut checked);
        checked.findings
    }

    fn assert_clean(&self) {
        assert_eq!(self.findings(&self.output), Vec::<String>::new());
        assert!(self.lines.iter().all(|line| line["level"] != "ERROR"), "{:#?}", self.lines);
    }

    /// Each line that ends an invocation says all that there is to say, and counts.
    fn assert_telling(&self) {
        for line in
            self.with_message("request.answered").into_iter().chain(self.with_message("event.handled"))
        {
            let context = &line["context"];
            for number in ["duration_ms", "database_ms", "database_round_trips", "stripe_ms"] {
                assert!(context[number].is_u64(), "no {number} in {line}");
            }
            assert_eq!(context["function"], line["Function"], "{line}");
            assert!(context["code"].is_string() && context["correlation_id"].is_string(), "{line}");
            assert_eq!((&line["Requests"], &line["Answers"]), (&json!(1), &json!(1)), "{line}");
        }
        let of = |function: &str, number: &str| {
            let lines = self.lines.iter().filter(|line| in_context(line, "function") == Some(function));
            lines.filter_map(|line| line.get("context")?.get(number)?.as_u64()).max()
        };
        assert_eq!(of("reserve_gear", "database_round_trips"), Some(1));
        assert_eq!(of("stripe_webhook", "database_round_trips"), Some(1));
        assert!(of("create_payment_intent", "stripe_ms").is_some_and(|spent_ms| spent_ms > 0));
        assert!(of("run_jobs", "email_ms").is_some());
        assert_eq!(self.with_message("boot.ready").len(), FUNCTIONS);
        let figures = self.lines.iter().filter(|line| line.get("PaymentsSucceededLast24h").is_some());
        assert_eq!(figures.count(), 1);
    }

    fn assert_one_line_per_request_and_decision(&self) {
        assert_eq!(self.with_message("event.handled").len(), 3, "the worker twice, and the figures");
        let answered = self.with_message("request.answered");
        for id in &self.correlation_ids {
            let lines = answered.iter().filter(|line| in_context(line, "correlation_id") == Some(id));
            assert_eq!(lines.count(), 1, "{id}");
        }
        // Beside them there are the webhooks, whose correlation ids are made.
        assert_eq!(answered.len(), self.correlation_ids.len() + self.events);
        let decisions = self.with_message("stripe_webhook.decision");
        let mut events: Vec<&str> =
            decisions.iter().filter_map(|line| in_context(line, "event_id")).collect();
        events.sort_unstable();
        events.dedup();
        assert_eq!((events.len(), decisions.len()), (self.events, self.events));
    }

    fn assert_all(&self) {
        self.assert_clean();
        self.assert_one_line_per_request_and_decision();
        self.assert_telling();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_and_decision_has_one_line_without_secrets() -> Result<()> {
    journey("info").await?.assert_all();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn debugging_shows_no_secret_either() -> Result<()> {
    let journey = journey("debug").await?;
    assert!(journey.lines.iter().any(|line| line["level"] == "DEBUG"), "nothing was written at debug");
    journey.assert_all();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_leaked_would_be_found() -> Result<()> {
    let journey = journey("info").await?;
    let line = journey.output.lines().next().context("nothing was written")?;
    for leak in
        [NAME, EMAIL, PHONE, JWT_SECRET, WEBHOOK_SECRET, CRON_SECRET, "pi_1_secret_2", "eyJhbGciOiJIUzI1NiJ9"]
    {
        let planted = line.replacen("\"context\":{", &format!("\"context\":{{\"note\":\"to {leak}.\","), 1);
        let findings = journey.findings(&planted);
        assert!(!findings.is_empty() && !findings.contains(&"output:1: not JSON".to_owned()), "{findings:?}");
    }
    Ok(())
}
