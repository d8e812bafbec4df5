//! The routes of the HTTP API. ministack makes an API without looking at its definition (`Body`), where SAM puts them and
//! AWS imports them from. So what the deployed template says there is entered here, route by route.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::ministack::{Ministack, REGION};

/// A route of an HTTP API, and the logical id of the function's alias that answers it.
#[derive(Debug, PartialEq, Eq)]
struct Route {
    /// Such as `ANY /reserve_gear`.
    key: String,
    alias: String,
}

/// Enters every route of the processed template that the API does not have yet; `resources` are the physical ids of the
/// stack's resources by their logical ids.
pub(super) async fn enter(
    ministack: &Ministack,
    template: &Value,
    resources: &BTreeMap<String, String>,
) -> Result<()> {
    let physical = |logical: &str| {
        resources.get(logical).with_context(|| format!("the stack has no resource {logical}"))
    };
    let api = format!("/v2/apis/{}", physical(API)?);
    let known = call(ministack, Method::GET, &format!("{api}/routes"), &Value::Null).await?;
    let known = known.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    for Route { key, alias } in defined(template)? {
        if known.iter().any(|route| route.get("routeKey").is_some_and(|it| *it == key)) {
            continue;
        }
        let function = physical(&alias)?;
        let integration = json!({
            "integrationType": "AWS_PROXY",
            "payloadFormatVersion": "2.0",
            "integrationUri":
                format!("arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function}/invocations"),
        });
        let made = call(ministack, Method::POST, &format!("{api}/integrations"), &integration).await?;
        let id = made.get("integrationId").and_then(Value::as_str).context("no integrationId")?;
        let route = json!({ "routeKey": key, "target": format!("integrations/{id}") });
        call(ministack, Method::POST, &format!("{api}/routes"), &route).await?;
    }
    Ok(())
}

/// The logical id of the HTTP API.
const API: &str = "HttpApi";

/// The routes in the definition of the API.
fn defined(template: &Value) -> Result<Vec<Route>> {
    let paths = template.pointer(&format!("/Resources/{API}/Properties/Body/paths"));
    let paths = paths.and_then(Value::as_object).context("the HTTP API has no definition")?;
    let mut routes = Vec::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let alias = alias(operation).with_context(|| format!("{method} {path} leads to no function"))?;
            let method = if method == ANY_METHOD { "ANY" } else { &method.to_uppercase() };
            routes.push(Route { key: format!("{method} {path}"), alias: alias.to_owned() });
        }
    }
    Ok(routes)
}

/// What a definition calls all methods.
const ANY_METHOD: &str = "x-amazon-apigateway-any-method";

/// The alias in `arn:…:functions/${ReserveGearFunctionAliaslive}/invocations`.
fn alias(operation: &Value) -> Option<&str> {
    let uri = operation.pointer("/x-amazon-apigateway-integration/uri/Fn::Sub")?.as_str()?;
    uri.split_once("functions/${")?.1.split_once('}').map(|(alias, _)| alias)
}

async fn call(ministack: &Ministack, method: Method, path: &str, body: &Value) -> Result<Value> {
    let request = ministack.request("apigateway", method, path)?;
    let request = if body.is_null() { request } else { request.json(body) };
    let response = request.send().await.with_context(|| format!("cannot call {path}"))?;
    let (status, text) = (response.status(), response.text().await?);
    ensure!(status.is_success(), "API Gateway refused {path}: {text}");
    Ok(serde_json::from_str(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integration(alias: &str) -> Value {
        let uri = format!(
            "arn:${{AWS::Partition}}:apigateway:${{AWS::Region}}:lambda:path/2015-03-31/functions/${{{alias}}}/invocations"
        );
        json!({ "x-amazon-apigateway-integration": { "type": "aws_proxy", "uri": { "Fn::Sub": uri } } })
    }

    fn template(paths: &Value) -> Value {
        json!({ "Resources": { "HttpApi": { "Properties": { "Body": { "paths": paths } } } } })
    }

    #[test]
    fn routes_are_read_from_the_definition_that_sam_makes() {
        let template = template(&json!({
            "/ops/{proxy+}": { "x-amazon-apigateway-any-method": integration("OpsFunctionAliaslive") },
            "/ready": { "get": integration("HealthFunctionAliaslive") },
        }));
        let route = |key: &str, alias: &str| Route { key: key.to_owned(), alias: alias.to_owned() };
        let expected = [
            route("ANY /ops/{proxy+}", "OpsFunctionAliaslive"),
            route("GET /ready", "HealthFunctionAliaslive"),
        ];
        assert_eq!(defined(&template).unwrap(), expected);
    }

    #[test]
    fn a_path_that_leads_to_no_function_is_named() {
        let error = defined(&template(&json!({ "/ready": { "get": {} } }))).unwrap_err();
        assert_eq!(error.to_string(), "get /ready leads to no function");
    }
}
