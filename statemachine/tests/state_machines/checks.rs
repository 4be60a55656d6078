//! What must hold of the machines. A check lists what does not hold, in words; none is good.

mod contract;
mod patience;
mod payloads;
mod promises;
mod shape;
mod sweep;

use crate::asl::Machine;

/// The machines.
pub struct Machines {
    pub provision: Machine,
    pub renew: Machine,
    pub deprovision: Machine,
    pub sweep: Machine,
}

impl Machines {
    pub fn all(&self) -> [&Machine; 4] {
        [&self.provision, &self.renew, &self.deprovision, &self.sweep]
    }

    /// Those that somebody waits for.
    pub fn awaited(&self) -> [&Machine; 2] {
        [&self.provision, &self.renew]
    }
}

pub use patience::{longest_delays, longest_deprovisioning, longest_history, longest_wait};
pub use sweep::{MOST_STARTS, longest_sweep, longest_sweep_history};

pub type Check = fn(&Machines) -> Vec<String>;

/// All checks, each with the name under which a test that breaks it finds it.
pub const ALL: &[(&str, Check)] = &[
    ("targets exist", shape::targets_exist),
    ("states are reachable", shape::states_are_reachable),
    ("comments", shape::comments),
    ("tasks end or go on", shape::tasks_end_or_go_on),
    ("retriers", shape::retriers),
    ("catchers", shape::catchers),
    ("no catcher repeats", shape::no_catcher_repeats),
    ("variables", shape::variables_are_assigned),
    ("failures", shape::failures_are_kept_alike),
    ("references", contract::references),
    ("error names", contract::error_names),
    ("raised and caught", contract::raised_is_caught),
    ("tried again", contract::what_passes_is_tried_again),
    ("timeouts", contract::tasks_outlive_functions),
    ("payloads", payloads::payloads),
    ("order", promises::order),
    ("no role is forgotten", promises::no_role_is_forgotten),
    ("an end looks first", promises::an_end_looks_first),
    ("nothing stays open", promises::nothing_stays_open),
    ("denials", promises::denials),
    ("tokens are used up", promises::tokens_are_used_up),
    ("ends", promises::ends),
    ("a renewal touches no role", promises::a_renewal_touches_no_role),
    ("starts", promises::starts),
    ("secrets", promises::secrets),
    ("patience of those that are waited for", patience::awaited),
    ("throttles are waited out", patience::throttles),
    ("patience of deprovision", patience::deprovision),
    ("what the sweep looks for", sweep::looks_for),
    ("the sweep goes through", sweep::goes_through),
    ("what the sweep starts", sweep::starts),
    ("the sweep tells", sweep::tells),
    ("patience of the sweep", sweep::patience),
];
