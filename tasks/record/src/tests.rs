use std::{collections::BTreeSet, time::Duration};

use daypass::{
    contract::{DeletedRole, Transaction},
    stage::{Named, parse_input, raised_by},
};
use daypass_testing::samples::{self, Refusal};
use serde_json::{Value, json};

use self::fake::{FakeTable, Items, Trouble};
use super::*;

mod fake;
mod open_roles;
mod renewals;
mod version_before;

const PROVISION: &str = "arn:aws:states:eu-central-1:111111111111:express:daypass-provision:6f0f4a38:1";
const OTHER: &str = "arn:aws:states:eu-central-1:111111111111:express:daypass-provision:6f0f4a38:2";
const LEASE: &str = "arn:aws:states:eu-central-1:111111111111:execution:daypass-deprovision:6f0f4a38";
const RELEASE: &str = "arn:aws:states:eu-central-1:111111111111:execution:daypass-deprovision:6f0f4a38-release";
const RENEW: &str = "arn:aws:states:eu-central-1:111111111111:express:daypass-renew:8c7a:1";
const RENEW_TOO: &str = "arn:aws:states:eu-central-1:111111111111:express:daypass-renew:9d8b:1";
/// The longest that a provisioning can run.
const LONGEST: Duration = Duration::from_secs(330);
const NEW_KEY: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

/// What the machines say, in their words.
fn say(operation: &str) -> Value {
    let id = samples::transaction().transaction_id;
    let content = match operation {
        "requested" | "processing" => json!(samples::transaction()),
        "leasing" => json!({
            "transaction_id": id, "target_aws_account_id": samples::transaction().target_aws_account_id,
            "person": samples::person(), "authorization": samples::authorization(),
        }),
        "failing" => json!({
            "transaction_id": id, "error": "Daypass.Throttled", "reason": "IAM asked to slow down",
            "person": samples::person(), "authorization": samples::authorization(),
        }),
        "waiting" | "look_up" => json!({
            "schema": 1, "transaction_id": id, "expires_at": samples::transaction().expires_at,
        }),
        "denied" => json!({
            "transaction_id": id, "error": "Daypass.NotAMember", "reason": "alex is not in it",
            "proof": samples::proof(), "person": samples::person(), "authorization": null,
        }),
        "failed" => json!({
            "transaction_id": id, "error": "Daypass.QuotaExceeded", "reason": "no room for a role",
            "person": samples::person(), "authorization": samples::authorization(),
        }),
        "provisioned" => json!({
            "transaction": samples::transaction(), "person": samples::person(),
            "authorization": samples::authorization(), "lease_execution_arn": LEASE, "role": samples::role(),
            "source_identity": "alex@example.com", "credentials_expire_at": "2026-11-23T10:00:02Z",
        }),
        "renewing" => json!({"transaction_id": id, "recipient": NEW_KEY}),
        "renewed" => json!({
            "transaction": Transaction { recipient: NEW_KEY.to_owned(), ..samples::transaction() },
            "proof": samples::proof(), "authorization": samples::authorization(),
            "credentials_expire_at": "2026-11-23T10:50:00Z",
        }),
        "renewal_refused" => json!({
            "renewal": {"transaction_id": id, "recipient": NEW_KEY}, "proof": null,
            "error": "Daypass.NotAMember", "reason": "alex is not in it any more",
        }),
        "deprovisioning" | "cancelled" => json!({"transaction_id": id}),
        "deprovisioned" => {
            let detached_policies = vec!["arn:aws:iam::aws:policy/PowerUserAccess".to_owned()];
            json!({"transaction_id": id, "deleted": DeletedRole {existed: true, detached_policies, ..Default::default()}})
        }
        "deprovision_failed" => {
            json!({"transaction_id": id, "error": "Daypass.Throttled", "reason": "IAM asked to slow down"})
        }
        _ => panic!("{operation}"),
    };
    json!({operation: content})
}

impl FakeTable {
    /// `by` records `operation`, a minute after the one before.
    async fn tell(&self, by: &str, operation: Value) -> Result<Value, RecordError> {
        let changes =
            self.items().values().filter_map(|it| Some(it.get("status_changes")?["L"].as_array()?.len() as u64)).sum();
        self.tell_at(samples::requested_at().plus(Duration::from_mins(changes)), by, operation).await
    }

    async fn tell_at(&self, now: Timestamp, by: &str, operation: Value) -> Result<Value, RecordError> {
        let input = json!({"execution_arn": by, "operation": operation}).to_string();
        let input: RecordInput = parse_input(&input).unwrap();
        let answer = self.record().run(input, now).await;
        answer.map(|recorded| serde_json::to_value(recorded).unwrap())
    }

    async fn after(operations: Before<'_>) -> Self {
        let table = Self::default();
        for (by, operation) in operations {
            table.tell(by, say(operation)).await.unwrap();
        }
        table.calls();
        table
    }

    /// The statuses that the transaction had, and those of its end.
    fn statuses(&self) -> (Vec<String>, Vec<String>) {
        let id = samples::transaction().transaction_id;
        let items = self.items();
        let of = |id: String| {
            let Some(item) = items.get(&id) else { return vec![] };
            let changes = item["status_changes"]["L"].as_array().unwrap();
            let changes: Vec<_> =
                changes.iter().map(|it| it["M"]["status"]["S"].as_str().unwrap().to_owned()).collect();
            assert_eq!(item["status"]["S"], *changes.last().unwrap());
            changes
        };
        (of(id.to_string()), of(id.end().to_string()))
    }
}

/// Who has recorded what.
type Before<'a> = &'a [(&'a str, &'a str)];

/// A role may exist.
const LEASED: Before<'_> = &[(PROVISION, "requested"), (PROVISION, "leasing")];
const PROVISIONED: Before<'_> = &[(PROVISION, "requested"), (PROVISION, "leasing"), (PROVISION, "provisioned")];

fn provisioned_and(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    [PROVISIONED, more].concat()
}

/// The attributes of an item have no order, neither in DynamoDB nor here.
fn assert_table(name: &str, found: &Value) {
    let mut sorted = insta::Settings::clone_current();
    sorted.set_sort_maps(true);
    sorted.bind(|| insta::assert_json_snapshot!(name, found));
}

/// What each step answers, which calls it makes, and what is in the table afterwards.
#[tokio::test]
async fn a_transaction_from_beginning_to_end() {
    let table = FakeTable::default();
    let steps = [
        (PROVISION, "requested", &["UpdateItem"][..]),
        (PROVISION, "leasing", &["TransactWriteItems"]),
        (PROVISION, "provisioned", &["UpdateItem"]),
        (RELEASE, "deprovisioning", &["GetItem", "TransactWriteItems"]),
        (RELEASE, "deprovisioned", &["GetItem", "TransactWriteItems"]),
    ];
    for (by, operation, calls) in steps {
        let answer = table.tell(by, say(operation)).await.unwrap();
        assert_eq!(table.calls(), calls);
        assert_table(operation, &json!({"answer": answer, "items": table.plain()}));
    }
}

/// The answer of a request alone says from when on the role is usable, and never names a time after the role's end.
#[tokio::test]
async fn a_new_role_settles() {
    let (now, expires_at) = (samples::requested_at(), samples::transaction().expires_at);
    for (settle, usable_at) in [
        (Duration::ZERO, None),
        (Duration::from_secs(10), Some(now.plus(Duration::from_secs(10)))),
        (Duration::from_hours(1_000), Some(expires_at)),
    ] {
        let table = FakeTable::after(&[(PROVISION, "requested"), (PROVISION, "leasing")]).await;
        let record = table.record().settling(settle);
        let told =
            |operation: &str| serde_json::from_value(json!({"execution_arn": PROVISION, "operation": say(operation)}));
        let answer = record.run(told("provisioned").unwrap(), now).await.unwrap();
        assert_eq!(json!(answer).get("usable_at"), usable_at.map(|at| json!(at)).as_ref());
        let answer = record.run(told("renewed").unwrap(), now).await.unwrap();
        assert_eq!(json!(answer).get("usable_at"), None);
    }
}

#[tokio::test]
async fn a_transaction_that_comes_to_nothing() {
    for operation in ["denied", "failed"] {
        let table = FakeTable::after(&[(PROVISION, "requested")]).await;
        let answer = table.tell(PROVISION, say(operation)).await.unwrap();
        assert_eq!(table.calls().last().unwrap(), "UpdateItem");
        assert_table(operation, &json!({"answer": answer, "items": table.plain()}));
    }
}

#[tokio::test]
async fn a_role_that_could_not_be_deleted_can_be_deleted_later() {
    let table = FakeTable::after(&provisioned_and(&[(LEASE, "deprovisioning")])).await;
    let answer = table.tell(LEASE, say("deprovision_failed")).await.unwrap();
    assert_table("deprovision_failed", &json!({"answer": answer, "items": table.plain()}));

    let answer = table.tell(RELEASE, say("deprovisioning")).await.unwrap();
    assert_eq!((&answer["already_ended"], &answer["status"]), (&json!(false), &json!("deprovision_failed")));
    let answer = table.tell(RELEASE, say("deprovisioned")).await.unwrap();
    assert_eq!(answer["status"], "deprovisioned");
    assert_table("deprovisioned_later", &table.plain());
}

/// A role may exist, and provisioning died: its lease ends it as failed.
#[tokio::test]
async fn what_died_midway_fails() {
    let table = FakeTable::after(LEASED).await;
    let late = samples::requested_at().plus(LONGEST);
    let answer = table.tell_at(late, LEASE, say("deprovisioning")).await.unwrap();
    assert_table("deprovisioning_processing", &json!({"answer": answer, "items": table.plain()}));

    // Should it be alive after all, it gets to know.
    for operation in ["leasing", "denied", "provisioned"] {
        let error = table.tell(PROVISION, say(operation)).await.unwrap_err();
        assert_eq!(error.name(), ErrorName::TransactionConflict);
        insta::assert_snapshot!(format!("{operation}_too_late"), error);
    }
    let answer = table.tell_at(late, LEASE, say("deprovisioned")).await.unwrap();
    assert_table("deprovisioned_processing", &json!({"answer": answer, "items": table.plain()}));
}

/// Where no role can exist, what cannot be denied on record has failed.
#[tokio::test]
async fn what_fails_before_there_can_be_a_role_has_failed() {
    for before in [&[(PROVISION, "requested")][..], &[(PROVISION, "requested"), (RELEASE, "deprovisioning")]] {
        let table = FakeTable::after(before).await;
        for _ in 0..2 {
            assert_eq!(table.tell(PROVISION, say("failing")).await.unwrap()["status"], "failed");
            assert_eq!(table.statuses().0, ["processing", "failed"]);
        }
    }
}

/// Provision has learnt that it was released, and has taken back what it had made: that closes the end as well.
#[tokio::test]
async fn provision_may_say_that_nothing_is_left() {
    let table = FakeTable::after(&[LEASED, &[(RELEASE, "deprovisioning")]].concat()).await;
    table.tell(PROVISION, say("failed")).await.unwrap();
    let (transaction, end) = table.statuses();
    assert_eq!((transaction, end), (words(&["processing", "failed"]), words(&["deprovisioning", "deprovisioned"])));
    let items = table.items();
    let answer = table.tell(RELEASE, say("deprovisioning")).await.unwrap();
    assert_eq!((&answer["already_ended"], &answer["status"]), (&json!(true), &json!("failed")));
    assert_eq!(table.tell(RELEASE, say("deprovisioned")).await.unwrap()["status"], "failed");
    table.tell(PROVISION, say("failed")).await.unwrap();
    assert_eq!(table.items(), items);
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// How a transaction failed is what the requester was told, as far as anybody could tell.
#[tokio::test]
async fn the_record_says_what_the_requester_was_told() {
    let (early, late) = (samples::requested_at(), samples::requested_at().plus(LONGEST));
    let told = [
        (early, vec![], "Daypass.TransactionConflict: it was released before it was provisioned"),
        (late, vec![], "Daypass.AwsUnavailable: provisioning did not come to its end"),
        (early, vec![(PROVISION, "failing")], "Daypass.Throttled: IAM asked to slow down"),
        (late, vec![(PROVISION, "failing")], "Daypass.Throttled: IAM asked to slow down"),
    ];
    for (begun, noted, says) in told {
        let table = FakeTable::after(&[LEASED, &noted[..]].concat()).await;
        table.tell_at(begun, LEASE, say("deprovisioning")).await.unwrap();
        table.tell_at(late, LEASE, say("deprovisioning")).await.unwrap();
        table.tell_at(late, LEASE, say("deprovisioned")).await.unwrap();
        let item = &table.plain()[samples::transaction().transaction_id.to_string()];
        let said = format!("{}: {}", item["error"].as_str().unwrap(), item["reason"].as_str().unwrap());
        assert!(said.starts_with(says), "{said}");
        assert_eq!(item["status"], "failed");
    }
    // Told that it failed, of a transaction that was recorded as provisioned: its end says so.
    let table = FakeTable::after(&provisioned_and(&[(PROVISION, "failing"), (LEASE, "deprovisioning")])).await;
    let item = &table.plain()[samples::transaction().transaction_id.to_string()];
    assert_eq!((&item["status"], &item["error"]), (&json!("deprovisioning"), &json!("Daypass.Throttled")));
}

/// A release while nothing has been decided: no role is made, and a denial stays a denial, whoever comes first.
#[tokio::test]
async fn a_release_cancels_what_is_not_denied() {
    let cancelled = &[(PROVISION, "requested"), (RELEASE, "deprovisioning")];
    let table = FakeTable::after(cancelled).await;
    assert_table("cancelled", &table.plain());
    let refused = table.tell(PROVISION, say("leasing")).await.unwrap_err();
    assert_eq!(refused.name(), ErrorName::TransactionConflict);
    insta::assert_snapshot!(
        refused,
        @"transaction 6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11 was released before it was provisioned; start again, with \
         a new name or without a name"
    );
    let waits = table.tell(RELEASE, say("cancelled")).await.unwrap_err();
    assert_eq!(waits.name(), ErrorName::Throttled, "provision may still decide");
    for decision in ["denied", "failed"] {
        let table = FakeTable::after(cancelled).await;
        table.tell(PROVISION, say(decision)).await.unwrap();
        let answer = table.tell(RELEASE, say("cancelled")).await.unwrap();
        assert_eq!((&answer["status"], &answer["deprovisioning_transaction_id"]), (&json!(decision), &json!(null)));
        assert_eq!(table.items().len(), 1, "no role, no record of its end");
    }
    // Provision has died: nobody else can decide any more.
    let late = samples::requested_at().plus(LONGEST);
    let answer = table.tell_at(late, RELEASE, say("cancelled")).await.unwrap();
    assert_eq!(answer["status"], "failed");
    for operation in ["leasing", "denied", "provisioned"] {
        let error = table.tell(PROVISION, say(operation)).await.unwrap_err();
        assert_eq!(error.name(), ErrorName::TransactionConflict, "{operation}");
    }
    // An older machine does not know that no role can exist, and says that one is gone.
    let table = FakeTable::after(cancelled).await;
    let error = table.tell(RELEASE, say("deprovisioned")).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::Throttled);
    assert_eq!(table.tell_at(late, RELEASE, say("deprovisioned")).await.unwrap()["status"], "failed");
}

/// What may wait: the lease of a transaction that a role may exist of, until the recorded expiry.
#[tokio::test]
async fn only_a_lease_may_wait() {
    let own = &format!(
        "arn:aws:states:eu-central-1:111111111111:execution:daypass-deprovision:{}",
        samples::transaction().transaction_id
    );
    for (before, ended) in
        [(LEASED, false), (PROVISIONED, false), (&[(PROVISION, "requested"), (PROVISION, "denied")], true)]
    {
        let table = FakeTable::after(before).await;
        let items = table.items();
        let answer = table.tell(own, say("waiting")).await.unwrap();
        assert_eq!(
            (&answer["already_ended"], &answer["expires_at"]),
            (&json!(ended), &json!(samples::transaction().expires_at))
        );
        assert_eq!(table.items(), items);
    }
    let lease = |changes: Value| {
        let mut lease = say("waiting");
        let fields = changes.as_object().unwrap().clone();
        lease["waiting"].as_object_mut().unwrap().extend(fields);
        lease
    };
    let other = "7f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11";
    let cases = [
        (PROVISIONED, RELEASE, lease(json!({})), ErrorName::InvalidRequest),
        (PROVISIONED, &own.replace("6f0f", "7f0f"), lease(json!({})), ErrorName::InvalidRequest),
        (PROVISIONED, own, lease(json!({"expires_at": null})), ErrorName::InvalidRequest),
        (PROVISIONED, own, lease(json!({"expires_at": "tomorrow"})), ErrorName::InvalidRequest),
        (PROVISIONED, own, lease(json!({"schema": 2})), ErrorName::InvalidRequest),
        (PROVISIONED, own, lease(json!({"expires_at": "2037-01-01T00:00:00Z"})), ErrorName::TransactionMismatch),
        (
            PROVISIONED,
            &own.replace("6f0f", "7f0f"),
            lease(json!({"transaction_id": other})),
            ErrorName::TransactionNotFound,
        ),
        (&[(PROVISION, "requested")], own, lease(json!({})), ErrorName::TransactionMismatch),
    ];
    let mut texts = vec![];
    for (before, by, input, name) in cases {
        let table = FakeTable::after(before).await;
        let error = table.tell(by, input.clone()).await.unwrap_err();
        assert_eq!(error.name(), name, "{input}: {error}");
        texts.push(error.to_string());
    }
    insta::assert_snapshot!(texts.join("\n"));
}

/// A lease that somebody starts before its time has the name of the one to come: no role comes into being.
#[tokio::test]
async fn a_lease_before_its_time_cancels() {
    let own = &format!(
        "arn:aws:states:eu-central-1:111111111111:execution:daypass-deprovision:{}",
        samples::transaction().transaction_id
    );
    let table = FakeTable::after(&[(PROVISION, "requested")]).await;
    for _ in 0..2 {
        assert_eq!(table.tell(own, say("waiting")).await.unwrap_err().name(), ErrorName::TransactionMismatch);
    }
    assert_eq!(table.tell(PROVISION, say("leasing")).await.unwrap_err().name(), ErrorName::TransactionConflict);
    // The mark comes between the look and the refusal: then it is the lease.
    let table = FakeTable::after(&[(PROVISION, "requested")]).await;
    let marked = FakeTable::after(LEASED).await.items();
    table.trouble("UpdateItem", Trouble::Overtaken(Box::new(|items| *items = marked)));
    assert_eq!(table.tell(own, say("waiting")).await.unwrap()["role_may_exist"], json!(true));
}

/// The item of an end is somebody else's: the role is found all the same, the transaction records its end alone, and that is
/// an error.
#[tokio::test]
async fn an_end_that_is_taken_keeps_no_role() {
    let id = samples::transaction().transaction_id;
    let table = FakeTable::after(PROVISIONED).await;
    let taken = json!({"transaction_id": {"S": id.end()}, "kind": {"S": "somebody's"}});
    let mut items = table.items();
    items.insert(id.end().to_string(), taken.as_object().unwrap().clone());
    let table = FakeTable::of(items);
    let answer = table.tell(RELEASE, say("deprovisioning")).await.unwrap();
    assert_eq!((&answer["already_ended"], &answer["role_may_exist"]), (&json!(false), &json!(true)));
    assert_eq!(answer["deprovisioning_transaction_id"], json!(null));
    let error = table.tell(RELEASE, say("deprovisioned")).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::RecordBroken);
    assert_table("end_taken", &json!({"error": error.to_string(), "items": table.plain()}));
}

/// A machine of the version before asks new functions: it makes a role without saying that one may exist.
#[tokio::test]
async fn a_machine_of_the_version_before_may_make_a_role_at_any_time() {
    let requested = &[(PROVISION, "processing")];
    let own = &format!(
        "arn:aws:states:eu-central-1:111111111111:execution:daypass-deprovision:{}",
        samples::transaction().transaction_id
    );
    let table = FakeTable::after(requested).await;
    assert_eq!(table.tell(own, say("waiting")).await.unwrap()["role_may_exist"], json!(true), "its lease may wait");
    table.tell(PROVISION, say("provisioned")).await.unwrap();
    for (ended, status) in [("denied", "denied"), ("failed", "failed")] {
        let table = FakeTable::after(requested).await;
        assert_eq!(table.tell(PROVISION, say(ended)).await.unwrap()["status"], status);
    }
    let table = FakeTable::after(requested).await;
    assert_eq!(table.tell(RELEASE, say("deprovisioning")).await.unwrap()["role_may_exist"], json!(true));
    assert_eq!(table.tell(PROVISION, say("provisioned")).await.unwrap_err().name(), ErrorName::TransactionConflict);
    let late = samples::requested_at().plus(LONGEST);
    table.tell_at(late, RELEASE, say("deprovisioning")).await.unwrap();
    table.tell_at(late, RELEASE, say("deprovisioned")).await.unwrap();
}

/// A release has deleted the role while its maker was at work: it may be made again, until its maker has ended or given up.
#[tokio::test]
async fn an_end_waits_for_the_maker_of_the_role() {
    let ending = &[LEASED, &[(RELEASE, "deprovisioning")]].concat();
    let table = FakeTable::after(ending).await;
    let items = table.items();
    let error = table.tell(RELEASE, say("deprovisioned")).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::RoleNotVisibleYet);
    assert_eq!(table.items(), items);
    // Its maker grants nothing any more.
    let error = table.tell(PROVISION, say("provisioned")).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::TransactionConflict);
    assert_eq!(table.items(), items);
    // Time alone shows nothing: the role may have been made again after it was looked for.
    let late = samples::requested_at().plus(LONGEST);
    let error = table.tell_at(late, RELEASE, say("deprovisioned")).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::RoleNotVisibleYet);
    table.tell_at(late, RELEASE, say("deprovisioning")).await.unwrap();
    assert_eq!(table.tell_at(late, RELEASE, say("deprovisioned")).await.unwrap()["status"], "failed");
    let lease = &format!(
        "arn:aws:states:eu-central-1:111111111111:execution:daypass-deprovision:{}",
        samples::transaction().transaction_id
    );
    let table = FakeTable::after(ending).await;
    assert_eq!(table.tell(lease, say("deprovisioned")).await.unwrap()["status"], "failed", "it has waited");
    let mut items = FakeTable::after(ending).await.items();
    let soon = samples::requested_at().plus(LONGEST.saturating_sub(Duration::from_secs(1)));
    items.get_mut(&samples::transaction().transaction_id.to_string()).unwrap()["expires_at"] = json!({"S": soon});
    let error = FakeTable::of(items).tell(lease, say("deprovisioned")).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::RoleNotVisibleYet, "a lease that is shorter than a provisioning has not");
    for (gives_up, status) in [("failing", "processing"), ("failed", "failed")] {
        let table = FakeTable::after(ending).await;
        assert_eq!(table.tell(PROVISION, say(gives_up)).await.unwrap()["status"], status);
        if gives_up == "failing" {
            let error = table.tell(RELEASE, say("deprovisioned")).await.unwrap_err();
            assert_eq!(error.name(), ErrorName::RoleNotVisibleYet, "it has looked before");
            table.tell(RELEASE, say("deprovisioning")).await.unwrap();
            let items = table.items();
            table.tell(RELEASE, say("deprovisioning")).await.unwrap();
            assert_eq!(table.items(), items);
        }
        assert_eq!(table.tell(RELEASE, say("deprovisioned")).await.unwrap()["status"], "failed");
    }
}

/// Looked up without a change.
#[tokio::test]
async fn a_look_changes_nothing() {
    for before in [&[(PROVISION, "requested")], LEASED, PROVISIONED, &provisioned_and(&[(LEASE, "deprovisioning")])] {
        let table = FakeTable::after(before).await;
        let items = table.items();
        let looked = table.tell(LEASE, say("look_up")).await.unwrap();
        assert_eq!(table.calls(), ["GetItem"]);
        assert_eq!(table.items(), items);
        assert_eq!(looked["role_may_exist"], json!(before.len() > 1));
    }
}

/// The answer to a write is lost, and the task runs again: the same answer, and nothing is written twice.
#[tokio::test]
async fn every_operation_can_be_repeated() {
    let cases: [(Before, &str, &str, &str); 15] = [
        (&[], PROVISION, "requested", "UpdateItem"),
        (&[(PROVISION, "requested")], PROVISION, "denied", "UpdateItem"),
        (&[(PROVISION, "requested")], PROVISION, "failed", "UpdateItem"),
        (&[(PROVISION, "requested")], PROVISION, "leasing", "TransactWriteItems"),
        (LEASED, PROVISION, "failed", "UpdateItem"),
        (LEASED, PROVISION, "failing", "UpdateItem"),
        (LEASED, PROVISION, "provisioned", "UpdateItem"),
        (PROVISIONED, RENEW, "renewed", "UpdateItem"),
        (PROVISIONED, RENEW, "renewal_refused", "UpdateItem"),
        (PROVISIONED, RELEASE, "deprovisioning", "TransactWriteItems"),
        (&[(PROVISION, "requested")], LEASE, "deprovisioning", "UpdateItem"),
        (LEASED, LEASE, "deprovisioning", "TransactWriteItems"),
        (&provisioned_and(&[(LEASE, "deprovisioning")]), LEASE, "deprovisioned", "TransactWriteItems"),
        (&provisioned_and(&[(LEASE, "deprovisioning")]), LEASE, "deprovision_failed", "TransactWriteItems"),
        (
            &[(PROVISION, "requested"), (PROVISION, "leasing"), (PROVISION, "failing"), (LEASE, "deprovisioning")],
            LEASE,
            "deprovisioned",
            "TransactWriteItems",
        ),
    ];
    for (before, by, operation, write) in cases {
        let undisturbed = FakeTable::after(before).await;
        let expected = undisturbed.tell(by, say(operation)).await.unwrap();

        let table = FakeTable::after(before).await;
        table.trouble(write, Trouble::Lost);
        let error = table.tell(by, say(operation)).await.unwrap_err();
        assert_eq!(error.name(), ErrorName::AwsUnavailable, "{error}");
        assert_eq!(table.items(), undisturbed.items(), "{operation} was done");
        let answer = table.tell(by, say(operation)).await.unwrap();
        assert_eq!(answer, expected, "{operation} again");
        assert_eq!(table.items(), undisturbed.items(), "{operation} again changes nothing");
    }
}

#[tokio::test]
async fn an_id_can_be_used_once() {
    let denied = &[(PROVISION, "requested"), (PROVISION, "denied")][..];
    let released = &provisioned_and(&[(RELEASE, "deprovisioning"), (RELEASE, "deprovisioned")])[..];
    for before in [&[(PROVISION, "requested")], PROVISIONED, denied, released] {
        let table = FakeTable::after(before).await;
        let items = table.items();
        let error = table.tell(OTHER, say("requested")).await.unwrap_err();
        assert_eq!(error.name(), ErrorName::TransactionConflict);
        insta::assert_snapshot!(error);
        for operation in ["leasing", "denied", "failed", "failing", "provisioned"] {
            let error = table.tell(OTHER, say(operation)).await.unwrap_err();
            assert_eq!(error.name(), ErrorName::TransactionMismatch, "{operation}: {error}");
        }
        assert_eq!(table.items(), items);
    }
    // The version before named the ends of transactions with UUIDs, too.
    let id = samples::transaction().transaction_id.to_string();
    let end = json!({"transaction_id": {"S": id}, "original_transaction_id": {"S": "another"}, "status": {"S": "deprovisioned"}});
    let table = FakeTable::of(Items::from([(id, end.as_object().unwrap().clone())]));
    let error = table.tell(OTHER, say("requested")).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::TransactionConflict);
    insta::assert_snapshot!(
        error,
        @"transaction 6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11 exists already (the end of another); start again, with a \
         new name or without a name"
    );
    // Not even the one that had it can have it again.
    let table = FakeTable::after(PROVISIONED).await;
    assert_eq!(table.tell(PROVISION, say("requested")).await.unwrap_err().name(), ErrorName::TransactionConflict);
}

/// An answer was lost, and the execution goes on to another end: the first one stays.
#[tokio::test]
async fn an_execution_has_one_end() {
    let ends = ["denied", "failed", "provisioned"];
    let before = |end: &str| if end == "provisioned" { LEASED } else { &LEASED[..1] };
    for (first, second) in ends.iter().flat_map(|first| ends.map(|second| (*first, second))) {
        if first == second {
            continue;
        }
        let table = FakeTable::after(&[before(first), &[(PROVISION, first)]].concat()).await;
        let items = table.items();
        let error = table.tell(PROVISION, say(second)).await.unwrap_err();
        assert_eq!(error.name(), ErrorName::TransactionConflict, "{first}, {second}");
        assert_eq!(table.items(), items, "{first}, {second}");
    }
}

#[tokio::test]
async fn what_was_never_begun_cannot_go_on() {
    let table = FakeTable::default();
    let provisioning = ["leasing", "denied", "failed", "failing", "provisioned"];
    let renewing = ["renewing", "renewed", "renewal_refused"];
    let ending = ["look_up", "deprovisioning", "cancelled", "deprovisioned", "deprovision_failed"];
    for operation in [&provisioning[..], &renewing, &ending].concat() {
        let error = table.tell(PROVISION, say(operation)).await.unwrap_err();
        assert_eq!(error.name(), ErrorName::TransactionNotFound, "{operation}");
        assert_eq!(error.to_string(), "there is no transaction 6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11");
    }
    assert_eq!(table.items(), Items::new());

    let table = FakeTable::after(PROVISIONED).await;
    for operation in ["deprovisioned", "deprovision_failed"] {
        let error = table.tell(LEASE, say(operation)).await.unwrap_err();
        assert_eq!(error.name(), ErrorName::TransactionNotFound, "{operation}");
        assert_eq!(error.to_string(), "the end of transaction 6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11 has not begun");
    }
}

#[tokio::test]
async fn a_release_says_nothing_wrong_about_the_transaction() {
    let table = FakeTable::after(&provisioned_and(&[(RELEASE, "deprovisioning")])).await;
    let id = samples::transaction().transaction_id;
    let items = table.items();
    let wrong = [
        (json!({}), ErrorName::InvalidRequest),
        (json!([]), ErrorName::InvalidRequest),
        (json!({"transaction_id": "x"}), ErrorName::InvalidRequest),
        (json!({"transaction_id": id, "force": true}), ErrorName::InvalidRequest),
        (json!({"transaction_id": id, "role_arn": "admin"}), ErrorName::InvalidRequest),
        (json!({"transaction_id": id, "schema": 2}), ErrorName::InvalidRequest),
        (json!({"transaction_id": id, "schema": "1"}), ErrorName::InvalidRequest),
        (json!({"transaction_id": id.end()}), ErrorName::InvalidRequest),
        (json!({"transaction_id": id, "target_aws_account": "payments-dev"}), ErrorName::TransactionMismatch),
        (json!({"transaction_id": id, "role_arn": "arn:aws:iam::333333333333:role/x"}), ErrorName::TransactionMismatch),
    ];
    let mut texts = vec![];
    for (request, name) in wrong {
        let error = table.tell(LEASE, json!({"deprovisioning": request})).await.unwrap_err();
        assert_eq!(error.name(), name, "{request}: {error}");
        texts.push(format!("{request}\n  {error}"));
    }
    assert_eq!(table.items(), items);
    insta::assert_snapshot!(texts.join("\n"));

    let right = json!({
        "schema": 1, "transaction_id": id, "expires_at": samples::transaction().expires_at,
        "target_aws_account": "payments-prod", "role_arn": samples::transaction().role_arn,
    });
    table.tell(LEASE, json!({"deprovisioning": right})).await.unwrap();
}

#[tokio::test]
async fn what_has_ended_has_ended() {
    for (last, end) in [("denied", false), ("failed", false), ("deprovisioned", true)] {
        let mut before = vec![(PROVISION, "requested"), (PROVISION, last)];
        if end {
            before = provisioned_and(&[(RELEASE, "deprovisioning"), (RELEASE, last)]);
        }
        let table = FakeTable::after(&before).await;
        let items = table.items();
        let answer = table.tell(LEASE, say("deprovisioning")).await.unwrap();
        let expected = end.then(|| samples::transaction().transaction_id.end());
        assert_eq!(answer["deprovisioning_transaction_id"], json!(expected));
        assert_eq!((&answer["already_ended"], &answer["status"]), (&json!(true), &json!(last)));
        assert_eq!(table.calls(), ["GetItem"]);
        for operation in ["deprovisioned", "deprovision_failed"] {
            let answer = table.tell(LEASE, say(operation)).await.unwrap();
            assert_eq!(answer["status"], last, "a slow {operation} learns the end");
        }
        assert_eq!(table.items(), items);
    }
}

/// Promise 6, in every order in which a provisioning, its lease and a release can come.
#[tokio::test]
async fn every_order_ends_with_one_terminal_status() {
    let provision = |last| match last {
        "denied" => vec![(PROVISION, "requested"), (PROVISION, last)],
        _ => vec![(PROVISION, "requested"), (PROVISION, "leasing"), (PROVISION, last)],
    };
    let end = |by, last| vec![(by, "deprovisioning"), (by, last)];
    let mut orders = 0;
    for last in ["provisioned", "failed", "denied"] {
        for (lease, release) in [("deprovisioned", "deprovisioned"), ("deprovision_failed", "deprovisioned")] {
            let mut all = vec![];
            interleave(&[provision(last), end(LEASE, lease), end(RELEASE, release)], &mut vec![], &mut all);
            for order in all.into_iter().filter(|order| order[0] == (PROVISION, "requested")) {
                assert_one_end(&order).await;
                orders += 1;
            }
        }
    }
    assert_eq!(orders, 2 * (30 + 2 * 90));
}

/// As the machines go on: an end of what no role can exist of waits for provision, and a provisioning that may not go on
/// fails. Whatever is open then is ended by who comes last.
async fn assert_one_end(order: Before<'_>) {
    let table = FakeTable::default();
    let (mut granted, mut open, mut denied) = (None, None, false);
    for (by, operation) in order {
        match table.tell(by, say(operation)).await {
            Ok(_) if *operation == "provisioned" => granted = Some(()),
            Ok(answer) if *operation == "deprovisioning" => open = Some(answer["role_may_exist"] == json!(true)),
            Ok(_) => denied |= *operation == "denied",
            Err(error) if error.name() == ErrorName::Throttled => assert_eq!(open, Some(false), "{order:?}: {error}"),
            Err(error) if error.name() == ErrorName::RoleNotVisibleYet => {
                assert_eq!(open, Some(true), "{order:?}: {error}");
            }
            Err(error) => {
                assert_eq!(error.name(), ErrorName::TransactionConflict, "{order:?}: {error}");
                let failed = table.tell(by, say("failed")).await;
                assert!(failed.is_ok() || order.contains(&(LEASE, "deprovision_failed")), "{order:?}");
            }
        }
    }
    let late = samples::requested_at().plus(LONGEST);
    for operation in ["deprovisioning", "deprovisioned"] {
        table.tell_at(late, LEASE, say(operation)).await.unwrap();
    }
    let (transaction, end) = table.statuses();
    let terminal = |status: &&String| ["denied", "failed", "deprovisioned"].contains(&status.as_str());
    assert_eq!(transaction.iter().filter(terminal).count(), 1, "{order:?}: {transaction:?}");
    assert!(transaction.last().is_some_and(|last| terminal(&last)), "{order:?}: {transaction:?}");
    assert_eq!(granted.is_some(), transaction.contains(&"provisioned".to_owned()), "{order:?}");
    assert_eq!(denied, transaction.contains(&"denied".to_owned()), "{order:?}");
    assert!(!order.contains(&(PROVISION, "denied")) || denied, "{order:?}: a denial stays one");
    assert!(end.last().is_none_or(|last| last == "deprovisioned"), "{order:?}: {end:?}");
    let item = &table.items()[&samples::transaction().transaction_id.to_string()];
    assert!(!item.contains_key("open_lease"), "{order:?}");
}

type Steps<'a> = Vec<(&'a str, &'a str)>;

/// Every order of all steps that keeps the order of each.
fn interleave<'a>(each: &[Steps<'a>], begun: &mut Steps<'a>, all: &mut Vec<Steps<'a>>) {
    if each.iter().all(Vec::is_empty) {
        all.push(begun.clone());
    }
    for (i, steps) in each.iter().enumerate().filter(|(_, steps)| !steps.is_empty()) {
        let mut rest = each.to_owned();
        rest[i].remove(0);
        begun.push(steps[0]);
        interleave(&rest, begun, all);
        begun.pop();
    }
}

/// Somebody else comes between the look and the write.
#[tokio::test]
async fn who_is_overtaken_learns_it() {
    let ending = provisioned_and(&[(RELEASE, "deprovisioning")]);
    let ended = provisioned_and(&[(RELEASE, "deprovisioning"), (RELEASE, "deprovisioned")]);
    let failed = provisioned_and(&[(RELEASE, "deprovisioning"), (RELEASE, "deprovision_failed")]);
    // Before; what is tried; what comes between; what is said of it.
    let cases: [(Before, &str, Before, &str); 7] = [
        (LEASED, "deprovisioning", PROVISIONED, "deprovisioning"),
        (LEASED, "deprovisioning", &[(PROVISION, "requested"), (PROVISION, "failed")], "failed"),
        (PROVISIONED, "deprovisioning", &ending, "deprovisioning"),
        (PROVISIONED, "deprovisioning", &ended, "deprovisioned"),
        (&ending, "deprovisioned", &ended, "deprovisioned"),
        (&ending, "deprovisioned", &failed, "deprovisioned"),
        (&ending, "deprovision_failed", &ended, "deprovisioned"),
    ];
    for (before, operation, meanwhile, status) in cases {
        let table = FakeTable::after(before).await;
        let rival = FakeTable::after(meanwhile).await.items();
        table.trouble("TransactWriteItems", Trouble::Overtaken(Box::new(|items| *items = rival)));
        let answer = table.tell(LEASE, say(operation)).await.unwrap();
        assert_eq!(answer["status"], status, "{operation}");
        let (transaction, _) = table.statuses();
        assert_eq!(transaction.last().unwrap(), status);
    }
}

#[tokio::test]
async fn an_outage_is_one() {
    let refused = |code, reasons: &[&str]| {
        let reasons: Vec<_> = reasons.iter().map(|code| json!({"Code": code})).collect();
        Trouble::Refused(Refusal { code, members: json!({"CancellationReasons": reasons}) })
    };
    let cancelled = "TransactionCanceledException";
    let cases = [
        ("requested", "UpdateItem", refused("ThrottlingException", &[]), ErrorName::Throttled),
        ("requested", "UpdateItem", refused("TransactionConflictException", &[]), ErrorName::Throttled),
        // Before there may be a role, what is refused for good is told so; an end is tried again, whatever is refused.
        ("requested", "UpdateItem", refused("AccessDeniedException", &[]), ErrorName::HubRefused),
        ("leasing", "TransactWriteItems", refused("AccessDeniedException", &[]), ErrorName::HubRefused),
        ("leasing", "TransactWriteItems", refused(cancelled, &["ThrottlingError", "None"]), ErrorName::AwsUnavailable),
        ("renewing", "GetItem", refused("ValidationException", &[]), ErrorName::HubRefused),
        ("provisioned", "UpdateItem", refused("AccessDeniedException", &[]), ErrorName::AwsUnavailable),
        ("deprovisioning", "GetItem", refused("AccessDeniedException", &[]), ErrorName::AwsUnavailable),
        ("deprovisioning", "GetItem", refused("ProvisionedThroughputExceededException", &[]), ErrorName::Throttled),
        ("deprovisioning", "GetItem", refused("ResourceNotFoundException", &[]), ErrorName::AwsUnavailable),
        (
            "deprovisioning",
            "TransactWriteItems",
            refused(cancelled, &["ThrottlingError", "None"]),
            ErrorName::AwsUnavailable,
        ),
        ("deprovisioning", "TransactWriteItems", refused(cancelled, &["ValidationError"]), ErrorName::AwsUnavailable),
        ("deprovisioning", "TransactWriteItems", refused("ThrottlingException", &[]), ErrorName::Throttled),
    ];
    for (operation, call, trouble, name) in cases {
        let table = match operation {
            "requested" => FakeTable::default(),
            "leasing" => FakeTable::after(&LEASED[..1]).await,
            "provisioned" => FakeTable::after(LEASED).await,
            _ => FakeTable::after(PROVISIONED).await,
        };
        let items = table.items();
        table.trouble(call, trouble);
        let by = if operation == "deprovisioning" { LEASE } else { PROVISION };
        let error = table.tell(by, say(operation)).await.unwrap_err();
        assert_eq!(error.name(), name, "{error}");
        assert_eq!(table.items(), items);
    }

    // Items that somebody else is always writing at this moment.
    let table = FakeTable::after(PROVISIONED).await;
    for _ in 0..4 {
        table.trouble("TransactWriteItems", refused(cancelled, &["TransactionConflict", "None"]));
    }
    let error = table.tell(LEASE, say("deprovisioning")).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::Throttled);
    insta::assert_snapshot!(
        error,
        @"other executions are changing transaction 6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11 at this moment"
    );
}

#[tokio::test]
async fn an_item_that_nobody_can_read_is_no_transaction() {
    let id = samples::transaction().transaction_id.to_string();
    let item = json!({"transaction_id": {"S": id}, "kind": {"S": "provisioning"}, "status": {"S": "sleeping"}});
    let table = FakeTable::of([(id, item.as_object().unwrap().clone())].into());
    let error = table.tell(LEASE, say("deprovisioning")).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::RecordBroken, "no patience mends it");
    insta::assert_snapshot!(
        error,
        @"an item of the table is not as record writes it: `status`: unknown variant `sleeping`, expected one of \
         `processing`, `provisioned`, `denied`, `failed`, `deprovisioning`, `deprovisioned`, `deprovision_failed`"
    );
}

#[tokio::test]
async fn warms_up_with_a_call_that_it_may_make() {
    let table = FakeTable::default();
    table.record().warm_up(samples::requested_at()).await;
    assert_eq!(table.calls(), ["GetItem"]);
}

#[test]
fn raises_what_it_says() {
    let said: BTreeSet<_> = RAISES.iter().flat_map(|(_, names)| *names).copied().collect();
    assert_eq!(said, raised_by::<Record>());
}
