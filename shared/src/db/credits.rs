//! What customers pay jobs with: `kitloop.credits` and `kitloop.adjust_credits`.

use serde_json::Value;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::Db;
use super::error::from_outcome;
use super::row::Columns;
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
