//! The envelope around an identity token: a JWE that only this deployment's KMS key opens.
//!
//! Step Functions keeps what an execution is started with. A token is worth something to whoever reads it there, until it
//! is used or expires, so it travels encrypted ([RFC 7516](https://www.rfc-editor.org/rfc/rfc7516), compact).

use aws_sdk_kms::{Client, error::SdkError, primitives::Blob, types::EncryptionAlgorithmSpec};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use daypass_aws::AwsError;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde::Deserialize;
use zeroize::Zeroizing;

/// The key that envelopes are addressed to.
#[derive(Clone, Debug)]
pub struct EnvelopeKey {
    kms: Client,
    arn: String,
}

/// Why an envelope does not open.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// It is not addressed to this deployment, or not as agreed.
    #[error("{0}")]
    Unreadable(&'static str),
    /// KMS did not answer, or with something else than that it cannot decrypt.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

/// The protected header. What is not here (compression, extensions that must be understood) is not taken.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    enc: String,
    #[serde(default, rename = "kid")]
    _kid: Option<String>,
    #[serde(default, rename = "typ")]
    _typ: Option<String>,
    #[serde(default, rename = "cty")]
    _cty: Option<String>,
}

/// An envelope in its parts.
struct Envelope<'a> {
    header: &'a str,
    key: Vec<u8>,
    nonce: Nonce,
    /// The ciphertext, and the tag behind it.
    sealed: Zeroizing<Vec<u8>>,
}

impl<'a> Envelope<'a> {
    fn read(text: &'a str) -> Result<Self, EnvelopeError> {
        let malformed = || EnvelopeError::Unreadable("it is not a JWE in compact form");
        let bytes = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
        let parts: Vec<&str> = text.split('.').collect();
        let [header, key, nonce, ciphertext, tag] = parts[..] else { return Err(malformed()) };
        let Header { alg, enc, .. } = serde_json::from_slice(&bytes(header)?).map_err(|_| malformed())?;
        if (alg.as_str(), enc.as_str()) != ("RSA-OAEP-256", "A256GCM") {
            return Err(EnvelopeError::Unreadable("its `alg` has to be RSA-OAEP-256 and its `enc` A256GCM"));
        }
        let nonce = Nonce::try_assume_unique_for_key(&bytes(nonce)?).map_err(|_| malformed())?;
        let mut sealed = Zeroizing::new(bytes(ciphertext)?);
        let tag = bytes(tag)?;
        if tag.len() != AES_256_GCM.tag_len() {
            return Err(malformed());
        }
        sealed.extend(tag);
        Ok(Self { header, key: bytes(key)?, nonce, sealed })
    }

    /// The content, by the key that was in the envelope. The header is authenticated with it.
    fn open(mut self, content_key: &[u8]) -> Option<Zeroizing<String>> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, content_key).ok()?);
        let opened = key.open_in_place(self.nonce, Aad::from(self.header), &mut self.sealed).ok()?;
        String::from_utf8(opened.to_vec()).ok().map(Zeroizing::new)
    }
}

impl EnvelopeKey {
    /// The KMS key of this ARN, which `kms` may decrypt with.
    #[must_use]
    pub fn new(kms: Client, arn: String) -> Self {
        Self { kms, arn }
    }

    /// What is in the envelope `text`.
    ///
    /// # Errors
    /// [`EnvelopeError`] when it is not for this key, or KMS does not say.
    pub async fn open(&self, text: &str) -> Result<Zeroizing<String>, EnvelopeError> {
        const NOT_OURS: EnvelopeError = EnvelopeError::Unreadable("it does not open with this deployment's key");
        let envelope = Envelope::read(text)?;
        let request = self.kms.decrypt().key_id(&self.arn).ciphertext_blob(Blob::new(envelope.key.as_slice()));
        let request = request.encryption_algorithm(EncryptionAlgorithmSpec::RsaesOaepSha256);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(SdkError::ServiceError(error)) if error.err().is_invalid_ciphertext_exception() => {
                return Err(NOT_OURS);
            }
            // A text that is longer or shorter than any that the key makes.
            Err(error) => match AwsError::of("kms:Decrypt")(error) {
                error if error.code() == Some("ValidationException") => return Err(NOT_OURS),
                error => return Err(error.into()),
            },
        };
        let content_key = Zeroizing::new(answer.plaintext.map(Blob::into_inner).unwrap_or_default());
        envelope.open(&content_key).ok_or(NOT_OURS)
    }

    /// Connects to KMS before the first request needs it.
    pub async fn warm_up(&self) {
        let _ = self.kms.decrypt().key_id(&self.arn).ciphertext_blob(Blob::new("daypass warms up")).send().await;
    }
}
