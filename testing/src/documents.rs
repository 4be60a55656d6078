//! Parts of documents that are generated: tests compare them, and write them when `INSTA_UPDATE` is `always`, as snapshots.

#![expect(clippy::missing_panics_doc, clippy::panic, reason = "tests only, and to panic is how they fail")]

use std::{env, fs, path::Path};

/// Holds that `document` has `content` between the lines `<!-- part: generated -->` and `<!-- part: end -->`.
pub fn check(document: impl AsRef<Path>, part: &str, content: &str) {
    check_all(document, |text| replaced(text, part, content));
}

/// Holds that a document is what `generated` makes of it.
pub fn check_all(document: impl AsRef<Path>, generated: impl FnOnce(&str) -> String) {
    let path = document.as_ref();
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let current = generated(&text);
    if env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        fs::write(path, current).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    } else {
        assert!(text == current, "{} is stale: run this test again with INSTA_UPDATE=always", path.display());
    }
}

/// The text of a document with this content of a part.
#[must_use]
pub fn replaced(text: &str, part: &str, content: &str) -> String {
    let (begin, end) = (format!("<!-- {part}: generated -->\n"), format!("<!-- {part}: end -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no line {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no line {end}"));
    format!("{before}{begin}\n{}\n\n{end}{after}", content.trim_end())
}
