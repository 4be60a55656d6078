//! The protocol without one of its controls: what the model must notice.

use daypass_record::{Change, Condition};
use serde_json::{Value, json};

use crate::{
    functions::{E, V},
    machines::{Machine, document},
    record::Without,
    world::{Bounds, DEPROVISION, Foreign, PROVISION, Promise, RENEW, request},
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

fn state<'a>(document: &'a mut Value, name: &str) -> &'a mut Value {
    let state = &mut document["States"][name];
    assert!(state.is_object(), "there is no state {name}");
    state
}

/// Where every error of a state leads.
fn any_error(document: &mut Value, name: &str, next: &str) {
    state(document, name)["Catch"] = json!([{"ErrorEquals": ["States.ALL"], "Next": next}]);
}

/// The same, and `failure` is kept.
fn any_failure(document: &mut Value, name: &str, next: &str) {
    const FAILURE: &str =
        "{% $merge([{'State': $states.context.State.Name, 'Cause': 'it gave no reason'}, $states.errorOutput]) %}";
    let catch = json!([{"ErrorEquals": ["States.ALL"], "Assign": {"failure": FAILURE}, "Next": next}]);
    state(document, name)["Catch"] = catch;
}

/// A control that is missing, the bounds within which that is noticed, and the promise that is broken then.
pub struct Weakened {
    pub name: &'static str,
    pub weak: Weakness,
    pub bounds: Bounds,
    pub breaks: Promise,
}

fn start(machine: u8, name: &str, input: Value) -> Foreign {
    Foreign { machine, name: name.to_owned(), input }
}

/// What the findings were about, put back; and what must not be taken away.
#[expect(clippy::too_many_lines, reason = "a list")]
pub fn all() -> Vec<Weakened> {
    let whole = Weakness::default;
    let bounds = |releases, faults| Bounds { releases, faults, ..Bounds::default() };
    let far = json!({"transaction_id": V, "expires_at": "2099-01-01T00:00:00Z"});
    let started = |starts: Vec<Foreign>, bounds| Bounds { foreign: 1, starts, ..bounds };
    vec![
        Weakened {
            name: "s1_an_execution_can_take_the_place_of_an_end",
            weak: Weakness { end_can_be_named: true, names_unchecked: true, ..whole() },
            bounds: started(
                vec![start(PROVISION, E, request("mallory@example.com", "age1mallory", "2"))],
                bounds(1, 0),
            ),
            breaks: Promise::PatientAndThenAPerson,
        },
        Weakened {
            name: "s2_a_name_that_is_taken_counts_as_released",
            weak: Weakness { one_name_for_releases: true, ..whole() },
            bounds: started(vec![start(DEPROVISION, &format!("{V}-release"), far)], bounds(1, 0)),
            breaks: Promise::ReleaseEndsAccess,
        },
        Weakened {
            name: "s5_an_end_begins_before_a_role_can_exist",
            weak: Weakness {
                edit: |[provision, ..]| {
                    let operation = &mut state(provision, "RecordProcessing")["Arguments"]["Payload"]["operation"];
                    *operation = json!({"processing": operation["requested"]});
                },
                ..whole()
            },
            bounds: Bounds { denials: true, ..bounds(1, 0) },
            breaks: Promise::DeniedMeansUntouched,
        },
        Weakened {
            name: "s6_a_refusal_counts_as_an_absence",
            weak: Weakness { refusal_is_absence: true, ..whole() },
            bounds: bounds(1, 1),
            breaks: Promise::ReleaseEndsAccess,
        },
        Weakened {
            name: "v1_a_refusal_counts_as_an_absence_at_the_expiry",
            weak: Weakness { refusal_is_absence: true, ..whole() },
            bounds: bounds(0, 1),
            breaks: Promise::OneTrueStatus,
        },
        Weakened {
            name: "v2_a_lost_answer_and_a_role_that_is_not_shown",
            weak: Weakness { first_attempt_repeats: true, unseen_is_conflict_first: true, ..whole() },
            bounds: bounds(0, 2),
            breaks: Promise::OneTrueStatus,
        },
        Weakened {
            name: "v3_nobody_closes_what_could_not_be_recorded",
            weak: Weakness {
                no_sweep: true,
                edit: |[provision, ..]| {
                    state(provision, "RecordDenied")["Retry"] = json!([]);
                    any_error(provision, "RecordDenied", "Failed");
                },
                ..whole()
            },
            bounds: Bounds { denials: true, ..bounds(0, 1) },
            breaks: Promise::PatientAndThenAPerson,
        },
        Weakened {
            name: "v4_told_failed_and_recorded_provisioned",
            weak: Weakness {
                edit: |[provision, ..]| {
                    state(provision, "RecordProvisioned")["Retry"] = json!([]);
                    any_error(provision, "RecordFailed", "Failed");
                },
                ..whole()
            },
            bounds: bounds(0, 1),
            breaks: Promise::OneTrueStatus,
        },
        Weakened {
            name: "v5_the_record_stands_before_the_role",
            weak: Weakness {
                edit: |[_, deprovision, _]| any_failure(deprovision, "RecordDeprovisioning", "TellOperators"),
                ..whole()
            },
            bounds: bounds(1, 1),
            breaks: Promise::PatientAndThenAPerson,
        },
        Weakened {
            name: "b1_a_role_that_is_not_shown_is_a_conflict",
            weak: Weakness { unseen_is_conflict_again: true, ..whole() },
            bounds: bounds(0, 1),
            breaks: Promise::OneTrueStatus,
        },
        Weakened {
            name: "no_mark_before_the_lease",
            weak: Weakness {
                edit: |[provision, ..]| state(provision, "Authorize")["Next"] = json!("StartLease"),
                ..whole()
            },
            bounds: bounds(0, 0),
            breaks: Promise::NoRoleWithoutLease,
        },
        Weakened {
            name: "an_id_can_be_used_twice",
            weak: Weakness {
                without: |_, condition| matches!(condition, Condition::Without(name) if name == "transaction_id"),
                ..whole()
            },
            bounds: started(
                vec![start(PROVISION, V, request("mallory@example.com", "age1mallory", "2"))],
                Bounds { denials: true, ..bounds(0, 0) },
            ),
            breaks: Promise::OneTrueStatus,
        },
        Weakened {
            name: "no_patience_with_a_role_that_is_not_shown",
            weak: Weakness {
                edit: |[_, deprovision, _]| any_failure(deprovision, "DeleteRole", "RecordDeprovisionFailed"),
                ..whole()
            },
            bounds: bounds(1, 0),
            breaks: Promise::PatientAndThenAPerson,
        },
        Weakened {
            name: "no_patience_in_delete_role",
            weak: Weakness { unseen_is_gone: true, ..whole() },
            bounds: bounds(0, 2),
            breaks: Promise::OneTrueStatus,
        },
        Weakened {
            name: "no_retry_of_a_cancellation",
            weak: Weakness {
                edit: |[_, deprovision, _]| state(deprovision, "RecordCancelled")["Retry"] = json!([]),
                ..whole()
            },
            bounds: bounds(1, 0),
            breaks: Promise::PatientAndThenAPerson,
        },
        Weakened {
            name: "the_record_before_delete_role",
            weak: Weakness {
                edit: |[_, deprovision, _]| {
                    let nothing = json!({
                        "existed": true, "detached_policies": [], "deleted_inline_policies": [],
                        "left_instance_profiles": [],
                    });
                    state(deprovision, "HasItEnded")["Default"] = json!("RecordDeprovisioned");
                    state(deprovision, "HasItEnded")["Assign"] = json!({"deleted": nothing});
                    state(deprovision, "RecordDeprovisioned")["Next"] = json!("DeleteRole");
                    state(deprovision, "DeleteRole")["Next"] = json!("Deprovisioned");
                },
                ..whole()
            },
            bounds: bounds(0, 0),
            breaks: Promise::OneTrueStatus,
        },
        Weakened {
            name: "any_execution_counts_as_the_lease",
            weak: Weakness {
                edit: |[_, deprovision, _]| {
                    let lease = format!("arn:aws:states:eu-central-1:111111111111:execution:daypass-deprovision:{V}");
                    state(deprovision, "RecordDeprovisioned")["Arguments"]["Payload"]["execution_arn"] = json!(lease);
                },
                ..whole()
            },
            bounds: bounds(1, 0),
            breaks: Promise::ReleaseEndsAccess,
        },
        Weakened {
            name: "any_run_renews",
            weak: Weakness { any_run_renews: true, ..whole() },
            bounds: started(
                vec![start(
                    RENEW,
                    "mallory",
                    json!({"transaction_id": V, "recipient": "age1mallory", "identity_token": "TOKEN of run 2"}),
                )],
                bounds(0, 0),
            ),
            breaks: Promise::OneTransactionOneRole,
        },
    ]
}
