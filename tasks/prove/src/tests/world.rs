//! KMS and two issuers: all that prove deals with.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as BASE64URL},
};
use daypass::{
    contract::{Proof, ProveInput, Proven, Transaction},
    error::ErrorName,
    stage::{Named, Stage},
};
use daypass_testing::samples;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};

use crate::{EnvelopeKey, Prove, Rules};
pub const GITHUB: &str = "https://token.actions.githubusercontent.com";
pub const GITLAB: &str = "https://gitlab.example.com";
pub const AUDIENCE: &str = "daypass-111111111111-us-east-1";
/// What the stand-in of KMS puts before a content key to encrypt it.
const ENCRYPTED: &[u8] = b"encrypted:";

/// What there is, and what has happened.
pub struct State {
    /// What KMS fails with.
    pub fault: Option<&'static str>,
    /// The keys of both issuers, by id.
    pub keys: BTreeMap<&'static str, Arc<EcdsaKeyPair>>,
    /// What the issuers answer instead of a document, by the end of its address.
    pub documents: BTreeMap<&'static str, (u16, String)>,
    /// The operations, and the addresses that were fetched.
    pub calls: Vec<String>,
}

#[derive(Clone)]
pub struct World(Arc<Mutex<State>>);

impl World {
    /// One key.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            fault: None,
            keys: BTreeMap::from([("key-1", new_key())]),
            documents: BTreeMap::new(),
            calls: vec![],
        })))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state().calls)
    }

    /// The task, by these rules.
    pub fn prove(&self, rules: &Value) -> Prove {
        let world = self.clone();
        let config = samples::json_service(move |operation, input| world.state().answer(operation, &input));
        let envelope = EnvelopeKey::new(aws_sdk_kms::Client::new(&config), "arn:aws:kms:::key/1".to_owned());
        let http = SharedHttpConnector::new(Issuers(self.clone()));
        Prove::new(rules.to_string().parse::<Rules>().unwrap(), envelope, http)
    }

    /// A token with these claims, signed by the key of this id.
    pub fn token(&self, claims: &Value, key_id: &str) -> String {
        let key = Arc::clone(&self.state().keys[key_id]);
        sign(&json!({"alg": "ES256", "typ": "JWT", "kid": key_id}), claims, &key)
    }
}

impl State {
    fn answer(&mut self, operation: &str, input: &Value) -> Result<Value, &'static str> {
        self.calls.push(operation.to_owned());
        if let Some(code) = self.fault {
            return Err(code);
        }
        assert_eq!(operation, "Decrypt");
        // Warming up leaves it out.
        assert!(["RSAES_OAEP_SHA_256", ""].contains(&input["EncryptionAlgorithm"].as_str().unwrap_or_default()));
        let blob = BASE64_STANDARD.decode(input["CiphertextBlob"].as_str().unwrap()).unwrap();
        let key = blob.strip_prefix(ENCRYPTED).ok_or("InvalidCiphertextException")?;
        Ok(json!({"Plaintext": BASE64_STANDARD.encode(key)}))
    }

    fn document(&self, url: &str) -> (u16, String) {
        let instead = self.documents.iter().find(|(end, _)| url.ends_with(*end));
        if let Some((_, answer)) = instead {
            return answer.clone();
        }
        if let Some(issuer) = url.strip_suffix("/.well-known/openid-configuration") {
            return (200, json!({"issuer": issuer, "jwks_uri": format!("{issuer}/jwks")}).to_string());
        }
        let jwk = |(id, key): (&&str, &Arc<EcdsaKeyPair>)| public_jwk(id, key);
        (200, json!({"keys": self.keys.iter().map(jwk).collect::<Vec<_>>()}).to_string())
    }
}

/// The issuers' web servers.
struct Issuers(World);

impl fmt::Debug for Issuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issuers")
    }
}

impl HttpConnector for Issuers {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut state = self.0.state();
        state.calls.push(request.uri().to_owned());
        let (status, body) = state.document(request.uri());
        if status == 0 {
            return HttpConnectorFuture::ready(Err(ConnectorError::io("nobody is there".into())));
        }
        HttpConnectorFuture::ready(Ok(HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body))))
    }
}

pub fn new_key() -> Arc<EcdsaKeyPair> {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    Arc::new(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap())
}

pub fn public_jwk(id: &str, key: &EcdsaKeyPair) -> Value {
    let point = key.public_key().as_ref();
    let (x, y) = (BASE64URL.encode(&point[1..33]), BASE64URL.encode(&point[33..]));
    json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": id, "x": x, "y": y})
}

pub fn part(json: &Value) -> String {
    BASE64URL.encode(json.to_string())
}

pub fn sign(header: &Value, claims: &Value, key: &EcdsaKeyPair) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let signature = key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    format!("{message}.{}", BASE64URL.encode(signature))
}

/// An envelope around `token` as the CLI makes one, but for the encryption of the content key.
pub fn seal(token: &str) -> String {
    seal_with(&json!({"alg": "RSA-OAEP-256", "enc": "A256GCM"}), ENCRYPTED, token)
}

pub fn seal_with(header: &Value, encrypted: &[u8], token: &str) -> String {
    let header = part(header);
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    let mut sealed = token.as_bytes().to_vec();
    let nonce = Nonce::assume_unique_for_key([9; 12]);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(&header), &mut sealed).unwrap();
    let key = BASE64URL.encode([encrypted, &[7; 32]].concat());
    let [nonce, sealed, tag] = [&[9; 12][..], &sealed, tag.as_ref()].map(|bytes| BASE64URL.encode(bytes));
    format!("{header}.{key}.{nonce}.{sealed}.{tag}")
}

/// The transaction of the samples, and the claims of its run at GitHub.
pub fn github_claims() -> Value {
    let now = samples::requested_at().unix_seconds();
    json!({
        "iss": GITHUB,
        "aud": AUDIENCE,
        "sub": "repo:example@1234567/payments@7654321:environment:prod",
        "jti": "5c1a8f3e",
        "iat": now - 5,
        "nbf": now - 10,
        "exp": now + 300,
        "actor": "alex",
        "actor_id": "4711",
        "repository": "example/payments",
        "repository_id": "7654321",
        "repository_owner": "example",
        "repository_owner_id": "1234567",
        "ref": "refs/heads/main",
        "ref_type": "branch",
        "ref_protected": "true",
        "environment": "prod",
        "event_name": "push",
        "run_id": "1",
        "run_attempt": "2",
        "check_run_id": "1001",
        "runner_environment": "github-hosted",
        "job_workflow_ref": "example/daypass/.github/workflows/deploy.yml@refs/tags/v1.2.3",
    })
}

/// The same run at GitLab.
pub fn gitlab_claims() -> Value {
    let now = samples::requested_at().unix_seconds();
    json!({
        "iss": GITLAB,
        "aud": [AUDIENCE, "https://other.example.com"],
        "sub": "project_path:example/payments:ref_type:branch:ref:main",
        "iat": now - 5,
        "exp": now + 3600,
        "user_email": "Alex@example.com",
        "user_id": "42",
        "project_path": "example/payments",
        "project_id": 28,
        "namespace_id": "11",
        "pipeline_id": "455",
        "pipeline_source": "push",
        "job_id": "1123",
        "ref": "main",
        "ref_type": "branch",
        "ref_protected": "true",
        "environment": "production",
        "ci_config_ref_uri": "gitlab.example.com/example/payments//.gitlab-ci.yml@refs/heads/main",
    })
}

/// The transaction as the run at GitLab asks for it.
pub fn gitlab_transaction() -> Transaction {
    let run_url = Some(format!("{GITLAB}/example/payments/-/pipelines/455"));
    Transaction { run_url, ..samples::transaction() }
}

/// Both issuers; a proof is required everywhere but in non-production.
pub fn rules() -> Value {
    json!({
        "audience": AUDIENCE,
        "optional_in": ["non-production"],
        "issuers": [
            {
                "url": GITHUB,
                "provider": "github",
                "claims": {
                    "repository_owner_id": ["1234567"],
                    "runner_environment": ["github-hosted"],
                    "job_workflow_ref": ["example/daypass/.github/workflows/deploy.yml@refs/tags/v1.*"],
                },
                "environments": {"production": ["prod", "prod-eu"]},
                "server": "https://github.com",
                "person": {"claim": "actor", "attribute": "profile_url", "value": "https://github.com/{}"},
            },
            {
                "url": GITLAB,
                "provider": "gitlab",
                "claims": {"namespace_id": ["11"]},
                "server": GITLAB,
                "person": {"claim": "user_email", "attribute": "email", "value": "{}"},
            },
        ],
    })
}

/// Why there is no proof, and of whose run there is one all the same.
#[derive(Debug)]
pub struct Refused {
    pub name: ErrorName,
    pub reason: String,
    pub proof: Option<Proof>,
}

/// What prove answers to a request with this in `identity_token`.
pub async fn ask(prove: &Prove, transaction: Transaction, token: Option<String>) -> Result<Option<Proof>, Refused> {
    ask_again(prove, transaction, token, None).await
}

/// The same of a renewal, whose request was proven so.
pub async fn ask_again(
    prove: &Prove,
    transaction: Transaction,
    token: Option<String>,
    first: Option<Proof>,
) -> Result<Option<Proof>, Refused> {
    let input = ProveInput { transaction, identity_token: token, proof_of_request: first, answers_refusal: true };
    match prove.run(input, samples::requested_at()).await {
        Ok(Proven { proof, refusal: None }) => Ok(proof),
        Ok(Proven { proof, refusal: Some(reason) }) => {
            assert!(proof.is_some(), "a refusal by what was verified has it");
            Err(Refused { name: ErrorName::IdentityNotProven, reason, proof })
        }
        Err(error) => Err(Refused { name: error.name(), reason: error.to_string(), proof: None }),
    }
}
