//! The actors and what they can do: call functions as a frontend does, pay as a browser does, let time pass.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use stack::{Gear, StackFile, StackUser, http_client};
use stripe_stand_in::Admin;

use super::story::{Story, decision};

/// Somebody with a name and a token.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) name: &'static str,
    token: String,
    /// What the audit log calls an operator.
    operator: Option<&'static str>,
}

/// A reservation as it was answered.
#[derive(Clone)]
pub(crate) struct Booking {
    pub(crate) id: String,
    /// At which provider.
    pub(crate) provider: String,
    /// For whom, by name.
    pub(crate) customer: &'static str,
    pub(crate) amount_minor: i64,
    pub(crate) currency: String,
}

/// A payment a browser can confirm.
pub(crate) struct Intent {
    pub(crate) id: String,
    client_secret: String,
}

/// Status and body of an answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// A window of two days.
#[derive(Clone)]
pub(crate) struct Window {
    start: Timestamp,
    end: Timestamp,
}

/// What a provider has to be asked for.
pub(crate) struct Wish<'a> {
    pub(crate) provider: &'a str,
    pub(crate) lines: &'a [(&'a Gear, i32)],
    pub(crate) window: &'a Window,
}

/// Everything the chapters need.
pub(crate) struct Scene {
    pub(crate) story: Story,
    pub(crate) file: StackFile,
    /// Rents.
    pub(crate) jana: Person,
    /// Rents, too.
    pub(crate) tomas: Person,
    /// Owns the shop and the guides' office.
    pub(crate) eva: Person,
    pub(crate) database: PgConnection,
    /// Every reservation of the story, and the chapter it is from.
    pub(crate) bookings: Vec<(&'static str, Booking)>,
    /// The window of the first reservation, for whoever wants the same.
    pub(crate) first_window: Option<Window>,
    pub(crate) http: reqwest::Client,
    pub(crate) stripe: Admin,
    windows: i64,
    keys: u32,
}

impl Scene {
    pub(crate) async fn open(file: &StackFile) -> Result<Self> {
        let person = |name, user: &StackUser| Person { name, token: user.token.clone(), operator: None };
        Ok(Self {
            story: Story::default(),
            jana: person("Jana", &file.users.customer),
            tomas: person("Tomáš", &file.users.other_customer),
            eva: person("Eva", &file.users.owner),
            database: PgConnection::connect(&file.admin_database_url).await.context("no database")?,
            bookings: Vec::new(),
            first_window: None,
            http: http_client()?,
            stripe: Admin::new(&file.stripe_api_base),
            windows: 0,
            keys: 0,
            file: file.clone(),
        })
    }

    /// Who sees how the product is doing, and corrects it.
    pub(crate) fn operator(&self) -> Person {
        Person { name: "operator", token: self.file.admin_token.clone(), operator: Some("Ada") }
    }

    /// The clock that runs the sweep.
    pub(crate) fn schedule(&self) -> Person {
        Person { name: "schedule", token: self.file.cron_secret.clone(), operator: None }
    }

    /// A piece of any catalogue, by the beginning of its name.
    pub(crate) fn gear(&self, name: &str) -> Result<Gear> {
        let mut all = self.file.gear.iter().chain(&self.file.manual_gear);
        let found = all.find(|gear| gear.name.starts_with(name));
        found.cloned().with_context(|| format!("no {name} in the catalogue"))
    }

    /// A window that nothing of the story is in yet.
    pub(crate) fn window(&mut self) -> Result<Window> {
        self.windows += 1;
        let days = |count: i64| SignedDuration::from_hours(24 * count);
        let start = Timestamp::now().checked_add(days(7 * self.windows))?;
        Ok(Window { start, end: start.checked_add(days(2))? })
    }

    /// Calls a function through the front, as a frontend does.
    pub(crate) async fn call(
        &mut self,
        who: &Person,
        what: &str,
        function: &str,
        body: &Value,
    ) -> Result<Answer> {
        let url = format!("{}/{function}", self.file.base_url);
        self.call_at(who, what, &url, body).await
    }

    /// Calls a function at this URL.
    pub(crate) async fn call_at(
        &mut self,
        who: &Person,
        what: &str,
        url: &str,
        body: &Value,
    ) -> Result<Answer> {
        self.keys += 1;
        self.post(who, what, url, body).await
    }

    /// Calls a function once more, under the idempotency key of the last call.
    pub(crate) async fn call_again(
        &self,
        who: &Person,
        what: &str,
        function: &str,
        body: &Value,
    ) -> Result<Answer> {
        let url = format!("{}/{function}", self.file.base_url);
        self.post(who, what, &url, body).await
    }

    async fn post(&self, who: &Person, what: &str, url: &str, body: &Value) -> Result<Answer> {
        let started = Instant::now();
        let key = format!("demo-{}", self.keys);
        let request = self.http.post(url).bearer_auth(&who.token).header("idempotency-key", key).json(body);
        let request = match who.operator {
            Some(operator) => request.header("x-operator", operator),
            None => request,
        };
        let answer = Answer::to(request).await?;
        self.story.line(who.name, what, Some(answer.status), &decision(&answer.body), started.elapsed());
        Ok(answer)
    }

    /// Looks at a path behind the front.
    pub(crate) async fn look(&self, who: &Person, what: &str, path: &str) -> Result<Answer> {
        let started = Instant::now();
        let answer = self.get(who, path).await?;
        self.story.line(who.name, what, Some(answer.status), &decision(&answer.body), started.elapsed());
        Ok(answer)
    }

    /// Looks at a path behind the front without a word.
    pub(crate) async fn get(&self, who: &Person, path: &str) -> Result<Answer> {
        let url = format!("{}/{path}", self.file.base_url);
        Answer::to(self.http.get(url).bearer_auth(&who.token)).await
    }

    /// Asks for gear.
    pub(crate) async fn ask(&mut self, who: &Person, what: &str, wish: &Wish<'_>) -> Result<Answer> {
        let lines: Vec<Value> = wish
            .lines
            .iter()
            .map(|(gear, quantity)| json!({ "gear_id": gear.id, "quantity": quantity }))
            .collect();
        let body = json!({
            "provider_id": wish.provider,
            "lines": lines,
            "start_date": wish.window.start.to_string(),
            "end_date": wish.window.end.to_string(),
        });
        self.call(who, what, "reserve_gear", &body).await
    }

    /// Asks for gear and gets it; the table at the end will show what became of it.
    pub(crate) async fn reserve(
        &mut self,
        chapter: &'static str,
        who: &Person,
        what: &str,
        wish: &Wish<'_>,
    ) -> Result<Booking> {
        let answer = self.ask(who, what, wish).await?.expect(201, "hold")?;
        let booking = Booking {
            id: answer.text("reservation_id")?,
            provider: wish.provider.to_owned(),
            customer: who.name,
            amount_minor: answer.minor("amount_total_minor")?,
            currency: answer.text("currency")?,
        };
        self.bookings.push((chapter, booking.clone()));
        Ok(booking)
    }

    /// Starts to pay; asked for twice, there is one intent.
    pub(crate) async fn start_payment(&mut self, who: &Person, booking: &Booking) -> Result<Intent> {
        let body = json!({ "reservation_id": booking.id });
        let answer = self.call(who, "starts to pay", "create_payment_intent", &body).await?;
        let again = self.call(who, "presses the button again", "create_payment_intent", &body).await?;
        ensure!(answer.text("payment_intent_id")? == again.text("payment_intent_id")?, "two intents");
        ensure!(answer.minor("amount_minor")? == booking.amount_minor, "another amount: {}", answer.body);
        Ok(Intent { id: answer.text("payment_intent_id")?, client_secret: answer.text("client_secret")? })
    }

    /// Somebody reserves gear and starts to pay for it, but does not go on.
    pub(crate) async fn begin_paying(
        &mut self,
        who: &Person,
        chapter: &'static str,
        gear: &str,
        quantity: i32,
    ) -> Result<(Booking, Intent, Window)> {
        let (window, gear) = (self.window()?, self.gear(gear)?);
        let provider = self.file.provider_id.to_string();
        let wish = Wish { provider: &provider, lines: &[(&gear, quantity)], window: &window };
        let booking =
            self.reserve(chapter, who, &format!("reserves {quantity} × {}", gear.name), &wish).await?;
        let intent = self.start_payment(who, &booking).await?;
        Ok((booking, intent, window))
    }

    /// Confirms at Stripe with a test card, as Stripe's script in the browser does.
    pub(crate) async fn pay(&mut self, who: &Person, intent: &Intent, card: &str) -> Result<Answer> {
        let started = Instant::now();
        let form = [
            ("key", "pk_test_demo"),
            ("client_secret", intent.client_secret.as_str()),
            ("payment_method", card),
        ];
        let url = format!("{}/v1/payment_intents/{}/confirm", self.file.stripe_api_base, intent.id);
        let answer = Answer::to(self.http.post(url).form(&form)).await?;
        let what = format!("pays at Stripe with {card}");
        self.story.line(who.name, &what, Some(answer.status), &decision(&answer.body), started.elapsed());
        Ok(answer)
    }
}

impl Answer {
    /// What a request is answered with.
    pub(crate) async fn to(request: RequestBuilder) -> Result<Self> {
        let response = request.send().await?;
        Ok(Self { status: response.status().as_u16(), body: response.json().await? })
    }

    /// The answer, if it is the one that the story tells.
    pub(crate) fn expect(self, status: u16, word: &str) -> Result<Self> {
        let decided = decision(&self.body);
        ensure!(
            (self.status, decided.as_str()) == (status, word),
            "{status} {word} was to be the answer, not {} {}",
            self.status,
            self.body
        );
        Ok(self)
    }

    /// A field that is text.
    pub(crate) fn text(&self, field: &str) -> Result<String> {
        let text = self.body.get(field).and_then(Value::as_str);
        Ok(text.with_context(|| format!("no {field} in {}", self.body))?.to_owned())
    }

    /// A field that is an amount in minor units.
    pub(crate) fn minor(&self, field: &str) -> Result<i64> {
        self.body.get(field).and_then(Value::as_i64).with_context(|| format!("no {field} in {}", self.body))
    }
}
