//! Whatever comes as a token: it is believed as it was signed, or refused in a few plain words that do not repeat it.

use std::{fs, path::Path, sync::LazyLock};

use daypass_testing::{
    invariants::{check_json, check_message},
    samples,
    strategies::{ANY_TEXT, edited, edited_json},
};
use jsonwebtoken::jwk::Jwk;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::*,
    world::{github_claims, gitlab_claims, new_key, public_jwk, rules, sign},
};

static RULES: LazyLock<Rules> = LazyLock::new(|| rules().to_string().parse().unwrap());
static KEY: LazyLock<(std::sync::Arc<ring::signature::EcdsaKeyPair>, Jwk)> = LazyLock::new(|| {
    let key = new_key();
    let public = serde_json::from_value(public_jwk("key-1", &key)).unwrap();
    (key, public)
});

fn signed(claims: &Value) -> String {
    sign(&json!({"alg": "ES256", "typ": "JWT", "kid": "key-1"}), claims, &KEY.0)
}

/// What is proven by a token, or why nothing is.
fn judged(token: &str) -> Result<Proof, NotProven> {
    // The same transaction is asked for at GitHub and at GitLab, which have pages of their own for a run.
    let transaction = Transaction { run_url: None, ..samples::transaction() };
    let judged = Unverified::read(token)
        .and_then(|it| judge(&RULES, &it, &KEY.1, &transaction, samples::requested_at()))
        .and_then(accepted);
    match &judged {
        Ok(proof) => {
            check_json(proof);
            assert!(RULES.issuers.iter().any(|issuer| issuer.url.as_str() == proof.issuer));
            assert!(proof.token_id.len() == 64 && proof.token_ends_at > samples::requested_at().unix_seconds());
        }
        Err(reason) => {
            check_message(&reason.to_string(), 1_000);
            assert!(token.len() < 40 || !reason.to_string().contains(token), "{reason}");
        }
    }
    judged
}

fn accepted(judgement: Judgement) -> Result<Proof, NotProven> {
    check_json(&judgement.proof);
    judgement.refusal.map_or(Ok(judgement.proof), Err)
}

proptest! {
    #[test]
    fn any_text_is_refused_in_a_few_plain_words(token in ANY_TEXT) {
        prop_assert!(judged(&token).is_err());
    }

    /// Nobody but the issuer can change a token: not its header, its claims or its signature.
    #[test]
    fn a_changed_token_is_not_believed(edited in edited(Just(signed(&github_claims())))) {
        let good = signed(&github_claims());
        if let Ok(proof) = judged(&edited) {
            prop_assert_eq!(proof, judged(&good).unwrap());
            prop_assert_eq!(edited.rsplit_once('.').unwrap().0, good.rsplit_once('.').unwrap().0);
        }
    }

    /// Whatever an issuer signs: what is believed is of this run.
    #[test]
    fn what_is_believed_is_of_the_request(
        claims in prop_oneof![edited_json(github_claims()), edited_json(gitlab_claims())]
    ) {
        if let Ok(proof) = judged(&signed(&claims)) {
            let repository = proof.repository.unwrap();
            prop_assert!(repository.eq_ignore_ascii_case("example/payments"));
            prop_assert!(["main", "refs/heads/main"].contains(&claims["ref"].as_str().unwrap()));
            prop_assert!(!proof.user.name.is_empty());
        }
    }
}

/// What the fuzzer begins with (`fuzz/corpus/`).
#[test]
fn the_corpora_of_the_fuzzer_are_judged() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let texts = |target: &str| {
        let files = fs::read_dir(folder.join(target)).expect("a corpus");
        files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect::<Vec<_>>()
    };
    for token in texts("token") {
        let _ = judged(token.trim());
    }
    let claims = texts("claims");
    let believed = claims.iter().filter(|text| judged(&signed(&serde_json::from_str(text).unwrap())).is_ok());
    assert_eq!(believed.count(), 2, "a run at GitHub and one at GitLab");
}
