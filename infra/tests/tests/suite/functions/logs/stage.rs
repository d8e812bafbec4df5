//! Every function at work in one journey, and what of it must not be in their logs.

use anyhow::{Context, Result, ensure};
use resend_stand_in::ResendStandIn;
use serde_json::{Value, json};
use stack::LogCheck;
use test_support::{
    ADMIN_TOKEN, CRON_SECRET, Gear, HttpCall, JWT_SECRET, Provider, Token, WEBHOOK_SECRET, email_settings,
    in_days,
};
use uuid::Uuid;

use crate::functions::lambda::Function;
use crate::functions::product::{Product, Shop, cancel, confirm, id, refund, scheduled_event, start_payment};

pub(super) const NAME: &str = "Ada Lovelace";
pub(super) const EMAIL: &str = "ada.lovelace@example.org";
pub(super) const PHONE: &str = "+420777123456";
const NOTES: &str = "She is left-handed";
const REASON: &str = "Her knee is swollen";

/// How many functions play a part.
pub(super) const FUNCTIONS: usize = 12;

/// Every function, writing at one level.
pub(super) struct Stage {
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
    publish: Function,
    ops: Function,
    health: Function,
    resend: ResendStandIn,
    // Last, because it takes away the folder with what the functions wrote.
    pub(super) product: Product,
}

impl Stage {
    pub(super) async fn open(log_level: &str) -> Result<Self> {
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
            publish: product.run("publish_metrics").await?,
            ops: product.run("ops").await?,
            health: product.run("health").await?,
            resend,
            product,
        })
    }

    /// One call is refused, a walk-in is booked, a customer pays, gets a part back, cancels and is told; the worker, the
    /// sweep and the reconciliation run; operators look at it. Returns the client secret of the payment.
    pub(super) async fn play(&self, ids: &mut CorrelationIds) -> Result<String> {
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
        // What is confirmed is told before it is cancelled; afterwards nobody would be told of it any more.
        self.worker.address.invoke(&scheduled_event("run_jobs")?).await?;
        let cancel = cancel(reservation_id, self.customer)?.patch(&json!({"reason": REASON}))?;
        ensure!(self.cancel.call(&ids.add(cancel)).await?.status == 200);
        self.worker.address.invoke(&scheduled_event("run_jobs")?).await?;
        ensure!(self.resend.emails().len() == 2, "{:?}", self.resend.emails());
        let by_hand = |path| HttpCall::new("POST", path).bearer(CRON_SECRET);
        ensure!(self.sweep.call(&ids.add(by_hand("/cleanup_reservation_holds"))).await?.status == 200);
        self.product.wait_for_deliveries().await?;
        ensure!(self.reconcile.call(&ids.add(by_hand("/reconcile_payments"))).await?.status == 200);
        let look = |path| HttpCall::new("GET", path);
        ensure!(self.ops.call(&ids.add(look("/ops/audit").bearer(ADMIN_TOKEN))).await?.status == 200);
        ensure!(self.health.call(&ids.add(look("/ready"))).await?.status == 200);
        self.publish.address.invoke(&scheduled_event("publish_metrics")?).await?;
        let client_secret = payment.body.get("client_secret").and_then(Value::as_str);
        Ok(client_secret.context("no client secret")?.to_owned())
    }

    pub(super) fn output(&self) -> Result<String> {
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
            &self.publish,
            &self.ops,
            &self.health,
        ];
        functions.iter().map(|function| function.output()).collect()
    }
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
pub(super) fn secrets(stage: &Stage, client_secret: &str) -> Result<LogCheck> {
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
        ADMIN_TOKEN,
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
pub(super) struct CorrelationIds(pub(super) Vec<String>);

impl CorrelationIds {
    fn add(&mut self, call: HttpCall) -> HttpCall {
        let id = format!("journey-{}", Uuid::new_v4());
        self.0.push(id.clone());
        call.header("x-correlation-id", &id)
    }
}
