//! Identity tokens of the CI run: from wherever the CI system gives them.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    process::{Command as Started, Stdio},
};

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
const READY: [&str; 2] = ["DAYPASS_IDENTITY_TOKEN", "DAYPASS_TOKEN"];
/// GitHub's endpoint for tokens, and what it is asked with. That is the token that actions have as `ACTIONS_RUNTIME_TOKEN`:
/// <https://github.com/actions/runner/blob/main/src/Runner.Worker/Handlers/ScriptHandler.cs>.
const GITHUB_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const GITHUB_BEARER: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// Everything in an environment that is a token of the run, or that tokens are had with. `buildkite-agent` asks with its own;
/// `DAYPASS_AWS_TOKEN` is what docs/gitlab.md calls the token for AWS.
const VARIABLES: [&str; 9] = [
    READY[0],
    READY[1],
    "DAYPASS_AWS_TOKEN",
    GITHUB_URL,
    GITHUB_BEARER,
    "ACTIONS_RUNTIME_TOKEN",
    "BUILDKITE_AGENT_ACCESS_TOKEN",
    "CIRCLE_OIDC_TOKEN",
    "CIRCLE_OIDC_TOKEN_V2",
];

/// Keeps from a command what identity tokens are had with: who has them can be anybody whom this run can be, for any account, for
/// as long as the run lasts. `environment` is that of this process.
pub fn withhold(command: &mut Started, environment: impl IntoIterator<Item = (OsString, OsString)>) {
    let environment: Vec<_> = environment.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let is_known = |name: &OsStr| VARIABLES.iter().any(|known| name == *known);
    let secrets: BTreeSet<_> = environment.iter().filter(|(name, _)| is_known(name)).map(|(_, value)| value).collect();
    // Under whichever names: a pipeline calls its tokens as it likes, and hands them on as these.
    for (name, _) in environment.iter().filter(|(_, value)| secrets.contains(value)) {
        command.env_remove(name);
    }
}

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
    READY.into_iter().find_map(|name| Some((name, Secret::new(world.variable(name)?))))
}

impl Tokens {
    /// Where this run can have tokens.
    pub fn of(system: Option<System>, world: &dyn World, connector: &SharedHttpConnector) -> Option<Self> {
        match system? {
            System::GitHub => {
                let url = world.variable(GITHUB_URL)?;
                let bearer = Secret::new(world.variable(GITHUB_BEARER)?);
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
    // What it prints is a token, unless it fails; its own words go where ours go. It is the CI system's own, and asks with what
    // the environment has for that.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Made;

    fn withheld(environment: &[(&str, &str)]) -> Vec<String> {
        let mut command = Started::new("true");
        withhold(&mut command, environment.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let removed = command.get_envs().filter(|(_, value)| value.is_none());
        removed.map(|(name, _)| name.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_command_gets_nothing_that_identity_tokens_are_had_with() {
        for name in VARIABLES {
            assert_eq!(withheld(&[("PATH", "/bin"), (name, "the token"), ("CI", "true")]), [name]);
        }
        let other_names = [
            ("ID_TOKEN", "eyJhbGciOi"),
            ("DAYPASS_IDENTITY_TOKEN", "eyJhbGciOi"),
            ("PREFIXED", "x eyJhbGciOi"),
            ("DAYPASS_TOKEN", ""),
            ("EMPTY", ""),
        ];
        assert_eq!(withheld(&other_names), ["DAYPASS_IDENTITY_TOKEN", "ID_TOKEN"]);
    }

    #[test]
    fn what_a_command_gets_gives_it_no_token() {
        let connector = crate::client::aws::connector().unwrap();
        let gives_one =
            |world: &Made| Tokens::of(Some(System::GitHub), world, &connector).is_some() || ready(world).is_some();
        let all = VARIABLES.map(|name| (name, "the token"));
        let mut world = Made::with(&all);
        assert!(gives_one(&world));
        for name in withheld(&all) {
            world.variables.remove(&name);
        }
        assert!(!gives_one(&world));
    }
}
