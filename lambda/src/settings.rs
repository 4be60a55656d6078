//! The settings of a function: environment variables that the deployment sets, and personas.json beside the binary.

use std::{env, fmt, fs, io, path::PathBuf, str::FromStr};

use daypass::persona::{Personas, PersonasError};

/// A setting is missing or bad. The deployment (`cdk/`) sets all of them.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// The environment variable is not set.
    #[error("the environment variable `{name}` is not set")]
    Missing {
        /// The variable.
        name: &'static str,
    },
    /// The environment variable holds something else than it should.
    #[error("the environment variable `{name}` is wrong: {reason}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// personas.json cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// personas.json does not parse; the text lists every problem.
    #[error(transparent)]
    Personas(#[from] PersonasError),
}

/// The setting `name`.
///
/// # Errors
/// When it is not set, or is no `T`.
pub fn setting<T: FromStr<Err: fmt::Display>>(name: &'static str) -> Result<T, SettingError> {
    optional_setting(name)?.ok_or(SettingError::Missing { name })
}

/// The setting `name`, if it is there and not empty.
///
/// # Errors
/// When it is no `T`.
pub fn optional_setting<T: FromStr<Err: fmt::Display>>(name: &'static str) -> Result<Option<T>, SettingError> {
    let invalid = |reason| SettingError::Invalid { name, reason };
    match env::var(name) {
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(invalid("it is not UTF-8".to_owned())),
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => text.parse().map(Some).map_err(|error: T::Err| invalid(error.to_string())),
    }
}

/// The personas that were deployed with the function: `personas.json` in its package.
///
/// # Errors
/// When the file cannot be read, or has problems; the error lists all of them.
pub fn personas() -> Result<Personas, SettingError> {
    // Lambda names the folder of the package; without Lambda it is the working directory.
    let folder: Option<PathBuf> = optional_setting("LAMBDA_TASK_ROOT")?;
    let path = folder.unwrap_or_default().join("personas.json");
    let json = fs::read_to_string(&path).map_err(|source| SettingError::Unreadable { path, source })?;
    Ok(Personas::parse(&json)?)
}
