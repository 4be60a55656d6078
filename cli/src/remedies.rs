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
    use std::{env, fmt::Write, fs};

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

    const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    const BEGIN: &str = "<!-- errors: generated -->\n";
    const END: &str = "<!-- errors: end -->";

    /// `readme` with the rows of docs/errors.md between the markers.
    fn listing(readme: &str, page: &str) -> String {
        let (before, rest) = readme.split_once(BEGIN).expect("where the table begins");
        let (_, after) = rest.split_once(END).expect("where the table ends");
        let mut table = "| error | means | who can mend it |\n|---|---|---|\n".to_owned();
        for row in page.lines().filter_map(|line| line.strip_prefix("| [Daypass.")) {
            let [name, means, who, _] = row.split(" | ").collect::<Vec<_>>()[..] else { panic!("{row}") };
            let (name, link) = name.split_once("](").expect("a link");
            writeln!(table, "| [`Daypass.{name}`](docs/errors.md{link} | {means} | {who} |").unwrap();
        }
        format!("{before}{BEGIN}\n{table}\n{END}{after}")
    }

    /// `INSTA_UPDATE=always`, which writes snapshots, also writes the table.
    #[test]
    fn the_readme_lists_the_errors_as_the_page_does() {
        let readme = fs::read_to_string(README).unwrap();
        let current = listing(&readme, PAGE);
        if env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            fs::write(README, current).unwrap();
        } else {
            assert!(readme == current, "README.md is stale: run this test again with INSTA_UPDATE=always");
        }
        assert_ne!(readme, listing(&readme, &PAGE.replace("nobody has this address", "nobody is there")));
    }
}
