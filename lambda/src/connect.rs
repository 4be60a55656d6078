//! One connection pool for all SDK clients of a process.

use std::{
    env,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::{
    Builder, Connector,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    behavior_version::BehaviorVersion,
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::{SdkConfig, region::Region};

use crate::settings::{optional_setting, setting};

/// The certificate authorities of AWS's endpoints: Amazon Root CA 1 to 4 and Starfield Services Root CA G2.
/// Source: <https://www.amazontrust.com/repository/>. Five to parse instead of the system's hundred and forty.
const ROOT_CERTIFICATES: &[u8] = include_bytes!("amazon-trust-services.pem");

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// What every SDK client of the process is built from: credentials, region and endpoint as Lambda sets them in the
/// environment, one HTTP client, the SDK's standard retries.
///
/// # Errors
/// When a variable that Lambda always sets is missing.
pub fn connect() -> Result<SdkConfig, lambda_runtime::Error> {
    let credentials = Credentials::new(
        setting::<String>("AWS_ACCESS_KEY_ID")?,
        setting::<String>("AWS_SECRET_ACCESS_KEY")?,
        // Through `env`, so that the token is in no error text.
        env::var("AWS_SESSION_TOKEN").ok(),
        None,
        "lambda-environment",
    );
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(setting::<String>("AWS_REGION")?))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client()?)
        .sleep_impl(TokioSleep::new())
        .time_source(aws_smithy_async::time::SystemTimeSource::new())
        .retry_config(RetryConfig::standard())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .build(),
        );
    if let Some(url) = optional_setting::<String>("AWS_ENDPOINT_URL")? {
        config = config.endpoint_url(url);
    }
    Ok(config.build())
}

/// The one HTTPS client of the process. Every SDK client that has its own would open, and shake hands on, its own
/// connections.
fn http_client() -> Result<SharedHttpClient, lambda_runtime::Error> {
    let trust = TrustStore::empty().with_pem_certificate(ROOT_CERTIFICATES);
    let context = TlsContext::builder().with_trust_store(trust).build()?;
    let client = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(context).build_https();
    Ok(SharedHttpClient::new(Greeting(client)))
}

/// Whether the function serves: from then on calls are made.
static SERVES: AtomicBool = AtomicBool::new(false);

/// Makes the calls of SDK clients: what they send from now on is what they mean to send.
pub fn serve() {
    SERVES.store(true, Ordering::Relaxed);
}

/// A client that calls nothing before the function serves. It only connects: each call becomes a request for the root of the
/// endpoint, without signature and body, on the connection that the first call will use. Functions start when many
/// requests come at once, so that whatever they called then would count against the same quotas.
#[derive(Debug)]
struct Greeting<T>(T);

impl HttpClient for Greeting<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Greeting(self.0.http_connector(settings, components)))
    }
}

impl HttpConnector for Greeting<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if SERVES.load(Ordering::Relaxed) {
            return self.0.call(request);
        }
        match HttpRequest::get(root(request.uri())) {
            Ok(greeting) => self.0.call(greeting),
            Err(error) => HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        }
    }
}

/// The root of an endpoint: `https://sts.us-east-1.amazonaws.com/` of whatever is below it.
fn root(uri: &str) -> String {
    let host = uri.find("://").map_or(0, |at| at + 3);
    let path = uri.get(host..).and_then(|rest| rest.find(['/', '?'])).map_or(uri.len(), |at| host + at);
    format!("{}/", uri.get(..path).unwrap_or(uri))
}

/// Connections to HTTPS servers of others than AWS, and to HTTP servers on this machine: the issuers of identity tokens.
/// The system's certificate authorities vouch for them.
///
/// # Errors
/// When TLS cannot be set up.
pub fn connect_anywhere() -> Result<SharedHttpConnector, lambda_runtime::Error> {
    let trust = TrustStore::empty().with_native_roots(true);
    let context = TlsContext::builder().with_trust_store(trust).build()?;
    let timeouts = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(CONNECT_TIMEOUT);
    let connector = Connector::builder()
        .connector_settings(timeouts.build())
        .sleep_impl(TokioSleep::new())
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(context);
    Ok(SharedHttpConnector::new(connector.build()))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_smithy_types::body::SdkBody;

    use super::*;

    #[test]
    fn the_root_of_an_endpoint_is_greeted() {
        for uri in [
            "https://sts.us-east-1.amazonaws.com",
            "https://sts.us-east-1.amazonaws.com/",
            "https://sts.us-east-1.amazonaws.com/a/b?c",
        ] {
            assert_eq!(root(uri), "https://sts.us-east-1.amazonaws.com/");
        }
        assert_eq!(root("http://127.0.0.1:4566/?Action=GetCallerIdentity"), "http://127.0.0.1:4566/");
    }

    /// Remembers what it is asked for, and answers nothing.
    #[derive(Clone, Debug, Default)]
    struct Remembers(Arc<Mutex<Vec<String>>>);

    impl HttpConnector for Remembers {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let signed = request.headers().get("authorization").is_some() || request.body().bytes() != Some(&[]);
            self.0.lock().unwrap().push(format!("{} {} {signed}", request.method(), request.uri()));
            HttpConnectorFuture::ready(Err(ConnectorError::io("no answer".into())))
        }
    }

    /// It is decided for a whole process, as the function serves or does not.
    #[tokio::test]
    async fn nothing_is_called_before_the_function_serves() {
        let asked = Remembers::default();
        let connector = Greeting(SharedHttpConnector::new(asked.clone()));
        let call = || {
            let mut request = HttpRequest::new(SdkBody::from("Action=GetCallerIdentity"));
            request.set_method("POST").unwrap();
            request.set_uri("https://sts.us-east-1.amazonaws.com/?a=b").unwrap();
            request.headers_mut().insert("authorization", "AWS4-HMAC-SHA256");
            request
        };
        let _ = connector.call(call()).await;
        serve();
        let _ = connector.call(call()).await;
        let asked = asked.0.lock().unwrap();
        assert_eq!(
            *asked,
            ["GET https://sts.us-east-1.amazonaws.com/ false", "POST https://sts.us-east-1.amazonaws.com/?a=b true"]
        );
    }

    #[test]
    fn the_root_certificates_make_a_client() {
        let pem = String::from_utf8_lossy(ROOT_CERTIFICATES);
        assert_eq!(pem.matches("-----BEGIN CERTIFICATE-----").count(), 5);
        http_client().expect("a client");
    }
}
