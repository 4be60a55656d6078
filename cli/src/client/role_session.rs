//! A session of the deploy role, in the forms that SDKs read.

use daypass::timestamp::Timestamp;
use serde_json::{Value, json};

use super::secret::Secret;

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

#[cfg(test)]
mod tests {
    use super::*;

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
