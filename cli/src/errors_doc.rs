//! What docs/errors.md says of an error: the text exists once, there.

/// The page, as it was when the command was built.
const PAGE: &str = include_str!("../../docs/errors.md");

/// What the page has for one error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Help {
    /// One sentence, to the developer in front of a failed pipeline.
    pub remedy: &'static str,
    /// Where on the page the section is, without `#`.
    pub anchor: String,
}

/// What the page says of the error `name` (`Daypass.NotAMember`); none for a name that it does not know, such as one of a
/// newer deployment.
pub fn help(name: &str) -> Option<Help> {
    let (_, section) = sections(PAGE).find(|(heading, _)| *heading == name && name.starts_with("Daypass."))?;
    let remedy = remedies(section).next()?;
    Some(Help { remedy, anchor: anchor(name) })
}

/// The sections of the second level: heading and content.
fn sections(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap_or((section, "")))
}

fn remedies(section: &str) -> impl Iterator<Item = &str> {
    section.lines().filter_map(|line| line.strip_prefix("Remedy: "))
}

/// The anchor that GitHub gives to a heading that has no spaces.
fn anchor(heading: &str) -> String {
    heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use daypass::error::ErrorName;

    use super::*;

    #[test]
    fn every_error_has_its_section_in_order_and_no_section_is_of_another() {
        let headings: Vec<_> =
            sections(PAGE).map(|(heading, _)| heading).filter(|it| it.starts_with("Daypass.")).collect();
        assert_eq!(headings, ErrorName::ALL.map(ErrorName::as_str));
    }

    #[test]
    fn every_section_has_one_remedy_which_is_one_sentence() {
        for (heading, section) in sections(PAGE).filter(|(heading, _)| heading.starts_with("Daypass.")) {
            let remedies: Vec<_> = remedies(section).collect();
            let [remedy] = remedies[..] else { panic!("{heading}: {remedies:?}") };
            let is_sentence = remedy.ends_with('.') && !remedy.trim_end_matches('.').contains(". ");
            assert!(is_sentence && remedy.len() <= 160, "{heading}: {remedy}");
            // The terminal shows it as it is.
            assert!(!remedy.contains(['`', '*', '[']), "{heading}: {remedy}");
        }
    }

    #[test]
    fn the_table_leads_to_every_section() {
        let rows: Vec<_> = PAGE.lines().filter_map(|line| line.strip_prefix("| [Daypass.")).collect();
        assert_eq!(rows.len(), ErrorName::ALL.len());
        for (row, name) in rows.iter().zip(ErrorName::ALL) {
            let link = format!("{}](#{})", name.as_str().trim_start_matches("Daypass."), anchor(name.as_str()));
            assert!(row.starts_with(&link), "{row}");
        }
    }

    #[test]
    fn an_error_is_found_by_its_name() {
        let found = help("Daypass.NotAMember").expect("a section");
        assert_eq!(found.anchor, "daypassnotamember");
        assert!(found.remedy.starts_with("Ask whoever manages the group"), "{}", found.remedy);
        for name in ["Daypass.", "Daypass.FromTheFuture", "NotAMember", "What `daypass` says by itself", ""] {
            assert_eq!(help(name), None, "{name}");
        }
    }
}
