//! A boundary of a target, compared with the one of this version. The parameters of the target's stack are ignored: what a trail
//! writes to (`cdk/lib/constructs/trail.ts`), and whether workloads may delete data (`workloads-boundary.ts`).

use std::collections::{BTreeMap, BTreeSet};

use daypass::{ids::AccountId, names::WORKLOADS_POLICY, text::Quoted};

use super::document::{self, Document, Statement};

/// The boundary of this version.
#[derive(Debug)]
pub struct Expected {
    document: Document,
    /// What the statement about data covers where workloads may delete it: their boundary, which its actions are never about.
    deletes: BTreeSet<String>,
}

impl Expected {
    /// `document` is one of this version's, with the parameters of its stack.
    pub fn new(document: &str, partition: &str, account: &AccountId) -> Self {
        let filled = document.replace("${Partition}", partition).replace("${Account}", account.as_str());
        let deletes = BTreeSet::from([format!("arn:{partition}:iam::{account}:policy/{WORKLOADS_POLICY}")]);
        Self { document: Document::read(&filled).unwrap_or_default(), deletes }
    }

    /// What differs, in words, by the `Sid` of the statements.
    pub fn differences(&self, document: &str) -> Vec<String> {
        let Ok(found) = Document::read(document) else { return vec!["it cannot be read".to_owned()] };
        let version = found.version_differs(&self.document.version);
        let (expected, found) = (by_sid(&self.document.statements), by_sid(&found.statements));
        let sids: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
        let differs = |sid: &String| match (expected.get(sid), found.get(sid)) {
            (Some(_), None) => vec![format!("{sid} is missing")],
            (None, Some(_)) => vec![format!("{} is added", Quoted(sid))],
            (Some(expected), Some(found)) => self.between(sid, expected, found),
            (None, None) => Vec::new(),
        };
        version.into_iter().chain(sids.into_iter().flat_map(differs)).collect()
    }

    fn between(&self, sid: &str, expected: &Statement, found: &Statement) -> Vec<String> {
        let none = BTreeSet::new();
        let elements: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
        let differs = |element: &&String| {
            let (expected, found) = (expected.get(*element).unwrap_or(&none), found.get(*element).unwrap_or(&none));
            if sid == "DataStays" && *element == "Resource" && *found == self.deletes {
                return None;
            }
            let (lacking, added) = difference(expected, found);
            document::differs(element, &lacking, &added).map(|words| format!("{sid}: {words}"))
        };
        elements.iter().filter_map(differs).collect()
    }
}

/// What is expected and not found, and what is found and not expected. Each parameter of the stack gives one value, or none.
fn difference<'a>(expected: &'a BTreeSet<String>, found: &'a BTreeSet<String>) -> (Vec<&'a str>, Vec<&'a str>) {
    let (parameters, fixed): (Vec<&String>, Vec<&String>) =
        expected.iter().partition(|value| value.contains("${Trail"));
    let lacking = fixed.iter().filter(|value| !found.contains(**value)).map(|value| value.as_str()).collect();
    let mut added: Vec<&str> = found.iter().filter(|value| !fixed.contains(value)).map(String::as_str).collect();
    for parameter in parameters {
        if let Some(at) = added.iter().position(|value| fills(parameter, value)) {
            added.remove(at);
        }
    }
    (lacking, added)
}

/// Whether a value is what a parameter gives: `arn:*:s3:::${TrailBucket}*`.
fn fills(parameter: &str, value: &str) -> bool {
    let Some((before, (name, after))) =
        parameter.split_once("${").and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    else {
        return false;
    };
    value.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).is_some_and(|value| may_be(name, value))
}

/// Whether a parameter of the target's stack may have this value, by its `AllowedPattern`; an empty one gives nothing.
fn may_be(parameter: &str, value: &str) -> bool {
    let consists = |value: &str, most: usize, of: fn(char) -> bool| {
        (1..=most).contains(&value.chars().count()) && value.chars().all(of)
    };
    let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    match parameter {
        "TrailBucket" => {
            value.starts_with(small) && consists(value, 63, |c| matches!(c, 'a'..='z' | '0'..='9' | '.' | '-'))
        }
        "TrailLogGroup" => consists(value, 64, |c| c.is_ascii_alphanumeric() || "_/.#-".contains(c)),
        "TrailKeyArn" => {
            let parts: Vec<&str> = value.split(':').collect();
            let [arn, partition, kms, region, account, key] = parts[..] else { return false };
            let key = key.strip_prefix("key/").unwrap_or_default();
            (arn, kms) == ("arn", "kms")
                && consists(partition, 10, |c| c.is_ascii_lowercase() || c == '-')
                && consists(region, 14, |c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
                && account.len() == 12
                && consists(account, 12, |c| c.is_ascii_digit())
                && consists(key, 36, |c| c.is_ascii_alphanumeric() || c == '-')
        }
        _ => false,
    }
}

/// The statements by `Sid`; those without one by their position.
fn by_sid(statements: &[(Option<String>, Statement)]) -> BTreeMap<String, &Statement> {
    let named = statements
        .iter()
        .enumerate()
        .map(|(at, (sid, statement))| (sid.clone().unwrap_or_else(|| format!("statement {}", at + 1)), statement));
    named.collect()
}

/// A document of this version as it is deployed to an account with these parameters; what an empty one gives is left out.
#[cfg(test)]
pub fn deployed(document: &str, account: &str, parameters: &[(&str, &str)]) -> serde_json::Value {
    use serde_json::Value;

    let mut text = document.replace("${Partition}", "aws").replace("${Account}", account);
    for (name, value) in parameters {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    let mut document: Value = serde_json::from_str(&text).expect("JSON");
    for statement in document["Statement"].as_array_mut().expect("statements") {
        if let Some(resources) = statement.get_mut("Resource").and_then(Value::as_array_mut) {
            resources.retain(|it| it.as_str().is_some_and(|it| !it.contains("${Trail")));
        }
    }
    document
}

#[cfg(test)]
mod tests {
    use daypass_policies::{BOUNDARY, WORKLOADS};
    use serde_json::{Value, json};

    use super::*;

    const ACCOUNT: &str = "222222222222";
    const KEY: &str = "arn:aws:kms:eu-west-1:222222222222:key/0b0c6a9e-6d0c-4c43-9a55-0d8a8a5f3b11";

    fn expected(document: &str) -> Expected {
        Expected::new(document, "aws", &ACCOUNT.parse().unwrap())
    }

    fn statement<'a>(document: &'a mut Value, sid: &str) -> &'a mut Value {
        let statements = document["Statement"].as_array_mut().unwrap();
        statements.iter_mut().find(|it| it["Sid"] == sid).unwrap()
    }

    #[test]
    fn what_parameters_fill_in_is_no_difference() {
        let all = [("TrailBucket", "audit"), ("TrailLogGroup", "/landing-zone/trail"), ("TrailKeyArn", KEY)];
        for parameters in [&all[..], &all[..1], &all[1..], &[]] {
            for document in [BOUNDARY, WORKLOADS] {
                let found = deployed(document, ACCOUNT, parameters).to_string();
                assert_eq!(expected(document).differences(&found), Vec::<String>::new(), "{parameters:?}");
            }
        }
        let mut found = deployed(WORKLOADS, ACCOUNT, &[]);
        statement(&mut found, "DataStays")["Resource"] = json!(["arn:aws:iam::222222222222:policy/daypass-workloads"]);
        assert_eq!(expected(WORKLOADS).differences(&found.to_string()), Vec::<String>::new());
    }

    #[test]
    fn the_order_of_values_and_a_list_of_one_do_not_count() {
        let mut found = deployed(BOUNDARY, ACCOUNT, &[]);
        found["Statement"].as_array_mut().unwrap().reverse();
        statement(&mut found, "NotWhatIsOthers")["Action"].as_array_mut().unwrap().reverse();
        statement(&mut found, "NotTheShield")["Resource"] = json!(["*"]);
        assert_eq!(expected(BOUNDARY).differences(&found.to_string()), Vec::<String>::new());
    }

    /// In another version `${aws:PrincipalAccount}` is a text, so that conditions with it match nothing, or everything.
    #[test]
    fn the_version_counts() {
        for (version, words) in
            [(Some("2008-10-17"), "2008-10-17"), (None, "2008-10-17"), (Some("2030-01-01"), "2030-01-01")]
        {
            let mut found = deployed(BOUNDARY, ACCOUNT, &[]);
            found["Version"] = json!(version);
            if version.is_none() {
                found.as_object_mut().unwrap().remove("Version");
            }
            let differences = expected(BOUNDARY).differences(&found.to_string());
            assert_eq!(differences, [format!("Version is `{words}` and not `2012-10-17`")]);
        }
    }

    #[test]
    fn whatever_else_differs_is_named_by_its_statement() {
        type Change = fn(&mut Value);
        let changes: [(&str, Change, &str); 9] = [
            (BOUNDARY, |it| drop(it["Statement"].as_array_mut().unwrap().pop()), "NotWhatIsOthers is missing"),
            (
                BOUNDARY,
                |it| it["Statement"].as_array_mut().unwrap().push(json!({"Sid": "All", "Effect": "Allow"})),
                "`All` is added",
            ),
            (
                BOUNDARY,
                |it| it["Statement"].as_array_mut().unwrap().insert(0, json!({"Effect": "Allow"})),
                "`statement 1` is added",
            ),
            (
                BOUNDARY,
                |it| statement(it, "OwnRoles")["Action"].as_array_mut().unwrap()[0] = json!("iam:*"),
                "OwnRoles: Action lacks `iam:DeleteRole` and has also `iam:*`",
            ),
            (
                BOUNDARY,
                |it| statement(it, "NotTheShield")["Effect"] = json!("Allow"),
                "NotTheShield: Effect lacks `Deny` and has also `Allow`",
            ),
            (
                BOUNDARY,
                |it| statement(it, "NotWhatIsProtected")["Condition"] = json!({}),
                "NotWhatIsProtected: Condition.StringEquals.aws:ResourceTag/daypass:protected lacks `true`",
            ),
            // A parameter gives one value, of its kind, and only where it belongs.
            (
                BOUNDARY,
                |it| {
                    let resources = statement(it, "NotDaypassItself")["Resource"].as_array_mut().unwrap();
                    resources.extend([json!("arn:*:s3:::a*"), json!("arn:*:s3:::b*"), json!("arn:*:s3:::*")]);
                },
                "NotDaypassItself: Resource has also `arn:*:s3:::*`, `arn:*:s3:::b*`",
            ),
            (
                BOUNDARY,
                |it| statement(it, "LookAround")["Resource"] = json!("arn:*:s3:::audit*"),
                "LookAround: Resource lacks `*` and has also `arn:*:s3:::audit*`",
            ),
            (
                WORKLOADS,
                |it| statement(it, "DataStays")["Resource"] = json!("arn:aws:iam::222222222222:policy/other"),
                "DataStays: Resource lacks `*` and has also `arn:aws:iam::222222222222:policy/other`",
            ),
        ];
        for (document, change, expected_words) in changes {
            let mut found = deployed(document, ACCOUNT, &[]);
            change(&mut found);
            let differences = expected(document).differences(&found.to_string());
            assert_eq!(differences, [expected_words], "{expected_words}");
        }
        assert_eq!(expected(BOUNDARY).differences("{"), ["it cannot be read"]);
    }

    #[test]
    fn parameters_have_the_values_that_the_stack_allows() {
        for (name, values) in [
            ("TrailBucket", ["a", "a.b-c"]),
            ("TrailLogGroup", ["/a/b", "A_.#-9"]),
            ("TrailKeyArn", [KEY, "arn:aws-us-gov:kms:us-gov-west-1:222222222222:key/mrk-0"]),
        ] {
            assert!(values.iter().all(|value| may_be(name, value)), "{name}");
        }
        for (name, value) in [
            ("TrailBucket", ""),
            ("TrailBucket", "*"),
            ("TrailBucket", "-a"),
            ("TrailLogGroup", ""),
            ("TrailLogGroup", "a*"),
            ("TrailKeyArn", ""),
            ("TrailKeyArn", "*"),
            ("TrailKeyArn", "arn:aws:kms:eu-west-1:222222222222:alias/x"),
            ("TrailKeyArn", "arn:aws:kms:eu-west-1:222222222222:key/*"),
            ("Other", "a"),
        ] {
            assert!(!may_be(name, value), "{name} {value}");
        }
        assert!(!may_be("TrailBucket", &"a".repeat(64)) && !may_be("TrailLogGroup", &"a".repeat(65)));
    }
}
