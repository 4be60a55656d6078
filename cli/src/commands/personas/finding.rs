//! The rules of `daypass personas check`.

use clap::ValueEnum;
use daypass::persona;

use crate::commands::findings::{Rule, Severity};

/// Every rule: those of the parser, then the others.
pub fn rules() -> impl Iterator<Item = Rule> {
    let parser = persona::Rule::ALL.into_iter().map(Rule::from);
    parser.chain(Lint::value_variants().iter().map(|lint| lint.rule()))
}

impl From<persona::Rule> for Rule {
    fn from(rule: persona::Rule) -> Self {
        Self { id: rule.id(), severity: Severity::Error, summary: rule.summary() }
    }
}

/// A rule that a file can break and still be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lint {
    UnknownManagedPolicy,
    UnattachableManagedPolicy,
    MixedPartitions,
    Escalation,
    WideRoles,
    AmbiguousRepository,
    OpenEnvironment,
    NoRepositories,
    RepositoryByName,
    ShadowedRepository,
    UnreachableRepository,
    NoAccounts,
    UnopenedPersona,
    UnusedEnvironment,
    UnusedOverride,
    ShadowedBranchPattern,
    ShortRoleTtl,
    AllowEverything,
    AllowAnyAction,
    AllowNotAction,
    PassAnyRole,
    UnknownService,
    UnreachableRoleTtl,
    RepeatedOverride,
    TakenByBoundary,
}

impl Lint {
    /// The rule in words.
    pub fn rule(self) -> Rule {
        use Severity::{Error, Note, Warning};
        let (id, severity, summary) = match self {
            Self::UnknownManagedPolicy => {
                ("unknown-managed-policy", Error, "An AWS-managed policy exists, with the path that its ARN says.")
            }
            Self::UnattachableManagedPolicy => (
                "unattachable-managed-policy",
                Error,
                "A policy of a service-linked role is not used: IAM attaches it to no other role.",
            ),
            Self::MixedPartitions => {
                ("mixed-partitions", Error, "The managed policies of a role are of one partition, as the role is.")
            }
            Self::Escalation => (
                "escalation",
                Error,
                "What a persona may do, within the boundary, allows no known way to escalate privileges.",
            ),
            Self::WideRoles => {
                ("wide-roles", Warning, "The roles that a persona creates cannot do what the persona is denied.")
            }
            Self::AmbiguousRepository => (
                "ambiguous-repository",
                Error,
                "A repository names its issuer, where the deployment has several of its kind: their ids collide.",
            ),
            Self::OpenEnvironment => (
                "open-environment",
                Warning,
                "An environment requires identity tokens; else anyone who may assume the invoker role can name any \
                 person there.",
            ),
            Self::NoRepositories => (
                "no-repositories",
                Warning,
                "An account lists the repositories that deploy to it, where identity tokens are required; else no run can.",
            ),
            Self::RepositoryByName => (
                "repository-by-name",
                Warning,
                "A repository is identified by its id, where its issuer gives ids: another owner may take the name \
                 later.",
            ),
            Self::ShadowedRepository => {
                ("shadowed-repository", Warning, "A repository is not covered by another entry of its list.")
            }
            Self::UnreachableRepository => {
                ("unreachable-repository", Warning, "A run of each repository can deploy to the account that lists it.")
            }
            Self::NoAccounts => ("no-accounts", Warning, "There is an account to deploy to."),
            Self::UnopenedPersona => (
                "unopened-persona",
                Warning,
                "An account is open to each persona; otherwise its groups have no effect.",
            ),
            Self::UnusedEnvironment => ("unused-environment", Warning, "An account is in each environment."),
            Self::UnusedOverride => (
                "unused-override",
                Warning,
                "Where a persona differs in an environment, an account of that environment is open to it.",
            ),
            Self::ShadowedBranchPattern => {
                ("shadowed-branch-pattern", Warning, "A branch pattern matches what no other of its list matches.")
            }
            Self::ShortRoleTtl => {
                ("short-role-ttl", Warning, "A cap is at least 15 minutes, which no request may stay below by default.")
            }
            Self::AllowEverything => (
                "allow-everything",
                Error,
                "Neither a statement, also of a managed policy, nor all of them together allow everything, all of IAM too.",
            ),
            Self::AllowAnyAction => (
                "allow-any-action",
                Warning,
                "A statement allows named services or actions, also one of a managed policy.",
            ),
            Self::AllowNotAction => (
                "allow-not-action",
                Warning,
                "A statement that allows lists its actions; with NotAction it would also allow actions that AWS adds \
                 later.",
            ),
            Self::PassAnyRole => {
                ("pass-any-role", Warning, "iam:PassRole is allowed for named roles only, also by a managed policy.")
            }
            Self::UnknownService => ("unknown-service", Warning, "The services of actions exist."),
            Self::UnreachableRoleTtl => {
                ("unreachable-role-ttl", Note, "A persona's cap is reached in one of its environments.")
            }
            Self::RepeatedOverride => {
                ("repeated-override", Note, "A persona's entry for an environment differs from the persona itself.")
            }
            Self::TakenByBoundary => (
                "taken-by-boundary",
                Note,
                "An action that a statement allows by name is also allowed by the permissions boundary.",
            ),
        };
        Rule { id, severity, summary }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn lints_are_allowed_by_their_ids() {
        for lint in Lint::value_variants() {
            let value = lint.to_possible_value().expect("no lint is hidden");
            assert_eq!(value.get_name(), lint.rule().id);
        }
    }

    #[test]
    fn ids_are_unique_and_documented() {
        let ids: BTreeSet<&str> = rules().map(|rule| rule.id).collect();
        assert_eq!(ids.len(), rules().count());
        let row = |rule: Rule| format!("| `{}` | {} | {} |\n", rule.id, rule.severity.name(), rule.summary);
        let table = rules().map(row).collect::<Vec<_>>().concat();
        assert!(include_str!("../../../../docs/personas.md").contains(&table), "docs/personas.md should have\n{table}");
    }
}
