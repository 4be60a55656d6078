//! The Lambda function `record`.

use std::process::ExitCode;

use aws_sdk_dynamodb::Client;
use daypass::lambda::{connect, main as serve, setting};
use daypass_record::Record;

fn main() -> ExitCode {
    serve(|| Ok(Record::new(Client::new(&connect()?), setting("DAYPASS_TABLE")?)))
}
