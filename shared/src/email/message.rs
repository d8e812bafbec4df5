//! A notification as a message: subject, text and HTML. The sentences are in `shared/templates/email/`, of which each
//! kind of notification has one file for text and one for HTML, inside a layout that all of them share.

use askama::Template;

use super::mail::{DisputeOutcome, Fact, Mail};
use crate::domain::{CancelReason, Notification, NotificationKind};

/// A message, ready to be sent.
pub(super) struct Message<'a> {
    pub(super) subject: String,
    /// Where answers go, if not to the sender.
    pub(super) reply_to: Option<&'a str>,
    pub(super) html: String,
    pub(super) text: String,
}

#[derive(Template)]
#[template(path = "email/layout.txt")]
struct TextBody<'a> {
    mail: &'a Mail<'a>,
    facts: &'a [Fact],
}

/// Everything in it is escaped: names and notes are what somebody typed.
#[derive(Template)]
#[template(path = "email/layout.html")]
struct HtmlBody<'a> {
    mail: &'a Mail<'a>,
    facts: &'a [Fact],
    subject: &'a str,
}

impl<'a> Message<'a> {
    /// The message that tells of `notification`: the same one each time, as an idempotency key wants it.
    ///
    /// # Errors
    /// If a template cannot be rendered.
    pub(super) fn of(notification: &'a Notification) -> Result<Self, askama::Error> {
        let mail = &Mail::of(notification);
        let facts = &mail.facts(notification);
        let subject = mail.subject();
        Ok(Self {
            html: HtmlBody { mail, facts, subject: &subject }.render()?,
            text: TextBody { mail, facts }.render()?,
            reply_to: mail.reply_to,
            subject,
        })
    }
}

#[cfg(test)]
mod tests;
