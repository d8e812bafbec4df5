//! Takes out of free text what must not leave: addresses, tokens, keys, secrets, numbers of people and cards. What our
//! own lines say holds none of these; what others put into their errors, nobody knows. Too much goes rather than too
//! little.

use uuid::Uuid;

/// What stands in the place of what was taken out.
const FILTERED: &str = "[filtered]";
/// How keys, secrets and tokens begin: Stripe's, Resend's, JSON Web Tokens.
const SECRET_PREFIXES: &[&str] = &["sk_", "rk_", "whsec_", "re_", "eyJ"];
/// Whose value is a secret, in `key=value` and `key: value`.
const SECRET_KEYS: &[&str] =
    &["password", "secret", "client_secret", "token", "authorization", "api_key", "apikey", "key", "cookie"];
/// Schemes of credentials, followed by them.
const SCHEMES: &[&str] = &["bearer", "basic"];
/// Shorter numbers are amounts and years; longer ones may be telephones, cards or accounts.
const DIGITS_OF_A_PERSON: usize = 9;
const UUID_LENGTH: usize = 36;

/// The text without any of these.
pub(super) fn scrub(text: &str) -> String {
    scrub_words(&scrub_numbers(text))
}

fn scrub_words(text: &str) -> String {
    let mut scrubbed = String::with_capacity(text.len());
    let mut announced = Announced::Nothing;
    for piece in text.split_inclusive(is_separator) {
        let word = piece.trim_end_matches(is_separator);
        let gap = piece.get(word.len()..).unwrap_or_default();
        let is_secret = announced == Announced::Secret && !is_assignment(word) && !word.is_empty();
        scrubbed.push_str(if is_secret || is_private(word) { FILTERED } else { word });
        scrubbed.push_str(gap);
        announced = announced.after(word);
    }
    scrubbed
}

/// What the words before say of the next one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Announced {
    Nothing,
    /// The name of a secret; a colon or an equals sign has yet to follow.
    Key,
    Secret,
}

impl Announced {
    fn after(self, word: &str) -> Self {
        let lower = word.to_ascii_lowercase();
        let name = lower.trim_end_matches([':', '=']);
        match self {
            _ if SCHEMES.contains(&name) => Self::Secret,
            // Blanks and quotes stand between a key and its value.
            _ if word.is_empty() => self,
            Self::Key | Self::Secret if is_assignment(word) => Self::Secret,
            _ if SECRET_KEYS.contains(&name) && name.len() < lower.len() => Self::Secret,
            _ if SECRET_KEYS.contains(&name) => Self::Key,
            _ => Self::Nothing,
        }
    }
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || "\"'`<>(){}[],;&".contains(c)
}

fn is_assignment(word: &str) -> bool {
    matches!(word, ":" | "=")
}

/// An address, a URL with somebody's password, a key, a token, or `key=value` of a secret.
fn is_private(word: &str) -> bool {
    let parts = || word.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
    let is_assigned_secret = word.split_once(['=', ':']).is_some_and(|(key, value)| {
        !value.is_empty() && SECRET_KEYS.contains(&key.to_ascii_lowercase().as_str())
    });
    word.contains('@')
        || word.contains("_secret_")
        || is_assigned_secret
        || parts().any(|part| SECRET_PREFIXES.iter().any(|prefix| part.starts_with(prefix)))
}

/// The text without long numbers, also with blanks, dashes, dots and brackets between the digits. Ids of ours are kept:
/// nobody's number has that form.
fn scrub_numbers(text: &str) -> String {
    let mut scrubbed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_at_start = !scrubbed.ends_with(|c: char| c.is_ascii_alphanumeric());
        let (token, number) = match rest.get(..UUID_LENGTH) {
            Some(id) if is_at_start && Uuid::try_parse(id).is_ok() => (id, false),
            _ if first.is_ascii_digit() => number_at_start(rest),
            _ => (rest.get(..first.len_utf8()).unwrap_or_default(), false),
        };
        scrubbed.push_str(if number { FILTERED } else { token });
        rest = rest.get(token.len()..).unwrap_or_default();
    }
    scrubbed
}

/// The digits that the text begins with, up to the last of them, and whether there are so many that they may be somebody's.
fn number_at_start(text: &str) -> (&str, bool) {
    let in_number = |c: char| c.is_ascii_digit() || " -.()/".contains(c);
    let end = text.find(|c| !in_number(c)).unwrap_or(text.len());
    let number = text.get(..end).unwrap_or_default().trim_end_matches(|c: char| !c.is_ascii_digit());
    (number, number.bytes().filter(u8::is_ascii_digit).count() >= DIGITS_OF_A_PERSON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_not_leave_is_taken_out() {
        for (text, scrubbed) in [
            ("mail to ema@example.com failed", "mail to [filtered] failed"),
            ("<ema@example.com>", "<[filtered]>"),
            ("at postgres://app:hunter2@db.example:5432/kitloop?x=1", "at [filtered]"),
            ("Authorization: Bearer abc.def", "Authorization: [filtered] [filtered]"),
            ("bearer abc", "bearer [filtered]"),
            ("the key sk_test_51abc is wrong", "the key [filtered] is wrong"),
            ("STRIPE_KEY=sk_live_x", "[filtered]"),
            ("whsec_abc, re_123", "[filtered], [filtered]"),
            ("pi_3abc_secret_def", "[filtered]"),
            ("{\"client_secret\":\"x_y_z\"}", "{\"client_secret\":\"[filtered]\"}"),
            ("password = hunter2 at", "password = [filtered] at"),
            ("token=abc&x=1", "[filtered]&x=1"),
            ("eyJhbGciOi.eyJzdWIi.x", "[filtered]"),
            ("call +420 777 123 456 now", "call +[filtered] now"),
            ("card 4242-4242-4242-4242.", "card [filtered]."),
            ("Příliš 777123456 žluťoučký", "Příliš [filtered] žluťoučký"),
        ] {
            assert_eq!(scrub(text), scrubbed, "{text}");
        }
    }

    #[test]
    fn what_helps_is_kept() {
        for text in [
            "database: relation \"payments\" does not exist (42P01)",
            "token keys unavailable: no connection",
            "stripe refused: status 402, card_declined, pi_3MtwBwLkdIwHu7ix28a3tqPd",
            "reservation 3f2b8c1e-9d47-4b58-8f3a-790123456789 of 12000 CZK in 2026",
            "shared/src/db/connection.rs:84:9",
            "the key of the index",
            "",
        ] {
            assert_eq!(scrub(text), text);
        }
    }
}
