//! What a topic delivers: <https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html>.

use kitloop::domain::Alarm;
use kitloop::error::{Error, without_values};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delivery {
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    sns: Notification,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Notification {
    subject: Option<String>,
    message: String,
    timestamp: String,
}

/// The message of an alarm that changed its state. Composite alarms have the same members.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AlarmMessage {
    alarm_name: String,
    alarm_description: Option<String>,
    new_state_value: String,
    new_state_reason: String,
}

/// The alarms in a topic's event. A message of any other kind, such as one that a person publishes to see whether it
/// arrives, is passed on as it is.
///
/// # Errors
/// [`Error::Internal`] for an event that comes from no topic.
pub(crate) fn alarms(event: Value) -> Result<Vec<Alarm>, Error> {
    let delivery: Delivery = serde_json::from_value(event)
        .map_err(|error| Error::Internal(format!("event: {}", without_values(&error))))?;
    Ok(delivery.records.into_iter().map(|record| alarm(record.sns)).collect())
}

fn alarm(notification: Notification) -> Alarm {
    let Notification { subject, message, timestamp } = notification;
    match serde_json::from_str::<AlarmMessage>(&message) {
        Ok(alarm) => Alarm {
            name: alarm.alarm_name,
            description: alarm.alarm_description.filter(|text| !text.is_empty()),
            state: Some(alarm.new_state_value),
            reason: alarm.new_state_reason,
            at: timestamp,
        },
        Err(_) => Alarm {
            name: subject.unwrap_or_else(|| "Message".to_owned()),
            description: None,
            state: None,
            reason: message,
            at: timestamp,
        },
    }
}
