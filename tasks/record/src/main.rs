//! The Lambda function `record`.

use std::process::ExitCode;

use aws_sdk_dynamodb::Client;
use daypass_lambda::{connect, main as serve, setting};
use daypass_record::Record;

fn main() -> ExitCode {
    serve(|| {
        let (table, open_roles) = (setting("DAYPASS_TABLE")?, setting("DAYPASS_OPEN_ROLES_TABLE")?);
        Ok(Record::new(Client::new(&connect()?), table, open_roles, setting("DAYPASS_LIMITS")?))
    })
}
