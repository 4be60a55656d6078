//! Clients of the engine, with whosever credentials.

use std::{fmt, time::SystemTime};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sigv4::{
    http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use aws_smithy_async::{rt::sleep::TokioSleep, time::SystemTimeSource};
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        behavior_version::BehaviorVersion,
        endpoint::EndpointPrefix,
        http::{HttpConnector, SharedHttpConnector, http_client_fn},
        interceptors::{Intercept, context::BeforeSerializationInterceptorContextMut, dyn_dispatch_hint},
        orchestrator::HttpRequest,
        result::SdkError,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{
    body::SdkBody, byte_stream::ByteStream, config_bag::ConfigBag, error::metadata::ProvideErrorMetadata,
    retry::RetryConfig,
};
use aws_types::{SdkConfig, region::Region};
use serde_json::Value;

/// The engine's one address, and the connections to it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    url: String,
    region: String,
    connector: SharedHttpConnector,
}

impl Endpoint {
    /// The engine at `url`. The connections belong to the runtime that first uses them.
    #[must_use]
    pub fn new(url: String, region: String) -> Self {
        let connector = Connector::builder().sleep_impl(TokioSleep::new()).build_http();
        Self { url, region, connector: SharedHttpConnector::new(connector) }
    }

    /// Clients with these credentials.
    #[must_use]
    pub fn with(&self, credentials: Credentials) -> Aws {
        let connector = self.connector.clone();
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .endpoint_url(&self.url)
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
            .http_client(http_client_fn(move |_, _| connector.clone()))
            // A scenario counts calls, and wants to see each refusal.
            .retry_config(RetryConfig::disabled())
            .sleep_impl(TokioSleep::new())
            .time_source(SystemTimeSource::new())
            .build();
        Aws { endpoint: self.clone(), credentials, config }
    }

    /// Sends a request as it is and returns status and body.
    pub async fn send(&self, request: HttpRequest) -> (u16, Vec<u8>) {
        let response = self.connector.call(request).await.expect("the engine answers");
        let status = response.status().as_u16();
        let body = ByteStream::new(response.into_body()).collect().await.expect("the engine's answer is whole");
        (status, body.to_vec())
    }

    /// A request to `path` of the engine.
    #[must_use]
    pub fn request(&self, method: &str, path: &str, body: impl Into<SdkBody>) -> HttpRequest {
        let mut request = HttpRequest::new(body.into());
        request.set_method(method).expect("a method");
        request.set_uri(format!("{}{path}", self.url)).expect("a path");
        request
    }
}

/// Whoever calls AWS: clients with one set of credentials. They call once; nothing is retried.
#[derive(Clone, Debug)]
pub struct Aws {
    endpoint: Endpoint,
    credentials: Credentials,
    config: SdkConfig,
}

impl Aws {
    /// The same in another region.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        let endpoint = Endpoint { region: region.to_owned(), ..self.endpoint.clone() };
        endpoint.with(self.credentials.clone())
    }

    /// What a client of any other service is built from.
    #[must_use]
    pub const fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// Security Token Service.
    #[must_use]
    pub fn sts(&self) -> aws_sdk_sts::Client {
        aws_sdk_sts::Client::new(&self.config)
    }

    /// Identity and Access Management.
    #[must_use]
    pub fn iam(&self) -> aws_sdk_iam::Client {
        aws_sdk_iam::Client::new(&self.config)
    }

    /// Step Functions.
    #[must_use]
    pub fn states(&self) -> aws_sdk_sfn::Client {
        let config = aws_sdk_sfn::config::Builder::from(&self.config).interceptor(OneHost).build();
        aws_sdk_sfn::Client::from_conf(config)
    }

    /// `DynamoDB`.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    /// `CloudWatch` Logs.
    #[must_use]
    pub fn logs(&self) -> aws_sdk_cloudwatchlogs::Client {
        aws_sdk_cloudwatchlogs::Client::new(&self.config)
    }

    /// The Identity Store.
    #[must_use]
    pub fn identities(&self) -> aws_sdk_identitystore::Client {
        aws_sdk_identitystore::Client::new(&self.config)
    }

    /// One call of any service, for which an SDK crate would be too much; returns the answer's body.
    pub async fn call(&self, call: &Call<'_>) -> Result<String, Refused> {
        let (method, path, headers, body) = call.parts();
        let mut request = self.endpoint.request(method, &path, body.clone());
        let host = self.endpoint.url.trim_start_matches("http://").to_owned();
        let headers = headers.into_iter().chain([("host", host)]);
        for (name, value) in headers {
            request.headers_mut().insert(name, value);
        }
        self.sign(&mut request, call.service(), body.as_bytes());
        let (status, body) = self.endpoint.send(request).await;
        let body = String::from_utf8_lossy(&body).into_owned();
        if status < 400 { Ok(body) } else { Err(Refused::read(status, body)) }
    }

    fn sign(&self, request: &mut HttpRequest, service: &str, body: &[u8]) {
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let identity = self.credentials.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.endpoint.region)
            .name(service)
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .expect("everything is set")
            .into();
        let headers: Vec<(&str, &str)> = request.headers().iter().collect();
        let signable =
            SignableRequest::new(request.method(), request.uri(), headers.into_iter(), SignableBody::Bytes(body));
        let (signed, _) = sign(signable.expect("a request"), &params).expect("it can be signed").into_parts();
        let (headers, _) = signed.into_parts();
        for header in headers {
            request.headers_mut().insert(header.name(), header.value().to_owned());
        }
    }
}

/// A call of a service in one of AWS's protocols.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    /// EC2, and others with `Action=` in a form: service, API version, action, parameters.
    Query(&'a str, &'a str, &'a str, &'a [(&'a str, &'a str)]),
    /// JSON with a target header: service, target and operation, body.
    Json(&'a str, &'a str, &'a str),
    /// S3 and the like: service, method, path.
    Rest(&'a str, &'a str, &'a str),
    /// Lambda and the like: service, method, path, JSON body.
    RestJson(&'a str, &'a str, &'a str, &'a str),
}

impl Call<'_> {
    fn service(&self) -> &str {
        match self {
            Self::Query(service, ..)
            | Self::Json(service, ..)
            | Self::Rest(service, ..)
            | Self::RestJson(service, ..) => service,
        }
    }

    fn parts(&self) -> (&str, String, Vec<(&'static str, String)>, String) {
        match self {
            Self::Query(_, version, action, parameters) => {
                let form = [("Action", *action), ("Version", *version)];
                let form: Vec<String> = form.iter().chain(*parameters).map(|(k, v)| format!("{k}={v}")).collect();
                let content_type = "application/x-www-form-urlencoded; charset=utf-8".to_owned();
                ("POST", "/".to_owned(), vec![("content-type", content_type)], form.join("&"))
            }
            Self::Json(_, target, body) => {
                let content_type = "application/x-amz-json-1.1".to_owned();
                let headers = vec![("content-type", content_type), ("x-amz-target", (*target).to_owned())];
                ("POST", "/".to_owned(), headers, (*body).to_owned())
            }
            Self::Rest(_, method, path) => (method, (*path).to_owned(), Vec::new(), String::new()),
            Self::RestJson(_, method, path, body) => {
                let headers = vec![("content-type", "application/json".to_owned())];
                (method, (*path).to_owned(), headers, (*body).to_owned())
            }
        }
    }
}

/// AWS answered with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// AWS's error code, such as `AccessDenied`.
    pub code: String,
    /// AWS's words for it.
    pub message: String,
}

impl Refused {
    /// Whether the caller may not do it, or is nobody any more.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        let codes =
            ["InvalidClientTokenId", "InvalidAccessKeyId", "UnauthorizedOperation", "UnrecognizedClientException"];
        self.code.starts_with("AccessDenied") || codes.contains(&self.code.as_str())
    }

    fn read(status: u16, message: String) -> Self {
        let in_xml = || Some(message.split_once("<Code>")?.1.split_once("</Code>")?.0.to_owned());
        let in_json = || {
            let body: Value = serde_json::from_str(&message).ok()?;
            let code = body.get("__type").or_else(|| body.get("code"))?.as_str()?;
            Some(code.rsplit('#').next().unwrap_or(code).to_owned())
        };
        let code = in_xml().or_else(in_json).unwrap_or_else(|| format!("HTTP {status}"));
        Self { code, message }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl<E: ProvideErrorMetadata + fmt::Debug, R: fmt::Debug> From<SdkError<E, R>> for Refused {
    fn from(error: SdkError<E, R>) -> Self {
        let code = error.code().map(str::to_owned);
        let message = error.message().map_or_else(|| format!("{error:?}"), str::to_owned);
        Self { code: code.unwrap_or_else(|| "no answer".to_owned()), message }
    }
}

/// A policy document as it was written: IAM returns them percent-encoded.
#[must_use]
pub fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).expect("two digits"));
        bytes.extend(part[2..].bytes());
    }
    String::from_utf8(bytes).expect("UTF-8")
}

/// `StartSyncExecution` would go to the host `sync-127.0.0.1`: that is how AWS's own endpoints are split.
#[derive(Debug)]
struct OneHost;

#[dyn_dispatch_hint]
impl Intercept for OneHost {
    fn name(&self) -> &'static str {
        "OneHost"
    }

    fn modify_before_serialization(
        &self,
        _context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().unset::<EndpointPrefix>();
        Ok(())
    }
}
