//! The identity token of the CI run, looked at as its recipient would: it is not sent anywhere.

use daypass::{text::Quoted, timestamp::Timestamp};

use super::check::Check;
use crate::{
    client::{
        identity_token::{Tokens, audiences, claims, ready},
        secret::Secret,
    },
    settings::{Key, Settings, System},
    world::World,
};

const NAME: &str = "identity token";

/// Whether this run can have one, and whether it is for this deployment.
pub async fn check(settings: &Settings, world: &dyn World, tokens: Option<Tokens>, now: Timestamp) -> Check {
    let Some(audience) = settings.text(Key::IdentityTokenAudience) else {
        return Check::skipped(
            NAME,
            "none is sent, because `identity_token_audience` is not set; production needs one by default",
        );
    };
    let fetched = match (ready(world), &tokens) {
        (Some((variable, token)), _) => Ok((variable.to_owned(), token)),
        (None, Some(tokens)) => tokens.fetch(audience).await.map(|token| ("the CI system".to_owned(), token)),
        (None, None) => return without(settings.system),
    };
    match fetched {
        Ok((source, token)) => judge(&source, &token, audience, now),
        Err(error) => Check::error(NAME, &error),
    }
}

fn without(system: Option<System>) -> Check {
    let Some(system) = system else {
        return Check::skipped(NAME, "only a CI run has one; where a token is required, request from a CI run");
    };
    let remedy = match system {
        System::GitHub => "give the job the permission `id-token: write`",
        System::GitLab => "give the job `id_tokens` with DAYPASS_IDENTITY_TOKEN for that audience",
        System::Buildkite | System::CircleCi => "check that the CI system issues OIDC tokens to this job",
    };
    Check::fail(NAME, format!("this run in {} cannot get one", system.name()), remedy)
}

/// What the token says of itself. Whether it is genuine, the deployment finds out.
fn judge(source: &str, token: &Secret, audience: &str, now: Timestamp) -> Check {
    let Some(claims) = claims(token.expose()) else {
        return Check::fail(NAME, format!("the token of {source} is not a JWT"), "use the CI system's OIDC token");
    };
    let audiences = audiences(&claims);
    if !audiences.contains(audience) {
        let other = audiences.into_iter().collect::<Vec<_>>().join(", ");
        return Check::fail(
            NAME,
            format!("the token of {source} is for {}, not for {}", Quoted(&other), Quoted(audience)),
            format!("configure the CI system to issue it for {audience}"),
        );
    }
    match claims["exp"].as_i64().map(Timestamp::from_unix_seconds) {
        Some(ends) if ends > now => {
            let issuer = claims["iss"].as_str().unwrap_or("an unknown issuer");
            Check::ok(NAME, format!("from {source}, issued by {issuer} for {audience}, until {ends}"))
        }
        Some(ends) => Check::fail(
            NAME,
            format!("the token of {source} expired at {ends}"),
            "get a new one right before the request",
        ),
        None => Check::fail(NAME, format!("the token of {source} has no expiry"), "use the CI system's OIDC token"),
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::*;
    use crate::commands::doctor::check::Status;

    fn token(claims: &Value) -> Secret {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        Secret::new(format!("{}.{}.c2lnbmF0dXJl", part(&json!({"alg": "RS256"})), part(claims)))
    }

    #[test]
    fn what_a_token_says_of_itself() {
        let now = Timestamp::from_unix_seconds(1_000_000);
        let judged = |claims: &Value| judge("the CI system", &token(claims), "daypass-1", now);
        let good = json!({"iss": "https://ci.example.com", "aud": "daypass-1", "exp": 1_000_300});
        assert_eq!(judged(&good).status, Status::Ok, "{:?}", judged(&good));
        assert_eq!(judged(&json!({"aud": ["other", "daypass-1"], "exp": 1_000_300})).status, Status::Ok);
        for (claims, says) in [
            (json!({"aud": "sts.amazonaws.com", "exp": 1_000_300}), "is for `sts.amazonaws.com`, not for `daypass-1`"),
            (json!({"exp": 1_000_300}), "is for ``"),
            (json!({"aud": "daypass-1", "exp": 1_000_000}), "expired at"),
            (json!({"aud": "daypass-1"}), "has no expiry"),
            (json!([]), "is not a JWT"),
        ] {
            let check = judged(&claims);
            assert!(check.status == Status::Fail && check.detail.contains(says), "{check:?}");
        }
        for text in ["", "a.b", "a.b.c", "a.b.c.d.e"] {
            assert_eq!(judge("X", &Secret::new(text), "daypass-1", now).status, Status::Fail, "{text}");
        }
    }

    #[test]
    fn where_no_token_is_to_be_had() {
        assert_eq!(without(None).status, Status::Skipped);
        let check = without(Some(System::GitHub));
        assert_eq!(check.status, Status::Fail);
        assert_eq!(check.remedy.as_deref(), Some("give the job the permission `id-token: write`"));
    }
}
