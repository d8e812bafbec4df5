//! What customers pay jobs with: `kitloop.credits`, `kitloop.adjust_credits`, and the calls around buying some.

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::types::{Json, ToSql, Type};
use uuid::Uuid;

use super::Db;
use super::error::from_outcome;
use super::row::{Columns, parsed};
use crate::domain::{Contact, Currency, Money, TopupId};
use crate::error::Error;

/// A correction of a balance by an operator.
#[derive(Debug, Clone)]
pub struct CreditAdjustment<'a> {
    /// Who corrects.
    pub operator: &'a str,
    /// Whose balance.
    pub user_id: Uuid,
    /// In credits, more or less; not 0.
    pub amount: i64,
    /// Why; the user may read it.
    pub reason: &'a str,
    /// The same key is the same correction.
    pub idempotency_key: &'a str,
}

/// A correction that stands in the ledger.
#[derive(Debug)]
pub struct AdjustedCredits {
    /// The user, the amount, and the balance now.
    pub answer: Value,
    /// Whether an earlier request had entered it.
    pub replayed: bool,
}

/// A request to buy credits.
#[derive(Debug, Clone)]
pub struct TopupRequest<'a> {
    /// Whose idempotency key it is.
    pub caller: &'a str,
    /// The same key is the same top-up.
    pub idempotency_key: &'a str,
    /// Of the request's content.
    pub request_hash: &'a str,
    /// Who buys.
    pub user_id: Uuid,
    /// What the token says of them.
    pub profile: &'a Contact,
    /// How many.
    pub credits: i64,
    /// What one costs.
    pub credit_price: Money,
}

/// A top-up that has begun.
#[derive(Debug)]
pub struct StartedTopup {
    /// Ours.
    pub topup_id: TopupId,
    /// Which of its idempotency keys is the one to use.
    pub generation: i32,
    /// When it began.
    pub created_at: Timestamp,
    /// Whether Stripe may have forgotten what was asked for under that key.
    pub is_key_old: bool,
    /// At Stripe, once it is known here.
    pub checkout_session_id: Option<String>,
    /// How many credits.
    pub credits: i64,
    /// What they cost together.
    pub amount: Money,
    /// Whether an earlier request began it.
    pub replayed: bool,
}

impl StartedTopup {
    /// The idempotency key of making the session at Stripe: `{top-up id}:checkout:{generation}`.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        format!("{}:checkout:{}", self.topup_id, self.generation)
    }

    /// What one of its credits costs.
    #[must_use]
    pub fn credit_price(&self) -> Money {
        let amount_minor = self.amount.amount_minor.checked_div(self.credits).unwrap_or_default();
        Money { amount_minor, ..self.amount }
    }
}

/// Begins a top-up, or finds the one that the same request began.
///
/// # Errors
/// `idempotency_key_reused`, `request_in_flight`; [`Error::DatabaseUnavailable`].
pub async fn start_topup(db: &Db, request: &TopupRequest<'_>) -> Result<StartedTopup, Error> {
    let sql = "select outcome, replayed, topup_id, generation, checkout_session_id, credits, amount_minor, currency,
            created_at, is_key_old
        from kitloop.start_topup($1, $2, $3, $4, $5, $6, $7, $8)";
    let Money { amount_minor, currency } = request.credit_price;
    let parameters: &[(&(dyn ToSql + Sync), Type)] = &[
        (&request.caller, Type::TEXT),
        (&request.idempotency_key, Type::TEXT),
        (&request.request_hash, Type::TEXT),
        (&request.user_id, Type::UUID),
        (&Json(request.profile), Type::JSONB),
        (&request.credits, Type::INT8),
        (&amount_minor, Type::INT8),
        (&currency.as_str(), Type::TEXT),
    ];
    let row = db.row(sql, parameters).await?;
    match row.column("outcome")? {
        "started" => Ok(StartedTopup {
            topup_id: TopupId(row.column("topup_id")?),
            generation: row.column("generation")?,
            created_at: row.column("created_at")?,
            is_key_old: row.column("is_key_old")?,
            checkout_session_id: row.column("checkout_session_id")?,
            credits: row.column("credits")?,
            amount: Money {
                amount_minor: row.column("amount_minor")?,
                currency: parsed(&row, "currency", Currency::parse)?,
            },
            replayed: row.column("replayed")?,
        }),
        outcome => Err(from_outcome(outcome)),
    }
}

/// Notes Stripe's id of a top-up's session, and says which one is the top-up's: the first that was noted.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn record_checkout_session(db: &Db, topup_id: TopupId, session_id: &str) -> Result<String, Error> {
    let sql = "select kitloop.record_checkout_session($1, $2) as session_id";
    db.row(sql, &[(&topup_id.0, Type::UUID), (&session_id, Type::TEXT)]).await?.column("session_id")
}

/// Goes on after Stripe stored a failure under the top-up's key, from which no session came: with the next key, or with the
/// session that somebody else noted meanwhile.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn spend_checkout_key(db: &Db, topup: StartedTopup) -> Result<StartedTopup, Error> {
    let sql = "select generation, checkout_session_id from kitloop.spend_checkout_key($1, $2)";
    let row = db.row(sql, &[(&topup.topup_id.0, Type::UUID), (&topup.generation, Type::INT4)]).await?;
    Ok(StartedTopup {
        generation: row.column("generation")?,
        checkout_session_id: row.column("checkout_session_id")?,
        is_key_old: false,
        ..topup
    })
}

/// A user's balance and a page of its entries, newest first, before the entry that `cursor` names.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn credits(db: &Db, user_id: Uuid, cursor: Option<i64>, limit: i32) -> Result<Value, Error> {
    let sql = "select kitloop.credits($1, $2, $3) as document";
    let parameters: &[(&(dyn ToSql + Sync), Type)] =
        &[(&user_id, Type::UUID), (&cursor, Type::INT8), (&limit, Type::INT4)];
    db.row(sql, parameters).await?.column("document")
}

/// Corrects a balance by an entry of its own.
///
/// # Errors
/// `customer_not_found`, `insufficient_credits`, `idempotency_key_reused`; [`Error::DatabaseUnavailable`].
pub async fn adjust_credits(db: &Db, adjustment: &CreditAdjustment<'_>) -> Result<AdjustedCredits, Error> {
    let sql = "select outcome, replayed, answer from kitloop.adjust_credits($1, $2, $3, $4, $5)";
    let parameters: &[(&(dyn ToSql + Sync), Type)] = &[
        (&adjustment.operator, Type::TEXT),
        (&adjustment.user_id, Type::UUID),
        (&adjustment.amount, Type::INT8),
        (&adjustment.reason, Type::TEXT),
        (&adjustment.idempotency_key, Type::TEXT),
    ];
    let row = db.row(sql, parameters).await?;
    match row.column("outcome")? {
        "adjusted" => {
            Ok(AdjustedCredits { answer: row.column("answer")?, replayed: row.column("replayed")? })
        }
        outcome => Err(from_outcome(outcome)),
    }
}
