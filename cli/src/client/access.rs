//! The key that answers are sealed to, and the sessions of a role.

use std::time::{Duration, SystemTime};

use age::{secrecy::ExposeSecret, x25519::Identity};
use daypass::{contract::SessionCredentials, timestamp::Timestamp};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::secret::Secret;
use crate::error::{Error, Kind};

/// The key of one transaction. Every answer about it is sealed to this one.
pub struct Key(Identity);

impl Key {
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

/// A session of the deploy role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleSession {
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: Secret,
    /// The session token.
    pub session_token: Secret,
    /// When it ends, or the lease, whichever is sooner.
    pub expires_at: Timestamp,
    /// From when on it should be renewed; none where nothing longer can be had, because the lease ends with it.
    pub renew_at: Option<Timestamp>,
}

impl RoleSession {
    /// The `credential_process` contract:
    /// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>.
    pub fn credential_process(&self) -> Value {
        json!({
            "Version": 1,
            "AccessKeyId": self.access_key_id,
            "SecretAccessKey": self.secret_access_key.expose(),
            "SessionToken": self.session_token.expose(),
            "Expiration": self.expires_at,
        })
    }

    /// The same as environment variables.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ACCESS_KEY_ID", self.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret_access_key.expose().to_owned()),
            ("AWS_SESSION_TOKEN", self.session_token.expose().to_owned()),
            ("AWS_CREDENTIAL_EXPIRATION", self.expires_at.to_string()),
        ]
    }
}

/// Now.
pub fn now() -> Timestamp {
    Timestamp::from_datetime(SystemTime::now().into())
}

/// How long it is until then; nothing when it has come.
pub fn until(moment: Timestamp) -> Duration {
    moment.since(now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_to_a_key_opens_with_it_and_with_no_other() {
        let (key, other) = (Key::generate(), Key::generate());
        let recipient: age::x25519::Recipient = key.recipient().parse().unwrap();
        let seal = |text: &str| age::encrypt_and_armor(&recipient, text.as_bytes()).unwrap();
        let inside = r#"{"access_key_id":"ASIA","secret_access_key":"wJalr","session_token":"FwoGZ","expiration":"2026-11-23T10:00:00Z"}"#;
        let opened = key.unseal(&seal(inside)).unwrap();
        assert_eq!(
            [&opened.access_key_id, &opened.secret_access_key, &opened.session_token],
            ["ASIA", "wJalr", "FwoGZ"]
        );
        let stored = Key::stored(key.secret().expose()).unwrap();
        assert_eq!(stored.unseal(&seal(inside)).unwrap().expiration, opened.expiration, "a stored key is the same");
        let errors = [other.unseal(&seal(inside)), key.unseal(&seal("wJalr")), key.unseal("wJalr")];
        let errors = errors.map(|opened| opened.unwrap_err().text(None, false));
        assert!(errors.iter().all(|text| !text.contains("wJalr") && text.contains("sealed credentials")), "{errors:?}");
    }

    #[test]
    fn the_credential_process_contract() {
        let session = RoleSession {
            access_key_id: "ASIA".to_owned(),
            secret_access_key: Secret::new("wJalr"),
            session_token: Secret::new("FwoGZ"),
            expires_at: "2026-11-23T10:00:00Z".parse().unwrap(),
            renew_at: None,
        };
        let expected = json!({
            "Version": 1, "AccessKeyId": "ASIA", "SecretAccessKey": "wJalr", "SessionToken": "FwoGZ",
            "Expiration": "2026-11-23T10:00:00Z",
        });
        assert_eq!(session.credential_process(), expected);
        let shown = format!("{session:?}");
        assert!(!shown.contains("wJalr") && !shown.contains("FwoGZ"), "{shown}");
    }
}
