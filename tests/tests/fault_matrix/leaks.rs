//! Searching what is kept of a run for its secrets.
//!
//! The scenario `secrets` searches every place, in every encoding, for any sixteen characters of a secret. Here thousands of runs are
//! searched, so it looks for half of a secret or more, plain or in base64, at every sixteenth character.

use std::collections::HashSet;

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine as _};

const RUN: usize = 16;

/// The places in which one of the secrets is.
pub fn found(secrets: &[String], kept: &[(String, String)]) -> Vec<String> {
    let mut runs: HashSet<u128> = HashSet::new();
    for secret in secrets.iter().filter(|secret| secret.len() >= 2 * RUN) {
        for form in forms(secret) {
            runs.extend(form.as_bytes().windows(RUN).map(number));
        }
    }
    let leaks = |content: &str| content.as_bytes().chunks_exact(RUN).any(|run| runs.contains(&number(run)));
    kept.iter().filter(|(_, content)| leaks(content)).map(|(place, _)| place.clone()).collect()
}

fn number(run: &[u8]) -> u128 {
    u128::from_be_bytes(run.try_into().expect("a run"))
}

fn forms(secret: &str) -> Vec<String> {
    let mut all = vec![secret.to_owned()];
    for engine in [&BASE64_STANDARD, &BASE64_URL_SAFE] {
        for before in 0..3_usize {
            let text = engine.encode([&vec![0; before], secret.as_bytes()].concat());
            // Only what no neighbour has a bit in.
            let (first, last) = ((before * 8).div_ceil(6), (before + secret.len()) * 8 / 6);
            all.push(text[first..last].to_owned());
        }
    }
    all
}

#[test]
fn a_secret_is_found_wherever_it_begins() {
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY~EXAMPLE=KEY".to_owned();
    for before in 0..40 {
        let plain = format!("{}{secret};", "x".repeat(before));
        for text in [plain.clone(), BASE64_STANDARD.encode(&plain), BASE64_URL_SAFE.encode(&plain)] {
            assert_eq!(found(std::slice::from_ref(&secret), &[("it".to_owned(), text.clone())]), ["it"], "{text}");
        }
    }
    assert_eq!(found(&[secret], &[("it".to_owned(), "EXAMPLE ".repeat(20))]), Vec::<String>::new());
}

/// How many of many secrets are in many lines.
pub fn found_in_much(secrets: &[String], lines: &[String]) -> usize {
    let lines: HashSet<&str> = lines.iter().map(String::as_str).collect();
    let runs: HashSet<u128> = lines.iter().flat_map(|line| line.as_bytes().windows(RUN)).map(number).collect();
    let leaks = |form: String| form.as_bytes().chunks_exact(RUN).any(|run| runs.contains(&number(run)));
    secrets.iter().filter(|secret| secret.len() >= 2 * RUN && forms(secret).into_iter().any(leaks)).count()
}
