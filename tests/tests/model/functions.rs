//! The functions beside record, as copies: what each asks of IAM, in its order, and what it makes of the answers.
//!
//! The real ones speak to the SDK, which is too slow to be asked a million times. Their own tests hold what is copied here:
//! `tasks/create-role/src/tests.rs`, `tasks/delete-role/src/tests.rs`, and the scenarios of `faults` and `patience`.

use daypass::{contract::Proof, ids::TransactionId};
use daypass_testing::samples;
use serde_json::{Value, json};

use crate::world::{BARE_LOSS, Exec, FIRST, Flags, Kind, Outcome, Phase, Promise, Role, State, Step, World};

/// The transaction.
pub const V: &str = "6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11";
/// What an execution can be named that has to be no transaction: a UUID that derives from another.
pub const E: &str = "6f0f4a38-6ad0-5c35-9d4c-0a3f1c5f1c11";

/// What a pure task ends with: an answer or an error, in words, and what is known from then on.
pub type End = (Result<Value, &'static str>, &'static str, Flags);

fn validate(payload: &Value, unchecked: bool, moments: [String; 2]) -> Result<Value, &'static str> {
    const REFUSED: &str = "Daypass.InvalidRequest";
    if let Some(renewal) = payload.get("renewal") {
        return Ok(json!({"transaction_id": renewal["transaction_id"], "recipient": renewal["recipient"]}));
    }
    let name = payload["transaction_id"].as_str().expect("a name");
    let id: TransactionId = name.parse().map_err(|_| REFUSED)?;
    if !id.is_random() && !unchecked {
        return Err(REFUSED);
    }
    let request = &payload["request"];
    let mut it = json!(samples::transaction());
    let account = samples::transaction().target_aws_account_id;
    it["transaction_id"] = json!(id);
    it["role_name"] = json!(id.role_name());
    it["role_arn"] = json!(id.role_arn("aws", &account));
    it["email"] = request["email"].clone();
    it["recipient"] = request["recipient"].clone();
    let [requested_at, expires_at] = moments;
    it["requested_at"] = json!(requested_at);
    it["expires_at"] = json!(expires_at);
    Ok(it)
}

fn prove(payload: &Value, other_run: bool) -> Value {
    let Some(run) = payload["identity_token"].as_str() else { return json!({"proof": null, "refusal": null}) };
    let run = run.trim_start_matches("TOKEN of run ").to_owned();
    let first = &payload["proof_of_request"];
    let refusal = (first.is_object() && first["run_id"] != run && !other_run).then_some("another run");
    let proof = Proof { run_id: Some(run.clone()), job_id: Some(run), ..samples::proof() };
    json!({"proof": proof, "refusal": refusal})
}

impl World {
    /// What a task that calls nothing of this model's AWS can end with, apart from faults.
    pub fn pure(&self, function: &str, payload: &Value) -> Vec<End> {
        let none = Flags::default();
        match function {
            "validate" => {
                let moments = [0, 3].map(|it| self.moments[it].to_string());
                vec![(validate(payload, self.weak.names_unchecked, moments), "", none)]
            }
            "prove" => vec![(Ok(prove(payload, self.weak.any_run_renews)), "", none)],
            "authn" => {
                let mut person = json!(samples::person());
                if payload["proof"].is_object() {
                    person["proof"] = payload["proof"].clone();
                }
                vec![(Ok(person), "", none)]
            }
            "authz" => {
                let allowed = (Ok(json!(samples::authorization())), "", none);
                let refused = (Err("Daypass.NotAMember"), "who asks is not in the group", Flags::REFUSED);
                let mallory = payload["transaction"]["email"] == "mallory@example.com";
                match (mallory, self.bounds.denials) {
                    (true, _) => vec![(Err("Daypass.NotAMember"), "mallory is in no group", none)],
                    (false, true) => vec![allowed, refused],
                    (false, false) => vec![allowed],
                }
            }
            "issue_creds" => {
                let it = &payload["transaction"];
                let sealed = format!("SEALED to {}: {}", it["recipient"], it["role_arn"]);
                let answer = json!({
                    "sealed_credentials": sealed, "source_identity": "alex@example.com",
                    "credentials_expire_at": self.moments[3],
                });
                vec![(Ok(answer), "", none)]
            }
            other => panic!("the model does not know the function {other}"),
        }
    }

    fn fails(&mut self, s: &State, at: usize, error: &str, cost: u8, words: &str, out: &mut Vec<Step>) {
        let outcome = Outcome::error(&mut self.recorder.outcomes, error);
        self.end_call(s, at, outcome, s.content, cost, words, out);
    }

    fn goes_on(&mut self, s: &State, at: usize, phase: Phase, cost: u8, words: &str, out: &mut Vec<Step>) {
        let exec = Exec { phase, ..*self.exec(s.execs[at]) };
        let words = self.say(&exec, words);
        let exec = self.execs.of(exec);
        self.step(s, at, exec, cost, if cost > 0 { Kind::Fault } else { Kind::Progress }, words, out);
    }

    /// create-role: the role (with its trust and its tags), then the guard, then what it may do.
    pub fn create(&mut self, s: &State, at: usize, [pc, again, now]: [u8; 3], out: &mut Vec<Step>) {
        const LATER: &str = "Daypass.AwsUnavailable";
        let is_again = again == 1;
        let phase = |pc| Phase::Create([pc, again, now]);
        let mut s = s.clone();
        s.flags.0 |= Flags::TOUCHED.0;
        let refused = if is_again { "Daypass.TargetAccountRefused" } else { LATER };
        match pc {
            0 if s.role.has(Role::THERE) => self.goes_on(&s, at, phase(1), 0, "CreateRole: EntityAlreadyExists", out),
            0 => {
                self.fails(&s, at, LATER, 1, "CreateRole: IAM does not answer, nothing is made", out);
                self.fails(&s, at, "Daypass.TargetAccountRefused", 1, "CreateRole: refused", out);
                let mut made = s.clone();
                if !self.is_leased(&s) {
                    made.bad = Promise::NoRoleWithoutLease as u8;
                }
                for (role, cost, words) in [
                    (Role::THERE | Role::SHOWN, 0, "IAM makes the role"),
                    (Role::THERE, 1, "IAM makes the role, and does not show it yet"),
                ] {
                    made.role = Role(role);
                    self.goes_on(&made, at, phase(2), cost, &format!("CreateRole: {words}"), out);
                    let lost = format!("CreateRole: {words}; the answer is lost");
                    self.fails(&made, at, LATER, cost + 1, &lost, out);
                    if is_again || self.weak.first_attempt_repeats {
                        let lost = format!("{lost}; the SDK repeats it: EntityAlreadyExists");
                        self.goes_on(&made, at, phase(1), cost + 1, &lost, out);
                    }
                }
            }
            1 => {
                self.fails(&s, at, LATER, 1, "GetRole: IAM does not answer", out);
                if s.role.has(Role::THERE | Role::SHOWN) {
                    self.goes_on(&s, at, phase(2), 0, "GetRole: it is ours", out);
                } else if if is_again { self.weak.unseen_is_conflict_again } else { self.weak.unseen_is_conflict_first }
                {
                    self.fails(&s, at, "Daypass.RoleConflict", 0, "GetRole: refused, so it is somebody else's", out);
                } else {
                    self.fails(&s, at, "Daypass.RoleNotVisibleYet", 0, "GetRole: IAM shows none", out);
                }
            }
            _ => {
                let (call, bit) =
                    if pc == 2 { ("PutRolePolicy (guard)", Role::GUARD) } else { ("AttachRolePolicy", Role::ALLOWS) };
                self.fails(&s, at, LATER, 1, &format!("{call}: IAM does not answer, nothing is done"), out);
                if is_again {
                    self.fails(&s, at, refused, 1, &format!("{call}: refused"), out);
                }
                if !s.role.has(Role::THERE | Role::SHOWN) {
                    self.fails(&s, at, "Daypass.RoleNotVisibleYet", 0, &format!("{call}: IAM shows no such role"), out);
                    return;
                }
                let mut done = s.clone();
                done.role.0 |= bit;
                self.fails(&done, at, LATER, 1, &format!("{call}: done, the answer is lost"), out);
                if pc == 2 {
                    self.goes_on(&done, at, phase(3), 0, call, out);
                } else {
                    let role = json!({
                        "role_arn": role_arn(), "role_id": "AROAEXAMPLE", "created_at": self.moments[0],
                    });
                    let outcome = Outcome::answer(&mut self.recorder.outcomes, &role);
                    self.end_call(&done, at, outcome, done.content, 0, call, out);
                }
            }
        }
    }

    /// delete-role: denies everything, takes everything off, deletes, and looks whether the role is gone.
    pub fn delete(&mut self, s: &State, at: usize, [pc, existed, now]: [u8; 3], out: &mut Vec<Step>) {
        const LATER: &str = "Daypass.AwsUnavailable";
        let mut s = s.clone();
        s.flags.0 |= Flags::TOUCHED.0;
        let phase = |pc, existed| Phase::Delete([pc, existed, now]);
        let seen = s.role.has(Role::THERE | Role::SHOWN);
        match pc {
            FIRST => {
                self.fails(&s, at, LATER, 1, "PutRolePolicy (deny all): IAM does not answer", out);
                let words = "AWS refuses every call";
                if self.weak.refusal_is_absence {
                    self.deleted(&s, at, false, now, 1, &format!("{words}, so there is no role"), out);
                } else {
                    self.fails(&s, at, LATER, 1, words, out);
                }
                let mut done = s.clone();
                if seen {
                    done.role.0 |= Role::DENIES;
                    self.fails(&done, at, LATER, 1, "PutRolePolicy (deny all): done, the answer is lost", out);
                }
                let words = if seen { "PutRolePolicy (deny all)" } else { "PutRolePolicy (deny all): no such role" };
                self.goes_on(&done, at, phase(1, 0), 0, words, out);
            }
            1 => {
                if !seen {
                    self.goes_on(&s, at, phase(2, 0), 0, "nothing hangs on it", out);
                    return;
                }
                let mut done = s.clone();
                done.role.0 &= !Role::ALLOWS;
                self.fails(&done, at, LATER, 1, "takes off what allows; then IAM does not answer", out);
                self.goes_on(&s, at, phase(2, 0), 1, "is refused to take off what hangs on it", out);
                done.role.0 &= !(Role::GUARD | Role::DENIES);
                self.goes_on(&done, at, phase(2, 0), 0, "takes off what hangs on it", out);
            }
            2 => {
                self.fails(&s, at, LATER, 1, "DeleteRole: IAM does not answer, nothing is done", out);
                if !seen {
                    self.goes_on(&s, at, phase(3, 0), 0, "DeleteRole: no such role", out);
                    return;
                }
                if s.role.has(Role::GUARD) || s.role.has(Role::ALLOWS) || s.role.has(Role::DENIES) {
                    self.fails(&s, at, LATER, BARE_LOSS, "DeleteRole: something hangs on it", out);
                    return;
                }
                self.goes_on(&s, at, phase(3, 0), 1, "DeleteRole: refused", out);
                let mut done = s.clone();
                done.role = Role(0);
                self.fails(&done, at, LATER, 1, "DeleteRole: done, the answer is lost", out);
                self.goes_on(&done, at, phase(3, 0), 1, "DeleteRole: done, repeated: no such role", out);
                self.goes_on(&done, at, phase(3, 1), 0, "DeleteRole", out);
            }
            _ if existed == 1 => self.deleted(&s, at, true, now, 0, "GetRole: it is gone", out),
            _ => {
                self.fails(&s, at, LATER, 1, "GetRole: refused, or no answer", out);
                if seen {
                    self.fails(&s, at, LATER, 0, "GetRole: it is there", out);
                } else {
                    self.deleted(&s, at, false, now, 0, "GetRole: no such role", out);
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a step, and what came of it")]
    fn deleted(&mut self, s: &State, at: usize, existed: bool, now: u8, cost: u8, words: &str, out: &mut Vec<Step>) {
        let payload = self.payload(s.execs[at]);
        let now = self.moments[now as usize];
        let since = payload["role_created_at"].as_str().map_or(now, |it| it.parse().expect("a moment"));
        let old_enough = now.since(since) >= std::time::Duration::from_mins(5);
        if existed || old_enough || self.weak.unseen_is_gone {
            let answer = json!({
                "existed": existed, "detached_policies": [], "deleted_inline_policies": [], "left_instance_profiles": [],
            });
            let outcome = Outcome::answer(&mut self.recorder.outcomes, &answer);
            self.end_call(s, at, outcome, s.content, cost, words, out);
        } else {
            self.fails(s, at, "Daypass.RoleNotVisibleYet", cost, &format!("{words}, but it may be too young"), out);
        }
    }
}

fn role_arn() -> Value {
    let id: TransactionId = V.parse().expect("an id");
    json!(id.role_arn("aws", &samples::transaction().target_aws_account_id))
}
