//! The Lambda function `validate`.

use std::{process::ExitCode, time::Duration};

use daypass_lambda::{main as serve, personas, setting};
use daypass_validate::Validate;

fn main() -> ExitCode {
    serve(|| {
        let min_role_ttl = Duration::from_secs(setting("DAYPASS_MIN_ROLE_TTL_SECONDS")?);
        Ok(Validate::new(personas()?, min_role_ttl, setting("DAYPASS_PARTITION")?))
    })
}
