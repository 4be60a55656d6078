//! The calls of the published ways to escalate, made on the engine.

use daypass_policies::methods::{Placeholders, RawCall};

use crate::aws::{Aws, Call, Refused};

/// Somebody makes the call.
///
/// # Errors
/// AWS's error code.
pub async fn make(call: &RawCall, somebody: &Aws, values: &Placeholders) -> Result<String, Refused> {
    match call {
        RawCall::Query { service, version, action, parameters } => {
            let encoded = |text: &str| percent_encoded(&values.fill(text));
            let parameters: Vec<_> = parameters.iter().map(|(name, text)| (name.as_str(), encoded(text))).collect();
            let parameters: Vec<_> = parameters.iter().map(|(name, text)| (*name, text.as_str())).collect();
            somebody.call(&Call::Query(service, version, action, &parameters)).await
        }
        RawCall::Json { service, target, body } => {
            let body = values.fill(&body.to_string());
            somebody.call(&Call::Json(service, target, &body)).await
        }
        RawCall::Rest { service, method, path, body } => {
            let path = values.fill(path);
            let body = if body.is_null() { String::new() } else { values.fill(&body.to_string()) };
            somebody.call(&Call::RestJson(service, method, &path, &body)).await
        }
    }
}

fn percent_encoded(text: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
