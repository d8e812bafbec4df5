//! How e-mail is sent.

use std::time::Duration;

use super::reader::Reader;
use super::secret::Secret;

/// How Resend's API is called.
#[derive(Debug, Clone)]
pub struct EmailConfig {
    /// `RESEND_API_BASE`: `https://api.resend.com`, or the address of a stand-in.
    pub api_base: String,
    /// `RESEND_API_KEY`: `re_…`. Without it e-mail is off.
    pub api_key: Secret,
    /// `EMAIL_FROM`: the sender, `shop@example.com` or `Shop <shop@example.com>`, at a domain that Resend has verified.
    pub from: String,
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
}

const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Nothing where there is no key; with a key, the sender is required.
pub(super) fn email(reader: &mut Reader<'_>) -> Option<EmailConfig> {
    let api_key = reader.key("RESEND_API_KEY", false);
    let api_base = reader.url("RESEND_API_BASE").unwrap_or_else(|| "https://api.resend.com".to_owned());
    let from = reader.required_if("EMAIL_FROM", api_key.is_some());
    if from.as_ref().is_some_and(|from| !from.contains('@') || from.contains(char::is_control)) {
        reader.reject("EMAIL_FROM", "must be an address, with or without a name");
    }
    Some(EmailConfig { api_base, api_key: api_key?, from: from?, attempt_timeout: ATTEMPT_TIMEOUT })
}
