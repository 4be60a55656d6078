//! Answers of AWS with secrets in them that an error could repeat, and all that an error says.

use std::{error::Error, io};

use aws_smithy_runtime_api::{
    client::{
        orchestrator::HttpResponse,
        result::{ConnectorError, SdkError},
    },
    http::StatusCode,
};
use aws_smithy_types::{body::SdkBody, error::ErrorMetadata};
use daypass::stage::{Failure, Named};
use daypass_aws::AwsError;

/// What no error may say: an access key id, a secret access key, a session token.
pub const SECRETS: [&str; 3] =
    ["ASIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "FwoGZXIvYXdzEBYaDExample"];

/// `AssumeRole`'s answer with [`SECRETS`] in it.
#[must_use]
pub fn assumed() -> String {
    let [id, secret, token] = SECRETS;
    format!(
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{id}</AccessKeyId>\
         <SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>\
         <Expiration>2026-11-23T10:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
}

/// Answers of STS, status and body, that have [`SECRETS`] in them and are of no use.
///
/// Some can be read all the same: the SDK does not mind an answer that was cut short, and fills in what is missing.
#[must_use]
pub fn useless_answers() -> Vec<(u16, String)> {
    let whole = assumed();
    let ends = ["<AccessKeyId>ASIA", "<SecretAccessKey>wJal", "<SessionToken", "FwoGZXIvYXdzEB", "<Expiration>"];
    let cut_short = ends.map(|end| (200, whole[..whole.find(end).expect(end) + end.len()].to_owned()));
    let echo = format!("The Canonical String was 'x-amz-security-token:{}' for {}", SECRETS[2], SECRETS[0]);
    let refusal = |code: &str| {
        (403, format!("<ErrorResponse><Error><Code>{code}</Code><Message>{echo}</Message></Error></ErrorResponse>"))
    };
    let others = [
        (200, whole.replace("<SecretAccessKey>", "<SecretAccessKey")),
        (200, whole.replace("2026-11-23T10:00:00Z", SECRETS[1])),
        (200, whole.replace("<Expiration>2026-11-23T10:00:00Z</Expiration>", "")),
        (200, format!("{{\"token\": \"{}\"}}", SECRETS[2])),
        (502, format!("<html>{whole}</html>")),
        (500, SECRETS.join(" ")),
        refusal("SignatureDoesNotMatch"),
        refusal("IncompleteSignature"),
    ];
    cut_short.into_iter().chain(others).collect()
}

/// Every kind of failure of a call to AWS, with [`SECRETS`] wherever the SDK keeps something.
#[must_use]
pub fn failed_calls() -> Vec<AwsError> {
    type Failed = SdkError<ErrorMetadata, HttpResponse>;
    let raw = || HttpResponse::new(StatusCode::try_from(200).expect("a status"), SdkBody::from(assumed()));
    let echo = |code: &str| ErrorMetadata::builder().code(code).message(SECRETS.join(" ")).build();
    let quoting = || SECRETS.join(" ");
    let no_answer = || io::Error::other("connection refused");
    let failures = [
        Failed::service_error(ErrorMetadata::builder().build(), raw()),
        Failed::service_error(ErrorMetadata::builder().message(quoting()).build(), raw()),
        Failed::service_error(ErrorMetadata::builder().code("AccessDenied").build(), raw()),
        Failed::service_error(echo("SignatureDoesNotMatch"), raw()),
        Failed::service_error(echo("InvalidSignatureException"), raw()),
        Failed::response_error(quoting(), raw()),
        Failed::dispatch_failure(ConnectorError::io(no_answer().into())),
        Failed::timeout_error(no_answer()),
        Failed::construction_failure(no_answer()),
    ];
    failures.into_iter().map(|error| AwsError::of("sts:AssumeRole")(error)).collect()
}

/// All that an error says, to whoever formats it in whatever way, and what the state machine is told.
#[must_use]
pub fn said(error: &(impl Error + Named + 'static)) -> String {
    let mut all = vec![format!("{:?}", Failure::from(error))];
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        all.push(format!("{error}\n{error:#}\n{error:?}\n{error:#?}"));
        cause = error.source();
    }
    all.join("\n")
}

/// # Panics
/// When an error says one of [`SECRETS`].
pub fn assert_untold(error: &(impl Error + Named + 'static)) {
    let said = said(error);
    for secret in SECRETS {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
}
