//! The key that answers are sealed to.

use age::{secrecy::ExposeSecret, x25519::Identity};
use daypass::contract::SessionCredentials;
use zeroize::Zeroizing;

use super::secret::Secret;
use crate::error::{Error, Kind};

/// The key of one transaction. Every answer about it is sealed to this one.
pub struct RunKey(Identity);

impl RunKey {
    /// A new one.
    pub fn generate() -> Self {
        Self(Identity::generate())
    }

    /// The public half, as requests have it.
    pub fn recipient(&self) -> String {
        self.0.to_public().to_string()
    }

    /// The private half, for the session store alone.
    pub fn secret(&self) -> Secret {
        Secret::new(self.0.to_string().expose_secret())
    }

    /// The one that was stored.
    pub fn stored(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// Opens what was sealed to it.
    ///
    /// # Errors
    /// When it was sealed to another key, or holds something else.
    pub fn unseal(&self, sealed: &str) -> Result<SessionCredentials, Error> {
        // Neither error says what was inside.
        let failed = |what| Error::new(Kind::Failed, format!("the answer's sealed credentials {what}"));
        let opened = age::decrypt(&self.0, sealed.as_bytes()).map_err(|_| failed("do not open with this run's key"))?;
        let opened = Zeroizing::new(opened);
        serde_json::from_slice(&opened).map_err(|_| failed("are not what the contract says"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_to_a_key_opens_with_it_and_with_no_other() {
        let (key, other) = (RunKey::generate(), RunKey::generate());
        let recipient: age::x25519::Recipient = key.recipient().parse().unwrap();
        let seal = |text: &str| age::encrypt_and_armor(&recipient, text.as_bytes()).unwrap();
        let inside = r#"{"access_key_id":"ASIA","secret_access_key":"wJalr","session_token":"FwoGZ","expiration":"2026-11-23T10:00:00Z"}"#;
        let opened = key.unseal(&seal(inside)).unwrap();
        assert_eq!(
            [&opened.access_key_id, &opened.secret_access_key, &opened.session_token],
            ["ASIA", "wJalr", "FwoGZ"]
        );
        let stored = RunKey::stored(key.secret().expose()).unwrap();
        assert_eq!(stored.unseal(&seal(inside)).unwrap().expiration, opened.expiration, "a stored key is the same");
        let errors = [other.unseal(&seal(inside)), key.unseal(&seal("wJalr")), key.unseal("wJalr")];
        let errors = errors.map(|opened| opened.unwrap_err().text(None, false));
        assert!(errors.iter().all(|text| !text.contains("wJalr") && text.contains("sealed credentials")), "{errors:?}");
    }
}
