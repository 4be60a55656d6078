//! The URL of an issuer, which its keys are fetched from.

use std::str::FromStr;

use serde::Deserialize;

/// A URL that keys may be fetched from: `https`, or `http` on loopback, where nobody is in between.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct IssuerUrl(String);

impl IssuerUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IssuerUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let authority = |rest: &str| rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned();
        let is_host = |host: &str| !host.is_empty() && !host.contains('@');
        let loopback = |host: &str| {
            let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
            ["127.0.0.1", "localhost", "[::1]"].contains(&name)
        };
        let safe = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => is_host(&authority(rest)),
            (None, Some(rest)) => loopback(&authority(rest)),
            (None, None) => false,
        };
        if safe && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err("expected a URL that begins with https://")
        }
    }
}

impl TryFrom<String> for IssuerUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
