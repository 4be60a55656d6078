//! One connection pool for all SDK clients of a process, and what their errors mean.

use std::{env, error::Error, time::Duration};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::{
    Builder, Connector,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    behavior_version::BehaviorVersion,
    http::{HttpConnectorSettings, SharedHttpClient, SharedHttpConnector},
    result::SdkError,
};
use aws_smithy_types::{
    error::{display::DisplayErrorContext, metadata::ProvideErrorMetadata},
    retry::RetryConfig,
    timeout::TimeoutConfig,
};
use aws_types::{SdkConfig, region::Region};

use super::settings::{optional_setting, setting};
use crate::{error::ErrorName, text::shortened};

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
    Ok(Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(context).build_https())
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

/// A call to AWS that failed in a way that its task has no better word for.
#[derive(Debug, thiserror::Error)]
#[error("{} failed with {}", .0.call, .0.detail)]
pub struct AwsError(#[source] Box<FailedCall>);

/// In a box of its own, because every `Result` of a task has room for it.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
struct FailedCall {
    call: &'static str,
    code: Option<String>,
    detail: String,
    source: Box<dyn Error + Send + Sync>,
}

impl AwsError {
    /// Turns the SDK's error of `call` (written as in IAM policies: `iam:CreateRole`) into one that says what it was.
    pub fn of<E, R>(call: &'static str) -> impl FnOnce(SdkError<E, R>) -> Self
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        move |error| {
            let code = error.code().map(str::to_owned);
            let detail = match (&code, error.message()) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                (Some(code), None) => code.clone(),
                (None, _) => DisplayErrorContext(&error).to_string(),
            };
            Self(Box::new(FailedCall { call, code, detail: shortened(&detail, 500), source: Box::new(error) }))
        }
    }

    /// For tests: what `call` fails with when AWS answers `code`.
    #[cfg(feature = "samples")]
    #[must_use]
    pub fn from_code(call: &'static str, code: &str) -> Self {
        Self(Box::new(FailedCall { call, code: Some(code.to_owned()), detail: code.to_owned(), source: code.into() }))
    }

    /// AWS's code of the error, if AWS answered at all.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Whether AWS says that what the call was about is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        // IAM's word, and Identity Center's.
        matches!(self.code(), Some("NoSuchEntity" | "ResourceNotFoundException"))
    }

    /// Whether AWS refused the call for want of permission.
    #[must_use]
    pub fn is_access_denied(&self) -> bool {
        matches!(self.code(), Some("AccessDenied" | "AccessDeniedException"))
    }

    /// The name for it: `Daypass.Throttled` when AWS asked to slow down, else `Daypass.AwsUnavailable`.
    #[must_use]
    pub fn name(&self) -> ErrorName {
        match self.code() {
            // The codes that the SDK's own retries count as throttling, less those of services that are not used here, and
            // DynamoDB's for an item that somebody else is writing.
            Some(
                "Throttling"
                | "ThrottlingException"
                | "ThrottledException"
                | "RequestThrottledException"
                | "RequestThrottled"
                | "TooManyRequestsException"
                | "ProvisionedThroughputExceededException"
                | "TransactionInProgressException"
                | "TransactionConflictException"
                | "RequestLimitExceeded"
                | "LimitExceededException"
                | "SlowDown"
                | "PriorRequestNotComplete",
            ) => ErrorName::Throttled,
            _ => ErrorName::AwsUnavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_certificates_make_a_client() {
        let pem = String::from_utf8_lossy(ROOT_CERTIFICATES);
        assert_eq!(pem.matches("-----BEGIN CERTIFICATE-----").count(), 5);
        http_client().expect("a client");
    }
}
