//! What is set, and where each value comes from.
//!
//! The command line counts more than the environment, that more than the file, that more than what the CI system or git
//! says, and that more than what follows from other settings.

mod ci;
mod duration;
mod file;
mod key;
mod options;
mod variables;

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use daypass::{
    names::{DEPROVISION_MACHINE, RENEW_MACHINE, TOKEN_KEY_ALIAS},
    persona::DEFAULT_ROLE_TTL,
};

pub use self::{
    ci::System,
    key::Key,
    options::{DeploymentArgs, IdentityStoreArgs, RequestArgs, TableArgs},
    variables::{check_variables, unknown_variables},
};
use crate::{client::machine::MachineArn, error::Error, world::World};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An option of the command line.
    Flag(String),
    /// An environment variable.
    Variable(String),
    /// The configuration file.
    File(PathBuf),
    /// What a CI system says, and where.
    Ci(System, String),
    /// What git says.
    Git(String),
    /// It follows from another setting.
    From(Key),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Variable(variable) => f.write_str(variable),
            Self::File(path) => path.display().fmt(f),
            Self::Ci(system, source) => write!(f, "{}, {source}", system.name()),
            Self::Git(command) => f.write_str(command),
            Self::From(key) => write!(f, "follows from {}", key.name()),
        }
    }
}

/// A value with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub value: String,
    pub origin: Origin,
}

/// How much of a role's life a command can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// One session of it, which nobody renews.
    OneSession,
    /// All of it.
    All,
}

/// Names the transaction, where the command line does not.
pub const TRANSACTION_VARIABLE: &str = "DAYPASS_TRANSACTION_ID";

/// What no deployment takes less than, unless it is configured otherwise (docs/contract.md, `role_ttl_hours`).
const SHORTEST_TTL: Duration = Duration::from_mins(15);
/// How long one session lasts, where nothing says otherwise: what AWS allows at most where a session has assumed the role.
pub const SESSION_DURATION: Duration = Duration::from_hours(1);

/// All that is set.
#[derive(Debug, Default)]
pub struct Settings {
    values: BTreeMap<Key, Setting>,
    /// The CI system that this runs in.
    pub system: Option<System>,
}

/// What the command line sets.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    values: BTreeMap<Key, String>,
    config: Option<PathBuf>,
}

impl Flags {
    /// These and others.
    pub fn and(mut self, others: Self) -> Self {
        self.values.extend(others.values);
        self.config = self.config.or(others.config);
        self
    }

    /// Whether they say which account is meant.
    pub fn name_an_account(&self) -> bool {
        [Key::Account, Key::AccountId].iter().any(|key| self.values.contains_key(key))
    }
}

impl Settings {
    /// Finds all values.
    ///
    /// # Errors
    /// When the configuration file is wrong, or a value that others follow from.
    pub fn resolve(flags: &Flags, world: &dyn World) -> Result<Self, Error> {
        let file = file::read(flags.config.as_deref(), world)?;
        let found = ci::find(world);
        let mut values = BTreeMap::new();
        for fact in found.facts {
            let origin = match found.system {
                Some(system) => Origin::Ci(system, fact.source),
                None => Origin::Git(fact.source),
            };
            values.insert(fact.key, Setting { value: fact.value, origin });
        }
        for key in Key::all() {
            let given =
                flags.values.get(&key).cloned().map(|value| (value, Origin::Flag(key.flag().unwrap_or_default())));
            let given = given.or_else(|| Some((world.variable(&key.variable())?, Origin::Variable(key.variable()))));
            let given = given.or_else(|| Some((file.values.get(&key)?.clone(), Origin::File(file.path.clone()))));
            if let Some((value, origin)) = given {
                values.insert(key, Setting { value, origin });
            }
        }
        let mut settings = Self { values, system: found.system };
        settings.name_the_actor(found.actor.as_deref())?;
        settings.complete_the_account()?;
        settings.complete_the_deployment()?;
        Ok(settings)
    }

    /// `{actor}@example.com` is the address of whoever the CI system says it is.
    fn name_the_actor(&mut self, actor: Option<&str>) -> Result<(), Error> {
        const ACTOR: &str = "{actor}";
        let Some(email) = self.values.get_mut(&Key::Email).filter(|email| email.value.contains(ACTOR)) else {
            return Ok(());
        };
        let Some(actor) = actor else {
            let where_from = format!("`email` ({}) is `{}`, and the actor is unknown here", email.origin, email.value);
            return Err(Error::usage(where_from).remedy(
                "{actor} is known in GitHub Actions, GitLab CI and CircleCI; elsewhere give the full address",
            ));
        };
        email.value = email.value.replace(ACTOR, actor);
        Ok(())
    }

    /// The account's id by its name, or its name by its id.
    fn complete_the_account(&mut self) -> Result<(), Error> {
        let accounts = self.accounts()?;
        let (account, id) = (self.text(Key::Account), self.text(Key::AccountId));
        let (key, found) = match (account, id) {
            (Some(name), None) => (Key::AccountId, accounts.iter().find(|(known, _)| known == name).map(|(_, id)| id)),
            (None, Some(id)) => (Key::Account, accounts.iter().find(|(_, known)| known == id).map(|(name, _)| name)),
            _ => return Ok(()),
        };
        if let Some(value) = found.cloned() {
            self.values.insert(key, Setting { value, origin: Origin::From(Key::Accounts) });
        }
        Ok(())
    }

    /// The accounts that have a name.
    fn accounts(&self) -> Result<Vec<(String, String)>, Error> {
        let Some(accounts) = self.values.get(&Key::Accounts) else { return Ok(Vec::new()) };
        let pairs = accounts.value.split([',', '\n']).map(str::trim).filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| match pair.split_once('=') {
                Some((name, id)) => Ok((name.trim().to_owned(), id.trim().to_owned())),
                None => {
                    Err(Error::usage(format!("`accounts` ({}) has `{pair}`, which is not `name=id`", accounts.origin))
                        .remedy("write payments-dev=222222222222,payments-prod=333333333333"))
                }
            })
            .collect()
    }

    /// What stands beside the machine that provisions.
    fn complete_the_deployment(&mut self) -> Result<(), Error> {
        if self.text(Key::ProvisionArn).is_none() {
            return Ok(());
        }
        let provision = self.machine(Key::ProvisionArn)?;
        let beside = [
            (Key::DeprovisionArn, provision.named(DEPROVISION_MACHINE).to_string()),
            (Key::RenewArn, provision.named(RENEW_MACHINE).to_string()),
            (Key::IdentityTokenKeyArn, provision.key(TOKEN_KEY_ALIAS)),
        ];
        for (key, value) in beside {
            self.values.entry(key).or_insert(Setting { value, origin: Origin::From(Key::ProvisionArn) });
        }
        Ok(())
    }

    /// Where nobody has said how long the role is to live, it lives no longer than somebody can use it: as long as the job may
    /// run, or as one session lasts. Never longer than what the deployment gives to whoever asks for no time.
    ///
    /// # Errors
    /// When what it follows from is no duration.
    pub fn complete_the_lifetime(&mut self, used: Use) -> Result<(), Error> {
        if self.get(Key::Ttl).is_some() {
            return Ok(());
        }
        let job = self.duration(Key::JobTimeout)?.map(|duration| (duration, Key::JobTimeout));
        let session = match used {
            Use::OneSession => {
                Some((self.duration(Key::SessionDuration)?.unwrap_or(SESSION_DURATION), Key::SessionDuration))
            }
            Use::All => None,
        };
        let shortest = job.into_iter().chain(session).min_by_key(|(duration, _)| *duration);
        if let Some((duration, key)) = shortest.map(|(duration, key)| (duration.max(SHORTEST_TTL), key))
            && duration < DEFAULT_ROLE_TTL
        {
            self.values.insert(Key::Ttl, Setting { value: duration::text(duration), origin: Origin::From(key) });
        }
        Ok(())
    }

    /// Whether the lifetime is what [`Settings::complete_the_lifetime`] makes of it, and nobody's wish.
    pub fn ttl_is_derived(&self) -> bool {
        self.get(Key::Ttl).is_some_and(|ttl| matches!(ttl.origin, Origin::From(_)))
    }

    /// A value with its origin.
    pub fn get(&self, key: Key) -> Option<&Setting> {
        self.values.get(&key)
    }

    /// A value.
    pub fn text(&self, key: Key) -> Option<&str> {
        self.values.get(&key).map(|setting| setting.value.as_str())
    }

    /// A value that there has to be.
    ///
    /// # Errors
    /// When there is none; it says how to give one.
    pub fn required(&self, key: Key) -> Result<&Setting, Error> {
        self.get(key).ok_or_else(|| {
            let name = key.name();
            let ways = key.flag().map_or_else(|| key.variable(), |flag| format!("{flag}, {}", key.variable()));
            Error::usage(format!("`{name}` is not set: {}", key.hint())).remedy(format!(
                "give {ways}, or `{name}` in the configuration file; `daypass config show` shows the effective settings"
            ))
        })
    }

    /// A value that has to be text of a kind.
    ///
    /// # Errors
    /// When there is none, or it is not of that kind.
    pub fn parsed<T, E: fmt::Display>(&self, key: Key, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<T, Error> {
        let setting = self.required(key)?;
        parse(&setting.value).map_err(|error| wrong(key, &setting.origin, &error))
    }

    /// A duration, if it is set.
    ///
    /// # Errors
    /// When it is none.
    pub fn duration(&self, key: Key) -> Result<Option<Duration>, Error> {
        self.get(key).map(|_| self.parsed(key, duration::parse)).transpose()
    }

    /// The ARN of a machine.
    ///
    /// # Errors
    /// When there is none, or it is another ARN.
    pub fn machine(&self, key: Key) -> Result<MachineArn, Error> {
        self.parsed(key, str::parse)
    }
}

fn wrong(key: Key, origin: &Origin, error: &dyn fmt::Display) -> Error {
    Error::usage(format!("`{}` ({origin}): {error}", key.name())).remedy(format!("correct it: {}", key.hint()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::FakeWorld;

    const PROVISION: &str = "arn:aws:states:us-east-1:111111111111:stateMachine:daypass-provision";

    fn flags(values: &[(Key, &str)]) -> Flags {
        let values = values.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        Flags { values, config: None }
    }

    /// A world with a configuration file.
    fn world(variables: &[(&str, &str)], file: &str) -> FakeWorld {
        let mut world = FakeWorld::with(&[variables, &[("HOME", "/home/alex")]].concat());
        world.files.insert("/home/alex/.config/daypass/config.toml".to_owned(), file.to_owned());
        world
    }

    fn shown(flags: &Flags, world: &FakeWorld, key: Key) -> Option<(String, String)> {
        let settings = Settings::resolve(flags, world).unwrap_or_else(|error| panic!("{}", error.text(None, false)));
        settings.get(key).map(|setting| (setting.value.clone(), setting.origin.to_string()))
    }

    fn error(flags: &Flags, world: &FakeWorld) -> String {
        Settings::resolve(flags, world).unwrap_err().text(None, false)
    }

    #[test]
    fn the_command_line_counts_more_than_the_environment_than_the_file_than_ci() {
        let ci = [("GITHUB_ACTIONS", "true"), ("GITHUB_REF_NAME", "ci"), ("GITHUB_REF_TYPE", "branch")];
        let (file, variable) = ("branch = \"file\"", [ci.as_slice(), &[("DAYPASS_BRANCH", "variable")]].concat());
        let flag = flags(&[(Key::Branch, "flag")]);
        let none = Flags::default();
        let cases = [
            (&flag, world(&variable, file), "flag", "--branch"),
            (&none, world(&variable, file), "variable", "DAYPASS_BRANCH"),
            (&none, world(&ci, file), "file", "/home/alex/.config/daypass/config.toml"),
            (&none, world(&ci, ""), "ci", "GitHub Actions, GITHUB_REF_NAME"),
        ];
        for (flags, world, value, origin) in cases {
            assert_eq!(shown(flags, &world, Key::Branch), Some((value.to_owned(), origin.to_owned())));
        }
        assert_eq!(shown(&none, &world(&[("DAYPASS_BRANCH", "")], ""), Key::Branch), None, "nothing is not set");
    }

    /// Every setting has one name in three spellings, and every spelling counts.
    #[test]
    fn every_setting_can_be_set_everywhere() {
        for key in Key::all() {
            let value = match key {
                Key::Accounts => "payments-dev=222222222222",
                Key::ProvisionArn => PROVISION,
                _ => "x",
            };
            let file = match key {
                Key::Accounts => "[accounts]\npayments-dev = \"222222222222\"".to_owned(),
                _ => format!("{} = \"{value}\"", key.name()),
            };
            let from_file = shown(&Flags::default(), &world(&[], &file), key).unwrap();
            assert_eq!(from_file.0, value, "{key:?}");
            let variable = key.variable();
            let from_variable = shown(&Flags::default(), &world(&[(&variable, value)], ""), key).unwrap();
            assert_eq!(from_variable, (value.to_owned(), variable), "{key:?}");
        }
    }

    #[test]
    fn an_account_is_known_by_name_or_by_id() {
        let accounts = world(&[("DAYPASS_ACCOUNTS", "payments-dev=222222222222, payments-prod=333333333333")], "");
        let from = |value: &str| Some((value.to_owned(), "follows from accounts".to_owned()));
        assert_eq!(shown(&flags(&[(Key::Account, "payments-prod")]), &accounts, Key::AccountId), from("333333333333"));
        assert_eq!(shown(&flags(&[(Key::AccountId, "222222222222")]), &accounts, Key::Account), from("payments-dev"));
        assert_eq!(shown(&flags(&[(Key::Account, "other")]), &accounts, Key::AccountId), None);
        let both = flags(&[(Key::Account, "payments-dev"), (Key::AccountId, "444444444444")]);
        let given = ("444444444444".to_owned(), "--account-id".to_owned());
        assert_eq!(shown(&both, &accounts, Key::AccountId), Some(given), "what is given is not looked up");
        let wrong = error(&Flags::default(), &world(&[("DAYPASS_ACCOUNTS", "payments-dev")], ""));
        assert!(wrong.contains("`accounts` (DAYPASS_ACCOUNTS) has `payments-dev`, which is not `name=id`"), "{wrong}");
    }

    #[test]
    fn the_rest_of_the_deployment_stands_beside_the_first_machine() {
        let provision = flags(&[(Key::ProvisionArn, PROVISION), (Key::RenewArn, "given")]);
        let value = |key| shown(&provision, &FakeWorld::default(), key).unwrap().0;
        assert_eq!(value(Key::DeprovisionArn), PROVISION.replace("provision", "deprovision"));
        assert_eq!(value(Key::RenewArn), "given");
        let alias = "arn:aws:kms:us-east-1:111111111111:alias/daypass-identity-tokens";
        assert_eq!(value(Key::IdentityTokenKeyArn), alias);
        let wrong = error(&flags(&[(Key::ProvisionArn, "daypass-provision")]), &FakeWorld::default());
        assert!(wrong.contains("`provision_arn` (--provision-arn): `daypass-provision` is not the ARN"), "{wrong}");
    }

    #[test]
    fn an_address_can_be_made_of_the_actor() {
        let actor = [("GITHUB_ACTIONS", "true"), ("GITHUB_ACTOR", "alex"), ("DAYPASS_EMAIL", "{actor}@example.com")];
        let made = ("alex@example.com".to_owned(), "DAYPASS_EMAIL".to_owned());
        assert_eq!(shown(&Flags::default(), &FakeWorld::with(&actor), Key::Email), Some(made));
        let wrong = error(&Flags::default(), &FakeWorld::with(&actor[2..]));
        assert!(wrong.contains("the actor is unknown here"), "{wrong}");
    }

    /// How much is used, what is set, with which variables; and what comes of it, from where.
    type Lifetime<'a> = (Use, &'a [(Key, &'a str)], &'a [(&'a str, &'a str)], Option<(&'a str, &'a str)>);

    #[test]
    fn a_role_is_to_live_as_long_as_it_can_be_used() {
        let lifetime = |used, set: &[(Key, &str)], variables: &[(&str, &str)]| {
            let mut settings = Settings::resolve(&flags(set), &FakeWorld::with(variables)).unwrap();
            settings.complete_the_lifetime(used).unwrap();
            settings.get(Key::Ttl).map(|ttl| (ttl.value.clone(), ttl.origin.to_string()))
        };
        let gitlab = |seconds| [("GITLAB_CI", "true"), ("CI_JOB_TIMEOUT", seconds)];
        let (session, job) = ("follows from session_duration", "follows from job_timeout");
        let (all, one) = (Use::All, Use::OneSession);
        let short = (Key::SessionDuration, "20m");
        let cases: [Lifetime<'_>; 12] = [
            (one, &[], &[], Some(("1h", session))),
            (one, &[short], &[], Some(("20m", session))),
            (one, &[], &gitlab("7200"), Some(("1h", session))),
            (one, &[], &gitlab("1800"), Some(("30m", job))),
            (all, &[], &[], None),
            (all, &[short], &gitlab("7200"), Some(("2h", job))),
            (all, &[(Key::JobTimeout, "40m")], &gitlab("7200"), Some(("40m", job))),
            // What no deployment would take, and what would be more than nobody's wish comes to.
            (all, &[], &gitlab("60"), Some(("15m", job))),
            (all, &[], &gitlab("86400"), None),
            (one, &[(Key::SessionDuration, "25s")], &[], Some(("15m", session))),
            // What somebody has said counts.
            (one, &[(Key::Ttl, "72h")], &gitlab("60"), Some(("72h", "--ttl"))),
            (all, &[], &[("DAYPASS_TTL", "1m"), ("DAYPASS_JOB_TIMEOUT", "1h")], Some(("1m", "DAYPASS_TTL"))),
        ];
        for (used, set, variables, expected) in cases {
            let expected = expected.map(|(value, origin)| (value.to_owned(), origin.to_owned()));
            assert_eq!(lifetime(used, set, variables), expected, "{used:?} {set:?} {variables:?}");
        }
        for (key, origin) in [(Key::JobTimeout, "--job-timeout"), (Key::SessionDuration, "--session-duration")] {
            let mut settings = Settings::resolve(&flags(&[(key, "1d")]), &FakeWorld::default()).unwrap();
            let error = settings.complete_the_lifetime(Use::OneSession).unwrap_err().text(None, false);
            assert!(error.contains(origin), "{error}");
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_with_its_origin() {
        let settings = Settings::resolve(&flags(&[(Key::Ttl, "1d")]), &FakeWorld::default()).unwrap();
        let errors = [
            settings.required(Key::Account).map(drop),
            settings.required(Key::Accounts).map(drop),
            settings.duration(Key::Ttl).map(drop),
        ];
        let errors: Vec<String> = errors.into_iter().map(|result| result.unwrap_err().text(None, false)).collect();
        insta::assert_snapshot!(errors.join("\n"));
        assert_eq!(settings.duration(Key::SessionDuration).unwrap(), None);
    }
}
