//! Which identity tokens are believed, and which are not.

use std::{fmt::Write, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use daypass::{contract::Transaction, stage::Named};
use daypass_testing::samples;
use ring::hmac;
use serde_json::{Value, json};

mod properties;
mod world;

use self::world::{
    GITHUB, GITLAB, World, ask, ask_again, github_claims, gitlab_claims, gitlab_transaction, new_key, part, public_jwk,
    rules, seal, seal_with, sign,
};
use super::*;

/// The claims with some of them changed; null takes one away.
fn changed(mut claims: Value, changes: &Value) -> Value {
    for (claim, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(claim);
        } else {
            claims[claim] = value.clone();
        }
    }
    claims
}

/// Why a token is not believed.
async fn refusal(world: &World, transaction: Transaction, sealed: String) -> String {
    let refused = ask(&world.prove(&rules()), transaction, Some(sealed)).await.unwrap_err();
    assert_eq!(refused.name, ErrorName::IdentityNotProven, "{refused:?}");
    refused.reason
}

#[tokio::test]
async fn a_run_at_github_proves_its_actor() {
    let world = World::new();
    let token = world.token(&github_claims(), "key-1");
    let proof = ask(&world.prove(&rules()), samples::transaction(), Some(seal(&token))).await.unwrap().unwrap();
    assert_eq!(proof.token_id.len(), 64);
    let end = samples::requested_at().unix_seconds() + 300;
    assert_eq!(proof.token_ends_at, end + 30, "remembered for as long as it is valid, leeway included");
    insta::assert_json_snapshot!(proof, {".token_id" => "[SHA-256]"});
    let fetched = [format!("{GITHUB}/.well-known/openid-configuration"), format!("{GITHUB}/jwks")];
    assert_eq!(world.take_calls(), ["Decrypt", &fetched[0], &fetched[1]]);
}

#[tokio::test]
async fn a_run_at_gitlab_proves_its_user() {
    let world = World::new();
    let token = world.token(&gitlab_claims(), "key-1");
    let proof = ask(&world.prove(&rules()), gitlab_transaction(), Some(seal(&token))).await.unwrap();
    insta::assert_json_snapshot!(proof, {".token_id" => "[SHA-256]"});
}

#[tokio::test]
async fn a_token_has_one_id_however_its_signature_is_spelled() {
    let world = World::new();
    let claims = github_claims();
    let id_of = async |token: &str| {
        let proof = ask(&world.prove(&rules()), samples::transaction(), Some(seal(token))).await.unwrap();
        proof.unwrap().token_id
    };
    // ECDSA makes another signature each time, and each is valid.
    let (one, other) = (world.token(&claims, "key-1"), world.token(&claims, "key-1"));
    assert_ne!(one, other);
    assert_eq!(id_of(&one).await, id_of(&other).await);
    let next = world.token(&changed(claims, &json!({"jti": "5c1a8f3f"})), "key-1");
    assert_ne!(id_of(&one).await, id_of(&next).await);
}

#[tokio::test]
async fn a_proof_is_required_where_the_rules_say() {
    let world = World::new();
    let prove = world.prove(&rules());
    let error = ask(&prove, samples::transaction(), None).await.unwrap_err();
    assert_eq!(error.name, ErrorName::IdentityNotProven);
    insta::assert_snapshot!(
        error.reason,
        @"`identity_token` is missing: a request in production has to prove who triggered it; send the identity token \
         of the CI run, encrypted to this deployment's key"
    );
    for environment in [Some("non-production".to_owned()), None] {
        let proof = ask(&prove, Transaction { environment, ..samples::transaction() }, None).await.unwrap();
        assert_eq!(proof, None);
    }
    // An environment that nobody has opened is closed, whatever its name.
    let staging = Transaction { environment: Some("staging".to_owned()), ..samples::transaction() };
    assert_eq!(ask(&prove, staging, None).await.unwrap_err().name, ErrorName::IdentityNotProven);
    // Without an issuer nobody could prove anything.
    let prove = world.prove(&changed(rules(), &json!({"issuers": []})));
    assert_eq!(ask(&prove, samples::transaction(), None).await.unwrap(), None);
    assert_eq!(world.take_calls(), [""; 0]);
}

#[tokio::test]
async fn a_proof_that_nobody_asked_for_is_judged_all_the_same() {
    let world = World::new();
    let transaction = Transaction { environment: None, ..samples::transaction() };
    let token = world.token(&changed(github_claims(), &json!({"aud": "x"})), "key-1");
    refusal(&world, transaction, seal(&token)).await;
    let without_issuers = changed(rules(), &json!({"issuers": []}));
    let sealed = seal(&world.token(&github_claims(), "key-1"));
    let error = ask(&world.prove(&without_issuers), samples::transaction(), Some(sealed)).await.unwrap_err();
    assert_eq!(error.name, ErrorName::IdentityNotProven, "without issuers nobody can prove anything");
}

/// What was proven stays proven: a renewal comes from the same run, also where nobody has to prove anything.
#[tokio::test]
async fn a_renewal_comes_from_the_run_that_the_request_came_from() {
    let world = World::new();
    let prove = world.prove(&rules());
    let transaction = || Transaction { environment: None, run_url: None, ..samples::transaction() };
    let proof_of = async |claims: &Value| {
        let sealed = seal(&world.token(claims, "key-1"));
        ask(&prove, transaction(), Some(sealed)).await.unwrap()
    };
    let renewed = async |first: &Option<Proof>, claims: &Value| {
        let sealed = seal(&world.token(claims, "key-1"));
        ask_again(&prove, transaction(), Some(sealed), first.clone()).await
    };
    let runs = [
        (github_claims(), ["run_id", "check_run_id"], json!({"run_attempt": "3", "jti": "other"})),
        (gitlab_claims(), ["pipeline_id", "job_id"], json!({"jti": "other"})),
    ];
    let firsts = [proof_of(&runs[0].0).await, proof_of(&runs[1].0).await];
    for (at, (claims, [run_id, job_id], again)) in runs.into_iter().enumerate() {
        let proof = renewed(&firsts[at], &changed(claims.clone(), &again)).await.unwrap();
        assert!(proof.is_some_and(|proof| Some(proof) != firsts[at]), "another token of the same job");

        let another = renewed(&firsts[at], &changed(claims.clone(), &json!({run_id: "9"}))).await.unwrap_err();
        let job = renewed(&firsts[at], &changed(claims.clone(), &json!({job_id: "9"}))).await.unwrap_err();
        // What the version before has recorded knows of no job.
        let first = firsts[at].clone().map(|first| Proof { job_id: None, ..first });
        renewed(&first, &changed(claims.clone(), &json!({job_id: "9"}))).await.unwrap();
        let issuer = renewed(&firsts[1 - at], &claims).await.unwrap_err();
        let nothing = ask_again(&prove, transaction(), None, firsts[at].clone()).await.unwrap_err();
        for (what, error) in
            [("another_run", another), ("another_job", job), ("another_issuer", issuer), ("no_token", nothing)]
        {
            assert_eq!(error.name, ErrorName::IdentityNotProven, "{error:?}");
            insta::assert_snapshot!(format!("renewal_{at}_{what}"), error.reason);
        }
    }
    assert_eq!(ask_again(&prove, transaction(), None, None).await.unwrap(), None, "what was not proven need not be");
    let unproven = renewed(&None, &github_claims()).await.unwrap();
    assert!(unproven.is_some(), "what nobody asked for is judged, and recorded");
}

/// The name of a repository can change hands; its id cannot. Where an issuer tells no runs apart, the subject has to do.
#[test]
fn a_run_is_one_by_ids_that_do_not_change_hands() {
    let first = samples::proof();
    let rules: Rules = rules().to_string().parse().unwrap();
    let issuer = &rules.issuers[0];
    let is_same = |other: Proof| binding::renew(issuer, &first, &other).is_ok();
    assert!(is_same(Proof { repository: Some("example/renamed".to_owned()), ..first.clone() }));
    assert!(!is_same(Proof { repository_id: Some("1".to_owned()), ..first.clone() }));
    assert!(!is_same(Proof { run_id: None, ..first.clone() }));
    assert!(!is_same(Proof { job_id: Some("9".to_owned()), ..first.clone() }));
    assert!(!is_same(Proof { job_id: None, ..first.clone() }), "an issuer that tells jobs apart tells them");
    assert!(is_same(Proof { subject: "repo:example/payments:environment:other".to_owned(), ..first.clone() }));
    let by_subject = |subject: &str| Proof {
        subject: subject.to_owned(),
        repository: None,
        repository_id: None,
        run_id: None,
        job_id: None,
        ..samples::proof()
    };
    assert!(binding::renew(issuer, &by_subject("alex"), &by_subject("alex")).is_ok());
    assert!(binding::renew(issuer, &by_subject("alex"), &by_subject("nadia")).is_err());
}

/// Forged, stale and misdirected tokens; the reasons are what the requester reads.
#[tokio::test]
async fn no_token_is_believed_that_is_not_an_issuers_for_us_and_now() {
    let world = World::new();
    let stranger = new_key();
    let now = samples::requested_at().unix_seconds();
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": "key-1"});
    let good = world.token(&github_claims(), "key-1");
    let [good_header, good_claims, good_signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let with_claims = |changes: Value| world.token(&changed(github_claims(), &changes), "key-1");
    let with_header = |changes: Value| {
        let key = world.state().keys["key-1"].clone();
        sign(&changed(header.clone(), &changes), &github_claims(), &key)
    };
    let hs256 = {
        let header = part(&json!({"alg": "HS256", "typ": "JWT", "kid": "key-1"}));
        let message = format!("{header}.{}", part(&github_claims()));
        // The secret is what everybody knows: the public key.
        let secret = public_jwk("key-1", &world.state().keys["key-1"]).to_string();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), message.as_bytes());
        format!("{message}.{}", BASE64URL.encode(tag))
    };
    let own_jwk = json!({"jwk": public_jwk("key-1", &stranger)});
    let tokens = [
        ("no algorithm", format!("{}.{}.", part(&json!({"alg": "none", "kid": "key-1"})), part(&github_claims()))),
        ("no algorithm, spelled otherwise", format!("{}.{good_claims}.", part(&json!({"alg": "nOnE"})))),
        ("the public key as a secret", hs256),
        ("another algorithm of the same key", with_header(json!({"alg": "ES384"}))),
        ("an algorithm of another kind of key", with_header(json!({"alg": "RS256"}))),
        ("a stranger's key", sign(&header, &github_claims(), &stranger)),
        ("a stranger's key, enclosed", sign(&changed(header.clone(), &own_jwk), &github_claims(), &stranger)),
        ("a key of nobody", with_header(json!({"kid": "key-2"}))),
        ("a key that is not named", with_header(json!({"kid": null}))),
        ("a critical extension", with_header(json!({"crit": ["exp"]}))),
        ("claims of another token", format!("{good_header}.{}.{good_signature}", part(&json!({"iss": GITHUB})))),
        ("a signature cut off", format!("{good_header}.{good_claims}.")),
        // By whole groups of base64, so that it decodes whatever the signature is, and then by half a group, so that it
        // does not: in between, the last bits of the signature decide.
        ("a signature cut short", format!("{good_header}.{good_claims}.{}", &good_signature[..80])),
        ("a signature cut in the middle", format!("{good_header}.{good_claims}.{}", &good_signature[..77])),
        ("no token", "eyJ".to_owned()),
        ("nothing", String::new()),
        ("claims that are no object", with_raw_claims(&world, "[]")),
        ("an unknown issuer", with_claims(json!({"iss": "https://token.actions.example.com"}))),
        ("an issuer that begins alike", with_claims(json!({"iss": format!("{GITHUB}.example.com")}))),
        ("an issuer with a slash more", with_claims(json!({"iss": format!("{GITHUB}/")}))),
        ("several issuers", with_claims(json!({"iss": [GITHUB]}))),
        ("no issuer", with_claims(json!({"iss": null}))),
        ("the audience of AWS", with_claims(json!({"aud": "sts.amazonaws.com"}))),
        ("the audience of another deployment", with_claims(json!({"aud": "daypass-111111111111-us-east-2"}))),
        ("several audiences, none of them us", with_claims(json!({"aud": ["a", "b"]}))),
        ("no audience", with_claims(json!({"aud": null}))),
        ("expired", with_claims(json!({"exp": now - 31}))),
        ("without an end", with_claims(json!({"exp": null}))),
        ("an end that is a text", with_claims(json!({"exp": "2030-01-01"}))),
        ("not valid yet", with_claims(json!({"nbf": now + 31}))),
        ("issued in the future", with_claims(json!({"iat": now + 31}))),
        ("without a beginning", with_claims(json!({"iat": null}))),
        ("valid for more than a day", with_claims(json!({"exp": now + 86_400}))),
        ("without a subject", with_claims(json!({"sub": null}))),
    ];
    let mut texts = String::new();
    for (what, token) in &tokens {
        let reason = refusal(&world, samples::transaction(), seal(token)).await;
        assert!(token.is_empty() || !reason.contains(token.as_str()), "{what}: the reason repeats the token");
        writeln!(texts, "{what}: {reason}").unwrap();
    }
    insta::assert_snapshot!(texts);
}

/// The list of algorithms stands by itself, whatever a key would say.
#[tokio::test]
async fn no_key_is_asked_for_with_an_algorithm_that_proves_nothing() {
    let world = World::new();
    let key = world.state().keys["key-1"].clone();
    for algorithm in ["none", "HS256", "ES384", "PS256", "EdDSA"] {
        let token = sign(&json!({"alg": algorithm, "kid": "key-1"}), &github_claims(), &key);
        let reason = refusal(&world, samples::transaction(), seal(&token)).await;
        assert_eq!(reason, NotProven::Algorithm.to_string(), "{algorithm}");
        assert_eq!(world.take_calls(), ["Decrypt"], "{algorithm}");
    }
}

#[tokio::test]
async fn a_key_is_for_what_its_issuer_says() {
    for purpose in [json!({"use": "enc"}), json!({"alg": "ES384"}), json!({"alg": "RSA-OAEP-256"})] {
        let world = World::new();
        let key = changed(public_jwk("key-1", &world.state().keys["key-1"]), &purpose);
        world.state().documents.insert("/jwks", (200, json!({"keys": [key]}).to_string()));
        let token = world.token(&github_claims(), "key-1");
        let reason = refusal(&world, samples::transaction(), seal(&token)).await;
        assert_eq!(reason, NotProven::Algorithm.to_string(), "{purpose}");
    }
}

fn with_raw_claims(world: &World, claims: &str) -> String {
    let claims: Value = serde_json::from_str(claims).unwrap();
    world.token(&claims, "key-1")
}

/// What is right at the edge: the clocks may be 30 seconds apart.
#[tokio::test]
async fn clocks_may_be_apart_a_little() {
    let now = samples::requested_at().unix_seconds();
    for times in [json!({"exp": now - 29}), json!({"nbf": now + 30, "iat": now + 30}), json!({"nbf": null})] {
        let world = World::new();
        let times = changed(json!({"iat": now - 60}), &times);
        let token = world.token(&changed(github_claims(), &times), "key-1");
        ask(&world.prove(&rules()), samples::transaction(), Some(seal(&token))).await.unwrap();
    }
}

/// Tokens that are genuine, but of another run.
#[tokio::test]
async fn no_token_is_believed_that_is_not_of_this_run() {
    let world = World::new();
    let github = |changes: Value| world.token(&changed(github_claims(), &changes), "key-1");
    let gitlab = |changes: Value| world.token(&changed(gitlab_claims(), &changes), "key-1");
    let tokens = [
        ("an actor of no name", github(json!({"actor": ""}))),
        ("no actor", github(json!({"actor": null}))),
        ("another repository", github(json!({"repository": "example/website"}))),
        ("no repository", github(json!({"repository": null}))),
        ("another branch", github(json!({"ref": "refs/heads/feature/x"}))),
        ("a tag of that name", github(json!({"ref": "refs/tags/main", "ref_type": "tag"}))),
        ("a pull request", github(json!({"ref": "refs/pull/1/merge", "ref_type": "branch"}))),
        ("another owner", github(json!({"repository_owner_id": "666"}))),
        ("an owner that begins alike", github(json!({"repository_owner_id": "12345678"}))),
        ("no owner", github(json!({"repository_owner_id": null}))),
        ("a runner of somebody's own", github(json!({"runner_environment": "self-hosted"}))),
        (
            "another workflow",
            github(json!({"job_workflow_ref": "example/daypass/.github/workflows/x.yml@refs/tags/v1.0"})),
        ),
        (
            "the workflow on a branch",
            github(json!({"job_workflow_ref": "example/daypass/.github/workflows/deploy.yml@refs/heads/v1.0"})),
        ),
        ("an environment without reviewers", github(json!({"environment": "staging"}))),
        ("no environment", github(json!({"environment": null}))),
        ("another run", github(json!({"run_id": "11"}))),
        ("a pull request from anywhere", github(json!({"event_name": "pull_request_target"}))),
        ("a schedule", github(json!({"event_name": "schedule"}))),
        ("an event that is not told", github(json!({"event_name": null}))),
        ("a tag at GitLab", gitlab(json!({"ref_type": "tag"}))),
        ("a branch at GitLab", gitlab(json!({"ref": "refs/heads/main"}))),
        ("another namespace at GitLab", gitlab(json!({"namespace_id": 12}))),
        ("another project at GitLab", gitlab(json!({"project_path": "example/website"}))),
        ("a merge request at GitLab", gitlab(json!({"pipeline_source": "merge_request_event"}))),
        ("a pipeline of the API at GitLab", gitlab(json!({"pipeline_source": "api"}))),
        ("another pipeline at GitLab", gitlab(json!({"pipeline_id": "456"}))),
        ("another environment at GitLab", gitlab(json!({"environment": "staging"}))),
        ("no environment at GitLab", gitlab(json!({"environment": null}))),
    ];
    let mut texts = String::new();
    for (what, token) in &tokens {
        let transaction = if what.contains("GitLab") { gitlab_transaction() } else { samples::transaction() };
        let refused = ask(&world.prove(&rules()), transaction, Some(seal(token))).await.unwrap_err();
        assert_eq!(refused.name, ErrorName::IdentityNotProven, "{what}: {refused:?}");
        // Its issuer vouches for it all the same: the denial is recorded with whose run it really was.
        let nobody = what.contains("actor");
        assert_eq!(refused.proof.is_none(), nobody, "{what}: {refused:?}");
        writeln!(texts, "{what}: {}", refused.reason).unwrap();
    }
    insta::assert_snapshot!(texts);
}

/// What the URL shows has to be the run, whoever reads it.
#[tokio::test]
async fn a_run_url_shows_the_run() {
    let world = World::new();
    let prove = world.prove(&rules());
    let asked = async |claims: &Value, url: &str| {
        let transaction = Transaction { run_url: Some(url.to_owned()), ..samples::transaction() };
        ask(&prove, transaction, Some(seal(&world.token(claims, "key-1")))).await
    };
    let run = "/example/payments/actions/runs/1";
    let good =
        ["", "/", "/attempts/2", "/job/7", "?pr=3", "#summary"].map(|rest| format!("https://github.com{run}{rest}"));
    for url in good {
        asked(&github_claims(), &url).await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
    }
    let bad = [
        format!("https://evil.example/login?next={run}/x"),
        format!("https://evil.example{run}"),
        format!("https://github.com.evil.example{run}"),
        format!("https://github.com@evil.example{run}"),
        format!("https://alex@github.com{run}"),
        format!("https://alex:secret@github.com{run}"),
        format!("https://github.com:8443{run}"),
        format!("http://github.com{run}"),
        format!("http://github.com:443{run}"),
        format!("https://github.com{run}0"),
        format!("https://github.com/evil{run}"),
        format!("https://github.com{run}/../../../../../evil"),
        format!("https://github.com{run}/%2e%2e/%2E%2E/2"),
        format!("https://github.com{run}\\..\\2"),
        format!("https://github.com/#{run}"),
        // What a browser mends, another program takes for another host or path.
        format!("https://GitHub.com:443{run}"),
        format!("https://github.com/x/..{run}"),
        format!("https:///github.com{run}"),
        format!("https:github.com{run}"),
        format!("https://github.com{}", run.replace('/', "\\")),
        format!("https://github.com{}\\@evil.example/", run.replace('/', "\\")),
        format!("https://github.com{run}/..%2f..%2fevil"),
        format!("https://github.com{run}/..;/2"),
        "https://".to_owned(),
    ];
    for url in bad {
        let error = asked(&github_claims(), &url).await.expect_err(&url);
        assert!(error.reason.contains("`run_url`") && error.reason.contains("https://github.com/example"), "{error:?}");
    }
    for page in ["pipelines/455", "jobs/1123", "jobs/1123/raw"] {
        asked(&gitlab_claims(), &format!("{GITLAB}/example/payments/-/{page}")).await.expect(page);
    }
    for page in ["pipelines/1123", "jobs/455", "issues/455"] {
        asked(&gitlab_claims(), &format!("{GITLAB}/example/payments/-/{page}")).await.expect_err(page);
    }
    // Where its server is not known, no URL is believed; none is needed.
    let mut rules = rules();
    rules["issuers"][0].as_object_mut().unwrap().remove("server");
    let prove = world.prove(&rules);
    let sealed = || Some(seal(&world.token(&github_claims(), "key-1")));
    ask(&prove, samples::transaction(), sealed()).await.unwrap_err();
    ask(&prove, Transaction { run_url: None, ..samples::transaction() }, sealed()).await.unwrap();
}

/// The rules that nobody has written down: what an issuer's run must be, unless it is said otherwise.
#[tokio::test]
async fn rules_that_are_not_given_are_the_strict_ones() {
    let world = World::new();
    let asked = async |rules: &Value, environment: &str, changes: Value| {
        let transaction = Transaction { environment: Some(environment.to_owned()), ..samples::transaction() };
        let token = world.token(&changed(github_claims(), &changes), "key-1");
        ask(&world.prove(rules), transaction, Some(seal(&token))).await.is_ok()
    };
    let with = |change: fn(&mut Value)| {
        let mut rules = rules();
        change(&mut rules["issuers"][0]);
        rules
    };
    // An environment of the issuer's own: that of our name, those that are named, or any.
    let bare = with(|issuer| drop(issuer.as_object_mut().unwrap().remove("environments")));
    assert!(asked(&bare, "production", json!({"environment": "production"})).await);
    assert!(!asked(&bare, "production", json!({"environment": "prod"})).await);
    assert!(!asked(&bare, "production", json!({"environment": null})).await);
    assert!(!asked(&bare, "staging", json!({"environment": "production"})).await);
    assert!(asked(&bare, "non-production", json!({"environment": null})).await, "it is open");
    let any = with(|issuer| issuer["environments"] = json!({"production": "any"}));
    assert!(asked(&any, "production", json!({"environment": null})).await);
    assert!(!asked(&any, "staging", json!({"environment": null})).await);
    // The events are extended by name.
    assert!(asked(&rules(), "production", json!({"event_name": "workflow_dispatch"})).await);
    let more = with(|issuer| issuer["claims"]["event_name"] = json!(["push", "schedule"]));
    assert!(asked(&more, "production", json!({"event_name": "schedule"})).await);
    assert!(!asked(&more, "production", json!({"event_name": "workflow_dispatch"})).await);
}

/// Another kind of issuer says of itself what its tokens call things. What it has no name for is not proven.
#[tokio::test]
async fn another_issuer_has_names_of_its_own() {
    let world = World::new();
    let mut rules = rules();
    rules["issuers"][1] = json!({
        "url": GITLAB, "provider": "other", "claims": {"org": ["example"]}, "environments": {"production": "any"},
        "person": {"claim": "who", "attribute": "email", "value": "{}"},
        "names": {"repository": "pipeline", "run_id": "build", "job_id": "job"},
    });
    let claims = changed(gitlab_claims(), &json!({"org": "example", "who": "alex@example.com", "build": 7}));
    let claims = changed(claims, &json!({"pipeline": "example/payments", "job": "7-1"}));
    let asked = async |rules: &Value, claims: &Value| {
        let transaction = Transaction { run_url: None, ..samples::transaction() };
        ask(&world.prove(rules), transaction, Some(seal(&world.token(claims, "key-1")))).await
    };
    let proof = asked(&rules, &claims).await.unwrap().unwrap();
    assert_eq!((proof.repository.as_deref(), proof.run_id.as_deref()), (Some("example/payments"), Some("7")));
    assert_eq!((proof.job_id.as_deref(), proof.ref_protected, proof.repository_id), (Some("7-1"), None, None));
    let elsewhere = changed(claims.clone(), &json!({"pipeline": "example/website"}));
    assert_eq!(asked(&rules, &elsewhere).await.unwrap_err().name, ErrorName::IdentityNotProven);
    rules["issuers"][1]["environments"] = json!({});
    assert_eq!(
        asked(&rules, &claims).await.unwrap_err().name,
        ErrorName::IdentityNotProven,
        "its environment is not told"
    );
    rules["issuers"][1]["provider"] = json!("gitlab");
    assert!(rules.to_string().parse::<Rules>().is_err(), "what GitLab calls things is known");
}

/// A machine of the version before does not read refusals: it would go on with the proof.
#[tokio::test]
async fn a_machine_that_reads_no_refusals_gets_an_error() {
    let world = World::new();
    let token = world.token(&changed(github_claims(), &json!({"repository": "example/website"})), "key-1");
    let (transaction, identity_token) = (samples::transaction(), Some(seal(&token)));
    let input = ProveInput { transaction, identity_token, proof_of_request: None, answers_refusal: false };
    let error = world.prove(&rules()).run(input, samples::requested_at()).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::IdentityNotProven);
    let renewal = json!({
        "transaction": samples::transaction(), "identity_token": seal(&world.token(&github_claims(), "key-1")),
        "proof_of_request": Proof { run_id: Some("9".to_owned()), ..samples::proof() },
    });
    let input = daypass::stage::parse_input::<ProveInput>(&renewal.to_string()).unwrap();
    let error = world.prove(&rules()).run(input, samples::requested_at()).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::IdentityNotProven);
}

#[tokio::test]
async fn an_envelope_opens_as_it_was_addressed_or_not_at_all() {
    let world = World::new();
    let token = world.token(&github_claims(), "key-1");
    let good = seal(&token);
    let parts: Vec<&str> = good.split('.').collect();
    let swapped = |at: usize, with: &str| {
        let mut parts = parts.clone();
        parts[at] = with;
        parts.join(".")
    };
    let header = |json: Value| seal_with(&json, b"encrypted:", &token);
    let other_header = part(&json!({"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": "x"}));
    let envelopes = [
        ("the token as it is", token.clone()),
        ("no envelope", "x".to_owned()),
        ("six parts", format!("{good}.x")),
        ("no base64", swapped(3, "!")),
        ("a header that is no JSON", swapped(0, "eyJ")),
        ("another algorithm", header(json!({"alg": "RSA1_5", "enc": "A256GCM"}))),
        ("a key that is agreed upon", header(json!({"alg": "dir", "enc": "A256GCM"}))),
        ("another cipher", header(json!({"alg": "RSA-OAEP-256", "enc": "A128CBC-HS256"}))),
        ("compressed", header(json!({"alg": "RSA-OAEP-256", "enc": "A256GCM", "zip": "DEF"}))),
        ("somebody else's key", seal_with(&json!({"alg": "RSA-OAEP-256", "enc": "A256GCM"}), b"strange:", &token)),
        ("another header than was sealed", swapped(0, &other_header)),
        ("another nonce", swapped(2, &BASE64URL.encode([8; 12]))),
        ("a nonce of another size", swapped(2, "AA")),
        ("another tag", swapped(4, &BASE64URL.encode([0; 16]))),
        ("a shorter tag", swapped(4, &BASE64URL.encode([0; 12]))),
        ("another content", swapped(3, &BASE64URL.encode("x"))),
    ];
    let mut texts = String::new();
    for (what, envelope) in &envelopes {
        let reason = refusal(&world, samples::transaction(), envelope.clone()).await;
        assert!(!reason.contains(&token), "{what}");
        writeln!(texts, "{what}: {reason}").unwrap();
    }
    insta::assert_snapshot!(texts);
}

#[tokio::test]
async fn keys_are_fetched_when_they_are_needed() {
    let world = World::new();
    let prove = world.prove(&rules());
    let ask_with = async |key: &str, jti: u32, seconds: u64| {
        let claims = changed(github_claims(), &json!({"jti": jti.to_string()}));
        let token = world.token(&claims, key);
        let transaction = samples::transaction();
        let input = ProveInput {
            transaction,
            identity_token: Some(seal(&token)),
            proof_of_request: None,
            answers_refusal: true,
        };
        world.take_calls();
        let answer = prove.run(input, samples::requested_at().plus(Duration::from_secs(seconds))).await;
        let fetched = world.take_calls().iter().filter(|call| call.ends_with("/jwks")).count();
        (answer.map(drop).map_err(|error| error.to_string()), fetched)
    };
    assert_eq!(ask_with("key-1", 1, 0).await, (Ok(()), 1));
    assert_eq!(ask_with("key-1", 2, 1).await, (Ok(()), 0), "they are kept");

    world.state().keys.insert("key-2", new_key());
    let unknown = Err("the identity token is signed with a key that its issuer does not have".to_owned());
    assert_eq!(ask_with("key-2", 3, 59).await, (unknown.clone(), 0), "an issuer is left alone for a minute");
    assert_eq!(ask_with("key-2", 4, 60).await, (Ok(()), 1), "a new key is found");
    assert_eq!(ask_with("key-1", 5, 61).await, (Ok(()), 0), "the old one still counts");

    let taken_back = world.state().keys.remove("key-1").unwrap();
    let stale = |seconds: u64, jti: u32| {
        let now = samples::requested_at().unix_seconds();
        let end = now + i64::try_from(seconds).unwrap() + 60;
        let claims = changed(github_claims(), &json!({"jti": jti.to_string(), "exp": end}));
        seal(&sign(&json!({"alg": "ES256", "kid": "key-1"}), &claims, &taken_back))
    };
    let at = async |seconds: u64, sealed: String| {
        let identity_token = Some(sealed);
        let input = ProveInput {
            transaction: samples::transaction(),
            identity_token,
            proof_of_request: None,
            answers_refusal: true,
        };
        prove.run(input, samples::requested_at().plus(Duration::from_secs(seconds))).await.map(drop)
    };
    assert!(at(60 + 3_599, stale(60 + 3_599, 6)).await.is_ok());
    let error = at(60 + 3_600, stale(60 + 3_600, 7)).await.unwrap_err();
    assert_eq!(Err(error.to_string()), unknown, "after an hour, a key that was taken back does not count");
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_proves_nothing_and_denies_nothing() {
    let configuration = |json: Value| ("/.well-known/openid-configuration", (200, json.to_string()), true);
    let cases = [
        ("/jwks", (0, String::new()), false),
        ("/jwks", (503, String::new()), false),
        ("/jwks", (429, String::new()), false),
        ("/jwks", (301, String::new()), true),
        ("/jwks", (200, "<html>".to_owned()), false),
        ("/jwks", (200, format!("{{\"keys\": [\"{}\"]}}", "x".repeat(300_000))), false),
        ("/.well-known/openid-configuration", (404, String::new()), true),
        configuration(json!({"issuer": GITLAB, "jwks_uri": format!("{GITHUB}/jwks")})),
        configuration(json!({"issuer": GITHUB, "jwks_uri": "http://token.actions.githubusercontent.com/jwks"})),
        configuration(
            json!({"issuer": GITHUB, "jwks_uri": "https://somebody@token.actions.githubusercontent.com/jwks"}),
        ),
    ];
    let mut texts = String::new();
    for (document, answer, lasts) in cases {
        let world = World::new();
        let sealed = seal(&world.token(&github_claims(), "key-1"));
        world.state().documents.insert(document, answer);
        let prove = world.prove(&rules());
        let error = ask(&prove, samples::transaction(), Some(sealed.clone())).await.unwrap_err();
        let expected = if lasts { ErrorName::HubRefused } else { ErrorName::AwsUnavailable };
        assert_eq!(error.name, expected, "{error:?}");
        writeln!(texts, "{error:?}").unwrap();
        world.state().documents.clear();
        ask(&prove, samples::transaction(), Some(sealed)).await.unwrap();
    }
    insta::assert_snapshot!(texts);
}

#[tokio::test]
async fn a_key_of_a_kind_that_nobody_knows_is_passed_over() {
    let world = World::new();
    let known = public_jwk("key-1", &world.state().keys["key-1"]);
    let keys = json!({"keys": [{"kty": "AKP", "kid": "key-0", "alg": "ML-DSA-44", "pub": "x"}, known]});
    world.state().documents.insert("/jwks", (200, keys.to_string()));
    let sealed = seal(&world.token(&github_claims(), "key-1"));
    ask(&world.prove(&rules()), samples::transaction(), Some(sealed)).await.unwrap();
}

#[tokio::test]
async fn an_outage_is_no_denial() {
    for (code, name) in [
        ("ThrottlingException", ErrorName::Throttled),
        ("KMSInternalException", ErrorName::AwsUnavailable),
        ("AccessDeniedException", ErrorName::HubRefused),
        ("DisabledException", ErrorName::HubRefused),
    ] {
        let world = World::new();
        let sealed = seal(&world.token(&github_claims(), "key-1"));
        world.state().fault = Some(code);
        let error = ask(&world.prove(&rules()), samples::transaction(), Some(sealed)).await.unwrap_err();
        assert_eq!(error.name, name, "{error:?}");
    }
}

#[tokio::test]
async fn warms_up_with_calls_that_it_may_make() {
    let world = World::new();
    let prove = world.prove(&rules());
    prove.warm_up(samples::requested_at()).await;
    assert_eq!(world.take_calls().len(), 5, "KMS, and two documents of each issuer");
    let sealed = seal(&world.token(&github_claims(), "key-1"));
    ask(&prove, samples::transaction(), Some(sealed)).await.unwrap();
    assert_eq!(world.take_calls(), ["Decrypt"], "the keys are there");
}

#[test]
fn rules_that_are_wrong_say_where() {
    let mut texts = String::new();
    for (pointer, value) in [
        ("/audience", json!(null)),
        ("/issuers/0/url", json!("http://token.actions.githubusercontent.com")),
        ("/issuers/0/url", json!("https://")),
        ("/issuers/0/url", json!("https://a@b")),
        ("/issuers/0/provider", json!("bitbucket")),
        ("/issuers/0/claims", json!({})),
        ("/issuers/1/person/attribute", json!("phone")),
        ("/issuers/1/person", json!({})),
    ] {
        let mut rules = rules();
        *rules.pointer_mut(pointer).unwrap() = value;
        writeln!(texts, "{}", rules.to_string().parse::<Rules>().unwrap_err()).unwrap();
    }
    insta::assert_snapshot!(texts);
    for url in
        ["http://127.0.0.1:8080/x", "http://localhost:1", "http://[::1]:1/x", "https://gitlab.example.com:8443/a"]
    {
        let mut rules = rules();
        rules["issuers"][0]["url"] = json!(url);
        assert!(rules.to_string().parse::<Rules>().is_ok(), "{url}");
    }
}
