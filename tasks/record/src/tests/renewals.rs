use serde_json::Map;

use super::*;
use crate::renewals::{MOST_REFUSALS, MOST_RENEWALS};

/// DynamoDB's limit for an item, in bytes.
const LONGEST_ITEM: usize = 400 * 1024;

impl FakeTable {
    fn renewals(&self) -> Vec<Value> {
        let items = self.plain();
        items[samples::transaction().transaction_id.to_string()]["renewals"].as_array().cloned().unwrap_or_default()
    }
}

/// A provisioned transaction, whose request was proven.
async fn proven() -> FakeTable {
    let table = FakeTable::after(LEASED).await;
    let mut provisioned = say("provisioned");
    provisioned["provisioned"]["person"]["proof"] = json!(samples::proof());
    table.tell(PROVISION, provisioned).await.unwrap();
    table.calls();
    table
}

/// A renewal gets what was recorded, and nothing else: with its own key, and what the request was proven by.
#[tokio::test]
async fn a_renewal_is_of_the_transaction_as_it_was_recorded() {
    let table = proven().await;
    let answer = table.tell(RENEW, say("renewing")).await.unwrap();
    let transaction = Transaction { recipient: NEW_KEY.to_owned(), ..samples::transaction() };
    let mut proof = json!(samples::proof());
    // What the first version did not know is recorded beside the proof, which it reads strictly.
    let run = ["provider", "job_id", "ref_protected", "environment", "event"];
    let of_run: Map<String, Value> =
        run.iter().filter_map(|it| proof.as_object_mut().unwrap().remove_entry(*it)).collect();
    assert_eq!(of_run.len(), run.len());
    // Of that, a renewal is held against the job.
    proof["job_id"] = of_run["job_id"].clone();
    assert_eq!(answer, json!({"transaction": transaction, "proof": proof}));
    assert_eq!(table.calls(), ["GetItem"]);
    let id = samples::transaction().transaction_id.to_string();
    assert_eq!(table.plain()[&id]["run"], json!(of_run));

    let table = FakeTable::after(PROVISIONED).await;
    let answer = table.tell(RENEW, say("renewing")).await.unwrap();
    assert_eq!(answer["proof"], Value::Null);
}

#[tokio::test]
async fn renewals_are_recorded_beside_the_status() {
    let table = FakeTable::after(PROVISIONED).await;
    let granted = table.tell(PROVISION, say("provisioned")).await.unwrap();
    table.calls();
    assert_eq!(table.tell(RENEW, say("renewed")).await.unwrap(), granted, "the answer is the first one again");
    assert_eq!(table.calls(), ["GetItem", "UpdateItem"]);
    let answer = table.tell(RENEW_TOO, say("renewal_refused")).await.unwrap();
    let id = samples::transaction().transaction_id;
    assert_eq!(answer, json!({"transaction_id": id, "status": "provisioned"}));
    assert_table("renewals", &json!(table.renewals()));
    assert_eq!(table.statuses().0, ["processing", "provisioned"]);
    assert_eq!(table.plain()[id.to_string()]["recipient"], json!(samples::transaction().recipient));
}

/// Of a transaction that is not provisioned nothing is renewed, neither when it is looked up nor at the last moment; the
/// refusal is on record all the same.
#[tokio::test]
async fn only_what_is_provisioned_can_be_renewed() {
    let denied = [(PROVISION, "requested"), (PROVISION, "denied")];
    let ending = provisioned_and(&[(RELEASE, "deprovisioning")]);
    let failed = provisioned_and(&[(LEASE, "deprovisioning"), (LEASE, "deprovision_failed")]);
    let gone = provisioned_and(&[(RELEASE, "deprovisioning"), (RELEASE, "deprovisioned")]);
    let mut texts = vec![];
    for before in [&[(PROVISION, "requested")][..], &denied, &ending, &failed, &gone] {
        let table = FakeTable::after(before).await;
        let statuses = table.statuses();
        for operation in ["renewing", "renewed"] {
            let error = table.tell(RENEW, say(operation)).await.unwrap_err();
            assert_eq!(error.name(), ErrorName::TransactionConflict, "{operation}: {error}");
            texts.push(error.to_string());
        }
        assert_eq!(table.renewals(), [Value::Null; 0]);
        table.tell(RENEW, say("renewal_refused")).await.unwrap();
        assert_eq!(table.renewals().len(), 1);
        assert_eq!(table.statuses(), statuses);
    }
    texts.dedup();
    insta::assert_snapshot!(texts.join("\n"));
}

#[tokio::test]
async fn nothing_is_renewed_after_the_lease() {
    let table = FakeTable::after(PROVISIONED).await;
    let ends = samples::transaction().expires_at;
    let last_second = Timestamp::from_unix_seconds(ends.unix_seconds() - 1);
    for operation in ["renewing", "renewed"] {
        let input = json!({"execution_arn": RENEW, "operation": say(operation)});
        let input = || parse_input::<RecordInput>(&input.to_string()).unwrap();
        let error = table.record().run(input(), ends).await.unwrap_err();
        assert_eq!(error.name(), ErrorName::TransactionConflict);
        insta::assert_snapshot!("lease_ended", error);
        table.record().run(input(), last_second).await.unwrap();
    }
}

/// A release comes between look and write: nothing is handed out.
#[tokio::test]
async fn a_release_is_faster() {
    let table = FakeTable::after(PROVISIONED).await;
    let released = FakeTable::after(&provisioned_and(&[(RELEASE, "deprovisioning")])).await.items();
    table.trouble("UpdateItem", Trouble::Overtaken(Box::new(|items| *items = released)));
    let error = table.tell(RENEW, say("renewed")).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::TransactionConflict, "{error}");
    assert_eq!(table.renewals(), [Value::Null; 0]);
}

/// Others renew at the same moment: all are on record, each once, whoever was first.
#[tokio::test]
async fn renewals_at_the_same_moment_are_all_recorded() {
    for before in [&[][..], &[("arn:aws:states:::express:daypass-renew:0:0", "renewed")]] {
        let table = FakeTable::after(&provisioned_and(before)).await;
        let other = FakeTable::after(&provisioned_and(&[before, &[(RENEW_TOO, "renewed")]].concat())).await.items();
        table.trouble("UpdateItem", Trouble::Overtaken(Box::new(|items| *items = other)));
        table.tell(RENEW, say("renewed")).await.unwrap();
        let by: Vec<_> = table.renewals().iter().map(|it| it["execution_arn"].clone()).collect();
        assert_eq!(by[before.len()..], [json!(RENEW_TOO), json!(RENEW)]);
    }
    // One that is always overtaken tries again later.
    let table = FakeTable::after(PROVISIONED).await;
    for round in 0..4 {
        let others: Vec<_> = (0..=round).map(|i| format!("arn:{i}")).collect();
        let others: Vec<_> = others.iter().map(|by| (by.as_str(), "renewed")).collect();
        let items = FakeTable::after(&[PROVISIONED, &others].concat()).await.items();
        table.trouble("UpdateItem", Trouble::Overtaken(Box::new(|it| *it = items)));
    }
    let error = table.tell(RENEW, say("renewed")).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::Throttled, "{error}");
}

/// However many there are, and however long their words: the item has room for them, and so has the one that records the
/// end, with a copy of it.
#[tokio::test]
async fn there_is_room_for_all_renewals() {
    let id = samples::transaction().transaction_id.to_string();
    let execution = |number: usize| {
        format!("arn:aws:states:ap-southeast-1:111111111111:express:daypass-renew:{number:080}:{number:036}")
    };
    let table = proven().await;
    let mut refused = say("renewal_refused");
    refused["renewal_refused"]["reason"] = json!("x".repeat(1_000));
    refused["renewal_refused"]["proof"] = json!(samples::proof());
    table.tell(&execution(0), refused.clone()).await.unwrap();
    table.tell(&execution(1), say("renewed")).await.unwrap();

    // As many as there can be but one of each, made of these two.
    let mut items = table.items();
    let [refusal, grant] = &items[&id]["renewals"]["L"].as_array().unwrap()[..] else { panic!() };
    let kinds = [vec![refusal.clone(); MOST_REFUSALS - 1], vec![grant.clone(); MOST_RENEWALS - 1]].concat();
    items.get_mut(&id).unwrap()["renewals"]["L"] = json!(kinds);
    let table = FakeTable::of(items);
    for number in 2..5 {
        table.tell(&execution(number), refused.clone()).await.unwrap();
    }
    assert_eq!(table.renewals().len(), MOST_REFUSALS + MOST_RENEWALS - 1, "the first ones are kept");
    table.tell(&execution(5), say("renewed")).await.unwrap();
    for operation in ["renewing", "renewed"] {
        let error = table.tell(RENEW, say(operation)).await.unwrap_err();
        assert_eq!(error.name(), ErrorName::TransactionConflict);
        insta::assert_snapshot!("renewed_often", error);
    }
    assert_eq!(table.renewals().len(), MOST_REFUSALS + MOST_RENEWALS);

    table.tell(RELEASE, say("deprovisioning")).await.unwrap();
    // DynamoDB counts names and values; their JSON is longer.
    let longest = table.plain().as_object().unwrap().values().map(|item| item.to_string().len()).max().unwrap();
    assert!(longest < LONGEST_ITEM * 9 / 10, "{longest} bytes");
}
