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

use crate::net::http_client;

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
    /// From path to function URL, which ends in a slash.
    targets: HashMap<String, String>,
}

impl Front {
    /// Starts it with these function URLs by path.
    pub(crate) async fn start(targets: HashMap<String, String>, port: Option<u16>) -> Result<Self> {
        let routes = Arc::new(Routes { client: http_client()?, targets });
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A front before a function that answers with what it was asked, and status 418.
    async fn front_of_an_echo() -> Front {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}/lambda-url/echo/", listener.local_addr().unwrap());
        let echo = async |method: Method, uri: Uri, headers: HeaderMap, body: String| {
            let key =
                headers.get("idempotency-key").map_or("none", |value| value.to_str().unwrap()).to_owned();
            (StatusCode::IM_A_TEAPOT, [("x-correlation-id", "c1")], format!("{method} {uri} {key} {body}"))
        };
        tokio::spawn(axum::serve(listener, Router::new().fallback(echo)).into_future());
        Front::start(HashMap::from([("/echo".to_owned(), url)]), None).await.unwrap()
    }

    #[tokio::test]
    async fn requests_and_answers_pass_through_unchanged() {
        let front = front_of_an_echo().await;
        let url = format!("{}/echo?a=1&b=%20", front.url);
        let request = http_client().unwrap().put(url).header("idempotency-key", "k1").body("{ raw }");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 418);
        assert_eq!(answer.headers()["x-correlation-id"], "c1");
        assert_eq!(answer.text().await.unwrap(), "PUT /lambda-url/echo/echo?a=1&b=%20 k1 { raw }");
    }

    #[tokio::test]
    async fn a_path_that_no_route_has_is_not_found() {
        let front = front_of_an_echo().await;
        let request = http_client().unwrap().get(format!("{}/echo/more", front.url));
        assert_eq!(request.send().await.unwrap().status(), 404);
    }
}
