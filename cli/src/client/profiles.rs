//! The profiles of the `aws` command, as far as it matters whose credentials they give.

use aws_config::profile::{self, ProfileFileLoadError, ProfileSet};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_types::os_shim_internal::{Env, Fs};

use crate::error::{Error, in_one_line};

/// The profiles, with one of them selected: this one, or the one that the `aws` command would take.
async fn load(name: Option<&str>) -> Result<ProfileSet, ProfileFileLoadError> {
    let name = name.map(|name| name.to_owned().into());
    profile::load(&Fs::real(), &Env::real(), &EnvConfigFiles::default(), name).await
}

/// Refuses a profile that takes its credentials from this very command: it would ask itself, without end.
pub async fn not_from_daypass(name: Option<&str>) -> Result<(), Error> {
    // The SDK, which takes its credentials from these files, says what is wrong with them.
    let Ok(profiles) = load(name).await else { return Ok(()) };
    match profiles.get("credential_process") {
        Some(process) if is_this_command(process) => {
            let profile = profiles.selected_profile();
            Err(Error::usage(format!(
                "the AWS profile `{profile}` takes its credentials from `daypass credentials` itself"
            ))
            .remedy("set `aws_profile` (DAYPASS_AWS_PROFILE) to the profile that may call Daypass"))
        }
        _ => Ok(()),
    }
}

fn is_this_command(process: &str) -> bool {
    let words: Vec<&str> = process.split([' ', '/', '"', '\'']).collect();
    words.contains(&"daypass") && words.contains(&"credentials")
}

/// The region of the profile that the `aws` command would take, else of the default one, for whoever sees neither.
///
/// # Errors
/// When the files cannot be understood: others may read a region there, and more.
pub async fn region() -> Result<Option<String>, Error> {
    let profiles = load(None).await.map_err(|error| {
        let why = in_one_line(&DisplayErrorContext(error).to_string());
        Error::usage(format!("the AWS profiles of this machine cannot be read, so the command gets no region: {why}"))
            .remedy("set AWS_REGION")
    })?;
    let default = profiles.get_profile("default").and_then(|profile| profile.get("region"));
    Ok(profiles.get("region").or(default).map(str::to_owned))
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
