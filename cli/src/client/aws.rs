//! Clients of AWS, with the credentials that Daypass is asked with.

use std::{env, ffi::OsStr, fmt, fs, net::IpAddr, sync::Arc, time::Duration};

use aws_config::{
    BehaviorVersion,
    ecs::EcsCredentialsProvider,
    imds::credentials::ImdsCredentialsProvider,
    meta::{credentials::CredentialsProviderChain, region::RegionProviderChain},
    profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider},
    provider_config::ProviderConfig,
    web_identity_token::WebIdentityTokenCredentialsProvider,
};
use aws_credential_types::{
    Credentials,
    provider::{
        ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future::ProvideCredentials as Provided,
    },
};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        endpoint::EndpointPrefix,
        http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector, http_client_fn},
        interceptors::{Intercept, context::BeforeSerializationInterceptorContextMut, dyn_dispatch_hint},
        orchestrator::HttpRequest,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{config_bag::ConfigBag, timeout::TimeoutConfig};
use aws_types::{SdkConfig, endpoint_config::EndpointUrl, region::Region};
use daypass_aws::AwsError;
use hyper::Uri;
use url::Host;

use super::{
    asking::{self, OnlyOwn},
    holders,
    identity_token::Tokens,
    profiles,
    secret::Secret,
};
use crate::{
    error::{Cause, Error},
    process::Process,
    world::World,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// Names the certificate authorities to believe, instead of the system's, as for the `aws` command.
const AUTHORITIES: &str = "AWS_CA_BUNDLE";

/// The one pool of connections of this process: AWS's, and those of issuers of tokens. `HTTPS_PROXY` and the like count.
///
/// # Errors
/// When the certificate authorities cannot be read.
pub fn connector() -> Result<SharedHttpConnector, Error> {
    let bundle = env::var_os(AUTHORITIES).filter(|file| !file.is_empty());
    let trust = match &bundle {
        Some(file) => {
            let pem = fs::read(file).map_err(|error| no_authorities(file, &error))?;
            TrustStore::empty().with_pem_certificate(pem)
        }
        None => TrustStore::empty().with_native_roots(true),
    };
    let context = TlsContext::builder().with_trust_store(trust).build();
    let context = context.map_err(|error| no_authorities(&bundle.unwrap_or_default(), &error))?;
    let with = |proxies| {
        let connector = Connector::builder()
            .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build())
            .sleep_impl(TokioSleep::new())
            .proxy_config(proxies)
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(context.clone());
        SharedHttpConnector::new(connector.build())
    };
    let (direct, proxied) = (with(ProxyConfig::disabled()), with(ProxyConfig::from_env()));
    Ok(SharedHttpConnector::new(Connectors { direct, proxied }))
}

/// Asks this machine itself, and everybody else by way of the proxies that are set: a proxy would see what is for this machine alone,
/// and could not reach it.
#[derive(Debug)]
struct Connectors {
    direct: SharedHttpConnector,
    proxied: SharedHttpConnector,
}

impl HttpConnector for Connectors {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri: Option<Uri> = request.uri().parse().ok();
        let is_here = uri.as_ref().and_then(|uri| uri.host()).is_some_and(is_of_this_machine);
        if is_here { self.direct.call(request) } else { self.proxied.call(request) }
    }
}

/// However a host is spelled: what programs read as an address of this machine, is one. (The unspecified address leads there as well.)
/// So are link-local addresses and `fd00:ec2::/32`, where a machine or a container gets its credentials.
fn is_of_this_machine(host: &str) -> bool {
    let is_local = |address: IpAddr| match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_unspecified() || address.is_link_local(),
        IpAddr::V6(address) => {
            let is_of_ec2 = address.segments()[..2] == [0xfd00, 0xec2];
            address.is_loopback() || address.is_unspecified() || address.is_unicast_link_local() || is_of_ec2
        }
    };
    match Host::parse(host) {
        Ok(Host::Ipv4(address)) => is_local(address.into()),
        Ok(Host::Ipv6(address)) => is_local(address.to_canonical()),
        Ok(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name.rsplit('.').next() == Some("localhost") || ["ip6-localhost", "ip6-loopback"].contains(&name)
        }
        Err(_) => false,
    }
}

fn no_authorities(file: &OsStr, error: &dyn fmt::Display) -> Error {
    Error::usage(format!("the certificate authorities ({AUTHORITIES}, `{}`) cannot be used: {error}", file.display()))
        .remedy(format!("correct {AUTHORITIES}, or unset it"))
}

/// The configuration of every client, with the credentials of this profile, or those that the `aws` command would use.
///
/// `role_key_ids`: access key ids of deploy-role sessions. These may not call Daypass, so environment credentials with such an id are
/// ignored, in favour of the previous ones of the environment or those of a profile.
///
/// # Errors
/// When the credentials would come from this very command.
pub async fn ambient(
    region: &str,
    connector: &SharedHttpConnector,
    profile: Option<&str>,
    role_key_ids: &[String],
) -> Result<SdkConfig, Error> {
    if holders::goes_round() {
        return Err(holders::round());
    }
    let (region, connector) = (Region::new(region.to_owned()), connector.clone());
    let http = http_client_fn(move |_, _| connector.clone());
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    let passed_over = asking::is_own(&Process, role_key_ids);
    let in_environment = Process.variable("AWS_ACCESS_KEY_ID").is_some();
    let config = aws_config::defaults(BehaviorVersion::latest());
    let mut config = config.region(region.clone()).http_client(http.clone()).timeout_config(timeouts);
    if let (None, true, Some(before)) = (profile, passed_over, asking::restored(&Process)) {
        return Ok(config.credentials_provider(before).load().await);
    }
    if profile.is_some() || passed_over || !in_environment {
        profiles::not_from_daypass(profile).await?;
    }
    let surroundings = ProviderConfig::without_region().with_region(Some(region)).with_http_client(http);
    let profiles = || ProfileFileCredentialsProvider::builder().configure(&surroundings);
    if let Some(profile) = profile {
        let source = profiles().profile_name(profile).build();
        config = config.profile_name(profile).credentials_provider(source);
    } else if passed_over {
        let token = WebIdentityTokenCredentialsProvider::builder().configure(&surroundings).build();
        let mut named = CredentialsProviderChain::first_try("Profile", profiles().build());
        named = named.or_else("WebIdentityToken", token);
        // A command that has the endpoint of a deploy role has that in the place of a container's.
        if in_environment {
            named = named.or_else("EcsContainer", EcsCredentialsProvider::builder().configure(&surroundings).build());
        }
        let machine = ImdsCredentialsProvider::builder().configure(&surroundings).build();
        config = config.credentials_provider(OtherThanOwn { named, machine });
    }
    Ok(config.load().await)
}

/// What clients are built from that have nothing to do with asking Daypass: with the credentials and the region of this profile, or
/// those that the `aws` command would use; in `region` where neither says one.
pub async fn of_profile(profile: Option<&str>, region: Option<Region>, connector: &SharedHttpConnector) -> SdkConfig {
    let connector = connector.clone();
    let http = http_client_fn(move |_, _| connector.clone());
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http.clone());
    let Some(name) = profile else { return config.load().await };
    let surroundings = ProviderConfig::without_region().with_http_client(http);
    let credentials = ProfileFileCredentialsProvider::builder().configure(&surroundings).profile_name(name).build();
    let of_profile = ProfileFileRegionProvider::builder().configure(&surroundings).profile_name(name).build();
    // The default chain would take the environment's first.
    config
        .credentials_provider(credentials)
        .region(RegionProviderChain::first_try(of_profile).or_else(region))
        .load()
        .await
}

/// Where other credentials than the deploy role's own may be: what the `aws` command would use if it had none in variables.
#[derive(Debug)]
struct OtherThanOwn {
    named: CredentialsProviderChain,
    machine: ImdsCredentialsProvider,
}

impl ProvideCredentials for OtherThanOwn {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::new(async {
            match self.named.provide_credentials().await {
                // What says why a machine gives none, is mostly that it is not at AWS.
                Err(CredentialsError::CredentialsNotLoaded(_)) => {
                    let machine = self.machine.provide_credentials().await;
                    machine.map_err(|_| CredentialsError::provider_error(OnlyOwn))
                }
                found => found,
            }
        })
    }
}

/// The same with the credentials of this role, assumed anew whenever they are about to end.
pub fn as_invoker(ambient: &SdkConfig, role_arn: &str, tokens: Option<Tokens>) -> SdkConfig {
    let invoker =
        Invoker { role_arn: role_arn.to_owned(), sts: aws_sdk_sts::Client::new(ambient), tokens: tokens.map(Arc::new) };
    ambient.clone().into_builder().credentials_provider(SharedCredentialsProvider::new(invoker)).build()
}

/// The same with these credentials.
pub fn with(config: &SdkConfig, credentials: Credentials) -> SdkConfig {
    config.clone().into_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build()
}

/// Step Functions. Its endpoint for `StartSyncExecution` is `sync-states…`; one that somebody has named is taken as it is.
pub fn states(config: &SdkConfig) -> aws_sdk_sfn::Client {
    let config = aws_sdk_sfn::config::Builder::from(config).interceptor(NamedEndpoints).build();
    aws_sdk_sfn::Client::from_conf(config)
}

/// Credentials of the role that may ask Daypass.
#[derive(Debug)]
struct Invoker {
    role_arn: String,
    sts: aws_sdk_sts::Client,
    /// Where the CI system gives tokens on request: those for AWS.
    tokens: Option<Arc<Tokens>>,
}

/// How AWS wants to be called in OIDC tokens for it.
const AWS_AUDIENCE: &str = "sts.amazonaws.com";
const SESSION_NAME: &str = "daypass";

impl Invoker {
    async fn assume(&self) -> Result<Credentials, CredentialsError> {
        let failed = |error: AwsError| CredentialsError::provider_error(error);
        let issued = if let Some(tokens) = &self.tokens {
            let token =
                tokens.fetch(AWS_AUDIENCE).await.map_err(|error| CredentialsError::provider_error(Cause(error)))?;
            let request = self.sts.assume_role_with_web_identity().role_arn(&self.role_arn);
            let request = request.role_session_name(SESSION_NAME).web_identity_token(token.expose());
            request.send().await.map_err(AwsError::of("sts:AssumeRoleWithWebIdentity")).map_err(failed)?.credentials
        } else {
            let request = self.sts.assume_role().role_arn(&self.role_arn).role_session_name(SESSION_NAME);
            request.send().await.map_err(AwsError::of("sts:AssumeRole")).map_err(failed)?.credentials
        };
        let issued = issued.ok_or_else(|| CredentialsError::provider_error("STS answered without credentials"))?;
        let expires = issued.expiration.try_into().map_err(CredentialsError::provider_error)?;
        let (id, secret) = (issued.access_key_id, issued.secret_access_key);
        Ok(Credentials::new(id, secret, Some(issued.session_token), Some(expires), "daypass-invoker"))
    }
}

impl ProvideCredentials for Invoker {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::new(self.assume())
    }
}

/// Takes an endpoint that somebody has named as it is, without a prefix to its host.
#[derive(Debug)]
struct NamedEndpoints;

#[dyn_dispatch_hint]
impl Intercept for NamedEndpoints {
    fn name(&self) -> &'static str {
        "NamedEndpoints"
    }

    fn modify_before_serialization(
        &self,
        _context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if config.load::<EndpointUrl>().is_some() {
            config.interceptor_state().unset::<EndpointPrefix>();
        }
        Ok(())
    }
}

/// Credentials for the SDK.
pub fn credentials(id: &str, secret: &Secret, token: &Secret) -> Credentials {
    Credentials::new(id, secret.expose(), Some(token.expose().to_owned()), None, "daypass")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_this_machine() {
        for host in [
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::]",
            "0.0.0.0",
            "127.1",
            "0x7f000001",
            "2130706433",
            "localhost.",
            "localhost",
            "LOCALHOST",
            "x.localhost",
            "ip6-localhost",
            "169.254.169.254",
            "169.254.170.2",
            "[fd00:ec2::254]",
            "[fe80::1]",
        ] {
            assert!(is_of_this_machine(host), "{host}");
        }
        for host in [
            "128.0.0.1",
            "10.0.0.1",
            "[fd00::1]",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "sts.amazonaws.com",
            "",
        ] {
            assert!(!is_of_this_machine(host), "{host}");
        }
    }
}
