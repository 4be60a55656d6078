//! What a persona's policies and the boundary come to.

use daypass::{names::DEPLOYED_PATH, persona::Entitlement, policy::Policy};

use crate::{
    boundary,
    catalogue::{Known, aws_managed},
    evaluate::{Request, evaluate},
    methods::{Method, Step},
    partition_of,
};

/// What the policies of a deploy role and the boundary come to, in one account.
pub struct Rights<'a> {
    account: &'a str,
    partition: &'a str,
    policies: Vec<(Origin, Policy)>,
    boundary: Policy,
}

/// Which of a persona's policies it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The managed policy of this index.
    Managed(usize),
    /// The custom policy.
    Custom,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The policies do not allow it.
    NotGranted,
    /// The policies may allow it, and the boundary does not.
    Taken,
    /// Both may allow it.
    Possible,
}

impl<'a> Rights<'a> {
    /// What an entitlement gives in `account`. A managed policy that nobody knows gives nothing.
    #[must_use]
    pub fn of(entitlement: &'a Entitlement, account: &'a str) -> Self {
        let managed = entitlement.managed_policies.iter().enumerate().filter_map(|(i, arn)| match aws_managed(arn) {
            Known::Policy(policy) => Some((Origin::Managed(i), policy)),
            Known::ServiceLinked | Known::No => None,
        });
        let custom = entitlement.custom_policy.iter().map(|policy| (Origin::Custom, policy.clone()));
        let partition = entitlement.managed_policies.first().map_or("aws", |arn| partition_of(arn));
        let boundary = boundary(partition, account);
        Self { account, partition, policies: managed.chain(custom).collect(), boundary }
    }

    /// Whether a role may be created, below the path of deployments, that has this boundary (the name of a policy).
    #[must_use]
    pub fn creates_roles_within(&self, boundary: &str) -> bool {
        let iam = format!("arn:{}:iam::{}", self.partition, self.account);
        let role = format!("{iam}:role{DEPLOYED_PATH}app");
        let request =
            Request::new("iam:CreateRole", &role).with("iam:PermissionsBoundary", [format!("{iam}:policy/{boundary}")]);
        self.outcome_of(&request) == Outcome::Possible
    }

    /// What becomes of `step`.
    #[must_use]
    pub fn outcome(&self, step: &Step) -> Outcome {
        self.outcome_of(&step.request(self.partition, self.account))
    }

    /// What becomes of a request.
    #[must_use]
    pub fn outcome_of(&self, request: &Request) -> Outcome {
        if !evaluate(self.policies.iter().map(|(_, policy)| policy), request).is_possible() {
            Outcome::NotGranted
        } else if evaluate([&self.boundary], request).is_possible() {
            Outcome::Possible
        } else {
            Outcome::Taken
        }
    }

    /// Whether `method` works; if so, by which policy its first step does.
    #[must_use]
    pub fn way(&self, method: &Method) -> Option<Origin> {
        if !method.steps.iter().all(|step| self.outcome(step) == Outcome::Possible) {
            return None;
        }
        let first = method.steps.first()?.request(self.partition, self.account);
        let by = self.policies.iter().find(|(_, policy)| evaluate([policy], &first).is_possible());
        by.map(|(origin, _)| *origin)
    }
}
