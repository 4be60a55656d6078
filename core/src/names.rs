//! Names of AWS resources and tags that more than one part of Daypass knows: functions, client, stacks and tests.
//!
//! `cdk/lib/names.ts` has those that the stacks use, under the same names; a test holds both together. They are fixed: accounts are
//! deployed by different people at different times.

/// Defines the names, and a table of them.
macro_rules! names {
    ($table:ident: $($(#[$about:meta])* $name:ident = $text:literal;)+) => {
        $($(#[$about])* pub const $name: &str = $text;)+

        /// The constants above, by name.
        pub const $table: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}

names! {
    DEPLOYED:
    /// The hub's machine that ends transactions.
    DEPROVISION_MACHINE = "daypass-deprovision";
    /// The hub's machine that renews credentials.
    RENEW_MACHINE = "daypass-renew";
    /// The alias of the hub's key that identity tokens are encrypted to.
    TOKEN_KEY_ALIAS = "alias/daypass-identity-tokens";
    /// The hub's table of who has how many open roles.
    OPEN_ROLES_TABLE = "daypass-open-roles";
    /// The hub's role with which a pipeline starts the machines.
    INVOKER_ROLE = "daypass-invoker";
    /// The role, in each target account, that manages deploy roles. Its path is `/`.
    PROVISIONER_ROLE = "daypass-provisioner";
    /// The managed policy, in each target account, that bounds every deploy role.
    BOUNDARY_POLICY = "daypass-boundary";
    /// The managed policy, in each target account, that bounds the roles that deployments create.
    WORKLOADS_POLICY = "daypass-workloads";
    /// The path below which deployments may own roles, policies and instance profiles.
    DEPLOYED_PATH = "/deployed-by-daypass/";
    /// The path of the roles that the platform team keeps for deployments, with a folder for each persona.
    FIXED_PATH = "/fixed-for-daypass/";
    /// The tag of roles and sessions with the persona.
    PERSONA_TAG = "daypass:persona";
    /// The tag of roles and sessions with the transaction id.
    TRANSACTION_TAG = "daypass:transaction-id";
    /// The tag of each machine with the version of what it takes and returns.
    CONTRACT_TAG = "daypass:contract";
    /// The version that this is. Raise it when a client of the version before can no longer ask.
    CONTRACT_VERSION = "1";
    /// The tag of the provisioner role with the version of Daypass that has deployed the target's stack.
    VERSION_TAG = "daypass:version";
    /// The tag of the machine that provisions with the environments that are open to whoever proves nothing, separated by spaces.
    OPEN_ENVIRONMENTS_TAG = "daypass:open-environments";
}

/// The path below which every deploy role stands, and nothing else.
pub const DEPLOY_ROLE_PATH: &str = "/daypass/";
/// The beginning of the name of every deploy role.
pub const DEPLOY_ROLE_PREFIX: &str = "daypass-";

/// The inline policy that takes all rights of a deploy role away at its expiry, and while the role is made and deleted.
pub const GUARD_POLICY: &str = "daypass-guard";

/// The tag of roles and sessions with the person's address.
pub const EMAIL_TAG: &str = "daypass:email";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_stacks_know_the_same_names() {
        let of_the_stacks: BTreeMap<&str, &str> = include_str!("../../cdk/lib/names.ts")
            .lines()
            .filter_map(|line| line.strip_prefix("export const ")?.strip_suffix("';")?.split_once(" = '"))
            .collect();
        let here: BTreeMap<&str, &str> = DEPLOYED.iter().copied().collect();
        assert_eq!(here.len(), DEPLOYED.len());
        for (name, text) in here {
            assert_eq!(of_the_stacks.get(name), Some(&text), "{name}");
        }
        let deploy_roles = format!("role{DEPLOY_ROLE_PATH}{DEPLOY_ROLE_PREFIX}*");
        assert_eq!(of_the_stacks.get("DEPLOY_ROLES"), Some(&deploy_roles.as_str()));
    }
}
