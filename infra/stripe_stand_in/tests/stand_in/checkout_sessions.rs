//! Checkout Sessions as a merchant sees them: made, read, listed.

use serde_json::Value;
use stripe_stand_in::StandIn;

use crate::checkout::{PATH, expire, session_of};
use crate::support::{Api, CHECKOUT};

/// The form of a session with another value for this parameter, or without it.
fn changed<'a>(name: &'a str, value: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let others = CHECKOUT.iter().copied().filter(|(other, _)| *other != name);
    others.chain(value.map(|value| (name, value))).collect()
}

#[tokio::test]
async fn a_session_waits_for_its_customer() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let session = api.checkout(&[("client_reference_id", "u1"), ("metadata[credits]", "15")]).await?;
    assert_eq!((session.status, session.text("/status")), (200, "open"));
    assert_eq!(session.text("/payment_status"), "unpaid");
    assert_eq!((session.integer("/amount_subtotal"), session.integer("/amount_total")), (1500, 1500));
    assert_eq!((session.text("/currency"), session.text("/mode")), ("czk", "payment"));
    assert_eq!((session.text("/client_reference_id"), session.text("/metadata/credits")), ("u1", "15"));
    assert!(session.id().starts_with("cs_test_"));
    assert_eq!(session.text("/url"), format!("https://checkout.stripe.com/c/pay/{}", session.id()));
    assert_eq!(session.integer("/expires_at") - session.integer("/created"), 24 * 60 * 60);
    for nothing_yet in ["payment_intent", "customer_details", "cancel_url"] {
        assert_eq!(session.body.get(nothing_yet), Some(&Value::Null), "{nothing_yet}");
    }
    assert_eq!(session_of(&api, &session.id()).await?.body, session.body);
    assert_eq!(api.get("/v1/payment_intents").await?.count("/data"), 0);
    assert_eq!(api.event_types().await?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn line_items_are_added_up() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let second = [
        ("line_items[1][quantity]", "2"),
        ("line_items[1][price_data][currency]", "CZK"),
        ("line_items[1][price_data][unit_amount]", "250"),
        ("line_items[1][price_data][product_data][name]", "Patches"),
    ];
    let session = Api::of(&stand_in).checkout(&second).await?;
    assert_eq!((session.integer("/amount_total"), session.text("/currency")), (2000, "czk"));
    Ok(())
}

#[tokio::test]
async fn the_parameters_of_a_session_are_checked() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let (quantity, price) = ("line_items[0][quantity]", "line_items[0][price_data]");
    let (currency, unit_amount) = (format!("{price}[currency]"), format!("{price}[unit_amount]"));
    let (name, long) = (format!("{price}[product_data][name]"), "x".repeat(201));
    let cases = [
        (changed("success_url", None), "parameter_missing", "success_url"),
        (changed("success_url", Some("/paid")), "url_invalid", "success_url"),
        (changed("cancel_url", Some("javascript:alert(1)")), "url_invalid", "cancel_url"),
        (changed("mode", None), "parameter_missing", "mode"),
        (changed("mode", Some("subscription")), "parameter_invalid", "mode"),
        (vec![CHECKOUT[0], CHECKOUT[5]], "parameter_missing", "line_items"),
        (changed(quantity, None), "parameter_missing", quantity),
        (changed(quantity, Some("0")), "parameter_invalid_integer", quantity),
        (changed(quantity, Some("-1")), "parameter_invalid_integer", quantity),
        (changed(quantity, Some("1.5")), "parameter_invalid_integer", quantity),
        (changed(quantity, Some("14")), "amount_too_small", "line_items"),
        (changed(quantity, Some("1000000")), "amount_too_large", "line_items"),
        (changed(quantity, Some("9223372036854775807")), "amount_too_large", "line_items"),
        (changed(&currency, None), "parameter_missing", &currency),
        (changed(&currency, Some("xxx")), "parameter_invalid", "currency"),
        (changed(&unit_amount, None), "parameter_missing", &unit_amount),
        (changed(&unit_amount, Some("-100")), "parameter_invalid_integer", &unit_amount),
        (changed(&name, Some("")), "parameter_invalid_empty", &name),
        (changed("client_reference_id", Some(&long)), "parameter_invalid_string", "client_reference_id"),
        (changed("line_items[0][price]", Some("price_1")), "parameter_unknown", "line_items[0][price]"),
        (changed("amount_total", Some("1500")), "parameter_unknown", "amount_total"),
        (
            changed("payment_intent_data[amount]", Some("1500")),
            "parameter_unknown",
            "payment_intent_data[amount]",
        ),
        (
            changed("payment_method_types[]", Some("sepa_debit")),
            "payment_intent_invalid_parameter",
            "payment_method_types",
        ),
    ];
    for (form, code, param) in cases {
        let refused = api.post(PATH, &form).await?;
        let found = (refused.status, refused.text("/error/code"), refused.text("/error/param"));
        assert_eq!(found, (400, code, param), "{form:?}");
    }
    assert_eq!(api.get(PATH).await?.count("/data"), 0);
    Ok(())
}

#[tokio::test]
async fn line_items_are_a_list_in_one_currency() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let second = [
        ("line_items[1][quantity]", "1"),
        ("line_items[1][price_data][currency]", "eur"),
        ("line_items[1][price_data][unit_amount]", "100"),
        ("line_items[1][price_data][product_data][name]", "Patches"),
    ];
    let mixed = api.checkout(&second).await?;
    assert_eq!(mixed.text("/error/param"), "line_items[1][price_data][currency]");
    for (name, message) in [
        ("line_items", "Invalid array"),
        ("line_items[]", "Invalid hash"),
        ("line_items[a]", "Invalid array"),
    ] {
        let refused = api.post(PATH, &[CHECKOUT[0], CHECKOUT[5], (name, "credits")]).await?;
        assert_eq!((refused.status, refused.text("/error/message")), (400, message), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_session_has_a_hundred_line_items_at_most() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let item = CHECKOUT.iter().filter(|(name, _)| name.starts_with("line_items"));
    let items: Vec<(String, &str)> = (1..=100)
        .flat_map(|at| {
            item.clone().map(move |(name, value)| (name.replace("[0]", &format!("[{at}]")), *value))
        })
        .collect();
    let items: Vec<(&str, &str)> = items.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let refused = api.checkout(&items).await?;
    assert_eq!((refused.status, refused.text("/error/param")), (400, "line_items"));
    let (one_less, _) = items.split_at(items.len() - 4);
    assert_eq!(api.checkout(one_less).await?.integer("/amount_total"), 150_000);
    Ok(())
}

#[tokio::test]
async fn a_session_lives_from_half_an_hour_to_a_day() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let now = jiff::Timestamp::now().as_second();
    for (ahead, is_taken) in [(0, false), (29 * 60, false), (31 * 60, true), (86_000, true), (90_000, false)]
    {
        let expires_at = (now + ahead).to_string();
        let session = api.checkout(&[("expires_at", &expires_at)]).await?;
        if is_taken {
            assert_eq!(session.integer("/expires_at"), now + ahead);
        } else {
            assert_eq!((session.status, session.text("/error/param")), (400, "expires_at"), "{ahead}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_session_is_made_once_per_key() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let first = api.post_with_key(PATH, CHECKOUT, "k1").await?;
    let again = api.post_with_key(PATH, CHECKOUT, "k1").await?;
    assert_eq!((&first.body, again.header("idempotent-replayed")), (&again.body, Some("true")));
    assert_eq!(stand_in.conflicting_keys(), [""; 0]);
    let other = api.post_with_key(PATH, &changed("line_items[0][quantity]", Some("16")), "k1").await?;
    assert_eq!((other.status, other.text("/error/type")), (400, "idempotency_error"));
    assert_eq!(stand_in.conflicting_keys(), ["k1"]);
    assert_eq!(api.get(PATH).await?.count("/data"), 1);
    Ok(())
}

#[tokio::test]
async fn sessions_are_listed_by_intent_and_status() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let (open, paid, left) = (api.checkout(&[]).await?, api.checkout(&[]).await?, api.checkout(&[]).await?);
    let completed = admin.complete_checkout(&paid.id(), "pm_card_visa").await?;
    expire(&api, &left.id()).await?;
    let intent = completed["payment_intent"].as_str().unwrap_or_default();
    for (filter, wanted) in [
        ("status=open".to_owned(), &open),
        ("status=complete".to_owned(), &paid),
        ("status=expired".to_owned(), &left),
        (format!("payment_intent={intent}"), &paid),
        ("limit=1".to_owned(), &left),
    ] {
        let listed = api.get(&format!("{PATH}?{filter}")).await?;
        let found = (listed.count("/data"), listed.text("/data/0/id").to_owned());
        assert_eq!(found, (1, wanted.id()), "{filter}");
    }
    assert_eq!(api.get(PATH).await?.count("/data"), 3);
    assert_eq!(api.get(&format!("{PATH}?customer=cus_1")).await?.text("/error/param"), "customer");
    Ok(())
}
