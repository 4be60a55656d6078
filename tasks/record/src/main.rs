//! The Lambda function `record`.

use std::{process::ExitCode, time::Duration};

use aws_sdk_dynamodb::Client;
use daypass_lambda::{connect, main as serve, setting};
use daypass_record::Record;

fn main() -> ExitCode {
    serve(|| {
        let (table, open_roles) = (setting("DAYPASS_TABLE")?, setting("DAYPASS_OPEN_ROLES_TABLE")?);
        let record = Record::new(Client::new(&connect()?), table, open_roles, setting("DAYPASS_LIMITS")?);
        Ok(record.settling(Duration::from_secs(setting("DAYPASS_ROLE_SETTLE_SECONDS")?)))
    })
}
