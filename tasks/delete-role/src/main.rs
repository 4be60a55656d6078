//! The Lambda function `delete-role`.

use std::process::ExitCode;

use daypass_delete_role::DeleteRole;
use daypass_lambda::{connect, main as serve, setting};
use daypass_sessions::Provisioner;

fn main() -> ExitCode {
    serve(|| Ok(DeleteRole::new(Provisioner::new(&connect()?, setting("DAYPASS_EXTERNAL_ID")?))))
}
