//! The Lambda function `prove`.

use std::process::ExitCode;

use aws_sdk_kms::Client;
use daypass_lambda::{connect, connect_anywhere, main as serve, setting};
use daypass_prove::{EnvelopeKey, Prove};

fn main() -> ExitCode {
    serve(|| {
        let envelope = EnvelopeKey::new(Client::new(&connect()?), setting("DAYPASS_TOKEN_KEY_ARN")?);
        Ok(Prove::new(setting("DAYPASS_IDENTITY_TOKENS")?, envelope, connect_anywhere()?))
    })
}
