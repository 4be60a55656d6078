//! The protocol without one of its controls: what the model must notice.

use daypass_record::{Change, Condition};
use serde_json::Value;

use crate::{
    machines::{Machine, document},
    record::Without,
};

/// What is not as it is deployed.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a control that is missing")]
pub struct Weakness {
    /// Edits the definitions: of provision, deprovision and renew.
    pub edit: fn(&mut [Value; 3]),
    /// Which conditions of record's changes are left out.
    pub without: Without,
    /// Validate takes any name.
    pub names_unchecked: bool,
    /// The item of the end has a key that an execution can be named, and nobody looks whose it is.
    pub end_can_be_named: bool,
    /// A release has always the same name, and a name that is taken counts as released.
    pub one_name_for_releases: bool,
    /// create-role: the first attempt is repeated by the SDK.
    pub first_attempt_repeats: bool,
    /// create-role: a role that IAM does not show is somebody else's; in the first attempt, in another.
    pub unseen_is_conflict_first: bool,
    pub unseen_is_conflict_again: bool,
    /// delete-role: a refusal counts as "there is no role".
    pub refusal_is_absence: bool,
    /// delete-role: a young role that IAM does not show is gone.
    pub unseen_is_gone: bool,
    /// prove: any run may renew.
    pub any_run_renews: bool,
    pub no_sweep: bool,
}

impl Default for Weakness {
    fn default() -> Self {
        fn none(_: &Change, _: &Condition) -> bool {
            false
        }
        Self {
            edit: |_| (),
            without: none,
            names_unchecked: false,
            end_can_be_named: false,
            one_name_for_releases: false,
            first_attempt_repeats: false,
            unseen_is_conflict_first: false,
            unseen_is_conflict_again: false,
            refusal_is_absence: false,
            unseen_is_gone: false,
            any_run_renews: false,
            no_sweep: false,
        }
    }
}

/// The machines, less what is missing.
pub fn shipped(weak: &Weakness) -> [Machine; 3] {
    let names = ["provision", "deprovision", "renew"];
    let mut documents = names.map(document);
    (weak.edit)(&mut documents);
    let mut at = 0;
    names.map(|name| {
        at += 1;
        Machine::read(name, &documents[at - 1])
    })
}
