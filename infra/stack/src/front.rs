//! The one address in front: sends each path of the template to the function that answers it, as the HTTP API does.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::runtime::Runtime;
use crate::template::TemplateFunction;

/// The largest body that API Gateway takes.
const BODY_LIMIT: usize = 10 * 1024 * 1024;

/// The running front.
pub(crate) struct Front {
    /// Its address, without a slash at the end.
    pub(crate) url: String,
    server: JoinHandle<std::io::Result<()>>,
}

struct Routes {
    client: reqwest::Client,
    /// From path to function URL.
    targets: HashMap<String, String>,
}

impl Front {
    /// Starts it for the routes of these functions.
    pub(crate) async fn start(
        functions: &[TemplateFunction],
        runtime: &Runtime,
        port: Option<u16>,
    ) -> Result<Self> {
        let targets = functions
            .iter()
            .flat_map(|function| {
                function.paths.iter().map(|path| (path.clone(), runtime.function_url(&function.name)))
            })
            .collect();
        let routes = Arc::new(Routes { client: reqwest::Client::new(), targets });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0)))
            .await
            .context("cannot listen where the functions are to be reached")?;
        let url = format!("http://{}", listener.local_addr()?);
        let router =
            Router::new().fallback(forward).layer(DefaultBodyLimit::max(BODY_LIMIT)).with_state(routes);
        let server = tokio::spawn(axum::serve(listener, router).into_future());
        Ok(Self { url, server })
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn forward(
    State(routes): State<Arc<Routes>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // API Gateway's own words for a path nobody answers.
    let not_found = || (StatusCode::NOT_FOUND, r#"{"message":"Not Found"}"#).into_response();
    let Some(function_url) = routes.targets.get(uri.path()) else { return not_found() };
    let path_and_query = uri.path_and_query().map_or("/", |both| both.as_str());
    let target = format!("{}{path_and_query}", function_url.trim_end_matches('/'));
    let mut request = routes.client.request(method, target).body(body);
    for (name, value) in headers.iter().filter(|(name, _)| passes_on(name)) {
        request = request.header(name, value);
    }
    let answer = async { pass_back(request.send().await?).await };
    answer.await.unwrap_or_else(|_| {
        (StatusCode::BAD_GATEWAY, r#"{"message":"Internal Server Error"}"#).into_response()
    })
}

async fn pass_back(answer: reqwest::Response) -> reqwest::Result<Response> {
    let status = answer.status();
    let headers: HeaderMap = answer
        .headers()
        .iter()
        .filter(|(name, _)| passes_on(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut response = Response::new(Body::from(answer.bytes().await?));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// Not what is about one connection only (RFC 9110 §7.6.1); lengths and hosts are set anew.
fn passes_on(name: &header::HeaderName) -> bool {
    ![header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::HOST].contains(name)
}
