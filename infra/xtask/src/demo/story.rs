//! How the story is printed: who did what, what came of it, how long it took.

use std::time::Duration;

use kitloop::domain::{Currency, Money};
use serde_json::Value;

/// Prints the chapters in order.
#[derive(Default)]
pub(crate) struct Story {
    chapters: usize,
}

impl Story {
    pub(crate) fn chapter(&mut self, title: &str) {
        self.chapters += 1;
        println!("\n{}. {title}", self.chapters);
    }

    /// What there is to know about the line before.
    pub(crate) fn note(&self, text: &str) {
        println!("              {text}");
    }

    /// One thing somebody did: the HTTP status if there was one, and the decision.
    pub(crate) fn line(&self, who: &str, what: &str, status: Option<u16>, decision: &str, took: Duration) {
        let status = status.map_or_else(String::new, |status| status.to_string());
        let took = format!("{} ms", took.as_millis());
        println!("   {who:<10} {what:<56} {status:>3}  {decision:<26} {took:>7}");
    }
}

/// An amount as people write it: `CZK 1,234.50`.
pub(crate) fn money(amount_minor: i64, currency: &str) -> String {
    Currency::parse(currency).map_or_else(
        || format!("{amount_minor} {currency}"),
        |currency| Money { amount_minor, currency }.to_string(),
    )
}

/// What an answer comes to, in a word: the error code, the decision, the state, or what it brings.
pub(crate) fn decision(body: &Value) -> String {
    let text = |pointer| body.pointer(pointer).and_then(Value::as_str);
    let word = ["/error/code", "/error", "/decision", "/status"].into_iter().find_map(text);
    let object = ["/payment_intent_id", "/session_id"].into_iter().find_map(text);
    let object = || object.map(|id| format!("{}…", id.chars().take(12).collect::<String>()));
    let balance = || body.get("balance").map(|balance| format!("credits: {balance}"));
    let listed =
        || body.get("items").and_then(Value::as_array).map(|items| format!("{} listed", items.len()));
    let swept = || body.get("deleted_count").map(|count| format!("{count} expired"));
    let mended = || body.get("mended_count").map(|count| format!("{count} mended"));
    let back = body.get("refund_percent").map(|percent| format!("{percent} % back"));
    let words = back.or(word.map(str::to_owned)).or_else(object);
    words.or_else(swept).or_else(mended).or_else(balance).or_else(listed).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_says_more_than_a_status() {
        assert_eq!(decision(&json!({"error": "hold_expired", "status": 410})), "hold_expired");
        assert_eq!(decision(&json!({"error": {"code": "card_declined"}})), "card_declined");
        assert_eq!(decision(&json!({"status": "hold"})), "hold");
        assert_eq!(decision(&json!({"payment_intent_id": "pi_123456789abc"})), "pi_123456789…");
        assert_eq!(decision(&json!({"deleted_count": 1})), "1 expired");
        assert_eq!(decision(&json!({"session_id": "cs_test_123456"})), "cs_test_1234…");
        assert_eq!(decision(&json!({"found_count": 2, "mended_count": 1})), "1 mended");
        assert_eq!(decision(&json!({"balance": 3, "entries": []})), "credits: 3");
        assert_eq!(decision(&json!({"error": "insufficient_credits", "balance": 0})), "insufficient_credits");
        assert_eq!(decision(&json!({"items": [{}], "next_cursor": null})), "1 listed");
    }

    #[test]
    fn a_share_says_more_than_that_it_is_cancelled() {
        assert_eq!(decision(&json!({"status": "cancelled", "refund_percent": 50})), "50 % back");
    }
}
