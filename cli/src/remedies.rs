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
    use crate::error::Kind;

    /// The sections that are about an error of Daypass.
    fn sections() -> Vec<(&'static str, &'static str)> {
        let all = PAGE.split("\n## ").skip(1).filter_map(|section| section.split_once('\n'));
        all.filter(|(heading, _)| heading.starts_with("Daypass.")).collect()
    }

    #[test]
    fn every_error_has_its_section_in_order_and_no_section_is_of_another() {
        let headings: Vec<_> = sections().into_iter().map(|(heading, _)| heading).collect();
        assert_eq!(headings, ErrorName::ALL.map(ErrorName::as_str));
    }

    #[test]
    fn every_section_has_one_remedy_which_is_one_sentence() {
        for (heading, section) in sections() {
            let remedies: Vec<_> = section.lines().filter_map(|line| line.strip_prefix("Remedy: ")).collect();
            assert_eq!(remedies.as_slice(), remedy(heading).as_slice(), "docs/errors.md: {heading}");
            let [remedy] = remedies[..] else { panic!("docs/errors.md: {heading} has {remedies:?}") };
            let is_sentence = remedy.ends_with('.') && !remedy.trim_end_matches('.').contains(". ");
            assert!(is_sentence && remedy.len() <= 160, "{heading}: {remedy}");
            // A terminal shows it as it is.
            assert!(!remedy.contains(['`', '*', '[']), "{heading}: {remedy}");
        }
        assert_eq!(remedy("Daypass.Nothing"), None);
    }

    #[test]
    fn the_table_leads_to_every_section_and_tells_its_exit_code() {
        let rows: Vec<_> = PAGE.lines().filter_map(|line| line.strip_prefix("| [Daypass.")).collect();
        assert_eq!(rows.len(), ErrorName::ALL.len());
        for (row, name) in rows.iter().zip(ErrorName::ALL) {
            let anchor = name.as_str().to_lowercase().replace('.', "");
            let link = format!("{}](#{anchor})", name.as_str().trim_start_matches("Daypass."));
            let code = format!("| {} |", Kind::of(name).code());
            assert!(row.starts_with(&link) && row.ends_with(&code), "{row} {code}");
        }
    }
}
