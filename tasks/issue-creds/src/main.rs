//! The Lambda function `issue-creds`.

use std::process::ExitCode;

use aws_sdk_sts::Client;
use daypass_issue_creds::IssueCreds;
use daypass_lambda::{connect, main as serve, setting};

fn main() -> ExitCode {
    serve(|| Ok(IssueCreds::new(Client::new(&connect()?), setting("DAYPASS_PIPELINE_ROLE_ARN")?)))
}
