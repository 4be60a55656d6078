//! What to do about each error of Daypass: one line each of docs/errors.md, so that the advice is written once.

/// Where the documentation is, for whoever has no copy of their own.
pub const DOCS_URL: &str = "https://github.com/daypass/daypass/blob/main/docs";

const PAGE: &str = include_str!("../../docs/errors.md");

/// The remedy for an error name.
pub fn remedy(name: &str) -> Option<&'static str> {
    let heading = format!("\n## {name}\n");
    let section = &PAGE[PAGE.find(&heading)? + heading.len()..];
    let section = section.split("\n## ").next()?;
    section.lines().find_map(|line| line.strip_prefix("Remedy: ")).map(str::trim)
}

#[cfg(test)]
mod tests {
    use daypass::error::ErrorName;

    use super::*;

    #[test]
    fn every_error_has_one() {
        for name in ErrorName::ALL {
            let remedy = remedy(name.as_str());
            assert!(remedy.is_some_and(|text| text.len() > 10), "docs/errors.md: {name} has no line `Remedy: …`");
        }
        assert_eq!(remedy("Daypass.Nothing"), None);
    }
}
