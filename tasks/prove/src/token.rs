//! An identity token: who signed it, for whom, and when. What it says comes after that.

use std::{fmt::Write, time::Duration};

use daypass::timestamp::Timestamp;
use jsonwebtoken::{
    DecodingKey, Header, Validation, decode, decode_header,
    errors::ErrorKind,
    jwk::{Jwk, KeyAlgorithm, PublicKeyUse},
};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};

use crate::{NotProven, issuer_url::IssuerUrl, signature::ALGORITHMS};

/// How far the issuer's clock and ours may be apart.
pub const LEEWAY: Duration = Duration::from_secs(30);
/// How long a token may be valid at most. GitHub's are for minutes, GitLab's for as long as the job may take.
const LONGEST: Duration = Duration::from_hours(24);

/// A token as it came, and what it says of itself before anything is verified.
pub struct Unverified<'a> {
    token: &'a str,
    header: Header,
    /// Who it says has issued it: says whose keys to try, and no more.
    pub issuer: String,
    /// The id of the key that it says it is signed with.
    pub key_id: String,
}

/// The claims of a token whose signature, issuer, audience and times are right.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    all: Map<String, Value>,
    /// When the token ends.
    pub expires_at: Timestamp,
}

impl<'a> Unverified<'a> {
    /// Reads the parts of a token that say how to verify it.
    ///
    /// # Errors
    /// [`NotProven`] for what is no token, and for one that no issuer of this world would sign.
    pub fn read(token: &'a str) -> Result<Self, NotProven> {
        let header = decode_header(token).map_err(|error| match error.kind() {
            // An algorithm that the library does not know, such as `none`, is an error of the header's JSON.
            ErrorKind::Json(error) if error.to_string().contains("unknown variant") => NotProven::Algorithm,
            _ => NotProven::Malformed("it is not a JWT"),
        })?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(NotProven::Algorithm);
        }
        if header.crit.is_some() {
            return Err(NotProven::Malformed("it has extensions that have to be understood (`crit`)"));
        }
        let claims: Map<String, Value> = jsonwebtoken::dangerous::insecure_decode_claims(token)
            .map_err(|_| NotProven::Malformed("its claims are no JSON object"))?;
        let issuer = text(&claims, "iss").ok_or(NotProven::Missing("iss".to_owned()))?;
        let key_id = header.kid.clone().ok_or(NotProven::Malformed("it does not say which key it is signed with"))?;
        Ok(Self { token, header, issuer, key_id })
    }

    /// The claims, if `key` has signed them, and they are `issuer`'s for `audience` at `now`.
    pub fn verify(&self, key: &Jwk, issuer: &IssuerUrl, audience: &str, now: Timestamp) -> Result<Claims, NotProven> {
        let alg = self.header.alg;
        let is_for = key.common.key_algorithm.is_none_or(|it| it == KeyAlgorithm::from(alg));
        let signs = key.common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature);
        let key = DecodingKey::from_jwk(key).ok().filter(|key| is_for && signs && key.family() == alg.family());
        let key = key.ok_or(NotProven::Algorithm)?;
        let mut expected = Validation::new(alg);
        // The library would read a clock of its own.
        (expected.validate_exp, expected.validate_nbf) = (false, false);
        expected.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
        expected.set_issuer(&[issuer.as_str()]);
        expected.set_audience(&[audience]);
        let claims: Map<String, Value> = decode(self.token, &key, &expected)
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidSignature => NotProven::Signature,
                ErrorKind::InvalidAudience => NotProven::Audience { expected: audience.to_owned() },
                ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => {
                    NotProven::Audience { expected: audience.to_owned() }
                }
                ErrorKind::MissingRequiredClaim(claim) => NotProven::Missing(claim.clone()),
                ErrorKind::InvalidIssuer => NotProven::Malformed("its issuer is not a single one"),
                _ => NotProven::Malformed("it cannot be decoded"),
            })?
            .claims;
        let expires_at = check_times(&claims, now)?;
        Ok(Claims { all: claims, expires_at })
    }

    /// SHA-256 of what was signed, in hexadecimal. Whoever changes a bit of it breaks the signature; whoever spells the
    /// signature in another way does not change it.
    #[must_use]
    pub fn id(&self) -> String {
        let signed = self.token.rsplit_once('.').map_or(self.token, |(signed, _signature)| signed);
        let mut id = String::with_capacity(64);
        for byte in digest(&SHA256, signed.as_bytes()).as_ref() {
            let _ = write!(id, "{byte:02x}");
        }
        id
    }
}

/// Whether the token is valid at `now`; returns when it ends.
fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, NotProven> {
    let time = |claim: &str| match claims.get(claim).map(Value::as_i64) {
        None => Ok(None),
        Some(Some(seconds)) => Ok(Some(Timestamp::from_unix_seconds(seconds))),
        // RFC 7519 allows fractions of a second. No issuer uses them.
        Some(None) => Err(NotProven::Malformed("a time in it is not a whole number of seconds")),
    };
    let expires = time("exp")?.ok_or(NotProven::Missing("exp".to_owned()))?;
    let issued = time("iat")?.ok_or(NotProven::Missing("iat".to_owned()))?;
    let begins = time("nbf")?.unwrap_or(issued);
    if now >= expires.plus(LEEWAY) {
        return Err(NotProven::Expired(expires));
    }
    if issued > now.plus(LEEWAY) || begins > now.plus(LEEWAY) {
        return Err(NotProven::NotYet(issued.max(begins)));
    }
    if expires.since(issued) > LONGEST || issued >= expires {
        return Err(NotProven::Malformed("it is valid for longer than a day, or for no time at all"));
    }
    Ok(expires)
}

impl Claims {
    /// A claim as text: ids are numbers with some issuers and strings with others.
    #[must_use]
    pub fn text(&self, claim: &str) -> Option<String> {
        text(&self.all, claim)
    }
}

fn text(claims: &Map<String, Value>, claim: &str) -> Option<String> {
    match claims.get(claim)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
