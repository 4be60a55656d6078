//! The profiles of the `aws` command, as far as it matters whose credentials they give.

use aws_config::profile::{self, ProfileSet};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};

use crate::error::Error;

/// What makes a profile a source of credentials.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html>
const SOURCES: [&str; 7] = [
    "aws_access_key_id",
    "credential_process",
    "login_session",
    "role_arn",
    "sso_account_id",
    "sso_session",
    "web_identity_token_file",
];

/// The profiles, with one of them selected: this one, or the one that the `aws` command would take. Files that cannot be read
/// are the SDK's to complain about.
async fn selected(name: Option<&str>) -> Option<ProfileSet> {
    let name = name.map(|name| name.to_owned().into());
    profile::load(&Fs::real(), &Env::real(), &EnvConfigFiles::default(), name).await.ok()
}

/// Refuses a profile that takes its credentials from this very command: it would ask itself, without end.
///
/// # Errors
/// When it is such a one.
pub async fn not_from_daypass(name: Option<&str>) -> Result<(), Error> {
    let Some(profiles) = selected(name).await else { return Ok(()) };
    match profiles.get("credential_process") {
        Some(process) if is_this_command(process) => {
            let profile = profiles.selected_profile();
            Err(Error::usage(format!(
                "the AWS profile `{profile}` takes its credentials from `daypass credentials` itself"
            ))
            .remedy("set `aws_profile` (DAYPASS_AWS_PROFILE) to the profile that Daypass is to be asked with"))
        }
        _ => Ok(()),
    }
}

fn is_this_command(process: &str) -> bool {
    let words: Vec<&str> = process.split([' ', '/', '"', '\'']).collect();
    words.contains(&"daypass") && words.contains(&"credentials")
}

/// The region of the default profile, if that profile has credentials: SDKs would take them rather than an endpoint's.
pub async fn default_with_credentials() -> Option<Option<String>> {
    let profiles = selected(Some("default")).await?;
    let has_some = SOURCES.iter().any(|source| profiles.get(source).is_some());
    has_some.then(|| profiles.get("region").map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_this_command() {
        for process in [
            "daypass credentials --account payments-dev",
            "\"/opt/day pass/daypass\" credentials",
            "env AWS_PROFILE=x /usr/local/bin/daypass --quiet credentials",
        ] {
            assert!(is_this_command(process), "{process}");
        }
        for process in ["/usr/bin/other credentials", "daypassage credentials", "daypass-credentials", ""] {
            assert!(!is_this_command(process), "{process}");
        }
    }
}
