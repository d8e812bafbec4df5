//! What the functions write while they work: lines that machines can read, one per request and decision, without a
//! secret or a person in them.

use anyhow::{Context, Result, ensure};
use resend_stand_in::ResendStandIn;
use serde_json::{Value, json};
use stack::{CheckedLogs, LogCheck};
use test_support::{
    CRON_SECRET, Gear, HttpCall, JWT_SECRET, Provider, Token, WEBHOOK_SECRET, email_settings, in_days,
};
use uuid::Uuid;

use super::lambda::Function;
use super::product::{Product, Shop, cancel, confirm, id, refund, scheduled_event, start_payment};

const NAME: &str = "Ada Lovelace";
const EMAIL: &str = "ada.lovelace@example.org";
const PHONE: &str = "+420777123456";
const NOTES: &str = "She is left-handed";
const REASON: &str = "Her knee is swollen";

/// How many functions play a part.
const FUNCTIONS: usize = 9;

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

/// Every function, writing at one level.
struct Stage {
    shop: Shop,
    customer: Uuid,
    staff: Uuid,
    reserve: Function,
    pay: Function,
    confirm: Function,
    cancel: Function,
    refund: Function,
    webhook: Function,
    worker: Function,
    sweep: Function,
    reconcile: Function,
    resend: ResendStandIn,
    // Last, because it takes away the folder with what the functions wrote.
    product: Product,
}

impl Stage {
    async fn open(log_level: &str) -> Result<Self> {
        let mut product = Product::start().await?;
        product.settings.insert("RUST_LOG", log_level.to_owned());
        let resend = ResendStandIn::start(None).await?;
        product.settings.extend(email_settings(&resend));
        let shop = product.open_shop(&Provider::default(), &Gear::of(2)).await?;
        let (customer, staff) = (Uuid::new_v4(), Uuid::new_v4());
        product.database.add_member(shop.provider_id, staff, "staff").await?;
        Ok(Self {
            shop,
            customer,
            staff,
            webhook: product.run_webhook().await?,
            reserve: product.run("reserve_gear").await?,
            pay: product.run("create_payment_intent").await?,
            confirm: product.run("confirm_reservation").await?,
            cancel: product.run("cancel_reservation").await?,
            refund: product.run("refund_reservation").await?,
            worker: product.run("run_jobs").await?,
            sweep: product.run("cleanup_reservation_holds").await?,
            reconcile: product.run("reconcile_payments").await?,
            resend,
            product,
        })
    }

    /// One call is refused, a walk-in is booked, a customer pays, gets a part back, cancels and is told; the worker, the
    /// sweep and the reconciliation run. Returns the client secret of the payment.
    async fn play(&self, ids: &mut CorrelationIds) -> Result<String> {
        let stranger = self.shop.reserve(self.customer)?.header("authorization", "Bearer no.good.token");
        ensure!(self.reserve.call(&ids.add(stranger)).await?.status == 401);
        ensure!(self.reserve.call(&ids.add(walk_in(self.shop, self.staff)?)).await?.status == 201);
        let reserved = self.reserve.call(&ids.add(self.shop.reserve(self.customer)?)).await?;
        let reservation_id = id(&reserved, "reservation_id")?;
        let payment = self.pay.call(&ids.add(start_payment(reservation_id, self.customer)?)).await?;
        self.product.pay(&payment.body, "pm_card_visa").await?;
        self.product.wait_for_status(reservation_id, "confirmed").await?;
        let confirmed = confirm(reservation_id, "confirm", self.customer)?;
        ensure!(self.confirm.call(&ids.add(confirmed)).await?.status == 200);
        let refund = refund(reservation_id, 10_000, REASON, self.staff)?;
        ensure!(self.refund.call(&ids.add(refund)).await?.status == 202);
        let cancel = cancel(reservation_id, self.customer)?.patch(&json!({"reason": REASON}))?;
        ensure!(self.cancel.call(&ids.add(cancel)).await?.status == 200);
        self.worker.address.invoke(&scheduled_event("run_jobs")?).await?;
        ensure!(self.resend.emails().len() == 2, "{:?}", self.resend.emails());
        let by_hand = |path| HttpCall::new("POST", path).bearer(CRON_SECRET);
        ensure!(self.sweep.call(&ids.add(by_hand("/cleanup_reservation_holds"))).await?.status == 200);
        self.product.wait_for_deliveries().await?;
        ensure!(self.reconcile.call(&ids.add(by_hand("/reconcile_payments"))).await?.status == 200);
        let client_secret = payment.body.get("client_secret").and_then(Value::as_str);
        Ok(client_secret.context("no client secret")?.to_owned())
    }

    fn output(&self) -> Result<String> {
        let functions = [
            &self.reserve,
            &self.pay,
            &self.confirm,
            &self.cancel,
            &self.refund,
            &self.webhook,
            &self.worker,
            &self.sweep,
            &self.reconcile,
        ];
        functions.iter().map(|function| function.output()).collect()
    }
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

fn walk_in(shop: Shop, staff: Uuid) -> Result<HttpCall> {
    let body = json!({
        "provider_id": shop.provider_id, "gear_id": shop.gear_id, "idempotency_key": Uuid::new_v4(),
        "start_date": in_days(30), "end_date": in_days(31), "notes": NOTES,
        "customer": {"name": NAME, "email": EMAIL, "phone": PHONE},
    });
    HttpCall::post("/reserve_gear", &body).by(staff)
}

/// Looks for everything that a log must not hold; nothing here is secret, so findings may name it.
fn secrets(stage: &Stage, client_secret: &str) -> Result<LogCheck> {
    let url = stage.product.database.url()?;
    let password = url.split([':', '@']).nth(2).context("no password in the URL")?;
    // Tokens differ by the second in which they were made, but not in their header.
    let token = Token::of(stage.customer).encode()?;
    let header = token.split('.').next().context("no token")?;
    let email = format!("{}@example.com", stage.customer.simple());
    let mut check = LogCheck::default();
    for value in [
        NAME,
        EMAIL,
        PHONE,
        NOTES,
        REASON,
        "re_test_kitloop",
        JWT_SECRET,
        WEBHOOK_SECRET,
        "sk_test_kitloop",
        CRON_SECRET,
        "no.good.token",
        "pm_card_visa",
        "card_",
        "last4",
        "4242424242424242",
        "v1=",
        password,
        header,
        &email,
        client_secret,
    ] {
        check.forbid(value, value);
    }
    Ok(check)
}

/// Gives each request an id of its own.
#[derive(Default)]
struct CorrelationIds(Vec<String>);

impl CorrelationIds {
    fn add(&mut self, call: HttpCall) -> HttpCall {
        let id = format!("journey-{}", Uuid::new_v4());
        self.0.push(id.clone());
        call.header("x-correlation-id", &id)
    }
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
    }

    fn assert_one_line_per_request_and_decision(&self) {
        assert_eq!(self.with_message("event.handled").len(), 1, "the worker ran once");
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
