//! What the version before has left in the table, and what its leases carry. `make upgrade-fixtures` has recorded it, on an
//! AWS of this machine: one file for a transaction of each kind.

use std::{fs, path::Path};

use daypass::timestamp::Timestamp;
use serde::Deserialize;

use super::*;

/// What a transaction of the version before has left.
#[derive(Clone, Deserialize)]
struct Left {
    transaction_id: String,
    items: Items,
    /// What its lease was started with, if it ever had one.
    lease: Option<Value>,
}

fn all() -> Vec<(String, Left)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/version-before");
    let files = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
    let mut all: Vec<_> = files
        .map(|file| {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_slice(&fs::read(&file).unwrap()).unwrap())
        })
        .collect();
    all.sort_by(|(a, _): &(String, Left), (b, _)| a.cmp(b));
    all
}

fn left(name: &str) -> Left {
    all().into_iter().find(|(it, _)| it == name).unwrap_or_else(|| panic!("there is no {name}")).1
}

impl Left {
    fn item(&self) -> &serde_json::Map<String, Value> {
        &self.items[&self.transaction_id]
    }

    fn text(&self, attribute: &str) -> &str {
        self.item()[attribute]["S"].as_str().unwrap()
    }

    /// How the transaction has to end.
    fn ends_as(&self) -> &str {
        match self.text("status") {
            "processing" => "failed",
            ended @ ("denied" | "failed") => ended,
            _ => "deprovisioned",
        }
    }

    /// The key of the item that records the end, if the version before has begun the end.
    fn end(&self) -> Option<&str> {
        self.item().get("deprovisioning_transaction_id").map(|it| it["S"].as_str().unwrap())
    }

    fn table(&self) -> FakeTable {
        FakeTable::of(self.items.clone())
    }

    /// An execution records an operation, when the lease has just ended.
    async fn tell(&self, table: &FakeTable, by: &str, operation: Value) -> Result<Value, RecordError> {
        let now: Timestamp = self.text("expires_at").parse().unwrap();
        let input = json!({"execution_arn": by, "operation": operation}).to_string();
        let answer = table.record().run(parse_input(&input).unwrap(), now).await;
        answer.map(|recorded| serde_json::to_value(recorded).unwrap())
    }

    /// An execution of deprovision ends the transaction, as the machine does; returns what it answers.
    async fn end_by(&self, table: &FakeTable, by: &str, input: &Value) -> Value {
        let answer = self.tell(table, by, json!({"deprovisioning": input})).await.unwrap();
        if answer["already_ended"] == true {
            return answer;
        }
        assert_eq!(answer["role_arn"], self.text("role_arn"), "DeleteRole is told which role");
        let gone = json!({"transaction_id": self.transaction_id, "deleted": DeletedRole::default()});
        self.tell(table, by, json!({"deprovisioned": gone})).await.unwrap()
    }

    fn execution(&self, more: &str) -> String {
        format!("arn:aws:states:us-east-1:111111111111:execution:daypass-deprovision:{}{more}", self.transaction_id)
    }
}

/// It ended once, in the only way that it could.
fn assert_ended(name: &str, left: &Left, table: &FakeTable) {
    let items = table.plain();
    let changes = items[&left.transaction_id]["status_changes"].as_array().unwrap();
    let terminal: Vec<_> = changes
        .iter()
        .map(|change| change["status"].as_str().unwrap())
        .filter(|status| ["denied", "failed", "deprovisioned"].contains(status))
        .collect();
    assert_eq!(terminal, [left.ends_as()], "{name}");
    assert_eq!(items[&left.transaction_id]["status"], left.ends_as(), "{name}");
    assert_eq!(items[&left.transaction_id].get("open_lease"), None, "{name}");
}

/// Nobody has thought of fewer.
#[test]
fn every_status_is_there() {
    let found: BTreeSet<_> = all().iter().map(|(_, left)| left.text("status").to_owned()).collect();
    let all =
        ["denied", "deprovision_failed", "deprovisioned", "deprovisioning", "failed", "processing", "provisioned"];
    assert_eq!(found, all.map(str::to_owned).into());
    assert!(left("renewed").item().contains_key("renewals"));
    assert!(left("proven").item().contains_key("proof"));
}

#[tokio::test]
async fn its_leases_end_what_it_has_left() {
    for (name, left) in all() {
        let Some(lease) = &left.lease else { continue };
        let table = left.table();
        let answer = left.end_by(&table, &left.execution(""), lease).await;
        assert_eq!(answer["status"], left.ends_as(), "{name}");
        assert_ended(&name, &left, &table);
    }
}

#[tokio::test]
async fn releases_end_what_it_has_left() {
    for (name, left) in all() {
        let table = left.table();
        let release = json!({"transaction_id": left.transaction_id});
        for times in ["-release-1", "-release-2"] {
            let answer = left.end_by(&table, &left.execution(times), &release).await;
            assert_eq!(answer["status"], left.ends_as(), "{name}");
            assert_ended(&name, &left, &table);
        }
    }
}

/// An end that the version before has begun is finished where it is recorded.
#[tokio::test]
async fn ends_keep_the_key_that_it_gave_them() {
    for name in ["being-ended", "deprovision-failed"] {
        let left = left(name);
        let end = left.end().unwrap();
        let table = left.table();
        let answer = left.end_by(&table, &left.execution("-release-1"), left.lease.as_ref().unwrap()).await;
        assert_eq!(answer["deprovisioning_transaction_id"], end, "{name}");
        let items = table.plain();
        assert_eq!(items[end]["status"], "deprovisioned", "{name}");
        assert_eq!(items.as_object().unwrap().len(), 2, "{name}: no other end beside it");
    }
}

/// In the version before, a request could have the id that the end of somebody else's transaction was to get.
#[tokio::test]
async fn a_request_that_took_the_place_of_an_end_hinders_nothing() {
    let left = left("attacked");
    let (place, planted) = left.items.iter().find(|(id, _)| **id != left.transaction_id).unwrap();
    assert_eq!(planted["status"]["S"], "denied");
    let table = left.table();
    let answer = left.end_by(&table, &left.execution(""), left.lease.as_ref().unwrap()).await;
    assert_eq!(answer["status"], "deprovisioned");
    assert_ended("attacked", &left, &table);
    assert_eq!(table.items()[place], *planted, "it is as it was");
}

#[tokio::test]
async fn what_it_has_provisioned_is_renewed() {
    for (name, left) in all() {
        let table = left.table();
        let renewal = json!({"transaction_id": left.transaction_id, "recipient": NEW_KEY});
        let answer = left.renew(&table, &renewal).await;
        if left.text("status") != "provisioned" {
            assert_eq!(answer.unwrap_err().name(), ErrorName::TransactionConflict, "{name}");
            continue;
        }
        let before = left.item().get("renewals").map_or(0, |it| it["L"].as_array().unwrap().len());
        assert_eq!(answer.unwrap()["iam_role_arn"], left.text("role_arn"), "{name}");
        let items = table.plain();
        assert_eq!(items[&left.transaction_id]["renewals"].as_array().unwrap().len(), before + 1, "{name}");
    }
}

impl Left {
    /// A renewal, as the machine has it recorded.
    async fn renew(&self, table: &FakeTable, renewal: &Value) -> Result<Value, RecordError> {
        // The lease has not ended yet.
        let now: Timestamp = self.text("requested_at").parse().unwrap();
        let by = "arn:aws:states:us-east-1:111111111111:express:daypass-renew:8c7a:1";
        let tell = async |operation: Value| {
            let input = json!({"execution_arn": by, "operation": operation}).to_string();
            let answer = table.record().run(parse_input(&input).unwrap(), now).await;
            answer.map(|recorded| serde_json::to_value(recorded).unwrap())
        };
        let mut renewed = tell(json!({"renewing": renewal})).await?;
        renewed["authorization"] = json!(samples::authorization());
        renewed["credentials_expire_at"] = json!(now.plus(Duration::from_mins(50)));
        tell(json!({"renewed": renewed})).await
    }
}

/// Adds a field that nobody knows to every map of a value in DynamoDB's notation.
fn add_unknown(value: &mut Value) {
    match value.as_object_mut().unwrap().iter_mut().next().map(|(kind, inner)| (kind.as_str(), inner)).unwrap() {
        ("M", inner) => add_unknown_to(inner.as_object_mut().unwrap()),
        ("L", inner) => inner.as_array_mut().unwrap().iter_mut().for_each(add_unknown),
        _ => {}
    }
}

fn add_unknown_to(map: &mut serde_json::Map<String, Value>) {
    map.values_mut().for_each(add_unknown);
    map.insert(
        "of_a_later_version".to_owned(),
        json!({"M": {"is": {"L": [{"BOOL": true}, {"N": "2"}, {"S": "what?"}]}}}),
    );
}

/// A later version adds fields wherever it likes, and statuses to the past; after it was rolled back, what it has left is still renewed and released.
#[tokio::test]
async fn fields_of_a_later_version_keep_nothing_from_ending() {
    let change = json!({"M": {"status": {"S": "considered"}, "execution_arn": {"S": "of something else"}}});
    for (name, left) in all() {
        let mut later = left.clone();
        for item in later.items.values_mut() {
            item["status_changes"]["L"].as_array_mut().unwrap().insert(0, change.clone());
            add_unknown_to(item);
        }
        assert_ne!(later.items, left.items);
        let release = json!({"transaction_id": left.transaction_id});
        let renewal = json!({"transaction_id": left.transaction_id, "recipient": NEW_KEY});
        let said = |answer: Result<Value, RecordError>| answer.map_err(|error| error.to_string());
        assert_eq!(
            said(later.renew(&later.table(), &renewal).await),
            said(left.renew(&left.table(), &renewal).await),
            "{name}"
        );
        let table = later.table();
        let answer = later.end_by(&table, &left.execution("-release-1"), &release).await;
        assert_eq!(answer, left.end_by(&left.table(), &left.execution("-release-1"), &release).await, "{name}");
        assert_ended(&name, &left, &table);
    }
}
