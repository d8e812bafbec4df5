//! What Stripe's books say that customers have bought, whatever ours do.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use uuid::Uuid;

use super::shop::{Shop, text};

/// A top-up as it was asked for.
struct Topup {
    user_id: Uuid,
    credits: i64,
    amount_minor: i64,
}

/// What each user has bought and did not get the money back for, in credits; and what is wrong with Stripe's sessions.
pub(super) async fn bought(shop: &Shop<'_>) -> Result<(BTreeMap<Uuid, i64>, Vec<String>)> {
    let topups = topups(shop).await?;
    let money: BTreeMap<String, _> =
        shop.stand_in.money().into_iter().map(|money| (money.id.clone(), money)).collect();
    let (mut bought, mut broken) = (BTreeMap::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for session in shop.stripe_list("checkout/sessions").await? {
        let topup_id = text(&session, "/metadata/topup_id");
        let Some(topup) = topups.get(topup_id) else {
            broken.push(format!("a session of no top-up: {session}"));
            continue;
        };
        if !seen.insert(topup_id.to_owned()) {
            broken.push(format!("two sessions of one top-up: {topup_id}"));
        }
        if text(&session, "/payment_status") == "paid" {
            let gone_minor = money
                .get(text(&session, "/payment_intent"))
                .map_or(0, |money| money.refunded_minor + money.withdrawn_minor);
            *bought.entry(topup.user_id).or_default() += topup.credits_kept(gone_minor);
        }
    }
    let keys = shop.stand_in.conflicting_keys();
    broken.extend(keys.into_iter().map(|key| format!("different requests under one key: {key}")));
    Ok((bought, broken))
}

impl Topup {
    /// The share of the credits that is left when so much of the money went back; parts of a credit go with it.
    fn credits_kept(&self, gone_minor: i64) -> i64 {
        self.credits * (self.amount_minor - gone_minor).max(0) / self.amount_minor
    }
}

async fn topups(shop: &Shop<'_>) -> Result<BTreeMap<String, Topup>> {
    let sql = "select t.id::text, c.user_id, t.credits, t.amount_minor
        from public.credit_topups t join public.customers c on c.id = t.customer_id";
    let mut topups = BTreeMap::new();
    for row in shop.market.database.admin.query(sql, &[]).await? {
        let topup =
            Topup { user_id: row.try_get(1)?, credits: row.try_get(2)?, amount_minor: row.try_get(3)? };
        topups.insert(row.try_get(0)?, topup);
    }
    Ok(topups)
}

/// The sessions that requests may have been answered with, by their keys.
pub(super) async fn answers(shop: &Shop<'_>) -> Result<BTreeSet<(String, String)>> {
    let sql = "select k.key, t.checkout_session_id
        from public.idempotency_keys k
        join public.credit_topups t on t.id::text = k.response #>> '{answer,topup_id}'
        where k.operation = 'create_checkout_session' and t.checkout_session_id is not null";
    let rows = shop.market.database.admin.query(sql, &[]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}
