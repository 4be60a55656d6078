//! The groups that personas.json wants, and those that there are.

use std::collections::{BTreeMap, BTreeSet};

use daypass::{ids::AccountId, persona::Personas};

/// A group that has to be there: who is in it may be the persona in the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name, by the pattern.
    pub name: String,
    pub account: String,
    pub account_id: AccountId,
    pub persona: String,
}

impl Wanted {
    /// What Identity Center shows beside the name.
    pub fn description(&self) -> String {
        let Self { account, account_id, persona, .. } = self;
        format!("Daypass: {persona} in {account} ({account_id})")
    }
}

/// A group that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExistingGroup {
    /// The id in the identity store.
    pub id: String,
    pub name: String,
    /// What changes whenever the group is changed; empty where the store does not say.
    pub revision: String,
    /// Who has given it an id of their own: the directory that it comes from.
    pub issuers: BTreeSet<String>,
    /// How many members it has, where that was asked.
    pub members: Option<usize>,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Wanted and there.
    pub present: Vec<Wanted>,
    /// Wanted and not there.
    pub missing: Vec<Wanted>,
    /// There, named as a group of some account and persona is, and wanted for none.
    pub extra: Vec<ExistingGroup>,
    /// The directories that groups come from, and how many from each; of all groups, also those that are none of ours.
    pub directories: BTreeMap<String, usize>,
}

impl Difference {
    /// Between what `personas` wants and `groups`. Whatever is named otherwise is somebody else's business.
    pub fn between(personas: &Personas, groups: Vec<ExistingGroup>) -> Self {
        let wanted = personas.accounts().iter().flat_map(|account| {
            let open = personas.personas().iter().filter(|persona| account.is_open_to(persona));
            open.map(|persona| Wanted {
                name: personas.group_name(account.id(), persona),
                account: account.name().to_owned(),
                account_id: account.id().clone(),
                persona: persona.name().to_owned(),
            })
        });
        let names: BTreeSet<_> = groups.iter().map(|group| group.name.as_str()).collect();
        let (present, missing): (Vec<_>, Vec<_>) = wanted.partition(|it| names.contains(it.name.as_str()));
        let mut directories = BTreeMap::new();
        for issuer in groups.iter().flat_map(|group| &group.issuers) {
            *directories.entry(issuer.clone()).or_default() += 1;
        }
        let is_extra = |name: &str| personas.is_group_name(name) && !present.iter().any(|it| it.name == name);
        let mut extra: Vec<_> = groups.into_iter().filter(|group| is_extra(&group.name)).collect();
        extra.sort_by(|a, b| a.name.cmp(&b.name));
        Self { present, missing, extra, directories }
    }

    /// Whether nothing is missing and nothing is left over.
    pub fn is_none(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../../personas.json");

    fn group(name: &str, issuers: &[&str]) -> ExistingGroup {
        let issuers = issuers.iter().map(|&issuer| issuer.to_owned()).collect();
        ExistingGroup { id: format!("id of {name}"), name: name.to_owned(), issuers, ..ExistingGroup::default() }
    }

    fn between(groups: &[(&str, &[&str])]) -> Difference {
        let personas = Personas::parse(SHIPPED).expect("the shipped file");
        Difference::between(&personas, groups.iter().map(|(name, issuers)| group(name, issuers)).collect())
    }

    fn names<'a>(wanted: impl IntoIterator<Item = &'a Wanted>) -> Vec<&'a str> {
        wanted.into_iter().map(|it| it.name.as_str()).collect()
    }

    const ALL: [&str; 6] = [
        "PwC_GP_222222222222_Network",
        "PwC_GP_222222222222_Product_Admin",
        "PwC_GP_222222222222_Container_Admin",
        "PwC_GP_333333333333_Network",
        "PwC_GP_333333333333_Product_Admin",
        "PwC_GP_333333333333_Container_Admin",
    ];

    #[test]
    fn an_empty_store_misses_a_group_for_each_account_and_persona_that_is_open() {
        let difference = between(&[]);
        assert_eq!(names(&difference.missing), ALL);
        assert!(difference.present.is_empty() && difference.extra.is_empty() && !difference.is_none());
        assert_eq!(difference.missing[1].description(), "Daypass: Product_Admin in payments-dev (222222222222)");
    }

    #[test]
    fn a_persona_that_is_not_open_needs_no_group() {
        let narrowed = SHIPPED.replacen(r#""personas": ["Network", "#, r#""personas": ["#, 1);
        assert_ne!(narrowed, SHIPPED);
        let personas = Personas::parse(&narrowed).expect("a right file");
        let missing = Difference::between(&personas, Vec::new()).missing;
        assert_eq!(names(&missing), ALL[1..]);
        // The group that it had is left over now.
        let difference = Difference::between(&personas, vec![group(ALL[0], &[])]);
        assert_eq!(difference.extra, [group(ALL[0], &[])]);
    }

    #[test]
    fn whoever_has_all_groups_has_no_difference() {
        let groups = ALL.map(|name| (name, [].as_slice()));
        let difference = between(&groups);
        assert!(difference.is_none(), "{difference:?}");
        assert_eq!(names(&difference.present), ALL);
    }

    #[test]
    fn only_what_is_named_as_ours_is_left_over() {
        let difference = between(&[
            ("Administrators", &[]),
            ("PwC_GP_999999999999_Product_Admin", &[]),
            ("PwC_GP_222222222222_Retired", &[]),
            ("pwc_gp_222222222222_Network", &[]),
            ("PwC_GP_222222222222_Network", &[]),
        ]);
        let extra: Vec<_> = difference.extra.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(extra, ["PwC_GP_222222222222_Retired", "PwC_GP_999999999999_Product_Admin"]);
        assert_eq!(names(&difference.present), ["PwC_GP_222222222222_Network"]);
    }

    #[test]
    fn directories_are_counted_over_all_groups() {
        let (okta, entra) = ("https://okta.example.com", "https://entra.example.com");
        let difference = between(&[("Administrators", &[okta]), (ALL[0], &[okta, entra]), (ALL[1], &[])]);
        assert_eq!(difference.directories, BTreeMap::from([(okta.to_owned(), 2), (entra.to_owned(), 1)]));
    }
}
