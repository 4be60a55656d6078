//! The keys that issuers sign with, fetched when they are needed and kept while they are fresh.

use std::{cell::RefCell, collections::HashMap, time::Duration};

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, SharedHttpConnector},
    orchestrator::HttpRequest,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use daypass::timestamp::Timestamp;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::Value;

use crate::issuer_url::IssuerUrl;

/// How long fetched keys count. An issuer that takes a key back expects it to be forgotten within hours.
const FRESH: Duration = Duration::from_hours(1);
/// How long an issuer is left alone at least before it is asked for a key that it did not have: whoever invents key ids
/// must not be able to make us ask all the time.
const LEFT_ALONE: Duration = Duration::from_mins(1);
/// What a document of an issuer may have at most; GitHub's key set has 5 KiB.
const DOCUMENT_BYTES: usize = 256 * 1024;

/// The keys of all issuers.
#[derive(Debug)]
pub struct Keys {
    http: SharedHttpConnector,
    known: RefCell<HashMap<IssuerUrl, KeySet>>,
}

#[derive(Debug)]
struct KeySet {
    keys: Vec<Jwk>,
    fetched_at: Timestamp,
}

/// Why an issuer's keys are not known.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {problem}")]
pub struct KeysError {
    url: String,
    problem: String,
    /// Whether the issuer would say the same again: there is nothing at this address, or not what is looked for.
    pub lasts: bool,
}

/// As much of an issuer's description of itself as is needed.
/// Source: <https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata>
#[derive(Deserialize)]
struct Description {
    issuer: String,
    jwks_uri: String,
}

/// A key set; a key of a kind that nobody here knows is none.
#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

impl Keys {
    /// Keys that are fetched with `http`.
    pub fn new(http: SharedHttpConnector) -> Self {
        Self { http, known: RefCell::default() }
    }

    /// The key of this id that the issuer has, `now`; none when it has no such key.
    ///
    /// # Errors
    /// [`KeysError`] when the issuer had to be asked and did not answer as it should.
    pub async fn find(&self, issuer: &IssuerUrl, id: &str, now: Timestamp) -> Result<Option<Jwk>, KeysError> {
        let (found, age) = self.known(issuer, id, now);
        let enough = age.is_some_and(|age| age < if found.is_some() { FRESH } else { LEFT_ALONE });
        if enough {
            return Ok(found);
        }
        self.fetch(issuer, now).await?;
        Ok(self.known(issuer, id, now).0)
    }

    /// Fetches the keys of an issuer.
    pub async fn fetch(&self, issuer: &IssuerUrl, now: Timestamp) -> Result<(), KeysError> {
        let url = format!("{}/.well-known/openid-configuration", issuer.as_str().trim_end_matches('/'));
        let description: Description = self.document(&url).await?;
        let wrong = |problem: &str| KeysError { url: url.clone(), problem: problem.to_owned(), lasts: true };
        if description.issuer != issuer.as_str() {
            return Err(wrong("it describes another issuer"));
        }
        let from: IssuerUrl = description.jwks_uri.parse().map_err(|_| wrong("its jwks_uri is not an https URL"))?;
        let published: Published = self.document(from.as_str()).await?;
        let keys = published.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect();
        self.known.borrow_mut().insert(issuer.clone(), KeySet { keys, fetched_at: now });
        Ok(())
    }

    /// The key, and for how long the keys of the issuer have been known.
    fn known(&self, issuer: &IssuerUrl, id: &str, now: Timestamp) -> (Option<Jwk>, Option<Duration>) {
        let known = self.known.borrow();
        let Some(set) = known.get(issuer) else { return (None, None) };
        let key = set.keys.iter().find(|key| key.common.key_id.as_deref() == Some(id));
        (key.cloned(), Some(now.since(set.fetched_at)))
    }

    /// The JSON document at `url`. Redirections are not followed.
    async fn document<T: for<'a> Deserialize<'a>>(&self, url: &str) -> Result<T, KeysError> {
        let wrong = |problem: String| KeysError { url: url.to_owned(), problem, lasts: false };
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_uri(url).map_err(|error| wrong(error.to_string()))?;
        request.headers_mut().insert("accept", "application/json");
        let response = self.http.call(request).await.map_err(|error| wrong(format!("no answer: {error}")))?;
        let status = response.status().as_u16();
        if status != 200 {
            // 408, 425 and 429 ask for another attempt.
            let lasts = (300..500).contains(&status) && ![408, 425, 429].contains(&status);
            return Err(KeysError { lasts, ..wrong(format!("it answered {status}")) });
        }
        let mut body = ByteStream::new(response.into_body());
        let mut document = Vec::new();
        while let Some(chunk) = body.next().await {
            document.extend_from_slice(&chunk.map_err(|error| wrong(error.to_string()))?);
            if document.len() > DOCUMENT_BYTES {
                return Err(wrong(format!("it is longer than {DOCUMENT_BYTES} bytes")));
            }
        }
        serde_json::from_slice(&document).map_err(|error| wrong(error.to_string()))
    }
}
