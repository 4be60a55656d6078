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
    fn pair(&self) -> Pair {
        (self.account_id.clone(), self.persona.clone())
    }

    /// What Identity Center shows beside the name.
    pub fn description(&self) -> String {
        let Self { account, account_id, persona, .. } = self;
        format!("Daypass: {persona} in {account} ({account_id})")
    }
}

/// A group that is there under a former name, and its name now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    pub group: ExistingGroup,
    pub wanted: Wanted,
}

impl Renamed {
    /// The description that the group gets with its name: only one that was made here is made anew.
    pub fn description(&self) -> Option<String> {
        let wanted = self.wanted.description();
        (self.group.description.starts_with("Daypass: ") && self.group.description != wanted).then_some(wanted)
    }
}

/// A group that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExistingGroup {
    /// The id in the identity store.
    pub id: String,
    pub name: String,
    pub description: String,
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
    /// Wanted, and there under a former name only.
    pub renamed: Vec<Renamed>,
    /// There under a former name, beside the group that is wanted.
    pub doubled: Vec<Renamed>,
    /// There, named as a group of some account and persona is or was, and wanted for none.
    pub extra: Vec<ExistingGroup>,
    /// The directories that groups come from, and how many from each; of all groups, also those that are none of ours.
    pub directories: BTreeMap<String, usize>,
}

impl Difference {
    /// Between what `personas` wants and `groups`, which may have the names that `former` wants. Whatever is named otherwise is
    /// somebody else's business.
    ///
    /// # Errors
    /// When a name is now that of another group than before: which group it is cannot be told.
    pub fn between(personas: &Personas, former: Option<&Personas>, groups: Vec<ExistingGroup>) -> Result<Self, Reused> {
        let former_names = former.map(names_of).unwrap_or_default();
        let all = wanted_by(personas);
        for it in &all {
            if let Some((before, _)) = former_names.iter().find(|(pair, name)| **name == it.name && **pair != it.pair())
            {
                let (account, persona) = before.clone();
                return Err(Reused { name: it.name.clone(), before: (account, persona), now: it.pair() });
            }
        }
        let mut directories = BTreeMap::new();
        for issuer in groups.iter().flat_map(|group| &group.issuers) {
            *directories.entry(issuer.clone()).or_default() += 1;
        }
        let mut by_name: BTreeMap<String, ExistingGroup> =
            groups.into_iter().map(|group| (group.name.clone(), group)).collect();
        let mut difference = Self { directories, ..Self::default() };
        for wanted in all {
            let is_present = by_name.remove(&wanted.name).is_some();
            let before = former_names.get(&wanted.pair()).and_then(|name| by_name.remove(name));
            match (is_present, before) {
                (true, None) => difference.present.push(wanted),
                (true, Some(group)) => {
                    difference.present.push(wanted.clone());
                    difference.doubled.push(Renamed { group, wanted });
                }
                (false, None) => difference.missing.push(wanted),
                (false, Some(group)) => difference.renamed.push(Renamed { group, wanted }),
            }
        }
        let is_ours = |name: &str| personas.is_group_name(name) || former.is_some_and(|it| it.is_group_name(name));
        difference.extra = by_name.into_values().filter(|group| is_ours(&group.name)).collect();
        Ok(difference)
    }

    /// How many groups are wanted.
    pub fn wanted(&self) -> usize {
        self.present.len() + self.missing.len() + self.renamed.len()
    }

    /// Whether nothing is missing and nothing is left over.
    pub fn is_none(&self) -> bool {
        let Self { present: _, missing, renamed, doubled, extra, directories: _ } = self;
        missing.is_empty() && renamed.is_empty() && doubled.is_empty() && extra.is_empty()
    }
}

/// An account's id and a persona's name.
type Pair = (AccountId, String);

/// A name that another account and persona had before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reused {
    pub name: String,
    pub before: Pair,
    pub now: Pair,
}

/// The groups that `personas` wants, in the order of its accounts and personas.
fn wanted_by(personas: &Personas) -> Vec<Wanted> {
    let wanted = personas.accounts().iter().flat_map(|account| {
        let open = personas.personas().iter().filter(|persona| account.is_open_to(persona));
        open.map(|persona| Wanted {
            name: personas.group_name(account.id(), persona),
            account: account.name().to_owned(),
            account_id: account.id().clone(),
            persona: persona.name().to_owned(),
        })
    });
    wanted.collect()
}

fn names_of(personas: &Personas) -> BTreeMap<Pair, String> {
    wanted_by(personas).into_iter().map(|it| (it.pair(), it.name)).collect()
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
        let groups = groups.iter().map(|(name, issuers)| group(name, issuers)).collect();
        Difference::between(&personas, None, groups).expect("no former names")
    }

    fn renamed(former: &str, groups: &[&str]) -> Result<Difference, Reused> {
        let (personas, former) = (Personas::parse(SHIPPED).expect("a file"), Personas::parse(former).expect("a file"));
        Difference::between(&personas, Some(&former), groups.iter().map(|name| group(name, &[])).collect())
    }

    /// The shipped file, as it was when the company had another name.
    fn old_company() -> String {
        let former = SHIPPED.replacen(r#""company": "PwC""#, r#""company": "Acme""#, 1);
        assert_ne!(former, SHIPPED);
        former
    }

    fn pairs(renamed: &[Renamed]) -> Vec<(&str, &str)> {
        renamed.iter().map(|it| (it.group.name.as_str(), it.wanted.name.as_str())).collect()
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
        let between = |groups| Difference::between(&personas, None, groups).expect("no former names");
        let missing = between(Vec::new()).missing;
        assert_eq!(names(&missing), ALL[1..]);
        // The group that it had is left over now.
        let difference = between(vec![group(ALL[0], &[])]);
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

    #[test]
    fn a_group_under_its_former_name_is_renamed_and_none_is_made() {
        let old = ALL.map(|name| name.replacen("PwC", "Acme", 1));
        let difference = renamed(&old_company(), &old.each_ref().map(String::as_str)).expect("no name is another's");
        let expected: Vec<_> = old.iter().map(String::as_str).zip(ALL).collect();
        assert_eq!(pairs(&difference.renamed), expected);
        assert!(difference.missing.is_empty() && difference.present.is_empty() && difference.extra.is_empty());
        assert!(!difference.is_none());
        // Once it is done, it is done.
        let again = renamed(&old_company(), &ALL).expect("no name is another's");
        assert!(again.is_none(), "{again:?}");
        assert_eq!(names(&again.present), ALL);
    }

    #[test]
    fn both_neither_and_what_nobody_wants_any_more_are_told_apart() {
        let difference = renamed(
            &old_company(),
            &[
                "Acme_GP_222222222222_Network",
                "PwC_GP_222222222222_Network",
                "Acme_GP_222222222222_Product_Admin",
                "Acme_GP_999999999999_Network",
                "Acme_GP_222222222222_Retired",
                "Acme_Guests",
            ],
        );
        let difference = difference.expect("no name is another's");
        assert_eq!(pairs(&difference.doubled), [("Acme_GP_222222222222_Network", "PwC_GP_222222222222_Network")]);
        assert_eq!(pairs(&difference.renamed), [("Acme_GP_222222222222_Product_Admin", ALL[1])]);
        assert_eq!(names(&difference.present), [ALL[0]]);
        assert_eq!(names(&difference.missing), ALL[2..]);
        let extra: Vec<_> = difference.extra.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(extra, ["Acme_GP_222222222222_Retired", "Acme_GP_999999999999_Network"]);
        // A group that is there twice is a difference, too.
        let doubled = renamed(&old_company(), &[ALL.as_slice(), &["Acme_GP_222222222222_Network"]].concat());
        assert!(!doubled.expect("no name is another's").is_none());
    }

    #[test]
    fn a_persona_that_was_not_open_has_no_former_name() {
        let former = old_company().replacen(r#""personas": ["Network", "#, r#""personas": ["#, 1);
        let difference = renamed(&former, &["Acme_GP_222222222222_Network"]).expect("no name is another's");
        assert_eq!((pairs(&difference.renamed).len(), difference.extra.len()), (0, 1), "{difference:?}");
        assert_eq!(names(&difference.missing), ALL);
    }

    /// Which group it is cannot be told once the first of them is renamed: its members could become another persona.
    #[test]
    fn a_name_that_was_another_groups_is_refused() {
        let pattern = |from: &str, text: &str| from.replacen("{account_id}_{persona}", text, 1);
        assert_ne!(pattern(SHIPPED, "x"), SHIPPED);
        // A chain: `Admin` becomes what `x_Admin` was.
        let (old, new) = (pattern(SHIPPED, "{account_id}_{persona}"), pattern(SHIPPED, "{account_id}_x_{persona}"));
        let (old, new) =
            (old.replace("\"Network\"", "\"x_Product_Admin\""), new.replace("\"Network\"", "\"x_Product_Admin\""));
        let (old, new) = (Personas::parse(&old).expect("a file"), Personas::parse(&new).expect("a file"));
        let refused = Difference::between(&new, Some(&old), Vec::new()).expect_err("a chain");
        assert_eq!(refused.name, "PwC_GP_222222222222_x_Product_Admin");
        assert_eq!((refused.before.1.as_str(), refused.now.1.as_str()), ("x_Product_Admin", "Product_Admin"));
        // What keeps its name is not renamed.
        assert!(renamed(SHIPPED, &ALL).expect("no name is another's").is_none());
    }

    #[test]
    fn a_description_that_somebody_else_has_written_stays() {
        let wanted = between(&[]).missing.remove(0);
        let of = |description: &str| {
            let group = ExistingGroup { description: description.to_owned(), ..ExistingGroup::default() };
            Renamed { group, wanted: wanted.clone() }.description()
        };
        assert_eq!(of(""), None);
        assert_eq!(of("The network people"), None);
        assert_eq!(of(&wanted.description()), None);
        assert_eq!(of("Daypass: Network in payments (222222222222)"), Some(wanted.description()));
    }
}
