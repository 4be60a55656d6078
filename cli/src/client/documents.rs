//! Policy documents in answers of IAM.

/// A document as IAM answers it: URL-encoded.
pub fn decoded(document: &str) -> String {
    let pair = format!("document={document}");
    form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_decoded() {
        assert_eq!(decoded("%7B%22a%22%3A%20%22b%2B%2F%26%22%7D"), r#"{"a": "b+/&"}"#);
    }
}
