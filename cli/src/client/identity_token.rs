//! Identity tokens of the CI run: from wherever the CI system gives them.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    process::{Command as Started, Stdio},
    time::Duration,
};

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, SharedHttpConnector},
    orchestrator::HttpRequest,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use daypass::text::plain;
use serde_json::Value;
use tokio::{
    process::Command,
    time::{sleep, timeout},
};
use zeroize::Zeroizing;

use super::{renewal, secret::Secret};
use crate::{
    error::{Error, Kind},
    settings::System,
    world::World,
};

/// The variables that hold a token that is ready: Daypass's own, and the name that docs/identity.md has for GitLab.
const READY: [&str; 2] = ["DAYPASS_IDENTITY_TOKEN", "DAYPASS_TOKEN"];
/// GitHub's endpoint for tokens, and what it is asked with. That is the token that actions have as `ACTIONS_RUNTIME_TOKEN`:
/// <https://github.com/actions/runner/blob/main/src/Runner.Worker/Handlers/ScriptHandler.cs>.
const GITHUB_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const GITHUB_BEARER: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// Everything in an environment that is a token of the run, or that tokens are had with. `buildkite-agent` asks with its own, which its
/// API for the job shows as well (<https://buildkite.com/docs/apis/agent-api/internal-job>); `DAYPASS_AWS_TOKEN` is what
/// docs/gitlab.md calls the token for AWS.
const VARIABLES: [&str; 11] = [
    READY[0],
    READY[1],
    "DAYPASS_AWS_TOKEN",
    GITHUB_URL,
    GITHUB_BEARER,
    "ACTIONS_RUNTIME_TOKEN",
    "BUILDKITE_AGENT_ACCESS_TOKEN",
    "BUILDKITE_AGENT_JOB_API_SOCKET",
    "BUILDKITE_AGENT_JOB_API_TOKEN",
    "CIRCLE_OIDC_TOKEN",
    "CIRCLE_OIDC_TOKEN_V2",
];

/// Keeps from a command what identity tokens are had with: who has them can be anybody whom this run can be, for any account, for
/// as long as the run lasts. `environment` is that of this process, and `audience` the deployment's: a token for it is withheld
/// wherever it stands.
pub fn withhold(
    command: &mut Started,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    audience: Option<&str>,
) {
    let environment: Vec<_> = environment.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let is_known = |name: &OsStr| VARIABLES.iter().any(|known| name == *known);
    let secrets: BTreeSet<_> = environment.iter().filter(|(name, _)| is_known(name)).map(|(_, value)| value).collect();
    let known: Vec<_> = secrets.iter().map(|secret| secret.to_string_lossy()).collect();
    let of_known = known.iter().filter_map(|text| claims(text)).flat_map(|claims| audiences(&claims));
    let audiences: BTreeSet<_> = of_known.chain(audience.map(str::to_owned)).collect();
    let is_like_them =
        |word: &str| claims(word).is_some_and(|claims| !audiences.is_disjoint(&self::audiences(&claims)));
    let has_one = |value: &OsString| {
        words(&value.to_string_lossy()).any(|word| known.iter().any(|text| text == word) || is_like_them(word))
    };
    // Under whichever names, and inside of whatever text: a pipeline calls its tokens as it likes, and hands them on as these. It may
    // have more for the same audience.
    for (name, _) in environment.iter().filter(|(_, value)| secrets.contains(value) || has_one(value)) {
        command.env_remove(name);
    }
}

/// What can be a token in a text: these are long, and made of letters, digits and few signs.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_of_a_token = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.split(move |c| !is_of_a_token(c)).map(|word| word.trim_matches('.')).filter(|word| word.len() >= SHORTEST)
}

/// What a token says of itself, whether or not it is genuine; nothing if it is no JWT.
pub fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let json = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?);
    let claims: Value = serde_json::from_slice(&json).ok()?;
    (claims.is_object() && parts.next().is_none()).then_some(claims)
}

/// Whom it is for.
pub fn audiences(claims: &Value) -> BTreeSet<String> {
    match &claims["aud"] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        one => one.as_str().map(str::to_owned).into_iter().collect(),
    }
}

/// What lies between the attempts to get a token, in milliseconds. An issuer that is not ready for a job usually is a second later.
const PAUSES: [u64; 4] = [500, 1_000, 2_000, 4_000];
/// How long one attempt may take, of the CI system's own commands as well, which try more than once themselves.
const ATTEMPT: Duration = Duration::from_secs(30);
/// No token is shorter, in characters.
const SHORTEST: usize = 16;
/// As much as is told of what an issuer says, in characters.
const WORDS: usize = 300;

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

    /// Asks for a token, several times where the issuer may think better of it.
    ///
    /// # Errors
    /// When there is none to be had: what the issuer says.
    pub async fn fetch(&self, audience: &str) -> Result<Secret, Error> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let in_time = timeout(ATTEMPT, self.fetch_once(audience)).await;
            let late =
                |_| Err(Error::new(Kind::TryAgain, "there is no identity token: the CI system did not answer in time"));
            match (in_time.unwrap_or_else(late), pauses.next()) {
                (Err(error), Some(pause)) if error.kind() == Kind::TryAgain => {
                    sleep(Duration::from_millis(pause).mul_f64(renewal::between(0.8, 1.2))).await;
                }
                (answer, _) => return answer,
            }
        }
    }

    async fn fetch_once(&self, audience: &str) -> Result<Secret, Error> {
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
    let failed = |kind, what: &str| {
        Error::new(kind, format!("GitHub issued no identity token: {what}"))
            .remedy("check that the job has the permission `id-token: write`, then try again")
    };
    let passing = |what: &str| failed(Kind::TryAgain, what);
    let lasting = |what: &str| failed(Kind::Failed, what);
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("audience", audience).finish();
    let separator = if url.contains('?') { '&' } else { '?' };
    let mut request = HttpRequest::new(SdkBody::empty());
    request
        .set_uri(format!("{url}{separator}{query}"))
        .map_err(|_| lasting("ACTIONS_ID_TOKEN_REQUEST_URL is not a URL"))?;
    let authorization = format!("bearer {}", bearer.expose());
    request
        .headers_mut()
        .try_insert("authorization", authorization)
        .map_err(|_| lasting("its bearer token is malformed"))?;
    request.headers_mut().insert("accept", "application/json");
    let response = connector.call(request).await.map_err(|_| passing("no answer"))?;
    let status = response.status().as_u16();
    let body = ByteStream::new(response.into_body()).collect().await.map_err(|_| passing("the answer is cut off"))?;
    let body = Zeroizing::new(body.to_vec());
    let answer: Result<Value, _> = serde_json::from_slice(&body);
    match status {
        200 => {
            let answer = answer.map_err(|_| passing("the answer is not JSON"))?;
            answer["value"].as_str().map(Secret::new).ok_or_else(|| passing("the answer has no `value`"))
        }
        // GitHub refuses what it cannot decide yet in the same way as what it never will (403, 404): it knows that no better.
        400 | 401 => Err(lasting(&said(status, &answer.unwrap_or_default(), &body))),
        _ => Err(passing(&said(status, &answer.unwrap_or_default(), &body))),
    }
}

/// What an issuer says, who gives no token: so there is none in it.
fn said(status: u16, answer: &Value, body: &[u8]) -> String {
    let words = ["message", "error_description", "error"].into_iter().find_map(|name| answer[name].as_str());
    let words = words.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    let words: String = plain(words.trim()).chars().take(WORDS).collect();
    if words.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {words}") }
}

async fn from_command(command: &[&str]) -> Result<Secret, Error> {
    let shown = command.join(" ");
    let error = |kind, what: String| {
        Error::new(kind, format!("`{shown}` {what}, so there is no identity token"))
            .remedy("check that the CI system issues OIDC tokens to this job")
    };
    let failed = |what| error(Kind::Failed, what);
    let Some((program, arguments)) = command.split_first() else { return Err(failed("is nothing".to_owned())) };
    // What it prints is a token, unless it fails; its own words go where ours go. It is the CI system's own, and asks with what
    // the environment has for that.
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await;
    let output = output.map_err(|error| failed(format!("cannot be run ({error})")))?;
    let printed = Zeroizing::new(output.stdout);
    if !output.status.success() {
        // Why, it has said itself.
        return Err(error(Kind::TryAgain, format!("failed ({})", output.status)));
    }
    match std::str::from_utf8(&printed).map(str::trim) {
        Ok(token) if !token.is_empty() => Ok(Secret::new(token)),
        _ => Err(failed("printed nothing".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::world::FakeWorld;

    fn withheld(environment: &[(&str, &str)]) -> Vec<String> {
        let mut command = Started::new("true");
        let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        withhold(&mut command, environment, Some("deployment"));
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
        let token = |claims: &str| format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims));
        let [first, second, third, other] =
            [r#"{"aud":"hub","x":1}"#, r#"{"aud":"hub","x":2}"#, r#"{"aud":["a","hub"]}"#, r#"{"aud":"a"}"#].map(token);
        let tokens =
            [("DAYPASS_TOKEN", &*first), ("OF_ANOTHER", &*other), ("SECOND_TOKEN", &*second), ("THIRD", &*third)];
        assert_eq!(withheld(&tokens), ["DAYPASS_TOKEN", "SECOND_TOKEN", "THIRD"], "for the same audience");
        let of_deployment = token(r#"{"aud":"deployment"}"#);
        assert_eq!(withheld(&[("MINE", &*of_deployment), ("OF_ANOTHER", &*other)]), ["MINE"]);
        let inside = [
            format!("https://x.example/?t={first}"),
            format!("{{\"t\": \"{second}\", \"u\": \"x.y\"}}"),
            format!("{other} {first}."),
        ];
        for text in &inside {
            assert_eq!(withheld(&[("DAYPASS_TOKEN", &*first), ("TEXT", text)]), ["DAYPASS_TOKEN", "TEXT"], "{text}");
        }
    }

    /// GitHub, asked once for each of these answers; returns what came of it, and how often it was asked.
    async fn github(answers: &[(u16, &str)]) -> (Result<Secret, Error>, usize) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/token?x=1", listener.local_addr().unwrap());
        let connector = crate::client::aws::connector().unwrap();
        let tokens = Tokens::GitHub { url, bearer: Secret::new("bearer"), connector };
        let asked = AtomicUsize::new(0);
        let serving = async {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                asked.fetch_add(1, Ordering::SeqCst);
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            std::future::pending().await
        };
        let answer = tokio::select! {
            answer = tokens.fetch("daypass") => answer,
            never = serving => never,
        };
        (answer, asked.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn a_passing_refusal_is_asked_again_and_a_lasting_one_is_told_in_the_issuers_words() {
        const PENDING: &str = r#"{"message": "Can't issue ID_TOKEN for job in 'Pending' state"}"#;
        let (token, asked) = github(&[(403, PENDING), (200, r#"{"value": "the token"}"#)]).await;
        assert_eq!((token.unwrap().expose(), asked), ("the token", 2));
        let long = format!(r#"{{"message": "\u001b[2J\n::error::{}"}}"#, "x".repeat(1_000));
        for (status, body) in [(401, PENDING), (400, &*long), (401, "<html>no</html>"), (400, "")] {
            let (refused, asked) = github(&[(status, body)]).await;
            let refused = refused.unwrap_err();
            assert_eq!((refused.kind(), asked), (Kind::Failed, 1));
            assert!(refused.reason().contains(&format!("HTTP {status}")), "{}", refused.reason());
            assert!(
                !refused.reason().contains(['\u{1b}', '\n']) && refused.reason().len() < 400,
                "{}",
                refused.reason()
            );
        }
        let (refused, _) = github(&[(401, PENDING)]).await;
        assert!(refused.unwrap_err().reason().ends_with("for job in 'Pending' state"));
    }

    #[test]
    fn what_a_command_gets_gives_it_no_token() {
        let connector = crate::client::aws::connector().unwrap();
        let gives_one =
            |world: &FakeWorld| Tokens::of(Some(System::GitHub), world, &connector).is_some() || ready(world).is_some();
        let all = VARIABLES.map(|name| (name, "the token"));
        let mut world = FakeWorld::with(&all);
        assert!(gives_one(&world));
        for name in withheld(&all) {
            world.variables.remove(&name);
        }
        assert!(!gives_one(&world));
    }
}
