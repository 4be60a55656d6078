//! The envelope in which an identity token travels: a JWE in compact form (RFC 7516) with RSA-OAEP-256 and A256GCM.
//!
//! KMS encrypts the content key, so that there is no RSA here. docs/identity.md says why there is an envelope.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
    rand::{SecureRandom, SystemRandom},
};
use zeroize::Zeroizing;

const HEADER: &str = r#"{"alg":"RSA-OAEP-256","enc":"A256GCM"}"#;
const KEY_BYTES: usize = 32;

/// The key of one envelope.
pub struct ContentKey(Zeroizing<[u8; KEY_BYTES]>);

impl ContentKey {
    /// A random one.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> Result<Self, Unspecified> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        SystemRandom::new().fill(bytes.as_mut())?;
        Ok(Self(bytes))
    }

    /// What is to be encrypted to the deployment's key.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// Closes the envelope. The key is used up: no nonce can come twice.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn seal(self, encrypted_key: &[u8], token: &str) -> Result<String, Unspecified> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce)?;
        let header = BASE64_URL_SAFE_NO_PAD.encode(HEADER);
        let mut sealed = Zeroizing::new(token.as_bytes().to_vec());
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, self.bytes())?);
        let tag = key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(header.as_bytes()),
            sealed.as_mut_slice(),
        )?;
        let parts = [encrypted_key, &nonce, &sealed, tag.as_ref()].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
        Ok(format!("{header}.{}", parts.join(".")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens an envelope as RFC 7516 has it (5.2), with the content key.
    fn open(envelope: &str, key: &[u8]) -> (String, Vec<u8>, Result<String, Unspecified>) {
        let parts: Vec<&str> = envelope.split('.').collect();
        let [header, encrypted_key, nonce, sealed, tag] = parts[..] else { panic!("{envelope}") };
        let bytes = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
        let mut text = [bytes(sealed), bytes(tag)].concat();
        let nonce = Nonce::try_assume_unique_for_key(&bytes(nonce)).unwrap();
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
        let opened = key.open_in_place(nonce, Aad::from(header.as_bytes()), &mut text);
        let opened = opened.map(|text| String::from_utf8(text.to_vec()).unwrap());
        (String::from_utf8(bytes(header)).unwrap(), bytes(encrypted_key), opened)
    }

    #[test]
    fn an_envelope_opens_with_its_content_key() {
        let key = ContentKey::generate().unwrap();
        let bytes = key.bytes().to_vec();
        let envelope = key.seal(b"encrypted", "header.payload.signature").unwrap();
        assert!(!envelope.contains("payload"));
        let (header, encrypted_key, token) = open(&envelope, &bytes);
        assert_eq!(header, HEADER);
        assert_eq!(encrypted_key, b"encrypted");
        assert_eq!(token.as_deref(), Ok("header.payload.signature"));
        assert!(open(&envelope, &[0; KEY_BYTES]).2.is_err(), "not with another");
    }

    #[test]
    fn no_two_envelopes_are_alike() {
        let seal = || ContentKey::generate().unwrap().seal(b"", "token").unwrap();
        assert_ne!(seal(), seal());
    }
}
