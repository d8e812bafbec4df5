//! The statements on the guard's table: `pk` (text, the key), `ttl` (epoch seconds, when DynamoDB may delete it),
//! `hits` for a window, `owner` and `held_until` (epoch milliseconds) for a claim.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

use super::connector::Connector;
use crate::config::AwsConfig;
use crate::network::Network;

/// DynamoDB deletes late anyway; this keeps an item readable for a while after it is over.
const TTL_SLACK_SECONDS: u64 = 300;

/// Why a statement had no effect.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Its condition did not hold.
    #[error("the condition did not hold")]
    Condition,
    /// The table answered that it would not, for example because this one key is asked for too often.
    #[error("refused: {0}")]
    Refused(String),
    /// The table did not answer.
    #[error("no answer: {0}")]
    Unavailable(String),
}

pub(super) struct Table {
    client: Client,
    name: String,
    timeout: Duration,
}

impl Table {
    /// Built by hand rather than by `aws-config`, whose chain of credential sources costs start-up time and size.
    pub(super) fn new(name: &str, aws: &AwsConfig, timeout: Duration, network: &Network) -> Self {
        let mut config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(aws.region.clone()))
            .credentials_provider(aws.credentials.clone())
            .http_client(Connector::new(network.clone()))
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            // One more try, for a socket that died while the sandbox was frozen.
            .retry_config(
                RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(10)),
            );
        config.set_endpoint_url(aws.endpoint_url.clone());
        Self { client: Client::from_conf(config.build()), name: name.to_owned(), timeout }
    }

    /// Counts one hit, at most `limit`, and returns how many there are now.
    pub(super) async fn count(&self, item: &str, limit: u32, ends: u64) -> Result<u32, Failure> {
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("pk", AttributeValue::S(item.to_owned()))
            .update_expression("ADD hits :one SET #ttl = :ttl")
            .condition_expression("attribute_not_exists(hits) OR hits < :limit")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":limit", number(limit.into()))
            .expression_attribute_values(":ttl", number(ends.saturating_add(TTL_SLACK_SECONDS)))
            .return_values(ReturnValue::UpdatedNew);
        let output = self.within(update.send()).await?;
        let hits = read_number(output.attributes(), "hits").and_then(|hits| hits.try_into().ok());
        hits.ok_or_else(|| Failure::Unavailable("the answer has no hits".to_owned()))
    }

    /// Takes the claim if nobody has it at `now`. TTL deletes late, so the time itself is compared.
    pub(super) async fn claim(&self, item: &str, owner: &str, now: u64, ends: u64) -> Result<(), Failure> {
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .item("pk", AttributeValue::S(item.to_owned()))
            .item("owner", AttributeValue::S(owner.to_owned()))
            .item("held_until", number(ends))
            .item("ttl", number((ends / 1000).saturating_add(TTL_SLACK_SECONDS)))
            .condition_expression("attribute_not_exists(pk) OR held_until <= :now OR #owner = :owner")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":now", number(now))
            // A second try of ours must find its own first one, whose answer was lost.
            .expression_attribute_values(":owner", AttributeValue::S(owner.to_owned()));
        self.within(put.send()).await.map(|_| ())
    }

    /// Gives the claim back if `owner` still has it.
    pub(super) async fn release(&self, item: &str, owner: &str) -> Result<(), Failure> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.name)
            .key("pk", AttributeValue::S(item.to_owned()))
            .condition_expression("#owner = :owner")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", AttributeValue::S(owner.to_owned()));
        self.within(delete.send()).await.map(|_| ())
    }

    /// Reads an item that is not there: succeeds if the table answers.
    pub(super) async fn probe(&self) -> Result<(), Failure> {
        let get =
            self.client.get_item().table_name(&self.name).key("pk", AttributeValue::S("probe".to_owned()));
        self.within(get.send()).await.map(|_| ())
    }

    /// Waits for a statement no longer than the guard is worth.
    async fn within<T, E, R>(
        &self,
        statement: impl Future<Output = Result<T, SdkError<E, R>>>,
    ) -> Result<T, Failure>
    where
        E: std::error::Error + 'static + ProvideErrorMetadata,
        R: std::fmt::Debug + 'static,
    {
        match tokio::time::timeout(self.timeout, statement).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) => Err(failure(&error)),
            Err(_) => Err(Failure::Unavailable("timeout".to_owned())),
        }
    }
}

fn failure<E, R>(error: &SdkError<E, R>) -> Failure
where
    E: std::error::Error + 'static + ProvideErrorMetadata,
    R: std::fmt::Debug + 'static,
{
    let text = || DisplayErrorContext(error).to_string();
    match error.as_service_error() {
        Some(answer) if answer.code() == Some("ConditionalCheckFailedException") => Failure::Condition,
        Some(_) => Failure::Refused(text()),
        None => Failure::Unavailable(text()),
    }
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn read_number(item: Option<&HashMap<String, AttributeValue>>, name: &str) -> Option<u64> {
    item?.get(name)?.as_n().ok()?.parse().ok()
}
