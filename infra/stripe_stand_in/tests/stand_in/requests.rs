//! Keys, parameters, lists and paths.

use stripe_stand_in::StandIn;

use crate::support::{Api, http_client};

/// Parameters as they are sent.
type Form<'a> = &'a [(&'a str, &'a str)];

#[tokio::test]
async fn only_test_keys_are_taken() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    for key in ["sk_live_real", "sk_test_", "nonsense"] {
        let refused = Api::with_key(&stand_in, key).get("/v1/payment_intents").await?;
        assert_eq!((refused.status, refused.text("/error/type")), (401, "invalid_request_error"), "{key}");
    }
    let http = http_client();
    let url = format!("{}/v1/payment_intents", stand_in.base_url());
    assert_eq!(http.get(&url).basic_auth("sk_test_x", Some("")).send().await?.status().as_u16(), 200);
    assert_eq!(http.get(&url).send().await?.status().as_u16(), 401);
    Ok(())
}

#[tokio::test]
async fn a_key_that_was_rolled_is_refused_and_no_other_one_is() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (old, new) = (Api::with_key(&stand_in, "sk_test_old"), Api::with_key(&stand_in, "sk_test_new"));
    assert_eq!(old.get("/v1/payment_intents").await?.status, 200);
    stand_in.admin().revoke_key("sk_test_old").await?;
    assert_eq!(old.get("/v1/payment_intents").await?.status, 401);
    assert_eq!(new.get("/v1/payment_intents").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn parameters_are_checked_as_stripe_checks_them() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let long = "x".repeat(501);
    let cases: &[(Form<'_>, &str, &str)] = &[
        (&[("currency", "czk")], "parameter_missing", "amount"),
        (&[("amount", "1500")], "parameter_missing", "currency"),
        (&[("amount", "1500"), ("currency", "czk"), ("amonut", "1")], "parameter_unknown", "amonut"),
        (&[("amount", "15.00"), ("currency", "czk")], "parameter_invalid_integer", "amount"),
        (&[("amount", "-1"), ("currency", "czk")], "parameter_invalid_integer", "amount"),
        (&[("amount", ""), ("currency", "czk")], "parameter_invalid_empty", "amount"),
        (&[("amount", "1499"), ("currency", "czk")], "amount_too_small", "amount"),
        (&[("amount", "100000000"), ("currency", "czk")], "amount_too_large", "amount"),
        (&[("amount", "1500"), ("currency", "xxx")], "parameter_invalid", "currency"),
        (
            &[("amount", "1500"), ("currency", "czk"), ("capture_method", "later")],
            "parameter_invalid",
            "capture_method",
        ),
        (
            &[("amount", "1500"), ("currency", "czk"), ("metadata[k]", &long)],
            "metadata_value_too_long",
            "metadata[k]",
        ),
        (
            &[("amount", "1500"), ("currency", "czk"), ("payment_method", "pm_none")],
            "resource_missing",
            "payment_method",
        ),
    ];
    for (form, code, param) in cases {
        let refused = api.post("/v1/payment_intents", form).await?;
        let found = (refused.status, refused.text("/error/code"), refused.text("/error/param"));
        assert_eq!(found, (400, *code, *param), "{form:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_does_not_exist_is_named() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    for path in [
        "/v1/checkout/sessions/cs_none",
        "/v1/payment_intents/pi_none",
        "/v1/charges/ch_none",
        "/v1/refunds/re_none",
        "/v1/events/evt_none",
    ] {
        let missing = api.get(path).await?;
        assert_eq!((missing.status, missing.text("/error/code")), (404, "resource_missing"), "{path}");
    }
    let nowhere = api.get("/v1/nowhere").await?;
    assert_eq!((nowhere.status, nowhere.text("/error/type")), (404, "invalid_request_error"));
    let refused = api.get("/v1/payment_intents?expand[]=data.nonsense").await?;
    assert_eq!((refused.status, refused.text("/error/param")), (400, "expand"));
    Ok(())
}

#[tokio::test]
async fn lists_come_in_pages_newest_first() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, api.intent(&[]).await?.id());
    }
    let first = api.get("/v1/payment_intents?limit=2").await?;
    assert_eq!((first.text("/data/0/id"), first.text("/data/1/id")), (ids[0].as_str(), ids[1].as_str()));
    assert_eq!(first.body["has_more"], true);
    let last = api.get(&format!("/v1/payment_intents?limit=3&starting_after={}", ids[1])).await?;
    assert_eq!(
        (last.text("/data/2/id"), &last.body["has_more"]),
        (ids[4].as_str(), &serde_json::json!(false))
    );
    let before = api.get(&format!("/v1/payment_intents?limit=2&ending_before={}", ids[4])).await?;
    assert_eq!((before.text("/data/0/id"), before.text("/data/1/id")), (ids[2].as_str(), ids[3].as_str()));
    let future = api.get("/v1/payment_intents?created[gte]=99999999999").await?;
    assert_eq!(future.count("/data"), 0);
    assert_eq!(api.get("/v1/payment_intents?limit=101").await?.text("/error/param"), "limit");
    Ok(())
}

#[tokio::test]
async fn lists_are_cut_by_time() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let paid = api.paid_intent(&[]).await?;
    api.post("/v1/refunds", &[("payment_intent", &paid.id()), ("amount", "500")]).await?;
    stand_in.admin().open_dispute(paid.text("/latest_charge")).await?;
    api.checkout(&[]).await?;
    for list in ["payment_intents", "checkout/sessions", "refunds", "disputes", "events", "charges"] {
        let path = format!("/v1/{list}");
        let everything = api.get(&format!("{path}?limit=100")).await?;
        let newest = everything.integer("/data/0/created");
        let oldest = everything.integer(&format!("/data/{}/created", everything.count("/data") - 1));
        for (range, is_everything) in [
            (format!("created[gte]={oldest}&created[lte]={newest}"), true),
            (format!("created[gt]={}&created[lt]={}", oldest - 1, newest + 1), true),
            (format!("created[gt]={}&created[gte]={}", oldest - 1, newest + 1), false),
            (format!("created[lt]={}&created[lte]={}", newest + 1, oldest - 1), false),
            (format!("created[gt]={newest}"), false),
            (format!("created[gte]={}", newest + 1), false),
            (format!("created[lt]={oldest}"), false),
            (format!("created[lte]={}", oldest - 1), false),
            (format!("created[gt]={newest}&created[lt]={oldest}"), false),
            (format!("created={}", oldest - 1), false),
        ] {
            let found = api.get(&format!("{path}?limit=100&{range}")).await?.count("/data");
            assert_eq!(found, if is_everything { everything.count("/data") } else { 0 }, "{list} {range}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn metadata_is_merged_and_removed() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let intent = api.intent(&[("metadata[a]", "1"), ("metadata[b]", "2")]).await?;
    let path = format!("/v1/payment_intents/{}", intent.id());
    let merged = api.post(&path, &[("metadata[a]", ""), ("metadata[c]", "3")]).await?;
    assert_eq!(merged.body["metadata"], serde_json::json!({"b": "2", "c": "3"}));
    let cleared = api.post(&path, &[("metadata", "")]).await?;
    assert_eq!(cleared.body["metadata"], serde_json::json!({}));
    Ok(())
}

#[tokio::test]
async fn only_forms_are_taken() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let url = format!("{}/v1/payment_intents", stand_in.base_url());
    let json = serde_json::json!({"amount": 1500, "currency": "czk"});
    let refused = http_client().post(&url).bearer_auth("sk_test_x").json(&json).send().await?;
    assert_eq!(refused.status().as_u16(), 400);
    Ok(())
}
