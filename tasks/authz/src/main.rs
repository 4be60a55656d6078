//! The Lambda function `authz`.

use std::process::ExitCode;

use aws_sdk_identitystore::Client;
use daypass_authz::Authz;
use daypass_lambda::{connect, main as serve, personas, setting};
use daypass_sessions::identity_center;

fn main() -> ExitCode {
    serve(|| {
        let client = Client::new(&identity_center(&connect()?)?);
        Ok(Authz::new(client, setting("DAYPASS_IDENTITY_STORE_ID")?, personas()?))
    })
}
