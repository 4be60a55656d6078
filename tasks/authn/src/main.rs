//! The Lambda function `authn`.

use std::process::ExitCode;

use daypass::lambda::{connect, connect_anywhere, identity_center, main as serve, optional_setting, setting};
use daypass_authn::{
    Authn,
    proof::{EnvelopeKey, Prover, UsedTokens},
    user::Users,
};

fn main() -> ExitCode {
    serve(|| {
        let config = connect()?;
        let users = Users::new(
            aws_sdk_identitystore::Client::new(&identity_center(&config)?),
            setting("DAYPASS_IDENTITY_STORE_ID")?,
        );
        let Some(rules) = optional_setting("DAYPASS_IDENTITY_TOKENS")? else { return Ok(Authn::new(users, None)) };
        let envelope = EnvelopeKey::new(aws_sdk_kms::Client::new(&config), setting("DAYPASS_TOKEN_KEY_ARN")?);
        let used = UsedTokens::new(aws_sdk_dynamodb::Client::new(&config), setting("DAYPASS_USED_TOKENS_TABLE")?);
        Ok(Authn::new(users, Some(Prover::new(rules, envelope, used, connect_anywhere()?))))
    })
}
