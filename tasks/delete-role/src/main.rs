//! The Lambda function `delete-role`.

use std::process::ExitCode;

use daypass::lambda::{Provisioner, connect, main as serve, setting};
use daypass_delete_role::DeleteRole;

fn main() -> ExitCode {
    serve(|| Ok(DeleteRole::new(Provisioner::new(&connect()?, setting("DAYPASS_EXTERNAL_ID")?))))
}
