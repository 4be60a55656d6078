//! Any text as the claims of an identity token that an issuer has signed: what is believed is of the request.
#![no_main]

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use daypass_prove::{Judgement, Rules, Unverified, judge};
use daypass_testing::{
    invariants::{check_json, check_message},
    samples,
};
use jsonwebtoken::jwk::Jwk;
use libfuzzer_sys::fuzz_target;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::json;

static KEY: LazyLock<(EcdsaKeyPair, Jwk)> = LazyLock::new(|| {
    let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
    let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("a key");
    let point = key.public_key().as_ref();
    let (x, y) = (BASE64URL.encode(&point[1..33]), BASE64URL.encode(&point[33..]));
    let public = json!({"kty": "EC", "crv": "P-256", "kid": "key-1", "x": x, "y": y});
    (key, serde_json::from_value(public).expect("a public key"))
});

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let person = json!({"claim": "actor", "attribute": "profile_url", "value": "https://github.com/{}"});
    let gitlab = json!({"claim": "user_email", "attribute": "email", "value": "{}"});
    let rules = json!({
        "audience": "daypass-111111111111-us-east-1",
        "optional_in": ["non-production"],
        "issuers": [
            {
                "url": "https://token.actions.githubusercontent.com",
                "provider": "github",
                "claims": {"repository_owner_id": ["1234567"]},
                "server": "https://github.com",
                "person": person,
            },
            {
                "url": "https://gitlab.example.com",
                "provider": "gitlab",
                "claims": {"namespace_id": ["11"]},
                "server": "https://gitlab.example.com",
                "person": gitlab,
            },
        ],
    });
    rules.to_string().parse().expect("rules")
});

fuzz_target!(|claims: &str| {
    let header = json!({"alg": "ES256", "kid": "key-1"}).to_string();
    let message = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(claims));
    let signature = KEY.0.sign(&SystemRandom::new(), message.as_bytes()).expect("a signature");
    let token = format!("{message}.{}", BASE64URL.encode(signature));
    let judged = Unverified::read(&token)
        .and_then(|it| judge(&RULES, &it, &KEY.1, &samples::transaction(), samples::requested_at()));
    match judged {
        Ok(Judgement { proof, refusal: None }) => {
            check_json(&proof);
            let repository = proof.repository.expect("a repository");
            assert!(repository.eq_ignore_ascii_case("example/payments"), "{repository}");
        }
        Ok(Judgement { proof, refusal: Some(reason) }) => {
            check_json(&proof);
            check_message(&reason.to_string(), 1_000);
        }
        Err(reason) => check_message(&reason.to_string(), 1_000),
    }
});
