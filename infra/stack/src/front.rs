//! The one address in front: sends each path of the template to the function that answers it, as the HTTP API does, and
//! `/lambda-url/<name>/` to that function, as function URLs do.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::net::http_client;
use crate::runtime::Runtime;
use crate::template::TemplateFunction;

/// The largest body that API Gateway takes.
const BODY_LIMIT: usize = 10 * 1024 * 1024;
/// Requests that a function may have at the runtime at once; the others wait here. With more than a hundred in all, the
/// runtime stops handing out any.
const IN_FLIGHT: usize = 12;
/// Where function URLs begin.
const FUNCTION_URLS: &str = "/lambda-url/";

/// The running front.
pub(crate) struct Front {
    /// Its address, without a slash at the end.
    pub(crate) url: String,
    server: JoinHandle<std::io::Result<()>>,
}

struct Functions {
    client: reqwest::Client,
    /// From path to the function's name.
    routes: HashMap<String, String>,
    by_name: BTreeMap<String, Function>,
}

struct Function {
    /// At the runtime, with a slash at the end.
    url: String,
    places: Semaphore,
}

impl Front {
    /// Starts it before these functions.
    pub(crate) async fn start(
        runtime: &Runtime,
        template: &[TemplateFunction],
        port: Option<u16>,
    ) -> Result<Self> {
        let routes = template
            .iter()
            .flat_map(|function| function.paths.iter().map(|path| (path.clone(), function.name.clone())));
        let urls =
            template.iter().map(|function| (function.name.clone(), runtime.function_url(&function.name)));
        Self::serve(routes.collect(), urls.collect(), port).await
    }

    async fn serve(
        routes: HashMap<String, String>,
        urls: BTreeMap<String, String>,
        port: Option<u16>,
    ) -> Result<Self> {
        let by_name = urls
            .into_iter()
            .map(|(name, url)| (name, Function { url, places: Semaphore::new(IN_FLIGHT) }))
            .collect();
        let functions = Arc::new(Functions { client: http_client()?, routes, by_name });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0)))
            .await
            .context("cannot listen where the functions are to be reached")?;
        let url = format!("http://{}", listener.local_addr()?);
        let router =
            Router::new().fallback(forward).layer(DefaultBodyLimit::max(BODY_LIMIT)).with_state(functions);
        let server = tokio::spawn(axum::serve(listener, router).into_future());
        Ok(Self { url, server })
    }

    /// The function's URL.
    pub(crate) fn function_url(&self, function: &str) -> String {
        format!("{}{FUNCTION_URLS}{function}/", self.url)
    }
}

impl Functions {
    /// The function that answers a path, and the path as it sees it, without the slash at the beginning.
    fn find<'a>(&'a self, path: &'a str) -> Option<(&'a Function, &'a str)> {
        let (name, rest) = match path.strip_prefix(FUNCTION_URLS) {
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
            None => (self.route(path)?, path.trim_start_matches('/')),
        };
        Some((self.by_name.get(name)?, rest))
    }

    /// The name of the function whose route this path is: the path itself, or `/ops/{proxy+}` for what is below `/ops`.
    fn route(&self, path: &str) -> Option<&str> {
        let is_below = |route: &str| {
            let parent = route.strip_suffix("{proxy+}");
            parent.is_some_and(|parent| path.strip_prefix(parent).is_some_and(|rest| !rest.is_empty()))
        };
        let exact = self.routes.get(path);
        exact
            .or_else(|| self.routes.iter().find(|(route, _)| is_below(route)).map(|(_, name)| name))
            .map(String::as_str)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn forward(
    State(functions): State<Arc<Functions>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // API Gateway's own words for a path nobody answers, and for a function that does not.
    let Some((function, path)) = functions.find(uri.path()) else {
        return (StatusCode::NOT_FOUND, r#"{"message":"Not Found"}"#).into_response();
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut request = functions.client.request(method, format!("{}{path}{query}", function.url)).body(body);
    for (name, value) in headers.iter().filter(|(name, _)| passes_on(name)) {
        request = request.header(name, value);
    }
    let _place = function.places.acquire().await;
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
        let routes =
            ["/echo", "/all/{proxy+}"].map(|path| (path.to_owned(), "echo".to_owned())).into_iter().collect();
        Front::serve(routes, BTreeMap::from([("echo".to_owned(), url)]), None).await.unwrap()
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
    async fn a_function_answers_at_its_own_url_too() {
        let front = front_of_an_echo().await;
        let client = http_client().unwrap();
        for (path, seen) in [("", ""), ("some/path?a=1", "some/path?a=1")] {
            let answer = client.get(format!("{}{path}", front.function_url("echo"))).send().await.unwrap();
            assert_eq!(answer.text().await.unwrap(), format!("GET /lambda-url/echo/{seen} none "));
        }
    }

    #[tokio::test]
    async fn a_function_may_answer_all_paths_below_one() {
        let front = front_of_an_echo().await;
        let client = http_client().unwrap();
        for path in ["all/one", "all/one/two"] {
            let answer = client.get(format!("{}/{path}", front.url)).send().await.unwrap();
            assert_eq!(answer.text().await.unwrap(), format!("GET /lambda-url/echo/{path} none "));
        }
    }

    #[tokio::test]
    async fn a_path_that_no_route_has_is_not_found() {
        let front = front_of_an_echo().await;
        for path in ["/echo/more", "/all", "/all/", "/allx/one", "/lambda-url/other/", "/"] {
            let request = http_client().unwrap().get(format!("{}{path}", front.url));
            assert_eq!(request.send().await.unwrap().status(), 404, "{path}");
        }
    }
}
