//! How many roles are open at once. The table of these tests has room for 3 of a person and 4 of an account, and a job may have
//! roles in one account.

use daypass::contract::{Person, Proof};

use super::*;

/// A transaction that asks for a place: of which number, by whom, where, and by which job.
#[derive(Clone)]
struct Asked {
    number: u32,
    user: &'static str,
    account: &'static str,
    proof: Option<Proof>,
}

const DEV: &str = "222222222222";
const PROD: &str = "333333333333";

fn asked(number: u32) -> Asked {
    Asked { number, user: "alex", account: DEV, proof: None }
}

fn of_job(number: u32, job: &str) -> Asked {
    Asked { proof: Some(Proof { job_id: Some(job.to_owned()), ..samples::proof() }), ..asked(number) }
}

impl Asked {
    fn id(&self) -> String {
        format!("6f0f4a38-6ad0-4c35-9d4c-{:012}", self.number)
    }

    fn by(&self) -> String {
        format!("{PROVISION}-{}", self.number)
    }
}

impl FakeTable {
    async fn ask(&self, it: &Asked) -> Result<Value, RecordError> {
        let transaction = Transaction {
            transaction_id: it.id().parse().unwrap(),
            target_aws_account_id: it.account.parse().unwrap(),
            ..samples::transaction()
        };
        let now = samples::requested_at();
        self.tell_at(now, &it.by(), json!({"requested": transaction})).await?;
        self.lease(it).await
    }

    async fn lease(&self, it: &Asked) -> Result<Value, RecordError> {
        let person = Person { user_id: it.user.to_owned(), proof: it.proof.clone(), ..samples::person() };
        let leasing = json!({
            "transaction_id": it.id(), "target_aws_account_id": it.account, "person": person,
            "authorization": samples::authorization(),
        });
        self.tell_at(samples::requested_at(), &it.by(), json!({"leasing": leasing})).await
    }

    /// The transaction fails, and with it ends.
    async fn end(&self, it: &Asked) {
        let failed = json!({"failed": {"transaction_id": it.id(), "error": "Daypass.Throttled", "reason": "enough"}});
        self.tell_at(samples::requested_at(), &it.by(), failed).await.unwrap();
    }

    async fn refused(&self, it: &Asked) -> String {
        let error = self.ask(it).await.unwrap_err();
        assert_eq!(error.name(), ErrorName::QuotaExceeded, "{error}");
        // Nothing was made: the transaction can still be denied.
        let denied = json!({"denied": {
            "transaction_id": it.id(), "error": "Daypass.QuotaExceeded", "reason": error.to_string(),
        }});
        self.tell_at(samples::requested_at(), &it.by(), denied).await.unwrap();
        error.to_string()
    }
}

#[tokio::test]
async fn a_person_has_so_many_open_roles_in_an_account() {
    let table = FakeTable::default();
    for number in 1..=3 {
        table.ask(&asked(number)).await.unwrap();
    }
    insta::assert_snapshot!(
        table.refused(&asked(4)).await,
        @"one person may have 3 open roles in account 222222222222, and these are: \
         6f0f4a38-6ad0-4c35-9d4c-000000000001, 6f0f4a38-6ad0-4c35-9d4c-000000000002, \
         6f0f4a38-6ad0-4c35-9d4c-000000000003; release one that is not needed with `daypass release <id>`, or ask the \
         platform team to raise `limits.open_roles_per_person`"
    );
    // In another account there are others, and somebody else has their own.
    table.ask(&Asked { account: PROD, ..asked(5) }).await.unwrap();
    table.ask(&Asked { user: "nadia", ..asked(6) }).await.unwrap();
}

#[tokio::test]
async fn an_account_has_so_many_open_roles() {
    let table = FakeTable::default();
    for number in 1..=4 {
        table.ask(&Asked { user: ["alex", "nadia"][number as usize % 2], ..asked(number) }).await.unwrap();
    }
    insta::assert_snapshot!(
        table.refused(&Asked { user: "carol", ..asked(5) }).await,
        @"all people together may have 4 open roles in account 222222222222, and these are: \
         6f0f4a38-6ad0-4c35-9d4c-000000000001, 6f0f4a38-6ad0-4c35-9d4c-000000000002, \
         6f0f4a38-6ad0-4c35-9d4c-000000000003, 6f0f4a38-6ad0-4c35-9d4c-000000000004; release one that is not needed \
         with `daypass release <id>`, or ask the platform team to raise `limits.open_roles_per_account`"
    );
    table.ask(&Asked { user: "carol", account: PROD, ..asked(6) }).await.unwrap();
}

/// A role that could not be deleted is open.
#[tokio::test]
async fn a_transaction_that_cannot_be_ended_keeps_its_place() {
    let table = FakeTable::default();
    for number in 1..=3 {
        table.ask(&asked(number)).await.unwrap();
    }
    for status in ["processing", "provisioned", "deprovisioning", "deprovision_failed"] {
        let mut items = table.items();
        items.get_mut(&asked(2).id()).unwrap()["status"] = json!({"S": status});
        FakeTable::of(items).refused(&asked(4)).await;
    }
}

/// A reason has room for so many.
#[tokio::test]
async fn many_open_roles_are_counted_where_they_cannot_be_told() {
    let limits = json!({"open_roles_per_person": 40, "open_roles_per_account": 1000, "accounts_per_job": 1});
    let table = FakeTable::default().limited(&limits);
    for number in 1..=40 {
        table.ask(&asked(number)).await.unwrap();
    }
    let reason = table.refused(&asked(41)).await;
    assert!(reason.len() < 1_000 && reason.contains("and 25 more"), "{reason}");
}

/// An end gives no place back: whoever needs it takes it.
#[tokio::test]
async fn a_transaction_that_has_ended_has_no_place() {
    let table = FakeTable::default();
    for number in 1..=3 {
        table.ask(&asked(number)).await.unwrap();
    }
    table.end(&asked(2)).await;
    table.calls();
    table.ask(&asked(4)).await.unwrap();
    // The second look at the statuses is for what DynamoDB has left out.
    let calls = ["TransactWriteItems", "GetItem", "BatchGetItem", "BatchGetItem", "UpdateItem", "TransactWriteItems"];
    assert_eq!(table.calls()[1..], calls);
    let open = &table.items()["person#222222222222#alex"]["open"]["SS"];
    assert_eq!(*open, json!([asked(1).id(), asked(3).id(), asked(4).id()]));
    table.refused(&asked(5)).await;
    // One that is not there any more has ended, too.
    let mut items = table.items();
    items.remove(&asked(1).id());
    FakeTable::of(items).ask(&asked(6)).await.unwrap();
}

#[tokio::test]
async fn a_job_has_one_open_role_in_an_account() {
    let table = FakeTable::default();
    table.ask(&of_job(1, "1001")).await.unwrap();
    insta::assert_snapshot!(
        table.refused(&of_job(2, "1001")).await,
        @"this job (`check_run_id` `1001`) has a role in account 222222222222 already, that of transaction \
         6f0f4a38-6ad0-4c35-9d4c-000000000001; use it, or release it first with `daypass release \
         6f0f4a38-6ad0-4c35-9d4c-000000000001`"
    );
    // Another job of the run, the same number in another repository or at another issuer.
    table.ask(&of_job(3, "1002")).await.unwrap();
    let mut elsewhere = of_job(4, "1001");
    elsewhere.user = "nadia";
    elsewhere.proof.as_mut().unwrap().repository_id = Some("8".to_owned());
    table.ask(&elsewhere).await.unwrap();
    table.end(&of_job(1, "1001")).await;
    table.ask(&of_job(5, "1001")).await.unwrap();
    table.refused(&of_job(6, "1001")).await;
}

/// A job that has released its role may ask for the next at once: the machine tries until the first is gone.
#[tokio::test]
async fn a_role_that_is_going_is_waited_for() {
    let table = FakeTable::default();
    let first = of_job(1, "1001");
    table.ask(&first).await.unwrap();
    table.tell(RELEASE, json!({"deprovisioning": {"transaction_id": first.id()}})).await.unwrap();
    let second = of_job(2, "1001");
    let error = table.ask(&second).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::Throttled);
    insta::assert_snapshot!(
        error,
        @"the role that this job had in account 222222222222, of transaction 6f0f4a38-6ad0-4c35-9d4c-000000000001, is \
         being ended, which takes some minutes when it was released early; try again"
    );
    // What could not be deleted is not going.
    let mut items = table.items();
    items.get_mut(&first.id()).unwrap()["status"] = json!({"S": "deprovision_failed"});
    let error = FakeTable::of(items).lease(&second).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::QuotaExceeded);
    table.end(&first).await;
    table.lease(&second).await.unwrap();
}

/// Where the issuer tells no jobs apart, it is the run; where it tells no runs apart, whom the token is for.
#[tokio::test]
async fn what_a_job_is_the_issuer_says_as_finely_as_it_can() {
    let table = FakeTable::default();
    let by = |number, run: Option<&str>, subject: &str| {
        let (run_id, subject) = (run.map(str::to_owned), subject.to_owned());
        let proof = Proof { job_id: None, run_id, subject, ..samples::proof() };
        Asked { proof: Some(proof), account: PROD, user: ["a", "b", "c", "d"][number as usize % 4], ..asked(number) }
    };
    table.ask(&by(1, Some("42"), "x")).await.unwrap();
    table.refused(&by(2, Some("42"), "y")).await;
    table.ask(&by(3, Some("43"), "x")).await.unwrap();
    table.ask(&by(4, None, "x")).await.unwrap();
    table.refused(&by(5, None, "x")).await;
    table.ask(&by(6, None, "y")).await.unwrap();
}

/// A second account is a setting, also when the role in the first one is gone.
#[tokio::test]
async fn a_job_has_roles_in_so_many_accounts() {
    let table = FakeTable::default();
    table.ask(&of_job(1, "1001")).await.unwrap();
    let in_production = |number| Asked { account: PROD, ..of_job(number, "1001") };
    insta::assert_snapshot!(
        table.refused(&in_production(2)).await,
        @"this job (`check_run_id` `1001`) has had a role in 222222222222 (transaction \
         6f0f4a38-6ad0-4c35-9d4c-000000000001), and a job may have roles in 1 account(s): deploy to 333333333333 from \
         a job of its own, or ask the platform team to raise `limits.accounts_per_job`"
    );
    table.end(&of_job(1, "1001")).await;
    table.refused(&in_production(3)).await;
    let limits = json!({"open_roles_per_person": 3, "open_roles_per_account": 4, "accounts_per_job": 2});
    let table = FakeTable::of(table.items()).limited(&limits);
    table.ask(&in_production(4)).await.unwrap();
    table.refused(&in_production(5)).await;
}

/// The answer was lost: the same transaction has its place already, and keeps it.
#[tokio::test]
async fn a_place_is_taken_once() {
    let table = FakeTable::default();
    let one = of_job(1, "1001");
    table.ask(&one).await.unwrap();
    let items = table.items();
    table.lease(&one).await.unwrap();
    assert_eq!(table.items(), items);
    let two = of_job(2, "1002");
    let table = FakeTable::default();
    table.trouble("TransactWriteItems", Trouble::Lost);
    table.ask(&two).await.unwrap_err();
    table.lease(&two).await.unwrap();
    assert_eq!(table.items()["person#222222222222#alex"]["open"]["SS"], json!([two.id()]));
}

/// Somebody else writes at that moment: it is tried again, and in the end by the machine.
#[tokio::test]
async fn who_is_in_the_way_is_waited_for() {
    let conflict = || {
        let reasons = json!([{"Code": "None"}, {"Code": "TransactionConflict"}, {"Code": "None"}]);
        let members = json!({"CancellationReasons": reasons});
        Trouble::Refused(daypass_testing::samples::Refusal { code: "TransactionCanceledException", members })
    };
    let table = FakeTable::default();
    table.trouble("TransactWriteItems", conflict());
    table.trouble("TransactWriteItems", conflict());
    table.ask(&asked(1)).await.unwrap();
    for _ in 0..6 {
        table.trouble("TransactWriteItems", conflict());
    }
    assert_eq!(table.ask(&asked(2)).await.unwrap_err().name(), ErrorName::Throttled);
    // DynamoDB cancels for other reasons, too.
    let members = json!({"CancellationReasons": [{"Code": "ThrottlingError"}, {"Code": "None"}]});
    let throttled = daypass_testing::samples::Refusal { code: "TransactionCanceledException", members };
    table.trouble("TransactWriteItems", Trouble::Refused(throttled));
    assert_eq!(table.lease(&asked(2)).await.unwrap_err().name(), ErrorName::AwsUnavailable);
}

#[test]
fn limits_are_read_strictly() {
    assert!(r#"{"open_roles_per_person": 20, "open_roles_per_account": 200, "accounts_per_job": 1}"#.parse::<Limits>().is_ok());
    for wrong in ["", "{}", r#"{"open_roles_per_person": -1, "open_roles_per_account": 200, "accounts_per_job": 1}"#] {
        assert!(wrong.parse::<Limits>().is_err(), "{wrong}");
    }
}
