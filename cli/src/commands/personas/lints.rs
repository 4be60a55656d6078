//! What a good `personas.json` is beyond one that can be parsed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use daypass::{
    issuer::Provider,
    names::{BOUNDARY_POLICY, WORKLOADS_POLICY},
    persona::{Account, Environment, JsonPath, Location, Persona, Personas, Repository, Step},
    policy::{Effect, OneOrMany, Policy, Statement},
    text::Quoted,
};
use daypass_policies::{
    boundary,
    catalogue::{Known, aws_managed, is_service, nearest},
    evaluate::{Request, evaluate},
    methods::{METHODS, Method},
    partition_of,
    rights::{Origin, Rights},
    workloads,
};
use wildmatch::WildMatch;

use super::{finding::Lint, issuers::Issuers};
use crate::commands::findings::{Finding, Rule, source::Source};

/// What a deployment allows no request to go below, unless it is told otherwise (`minimum_role_ttl_seconds`).
const MIN_ROLE_TTL: Duration = Duration::from_mins(15);
/// Stands for an account of which the file says nothing: that of AWS's documentation.
const SOME_ACCOUNT: &str = "123456789012";
/// A character that no pattern has: only a wildcard matches it.
const ANY: &str = "\u{1}";
/// Lengths of names that are asked for: a pattern of `?` matches only names of its length, and what it denies is only those. The
/// last is longer than names are.
const LENGTHS: [usize; 4] = [1, 7, 16, 512];

/// Everything that there is to say about a `personas.json`, in the order of its text; with the issuers of the deployment, also
/// what only they show.
pub fn findings(text: &str, issuers: Option<&Issuers>) -> Vec<Finding> {
    findings_with(text, issuers, &METHODS)
}

/// The same, when `methods` are the known ways to more rights.
fn findings_with(text: &str, issuers: Option<&Issuers>, methods: &[Method]) -> Vec<Finding> {
    let source = Source(text);
    let (personas, problems) = Personas::survey(text);
    let mut findings: Vec<Finding> = problems
        .iter()
        .map(|problem| Finding {
            rule: Rule::from(problem.rule),
            path: problem.at.to_string(),
            region: source.region(&problem.at),
            message: problem.message.clone(),
            remedy: problem.remedy.clone(),
        })
        .collect();
    if let Some(personas) = &personas {
        let broken = problems.into_iter().filter_map(|problem| match problem.at {
            Location::Value(path) => Some(path),
            Location::Text { .. } => None,
        });
        let mut linter = Linter { source, personas, issuers, methods, broken: broken.collect(), findings: Vec::new() };
        linter.lint();
        findings.append(&mut linter.findings);
    }
    findings.sort_by(|a, b| (a.region, a.rule.id, &a.message).cmp(&(b.region, b.rule.id, &b.message)));
    findings
}

struct Linter<'a> {
    source: Source<'a>,
    personas: &'a Personas,
    issuers: Option<&'a Issuers>,
    methods: &'a [Method],
    /// Where the parser has found something.
    broken: Vec<JsonPath<'static>>,
    findings: Vec<Finding>,
}

impl<'a> Linter<'a> {
    fn lint(&mut self) {
        let personas = self.personas;
        for environment in personas.environments() {
            let at = path(["environments", environment.name()]);
            self.branches(&at.join("branches"));
            if !self.is_broken(&at) {
                self.open_environment(&at, environment);
            }
            self.short_ttl(&at, environment.max_role_ttl());
        }
        for persona in personas.personas() {
            let at = path(["personas", persona.name()]);
            self.short_ttl(&at, persona.max_role_ttl(None));
            let overrides = personas.environments().iter().map(|it| override_of(persona, it));
            for place in [at.clone()].into_iter().chain(overrides) {
                self.managed_policies(&place.join("managed_policies"));
                self.custom_policy(&place.join("custom_policy"));
            }
            self.allowances(persona);
            if !self.is_broken(&at) {
                self.escalations(persona);
                self.wide_roles(persona);
                self.repeated_overrides(persona);
            }
        }
        // How the sections fit together can only be told when all of them could be read.
        if self.broken.is_empty() {
            self.accounts();
        }
    }

    fn report(&mut self, lint: Lint, at: &JsonPath<'_>, message: impl Into<String>, remedy: impl Into<String>) {
        let location = Location::Value(at.to_static());
        self.findings.push(Finding {
            rule: lint.rule(),
            path: location.to_string(),
            region: self.source.region(&location),
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    /// Whether the parser has found something in the value at `at`.
    fn is_broken(&self, at: &JsonPath<'_>) -> bool {
        self.broken.iter().any(|path| path.is_within(at))
    }

    /// The texts of a list in which the parser has found nothing.
    fn texts(&self, list: &JsonPath<'a>) -> Vec<(JsonPath<'a>, String)> {
        // Whatever else is in the list has its finding already.
        let items: Vec<serde_json::Value> = self.source.value(list).unwrap_or_default();
        let texts =
            items.into_iter().enumerate().filter_map(|(i, item)| Some((list.join(i), item.as_str()?.to_owned())));
        texts.filter(|(at, _)| !self.is_broken(at)).collect()
    }

    fn branches(&mut self, list: &JsonPath<'a>) {
        let patterns = self.texts(list);
        for (i, (at, pattern)) in patterns.iter().enumerate() {
            let shadows = |&(j, (_, other)): &(usize, &(JsonPath<'_>, String))| {
                // Of two that match the same, the first stays.
                i != j && covers(other, pattern) && (j < i || !covers(pattern, other))
            };
            if let Some((_, (_, other))) = patterns.iter().enumerate().find(shadows) {
                let message = format!("{} matches no branch that {} does not match", Quoted(pattern), Quoted(other));
                self.report(Lint::ShadowedBranchPattern, at, message, "remove one of the two");
            }
        }
    }

    fn open_environment(&mut self, at: &JsonPath<'a>, environment: &Environment) {
        let anybody = "anyone who may assume the invoker role can name any person there";
        if !environment.requires_proof() {
            let message = format!(
                "is open: {anybody}, and `repositories` and `protected_ref` bind only a run that sends an identity token"
            );
            let remedy = "remove it: identity tokens are required then";
            self.report(Lint::OpenEnvironment, &at.join("identity_token"), message, remedy);
        } else if self.issuers.is_some_and(Issuers::is_empty) {
            let message = format!("requires no identity token, because the configuration has no issuer: {anybody}");
            let remedy = "list the issuers of your CI systems in the configuration's `identity_tokens.issuers`";
            self.report(Lint::OpenEnvironment, at, message, remedy);
        }
    }

    fn short_ttl(&mut self, place: &JsonPath<'a>, cap: Duration) {
        let at = place.join("max_role_ttl_hours");
        if cap < MIN_ROLE_TTL && !self.is_broken(&at) {
            let message = "is less than 15 minutes, which no request may ask for by default";
            let remedy = "write 0.25 or more, or lower the deployment's `minimum_role_ttl_seconds`";
            self.report(Lint::ShortRoleTtl, &at, message, remedy);
        }
    }

    fn managed_policies(&mut self, list: &JsonPath<'a>) {
        let mut partition = None;
        for (at, arn) in self.texts(list) {
            match aws_managed(&arn) {
                Known::Policy(_) => {}
                Known::ServiceLinked => {
                    let message = format!("{} is a policy of a service-linked role", Quoted(&arn));
                    let remedy = "use another one: IAM attaches this one to no other role";
                    self.report(Lint::UnattachableManagedPolicy, &at, message, remedy);
                }
                Known::No => {
                    let message = format!("{} is not an AWS-managed policy", Quoted(&arn));
                    let remedy = match nearest(&arn) {
                        Some(nearest) => format!("write {nearest}, if you mean that policy"),
                        None => "look it up in AWS's reference of managed policies".to_owned(),
                    };
                    self.report(Lint::UnknownManagedPolicy, &at, message, remedy);
                }
            }
            let its_own = partition_of(&arn);
            let first = partition.get_or_insert_with(|| its_own.to_owned());
            if first != its_own {
                let message = format!("is of the partition `{its_own}`, and others of the list are of `{first}`");
                self.report(Lint::MixedPartitions, &at, message, "name policies of one partition only");
            }
        }
    }

    fn custom_policy(&mut self, list: &JsonPath<'a>) {
        if self.is_broken(list) {
            return;
        }
        let boundary = unconditional(&boundary("aws", SOME_ACCOUNT));
        for (i, statement) in self.source.value::<Vec<Statement>>(list).unwrap_or_default().iter().enumerate() {
            let at = list.join(i);
            let actions = statement.action.as_ref().or(statement.not_action.as_ref()).map(OneOrMany::as_slice);
            let unknown = actions.unwrap_or_default().iter().filter_map(|action| action.split_once(':')).map(|it| it.0);
            let mut unknown: Vec<&str> = unknown.filter(|service| !is_service(service)).collect();
            unknown.dedup();
            for service in unknown {
                let message = format!("{} is not a service in any AWS-managed policy", Quoted(service));
                self.report(Lint::UnknownService, &at, message, "write its prefix in IAM, such as s3 or ec2");
            }
            if statement.effect == Effect::Allow {
                self.taken(&at, statement, &boundary);
            }
        }
    }

    fn taken(&mut self, at: &JsonPath<'_>, statement: &Statement, boundary: &Policy) {
        let actions = statement.action.as_ref().map(OneOrMany::as_slice).unwrap_or_default();
        let named = actions.iter().filter(|action| !action.contains(['*', '?']));
        let taken = named.filter(|action| !evaluate([boundary], &Request::new(action, "*")).is_possible());
        let taken: Vec<&str> = taken.map(String::as_str).collect();
        if !taken.is_empty() {
            let message = format!("allows {}, which the permissions boundary takes away", taken.join(", "));
            self.report(Lint::TakenByBoundary, at, message, "remove it");
        }
    }

    /// Whether the statements that allow something, those of managed policies too, allow too much. Each is judged with what
    /// the persona's policies deny: those of the persona itself, and those that it has in each environment.
    fn allowances(&mut self, persona: &'a Persona) {
        let base = path(["personas", persona.name()]);
        let overrides = self.personas.environments().iter().map(|it| override_of(persona, it));
        let mut reported = BTreeSet::new();
        for place in [base.clone()].into_iter().chain(overrides) {
            let own_or_base =
                |key| Some(place.join(key)).filter(|own| self.source.has(own)).unwrap_or_else(|| base.join(key));
            let (managed, custom) = (self.texts(&own_or_base("managed_policies")), own_or_base("custom_policy"));
            if self.is_broken(&custom) {
                continue;
            }
            let partition = managed.first().map_or("aws", |(_, arn)| partition_of(arn)).to_owned();
            let own: Vec<Statement> = self.source.value(&custom).unwrap_or_default();
            let managed: Vec<_> = managed
                .into_iter()
                .filter_map(|(at, arn)| match aws_managed(&arn) {
                    Known::Policy(policy) => Some((at, arn, policy)),
                    Known::ServiceLinked | Known::No => None,
                })
                .collect();
            let all = managed.iter().flat_map(|(_, _, policy)| policy.statements()).chain(&own);
            let denials: Vec<_> = all.filter(|it| it.effect == Effect::Deny).cloned().collect();
            let mut found = Vec::new();
            for (at, arn, policy) in &managed {
                let name = arn.rsplit('/').next().unwrap_or(arn);
                let excesses = Excess::all_of_managed(policy, &denials, &partition);
                found.extend(excesses.into_iter().map(|it| (at.clone(), it, Some(name))));
            }
            for (i, statement) in own.iter().enumerate() {
                let excesses = Excess::all_of(statement, &denials, &partition);
                found.extend(excesses.into_iter().map(|excess| (custom.join(i), excess, None)));
            }
            let is_told = found.iter().any(|(_, excess, _)| *excess == Excess::Everything);
            let all_of =
                |statements: Vec<&Statement>| Policy::new(statements.into_iter().chain(&denials).cloned().collect());
            let of_managed: Vec<_> = managed.iter().flat_map(|(_, _, policy)| policy.statements()).collect();
            let of_all = of_managed.iter().copied().chain(&own).collect();
            if !is_told && allows_everything(&all_of(of_all), &partition) {
                let is_managed = allows_everything(&all_of(of_managed), &partition);
                let at = if is_managed { own_or_base("managed_policies") } else { custom.clone() };
                if reported.insert((at.clone(), Excess::Everything)) {
                    let message = "allows everything, all of IAM too, though no statement does alone";
                    let remedy = "leave IAM out, or name the services that are needed";
                    self.report(Lint::AllowEverything, &at, message, remedy);
                }
            }
            for (at, excess, name) in found {
                if reported.insert((at.clone(), excess)) {
                    let (lint, message, own, managed) = excess.words();
                    let message = name.map_or_else(|| message.to_owned(), |name| format!("{name} {message}"));
                    self.report(lint, &at, message, if name.is_some() { managed } else { own });
                }
            }
        }
    }

    /// What the persona can do to get more rights than it is given, in any environment.
    fn escalations(&mut self, persona: &'a Persona) {
        let mut found: BTreeMap<(usize, JsonPath<'a>), Vec<&str>> = BTreeMap::new();
        for environment in self.personas.environments() {
            let entitlement = persona.entitlement(environment);
            let custom = entitlement.custom_policy.as_ref().map(Policy::to_json);
            let mentioned = self.personas.accounts().iter().map(|account| account.id().as_str());
            let mentioned = mentioned.filter(|id| custom.as_ref().is_some_and(|custom| custom.contains(id)));
            for account in mentioned.chain([SOME_ACCOUNT]) {
                let rights = Rights::of(entitlement, account);
                for (i, method) in self.methods.iter().enumerate() {
                    let Some(origin) = rights.way(method) else { continue };
                    let environments = found.entry((i, self.place_of(origin, persona, environment))).or_default();
                    if !environments.contains(&environment.name()) {
                        environments.push(environment.name());
                    }
                }
            }
        }
        for ((i, at), environments) in found {
            let (Method { id, name, steps, .. }, environments) = (&self.methods[i], environments.join(" and "));
            let actions = steps.iter().map(|step| step.action.as_str()).collect::<Vec<_>>().join(", ");
            let message = format!("lets {} get more rights in {environments} by `{id}`: {name}", persona.name());
            let remedy = format!("allow less, or deny in the custom policy one of {actions}");
            self.report(Lint::Escalation, &at, message, remedy);
        }
    }

    /// What the roles that the persona creates may do, though the persona is denied it.
    fn wide_roles(&mut self, persona: &'a Persona) {
        let mut reported = BTreeSet::new();
        for environment in self.personas.environments() {
            let entitlement = persona.entitlement(environment);
            let rights = Rights::of(entitlement, SOME_ACCOUNT);
            let at = self.place_of(Origin::Custom, persona, environment);
            let (message, remedy) = if rights.creates_roles_within(BOUNDARY_POLICY) {
                let message = format!(
                    "lets {} create roles within {BOUNDARY_POLICY}, which may do what the persona is denied",
                    persona.name()
                );
                (message, format!("require {WORKLOADS_POLICY} by a condition on iam:PermissionsBoundary"))
            } else if rights.creates_roles_within(WORKLOADS_POLICY) {
                let given_back = given_back(entitlement.custom_policy.as_ref());
                if given_back.is_empty() {
                    continue;
                }
                let message = format!(
                    "denies {}, which the roles that {} creates may do within {WORKLOADS_POLICY}",
                    given_back.join(", "),
                    persona.name()
                );
                (
                    message,
                    "deny it in cdk/lib/constructs/workloads-boundary.ts as well, or let it create no roles".to_owned(),
                )
            } else {
                continue;
            };
            if reported.insert(at.clone()) {
                self.report(Lint::WideRoles, &at, message, remedy);
            }
        }
    }

    /// Where the policy stands that counts for the persona in the environment.
    fn place_of(&self, origin: Origin, persona: &'a Persona, environment: &'a Environment) -> JsonPath<'a> {
        let list = |key| {
            let own = override_of(persona, environment).join(key);
            if self.source.has(&own) { own } else { path(["personas", persona.name(), key]) }
        };
        match origin {
            Origin::Managed(i) => list("managed_policies").join(i),
            Origin::Custom => list("custom_policy"),
        }
    }

    fn repeated_overrides(&mut self, persona: &'a Persona) {
        for environment in self.personas.environments() {
            for key in ["managed_policies", "custom_policy"] {
                let (own, base) =
                    (override_of(persona, environment).join(key), path(["personas", persona.name(), key]));
                let own_value: Option<serde_json::Value> = self.source.value(&own);
                if own_value.is_some() && own_value == self.source.value(&base) {
                    self.report(Lint::RepeatedOverride, &own, "says what the persona's own list says", "remove it");
                }
            }
        }
    }

    fn accounts(&mut self) {
        let personas = self.personas;
        if personas.accounts().is_empty() {
            let message = "has no account: no request can be granted";
            self.report(Lint::NoAccounts, &path(["accounts"]), message, "add the accounts to deploy to");
            return;
        }
        for environment in personas.environments() {
            if !personas.accounts().iter().any(|account| account.environment().name() == environment.name()) {
                let at = path(["environments", environment.name()]);
                self.report(Lint::UnusedEnvironment, &at, "has no account", "put an account into it, or remove it");
            }
        }
        for persona in personas.personas() {
            self.openings(persona);
        }
        for (i, account) in personas.accounts().iter().enumerate() {
            self.repositories(&path(["accounts"]).join(i), account);
        }
    }

    fn repositories(&mut self, at: &JsonPath<'a>, account: &'a Account) {
        let (environment, all) = (account.environment(), account.repositories());
        let nobody_proves = self.issuers.is_some_and(Issuers::is_empty);
        if all.is_empty() && environment.requires_proof() && !nobody_proves {
            let message = format!(
                "lists no `repositories`, and {} requires identity tokens: no run may deploy",
                environment.name()
            );
            let remedy = "list the repositories that deploy to it, each with its id";
            self.report(Lint::NoRepositories, at, message, remedy);
        }
        for (i, repository) in all.iter().enumerate() {
            let at = at.join("repositories").join(i);
            if let Some((key, message, remedy)) = unreachable(repository) {
                self.report(Lint::UnreachableRepository, &at.join(key), message, remedy);
            } else if repository.goes_by_name_alone() {
                let message = format!("{repository} is identified by its name, which another owner may take later");
                let remedy = "list each repository that is meant with its id";
                self.report(Lint::RepositoryByName, &at.join("name"), message, remedy);
            }
            let shadows = |&(j, other): &(usize, &Repository)| {
                // Of two that are of the same runs, the first stays.
                i != j && covers_repository(other, repository) && (j < i || !covers_repository(repository, other))
            };
            if let Some((_, other)) = all.iter().enumerate().find(shadows) {
                let message = format!("{repository} is covered by {other}");
                let remedy = "remove the wider one, or this one if all that the wider one matches may deploy";
                self.report(Lint::ShadowedRepository, &at, message, remedy);
            }
            if let Some(issuers) = self.issuers.filter(|issuers| !issuers.is_empty()) {
                self.issuers_of(issuers, &at, repository, environment);
            }
        }
    }

    fn issuers_of(&mut self, issuers: &Issuers, at: &JsonPath<'a>, repository: &Repository, environment: &Environment) {
        match issuers.of(repository, environment) {
            Err(obstacle) => {
                let message = format!("no run of {repository} can deploy: {}", obstacle.message);
                self.report(Lint::UnreachableRepository, at, message, obstacle.remedy);
            }
            Ok(urls) if urls.len() > 1 => {
                let urls = urls.into_iter().map(|url| Quoted(url).to_string()).collect::<Vec<_>>().join(", ");
                let what = if repository.id().is_some() { "id" } else { "name" };
                let message =
                    format!("{repository} names no issuer, and each of {urls} can have a repository of that {what}");
                self.report(
                    Lint::AmbiguousRepository,
                    at,
                    message,
                    "add `issuer`, with the URL of the one that is meant",
                );
            }
            Ok(_) => {}
        }
    }

    fn openings(&mut self, persona: &'a Persona) {
        let at = path(["personas", persona.name()]);
        let open = self.personas.accounts().iter().filter(|account| account.is_open_to(persona));
        let open: Vec<&Environment> = open.map(daypass::persona::Account::environment).collect();
        if open.is_empty() {
            let message = "is open in no account: members of its groups get nothing";
            self.report(Lint::UnopenedPersona, &at, message, "name it in the accounts that it is for, or remove it");
            return;
        }
        for environment in self.personas.environments() {
            let own = override_of(persona, environment);
            if self.source.has(&own) && !open.iter().any(|it| it.name() == environment.name()) {
                let message = format!("has no effect: no account of {} is open to the persona", environment.name());
                self.report(Lint::UnusedOverride, &own, message, "open an account to the persona, or remove it");
            }
        }
        let cap = persona.max_role_ttl(None);
        let at = at.join("max_role_ttl_hours");
        if self.source.has(&at) && open.iter().all(|environment| environment.max_role_ttl() < cap) {
            let message = "is more than the caps of all environments that the persona is open in";
            self.report(Lint::UnreachableRoleTtl, &at, message, "lower it to those caps, or remove it");
        }
    }
}

/// What is too much in a statement that allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Excess {
    /// All of IAM, and of every service.
    Everything,
    /// All actions that there are, but on few resources, or less what is denied elsewhere.
    AnyAction,
    /// All actions but those that are listed.
    NotAction,
    /// Any role can be passed.
    AnyRole,
}

impl Excess {
    /// What a statement allows too much of, when `denials` stand beside it.
    fn all_of(statement: &Statement, denials: &[Statement], partition: &str) -> Vec<Self> {
        if statement.effect != Effect::Allow {
            return Vec::new();
        }
        let policy = Policy::new([statement].into_iter().chain(denials).cloned().collect());
        let everything = allows_everything(&policy, partition);
        let actions = statement.action.as_ref().map(OneOrMany::as_slice).unwrap_or_default();
        let mut names = some_names();
        let any_action = names.any(|name| {
            let action = format!("{name}:{name}");
            actions.iter().any(|it| WildMatch::new(it).matches(&action))
        });
        let any_role = some_names().any(|name| {
            let role = format!("arn:{partition}:iam::{SOME_ACCOUNT}:role/{name}");
            evaluate([&policy], &Request::new("iam:PassRole", &role)).is_possible()
        });
        let all = [
            (everything, Self::Everything),
            (!everything && any_action, Self::AnyAction),
            (!everything && statement.not_action.is_some(), Self::NotAction),
            // Whoever allows with NotAction has that said already.
            (statement.not_action.is_none() && any_role, Self::AnyRole),
        ];
        all.into_iter().filter_map(|(found, excess)| found.then_some(excess)).collect()
    }

    /// The same for a policy that AWS maintains. What a statement leaves out, and to which services it passes roles, is said
    /// there in the way that AWS says it: only those that say nothing are told.
    fn all_of_managed(policy: &Policy, denials: &[Statement], partition: &str) -> BTreeSet<Self> {
        let mut found = BTreeSet::new();
        for statement in policy.statements() {
            let names_services = statement.condition.values().flat_map(BTreeMap::keys);
            let names_services = names_services.into_iter().any(|key| key.eq_ignore_ascii_case("iam:PassedToService"));
            let excesses = Self::all_of(statement, denials, partition).into_iter();
            found.extend(excesses.filter(|it| match it {
                Self::Everything | Self::AnyAction => true,
                Self::NotAction => false,
                Self::AnyRole => !names_services,
            }));
        }
        found
    }

    /// The rule, what is wrong, and what to do about it: in a custom policy, and where a managed policy has the statement.
    const fn words(self) -> (Lint, &'static str, &'static str, &'static str) {
        match self {
            Self::Everything => (
                Lint::AllowEverything,
                "allows everything, all of IAM too",
                "name the services that are needed, such as s3:*",
                "use policies of the services that are needed, or PowerUserAccess, which leaves IAM out",
            ),
            Self::AnyAction => (
                Lint::AllowAnyAction,
                "allows every action that nothing denies",
                "name the services that are needed, such as s3:*",
                "use policies of the services that are needed",
            ),
            Self::NotAction => (
                Lint::AllowNotAction,
                "allows with NotAction whatever it does not list",
                "list what is needed in Action, or use NotAction in a statement that denies",
                "use policies of the services that are needed",
            ),
            Self::AnyRole => (
                Lint::PassAnyRole,
                "allows to pass any role to a service",
                "name the roles, such as arn:aws:iam::*:role/deployed-by-daypass/*",
                "deny iam:PassRole in the custom policy, with the roles that are needed in NotResource",
            ),
        }
    }
}

/// Whether a policy allows something of IAM and of a service that no policy can name, on a resource that none can name: what it
/// denies then is little.
fn allows_everything(policy: &Policy, partition: &str) -> bool {
    some_names().any(|place| {
        let anything = format!("arn:{partition}:{place}:{place}:{place}:{place}");
        let possible = |action: String| evaluate([policy], &Request::new(&action, &anything)).is_possible();
        some_names().any(|name| possible(format!("{name}:{name}")) && possible(format!("iam:{name}")))
    })
}

/// Names that no policy has, of every length of [`LENGTHS`].
fn some_names() -> impl Iterator<Item = String> {
    LENGTHS.into_iter().map(|length| ANY.repeat(length))
}

/// The actions that a policy denies, and the boundary of workloads does not.
fn given_back(policy: Option<&Policy>) -> Vec<String> {
    let workloads = workloads("aws", SOME_ACCOUNT);
    let denied = policy.map(Policy::statements).unwrap_or_default().iter().filter(|it| it.effect == Effect::Deny);
    let mut found = BTreeSet::new();
    for statement in denied {
        let resources = statement.resource.as_ref().map_or(&[][..], OneOrMany::as_slice);
        for action in statement.action.as_ref().map_or(&[][..], OneOrMany::as_slice) {
            let service = action.split(':').next().unwrap_or_default();
            // A statement may name several services: an action is about the resources of its own.
            let own = |arn: &&String| arn.as_str() == "*" || arn.split(':').nth(2) == Some(service);
            let mut own = resources.iter().filter(own);
            // A pattern is asked for as it stands: what covers it covers what it stands for.
            if own.any(|resource| evaluate([&workloads], &Request::new(action, resource)).is_possible()) {
                found.insert(action.clone());
            }
        }
    }
    found.into_iter().collect()
}

fn path<const N: usize>(keys: [&str; N]) -> JsonPath<'_> {
    keys.into_iter().map(Step::from).collect()
}

fn override_of<'a>(persona: &'a Persona, environment: &'a Environment) -> JsonPath<'a> {
    path(["personas", persona.name(), "environments", environment.name()])
}

/// Whether the pattern `wide` matches all that `narrow` matches: [`ANY`], in place of the wildcards of `narrow`, is only
/// matched by wildcards of `wide`; and what may be long or nothing has to be matched both ways.
fn covers(wide: &str, narrow: &str) -> bool {
    let wide = WildMatch::new(wide);
    [ANY.repeat(daypass::branch::MAX_BRANCH_CHARS), String::new()]
        .iter()
        .all(|many| wide.matches(&narrow.replace('?', ANY).replace('*', many)))
}

/// Whether every run that `narrow` is of, `wide` is of, too.
fn covers_repository(wide: &Repository, narrow: &Repository) -> bool {
    let repository = match (wide.id(), narrow.id()) {
        (Some(wide), Some(narrow)) => wide == narrow,
        (Some(_), None) => false,
        // Where repositories are numbered, each has a name as well.
        (None, Some(_)) => {
            wide.provider().numbers_repositories()
                && wide.name_pattern().is_some_and(|it| it.bytes().all(|b| b == b'*'))
        }
        (None, None) => {
            wide.name_pattern().zip(narrow.name_pattern()).is_some_and(|(wide, narrow)| covers(&wide, &narrow))
        }
    };
    let issuer = wide.issuer().is_none() || wide.issuer() == narrow.issuer();
    repository && issuer && wide.provider() == narrow.provider()
}

/// Why no run is of the repository, whatever the deployment's issuers are: the key, what is wrong with it, and what to do.
fn unreachable(repository: &Repository) -> Option<(&'static str, String, &'static str)> {
    let provider = repository.provider();
    if let Some(url) = repository.issuer()
        && let Some(rest) = url.strip_prefix("http://")
        && !["127.0.0.1", "localhost", "[::1]"].iter().any(|host| is_host(rest, host))
    {
        let message = format!("{} cannot be an issuer: its keys cannot be fetched over HTTPS", Quoted(url));
        return Some(("issuer", message, "write the issuer's URL with https://"));
    }
    if !provider.numbers_repositories() {
        return None;
    }
    if let Some(id) = repository.id().filter(|id| id.starts_with('0')) {
        let message = format!("no repository of {} has the id {}", provider.as_str(), Quoted(id));
        return Some(("id", message, "write the number without zeros before it"));
    }
    let name = repository.name_pattern()?;
    let of_paths = |c: char| c.is_ascii_alphanumeric() || "-_./*?".contains(c);
    let of_clones = name.strip_suffix(".git").is_some();
    let deep = provider == Provider::Github && name.matches('/').count() > 1;
    if name.chars().all(of_paths) && !of_clones && !deep {
        return None;
    }
    let message = format!("no repository of {} has a name like {}", provider.as_str(), Quoted(&name));
    Some(("name", message, "write owner or group and name as in the address of its page, such as example/payments"))
}

/// Whether what follows the scheme of a URL begins with this host, and ends there or goes on with a port or a path.
fn is_host(rest: &str, host: &str) -> bool {
    rest.strip_prefix(host).is_some_and(|after| after.is_empty() || after.starts_with([':', '/']))
}

/// What a boundary leaves of each action at most, on whatever resource and under whatever condition.
fn unconditional(boundary: &Policy) -> Policy {
    let everywhere = |statement: &Statement| {
        statement.condition.is_empty() && statement.resource.as_ref().is_some_and(|it| it.as_slice() == ["*"])
    };
    let statements = boundary.statements().iter().filter(|it| it.effect == Effect::Allow || everywhere(it));
    let statements = statements.map(|statement| Statement {
        resource: Some("*".into()),
        not_resource: None,
        condition: BTreeMap::new(),
        ..statement.clone()
    });
    Policy::new(statements.collect())
}

#[cfg(test)]
mod tests;
