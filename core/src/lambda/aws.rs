//! One connection pool for all SDK clients of a process, and what their errors mean.

use std::{any::Any, env, error::Error, fmt, time::Duration};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::{
    Builder, Connector,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    behavior_version::BehaviorVersion,
    http::{HttpConnectorSettings, SharedHttpClient, SharedHttpConnector},
    orchestrator::HttpResponse,
    result::SdkError,
};
use aws_smithy_types::{error::metadata::ProvideErrorMetadata, retry::RetryConfig, timeout::TimeoutConfig};
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

/// The codes whose message repeats the request as AWS read it, and with it the session token among its headers.
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html>
const CODES_THAT_REPEAT_THE_REQUEST: [&str; 4] =
    ["SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature", "IncompleteSignatureException"];

/// A call to AWS that failed in a way that its task has no better word for.
///
/// Its text ends up in histories, logs and the table, so it never holds what AWS answered but for the code and the
/// message of an error: an answer of STS that cannot be read may have credentials in it.
#[derive(Debug, thiserror::Error)]
#[error("{} failed with {}", .0.call, .0.detail)]
pub struct AwsError(#[source] Box<FailedCall>);

/// In a box of its own, because every `Result` of a task has room for it.
#[derive(thiserror::Error)]
#[error("{source}")]
struct FailedCall {
    call: &'static str,
    code: Option<String>,
    detail: String,
    /// Without the answer, which an [`SdkError`] keeps, and shows in its `Debug`.
    source: Box<dyn Error + Send + Sync>,
}

impl fmt::Debug for FailedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailedCall").field("call", &self.call).field("detail", &self.detail).finish_non_exhaustive()
    }
}

impl AwsError {
    /// Turns the SDK's error of `call` (written as in IAM policies: `iam:CreateRole`) into one that says what it was.
    pub fn of<E, R>(call: &'static str) -> impl FnOnce(SdkError<E, R>) -> Self
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
        R: fmt::Debug + Send + Sync + 'static,
    {
        move |error| {
            let code = error.code().map(str::to_owned);
            let detail = match (&code, error.message()) {
                (Some(code), Some(message)) if !CODES_THAT_REPEAT_THE_REQUEST.contains(&code.as_str()) => {
                    format!("{code}: {message}")
                }
                (Some(code), _) => code.clone(),
                (None, _) => without_code(&error),
            };
            let source = match error {
                // What could not be read may be quoted by whoever could not read it.
                SdkError::ServiceError(_) | SdkError::ResponseError(_) => detail.clone().into(),
                other => other.into_source().unwrap_or_else(Into::into),
            };
            Self(Box::new(FailedCall { call, code, detail: shortened(&detail, 500), source }))
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

/// What is known about a failure that AWS has put no code to.
fn without_code<E: Error + 'static, R: fmt::Debug + 'static>(error: &SdkError<E, R>) -> String {
    let Some(answer) = error.raw_response() else {
        // There was no answer: nothing in the chain of causes knows more than addresses and time limits.
        return with_causes(error);
    };
    match (answer as &dyn Any).downcast_ref::<HttpResponse>() {
        Some(answer) => format!("an answer that cannot be read (HTTP {})", answer.status().as_u16()),
        None => "an answer that cannot be read".to_owned(),
    }
}

fn with_causes(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", with_causes(cause)))
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

    /// Whatever the SDK keeps of an answer stays out of what is said. (The tests of the tasks are in
    /// `tests/error_texts.rs`: this feature is off when this crate is built for a function.)
    #[test]
    #[cfg(feature = "samples")]
    fn an_error_says_what_failed_and_nothing_of_the_answer() {
        use crate::samples::leaks::{SECRETS, failed_calls};
        let said: Vec<_> = failed_calls().iter().map(|error| (error.to_string(), format!("{error:?}"))).collect();
        assert!(SECRETS.iter().all(|secret| !format!("{said:?}").contains(secret)), "{said:#?}");
        let said: Vec<_> =
            said.iter().map(|(text, _)| text.strip_prefix("sts:AssumeRole failed with ").unwrap()).collect();
        insta::assert_debug_snapshot!(said);
    }
}
