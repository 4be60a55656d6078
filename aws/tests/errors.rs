//! What is said of calls that failed.

use daypass::error::ErrorName;
use daypass_testing::samples::{
    aws_error_saying,
    leaks::{SECRETS, failed_calls},
};

#[test]
fn a_refusal_in_the_hub_is_told_with_who_can_mend_it() {
    let told = |code, message| {
        let error = aws_error_saying("kms:Decrypt", code, message);
        (error.name_in_hub(), error.told_in_hub())
    };
    insta::assert_debug_snapshot!([
        told("AccessDeniedException", "x is not authorized because no identity-based policy allows it"),
        told("AccessDeniedException", "x is not authorized with an explicit deny in a service control policy"),
        told("DisabledException", "the key is disabled"),
        told("ThrottlingException", "slow down"),
        told("KMSInternalException", "try again"),
    ]);
    let end = aws_error_saying("dynamodb:UpdateItem", "AccessDeniedException", "an explicit deny");
    assert_eq!(end.name(), ErrorName::AwsUnavailable, "an end is tried for a day");
}

/// Whatever the SDK keeps of an answer stays out of what is said. (`tests/tests/error_texts.rs` asks the same of the tasks'
/// errors.)
#[test]
fn an_error_says_what_failed_and_nothing_of_the_answer() {
    let said: Vec<_> = failed_calls().iter().map(|error| (error.to_string(), format!("{error:?}"))).collect();
    assert!(SECRETS.iter().all(|secret| !format!("{said:?}").contains(secret)), "{said:#?}");
    let said: Vec<_> = said.iter().map(|(text, _)| text.strip_prefix("sts:AssumeRole failed with ").unwrap()).collect();
    insta::assert_debug_snapshot!(said);
}
