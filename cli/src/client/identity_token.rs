//! Identity tokens of the CI run: from wherever the CI system gives them.

use std::process::Stdio;

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, SharedHttpConnector},
    orchestrator::HttpRequest,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use serde_json::Value;
use tokio::process::Command;
use zeroize::Zeroizing;

use super::secret::Secret;
use crate::{
    error::{Error, Kind},
    settings::{System, World},
};

/// The variables that hold a token that is ready: Daypass's own, and the name that docs/identity.md has for GitLab.
pub const VARIABLES: [&str; 2] = ["DAYPASS_IDENTITY_TOKEN", "DAYPASS_TOKEN"];

/// Gives tokens for whichever audience.
#[derive(Debug)]
pub enum Tokens {
    /// GitHub's endpoint.
    GitHub { url: String, bearer: Secret, connector: SharedHttpConnector },
    /// `buildkite-agent`.
    Buildkite,
    /// `circleci`.
    CircleCi,
}

/// The token that somebody has put into the environment.
pub fn ready(world: &dyn World) -> Option<(&'static str, Secret)> {
    VARIABLES.into_iter().find_map(|name| Some((name, Secret::new(world.variable(name)?))))
}

impl Tokens {
    /// Where this run can have tokens.
    pub fn of(system: Option<System>, world: &dyn World, connector: &SharedHttpConnector) -> Option<Self> {
        match system? {
            System::GitHub => {
                let url = world.variable("ACTIONS_ID_TOKEN_REQUEST_URL")?;
                let bearer = Secret::new(world.variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?);
                Some(Self::GitHub { url, bearer, connector: connector.clone() })
            }
            System::Buildkite => Some(Self::Buildkite),
            System::CircleCi => Some(Self::CircleCi),
            System::GitLab => None,
        }
    }

    /// Asks for a token.
    ///
    /// # Errors
    /// When there is none to be had.
    pub async fn fetch(&self, audience: &str) -> Result<Secret, Error> {
        match self {
            Self::GitHub { url, bearer, connector } => from_github(connector, url, bearer, audience).await,
            Self::Buildkite => {
                from_command(&["buildkite-agent", "oidc", "request-token", "--audience", audience]).await
            }
            Self::CircleCi => {
                let claims = serde_json::json!({"aud": audience}).to_string();
                from_command(&["circleci", "run", "oidc", "get", "--claims", &claims]).await
            }
        }
    }
}

/// <https://docs.github.com/en/actions/reference/security/oidc#methods-for-requesting-the-oidc-token>
async fn from_github(
    connector: &SharedHttpConnector,
    url: &str,
    bearer: &Secret,
    audience: &str,
) -> Result<Secret, Error> {
    let failed = |what: &str| {
        Error::new(Kind::TryAgain, format!("GitHub gives no identity token: {what}"))
            .remedy("see that the job has the permission `id-token: write`, then try again")
    };
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("audience", audience).finish();
    let separator = if url.contains('?') { '&' } else { '?' };
    let mut request = HttpRequest::new(SdkBody::empty());
    request
        .set_uri(format!("{url}{separator}{query}"))
        .map_err(|_| failed("ACTIONS_ID_TOKEN_REQUEST_URL is no URL"))?;
    let authorization = format!("bearer {}", bearer.expose());
    request
        .headers_mut()
        .try_insert("authorization", authorization)
        .map_err(|_| failed("its bearer token is malformed"))?;
    request.headers_mut().insert("accept", "application/json");
    let response = connector.call(request).await.map_err(|_| failed("no answer"))?;
    let status = response.status().as_u16();
    let body = ByteStream::new(response.into_body()).collect().await.map_err(|_| failed("the answer is cut off"))?;
    if status != 200 {
        return Err(failed(&format!("HTTP {status}")));
    }
    let body = Zeroizing::new(body.to_vec());
    let answer: Value = serde_json::from_slice(&body).map_err(|_| failed("the answer is no JSON"))?;
    answer["value"].as_str().map(Secret::new).ok_or_else(|| failed("the answer has no `value`"))
}

async fn from_command(command: &[&str]) -> Result<Secret, Error> {
    let shown = command.join(" ");
    let failed = |what: String| {
        Error::new(Kind::Failed, format!("`{shown}` {what}, so there is no identity token"))
            .remedy("see that the CI system gives OIDC tokens to this job")
    };
    let Some((program, arguments)) = command.split_first() else { return Err(failed("is nothing".to_owned())) };
    // What it prints is a token, unless it fails; its own words go where ours go.
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output().await;
    let output = output.map_err(|error| failed(format!("cannot be run ({error})")))?;
    let printed = Zeroizing::new(output.stdout);
    if !output.status.success() {
        return Err(failed(format!("failed ({})", output.status)));
    }
    match std::str::from_utf8(&printed).map(str::trim) {
        Ok(token) if !token.is_empty() => Ok(Secret::new(token)),
        _ => Err(failed("printed nothing".to_owned())),
    }
}
