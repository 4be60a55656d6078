//! One connection pool for all SDK clients of a process.

use std::{env, time::Duration};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::{
    Builder, Connector,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    behavior_version::BehaviorVersion,
    http::{HttpConnectorSettings, SharedHttpClient, SharedHttpConnector},
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
