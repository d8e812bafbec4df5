//! What a monitor noticed.

/// An alarm that changed its state, or any other message to those who look after the product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// The alarm's name, or the subject of a message that is no alarm.
    pub name: String,
    /// What it is about, in our own words.
    pub description: Option<String>,
    /// `ALARM`, `OK` or `INSUFFICIENT_DATA`; none of a message that is no alarm.
    pub state: Option<String>,
    /// What was measured, or the message.
    pub reason: String,
    /// When it was noticed, RFC 3339.
    pub at: String,
}
