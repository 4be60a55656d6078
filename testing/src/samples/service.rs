//! Stand-ins for AWS services below the SDK: real clients, real (de)serialisation, no network.

use std::{collections::BTreeMap, fmt, sync::Arc};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::{
    client::{
        behavior_version::BehaviorVersion,
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
        result::SdkError,
    },
    http::StatusCode,
};
use aws_smithy_types::{body::SdkBody, error::ErrorMetadata, retry::RetryConfig};
use aws_types::{SdkConfig, region::Region};
use daypass_aws::AwsError;
use serde_json::{Value, json};

/// An error of a service that speaks AWS JSON.
#[derive(Debug)]
pub struct Refusal {
    /// The code.
    pub code: &'static str,
    /// The members that the error has beside its message: an object.
    pub members: Value,
}

impl From<&'static str> for Refusal {
    fn from(code: &'static str) -> Self {
        Self { code, members: json!({}) }
    }
}

/// What clients of a service that speaks AWS JSON are built from. `answer` is the service: it gets the name of an
/// operation and its input, and returns the output or an error. Nothing is tried again.
#[must_use]
pub fn json_service<E: Into<Refusal>>(
    answer: impl Fn(&str, Value) -> Result<Value, E> + Send + Sync + 'static,
) -> SdkConfig {
    http_service(move |request| {
        let target = request.headers().get("x-amz-target").expect("an AWS JSON request");
        let operation = target.rsplit('.').next().expect("an operation");
        let input = serde_json::from_slice(request.body().bytes().expect("a body in memory")).expect("JSON");
        match answer(operation, input) {
            Ok(output) => (200, output.to_string()),
            Err(refusal) => {
                let Refusal { code, members: mut error } = refusal.into();
                error["__type"] = code.into();
                error["message"] = format!("{operation} says {code}").into();
                (status_of(code), error.to_string())
            }
        }
    })
}

/// What clients of a service that speaks AWS Query are built from. `answer` is the service: it gets the name of an
/// operation and its parameters, and returns what is inside the XML of the result, or the code of an error, with its message
/// behind a colon or without. Nothing is tried again.
#[must_use]
pub fn query_service(
    answer: impl Fn(&str, &BTreeMap<String, String>) -> Result<String, &'static str> + Send + Sync + 'static,
) -> SdkConfig {
    http_service(move |request| {
        let body = request.body().bytes().expect("a body in memory");
        let parameters: BTreeMap<_, _> = form_urlencoded::parse(body).into_owned().collect();
        let operation = &parameters["Action"];
        match answer(operation, &parameters) {
            Ok(xml) => (
                200,
                format!("<{operation}Response><{operation}Result>{xml}</{operation}Result></{operation}Response>"),
            ),
            Err(error) => {
                let (code, message) = match error.split_once(": ") {
                    Some((code, message)) => (code, message.to_owned()),
                    None => (error, format!("{operation} says {error}")),
                };
                (
                    status_of(code),
                    format!(
                        "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
                    ),
                )
            }
        }
    })
}

/// The HTTP status that AWS sends an error code with, as far as it matters what class it is of.
#[must_use]
pub fn status_of(code: &str) -> u16 {
    match code {
        "ServiceFailure" => 500,
        code if code.contains("Internal") => 500,
        code if code.starts_with("ServiceUnavailable") => 503,
        "GatewayTimeout" => 504,
        "NoSuchEntity" => 404,
        "ConcurrentModification" | "EntityAlreadyExists" | "LimitExceeded" | "DeleteConflict" => 409,
        code if code.starts_with("AccessDenied") => 403,
        _ => 400,
    }
}

/// What `call` (`iam:CreateRole`) fails with when AWS answers `code`.
#[must_use]
pub fn aws_error(call: &'static str, code: &str) -> AwsError {
    failed(call, code, ErrorMetadata::builder().code(code).build())
}

/// What `call` fails with when AWS answers `code` and `message`.
#[must_use]
pub fn aws_error_saying(call: &'static str, code: &str, message: &str) -> AwsError {
    failed(call, code, ErrorMetadata::builder().code(code).message(message).build())
}

fn failed(call: &'static str, code: &str, error: ErrorMetadata) -> AwsError {
    let status = StatusCode::try_from(status_of(code)).expect("a status");
    AwsError::of(call)(SdkError::service_error(error, HttpResponse::new(status, SdkBody::empty())))
}

/// What clients of a service are built from whose answers, status and body, are whatever `answer` says. Nothing is tried
/// again.
#[must_use]
pub fn http_service(answer: impl Fn(&HttpRequest) -> (u16, String) + Send + Sync + 'static) -> SdkConfig {
    let connector = SharedHttpConnector::new(Service(Arc::new(answer)));
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("id", "secret", None, None, "test")))
        .sleep_impl(TokioSleep::new())
        .retry_config(RetryConfig::disabled())
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build()
}

type Answer = dyn Fn(&HttpRequest) -> (u16, String) + Send + Sync;

struct Service(Arc<Answer>);

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Service")
    }
}

impl HttpConnector for Service {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (status, body) = (self.0)(&request);
        let status = StatusCode::try_from(status).expect("a status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body))))
    }
}
