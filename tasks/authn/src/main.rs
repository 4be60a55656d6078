//! The Lambda function `authn`.

use std::process::ExitCode;

use aws_sdk_identitystore::Client;
use daypass_authn::Authn;
use daypass_lambda::{connect, main as serve, setting};
use daypass_sessions::identity_center;

fn main() -> ExitCode {
    serve(|| {
        let client = Client::new(&identity_center(&connect()?)?);
        Ok(Authn::new(client, setting("DAYPASS_IDENTITY_STORE_ID")?))
    })
}
