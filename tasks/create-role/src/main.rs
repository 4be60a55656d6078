//! The Lambda function `create-role`.

use std::process::ExitCode;

use daypass_create_role::CreateRole;
use daypass_lambda::{connect, main as serve, personas, setting};
use daypass_sessions::Provisioner;

fn main() -> ExitCode {
    serve(|| {
        let provisioner = Provisioner::new(&connect()?, setting("DAYPASS_EXTERNAL_ID")?);
        Ok(CreateRole::new(provisioner, setting("DAYPASS_PIPELINE_ROLE_ARN")?, personas()?))
    })
}
