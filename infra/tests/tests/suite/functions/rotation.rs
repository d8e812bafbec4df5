//! Secrets that change in the Parameter Store while functions run: the same processes take the new ones.

use anyhow::{Result, ensure};
use kitloop::clock;
use resend_stand_in::ResendStandIn;
use serde_json::json;
use test_support::{
    Gear, HttpCall, Parameter, Provider, Reply, StripeEvent, WEBHOOK_SECRET, email_settings, sign,
};
use uuid::Uuid;

use super::database_away::{OwnCluster, assert_reserves};
use super::lambda::Function;
use super::product::{Product, Shop, scheduled_event, start_payment};

/// An event that nothing is done about, signed with this secret.
async fn deliver(webhook: &Function, secret: &str) -> Result<Reply> {
    let event = StripeEvent::new("customer.created", json!({"object": "customer", "id": "cus_1"}));
    let body = event.payload.to_string();
    let signature = sign(&body, secret, clock::now())?;
    webhook
        .call(&HttpCall::new("POST", "/stripe_webhook").body(&body).header("stripe-signature", &signature))
        .await
}

async fn small_shop(product: &Product) -> Result<Shop> {
    product.open_shop(&Provider::default(), &Gear::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_webhook_secret_is_taken_beside_the_old_one() -> Result<()> {
    let mut product = Product::start().await?;
    let secret = Parameter::of(WEBHOOK_SECRET).await?;
    product.settings.extend(secret.settings("STRIPE_WEBHOOK_SECRET"));
    let mut webhook = product.run("stripe_webhook").await?;
    assert_eq!(deliver(&webhook, WEBHOOK_SECRET).await?.status, 200);

    secret.put(&json!({"current": "whsec_new", "previous": WEBHOOK_SECRET}).to_string()).await?;
    assert_eq!(deliver(&webhook, "whsec_new").await?.status, 200);
    assert_eq!(deliver(&webhook, WEBHOOK_SECRET).await?.status, 200);
    assert_eq!(deliver(&webhook, "whsec_guessed").await?.status, 400);
    ensure!(!webhook.output()?.contains("whsec_"), "a secret is in the log");
    webhook.assert_alive()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_stripe_key_is_taken_at_the_first_refusal() -> Result<()> {
    let mut product = Product::start().await?;
    let key = Parameter::of("revoked").await?;
    product.settings.extend(key.settings("STRIPE_SECRET_KEY"));
    let mut pay = product.run("create_payment_intent").await?;
    let (shop, user) = (small_shop(&product).await?, Uuid::new_v4());
    let reservation_id = product.hold(shop, user).await?;

    key.put("sk_test_new").await?;
    let started = pay.call(&start_payment(reservation_id, user)?).await?;
    assert_eq!(started.status, 200, "{started:?}");
    pay.assert_alive()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_resend_key_is_taken_at_the_first_refusal() -> Result<()> {
    let (mut product, resend) = (Product::start().await?, ResendStandIn::start(None).await?);
    product.settings.extend(email_settings(&resend));
    let key = Parameter::of("revoked").await?;
    product.settings.extend(key.settings("RESEND_API_KEY"));
    let worker = product.run("run_jobs").await?;
    let shop = small_shop(&product).await?;
    let reservation_id = product.hold(shop, Uuid::new_v4()).await?;
    product.database.execute("update public.customers set email = 'jana@example.com'", &[]).await?;
    let sql = "select kitloop.notify($1, 'confirmation')";
    product.database.execute(sql, &[&reservation_id]).await?;

    key.put("re_new").await?;
    worker.address.invoke(&scheduled_event("run_jobs")?).await?;
    assert_eq!(resend.emails().len(), 1, "{}", worker.output()?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_database_password_is_taken_when_the_connection_is_made_again() -> Result<()> {
    let mut cluster = OwnCluster::start().await?;
    let old = cluster.settings["DATABASE_URL"].clone();
    let url = Parameter::of(&old).await?;
    cluster.settings.extend(url.settings("DATABASE_URL"));
    let mut reserve = cluster.run("reserve_gear").await?;
    let shop = cluster.open_big_shop().await?;
    assert_reserves(&reserve, shop).await?;

    url.put(&old.replace(&cluster.postgres.app.password, "changed")).await?;
    cluster.database.execute("alter role kitloop_app password 'changed'", &[]).await?;
    assert_reserves(&reserve, shop).await?;
    let sql = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'kitloop_app'";
    cluster.database.execute(sql, &[]).await?;
    assert_reserves(&reserve, shop).await?;
    reserve.assert_alive()
}
