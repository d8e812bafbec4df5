//! Lets the AWS SDK speak HTTP through our own client: one TLS stack in the binary, one CA bundle in memory.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use crate::network::Network;

/// One connector for all settings: the guard has a timeout of its own around every statement.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    network: Network,
}

impl Connector {
    pub(super) fn new(network: Network) -> Self {
        Self { network }
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let network = self.network.clone();
        HttpConnectorFuture::new(async move { send(&network, request).await })
    }
}

async fn send(network: &Network, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let client = network.client().map_err(|error| ConnectorError::user(error.into()))?;
    let request = into_reqwest(request)?;
    let response = client.execute(request).await.map_err(connector_error)?;
    let mut parts = ::http::Response::builder().status(response.status());
    if let Some(headers) = parts.headers_mut() {
        headers.clone_from(response.headers());
    }
    let body = response.bytes().await.map_err(connector_error)?;
    let response =
        parts.body(SdkBody::from(body)).map_err(|error| ConnectorError::other(error.into(), None))?;
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
}

fn into_reqwest(request: HttpRequest) -> Result<reqwest::Request, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    // DynamoDB's requests are whole JSON documents; only uploads elsewhere stream.
    let body = body
        .bytes()
        .ok_or_else(|| ConnectorError::user("streaming bodies are not supported".into()))?
        .to_vec();
    ::http::Request::from_parts(parts, body).try_into().map_err(connector_error)
}

fn connector_error(error: reqwest::Error) -> ConnectorError {
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if error.is_builder() {
        ConnectorError::user(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}
