use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use daypass_testing::samples::{http_service, status_of};
use serde_json::{Value, json};

use super::{
    super::plan::{Plan, Step},
    *,
};

const ADMIN: &str = "arn:aws:iam::222222222222:role/deep/admin";
const STACK: &str = "arn:aws:cloudformation:eu-central-1:222222222222:stack/kept/1";

/// A call of whichever protocol: its operation, and its parameters as JSON.
fn read(request: &HttpRequest) -> (String, Value) {
    let body = request.body().bytes().unwrap_or_default();
    if let Some(target) = request.headers().get("x-amz-target") {
        return (target.rsplit('.').next().unwrap().to_owned(), serde_json::from_slice(body).unwrap());
    }
    if request.uri().starts_with("https://lambda.") {
        let path = request.uri().split('/').nth(4).unwrap().split('?').next().unwrap();
        return (format!("{} {path}", request.method()), json!({"uri": request.uri()}));
    }
    let form: BTreeMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
    (form["Action"].clone(), json!(form))
}

type Calls = Arc<Mutex<Vec<(String, Value)>>>;

/// An account that answers like this: the output, or the code of an error.
fn account(
    answer: impl Fn(&str, &Value, usize) -> Result<String, &'static str> + Send + Sync + 'static,
) -> (Account, Calls) {
    let calls = Calls::default();
    let made = calls.clone();
    let config = http_service(move |request| {
        let (operation, input) = read(request);
        let before = made.lock().unwrap().iter().filter(|(other, _)| *other == operation).count();
        made.lock().unwrap().push((operation.clone(), input.clone()));
        let is_json = request.headers().get("x-amz-target").is_some() || !input["uri"].is_null();
        match answer(&operation, &input, before) {
            Ok(output) if is_json || output.starts_with('{') => (200, output),
            Ok(xml) => (
                200,
                format!("<{operation}Response><{operation}Result>{xml}</{operation}Result></{operation}Response>"),
            ),
            Err(code) if is_json => (status_of(code), json!({"__type": code, "message": "it says so"}).to_string()),
            Err(code) => (
                status_of(code),
                format!(
                    "<ErrorResponse><Error><Code>{code}</Code><Message>it says so</Message></Error></ErrorResponse>"
                ),
            ),
        }
    });
    let place = Place { account: "222222222222".into(), partition: "aws".into(), region: "eu-central-1".into() };
    (Account { pause: Duration::ZERO, ..Account::new(place, &config) }, calls)
}

fn stack(status: &str, tags: &[(&str, &str)]) -> String {
    let tag = |(key, value): &(&str, &str)| format!("<member><Key>{key}</Key><Value>{value}</Value></member>");
    let tags = tags.iter().map(tag).collect::<Vec<_>>().concat();
    format!(
        "<member><StackName>kept</StackName><StackId>{STACK}</StackId><RoleARN>{ADMIN}</RoleARN>\
         <StackStatus>{status}</StackStatus><CreationTime>2026-01-01T00:00:00Z</CreationTime><Tags>{tags}</Tags>\
         <Parameters><member><ParameterKey>Stage</ParameterKey><ParameterValue>dev</ParameterValue></member></Parameters>\
         <Capabilities><member>CAPABILITY_IAM</member><member>CAPABILITY_NEW</member></Capabilities></member>"
    )
}

fn encoded(document: &str) -> String {
    form_urlencoded::byte_serialize(document.as_bytes()).collect::<String>().replace('+', "%20")
}

const EVERYTHING: &str =
    r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#;

/// Two pages of every list, with something of an administrator's role on the second.
fn full(operation: &str, input: &Value, before: usize) -> Result<String, &'static str> {
    let last = before > 0;
    let paged = |first: &str, second: &str, next: &str| if last { second.to_owned() } else { format!("{first}{next}") };
    Ok(match operation {
        "DescribeStacks" => format!(
            "<Stacks>{}</Stacks>{}",
            if last { stack("CREATE_COMPLETE", &[]) } else { String::new() },
            if last { "" } else { "<NextToken>2</NextToken>" }
        ),
        "GET functions" => {
            let function = json!({"FunctionName": "f", "FunctionArn": "arn:aws:lambda:eu-central-1:222222222222:function:f", "Role": ADMIN});
            let (functions, next) = if last { (vec![function], None) } else { (vec![], Some("2")) };
            json!({"Functions": functions, "NextMarker": next}).to_string()
        }
        "ListProjects" => {
            let (projects, next) = if last { (vec!["p"], None) } else { (vec![], Some("2")) };
            json!({"projects": projects, "nextToken": next}).to_string()
        }
        "BatchGetProjects" => {
            assert_eq!(input["names"], json!(["p"]));
            let project = json!({"name": "p", "arn": "arn:aws:codebuild:eu-central-1:222222222222:project/p",
                "serviceRole": "gone", "buildBatchConfig": {"serviceRole": ADMIN}, "tags": [{"key": "team", "value": "x"}]});
            json!({"projects": [project]}).to_string()
        }
        "ListStateMachines" => {
            let machine = json!({"name": "m", "stateMachineArn": "arn:aws:states:eu-central-1:222222222222:stateMachine:m",
                "type": "STANDARD", "creationDate": 1});
            let (machines, next) = if last { (vec![machine], None) } else { (vec![], Some("2")) };
            json!({"stateMachines": machines, "nextToken": next}).to_string()
        }
        "DescribeStateMachine" => return Err("AccessDeniedException"),
        "ListInstanceProfiles" => {
            let role = format!(
                "<member><Path>/deep/</Path><RoleName>admin</RoleName><RoleId>A</RoleId><Arn>{ADMIN}</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate></member>"
            );
            let profile = format!(
                "<InstanceProfiles><member><Path>/</Path><InstanceProfileName>i</InstanceProfileName><InstanceProfileId>A</InstanceProfileId>\
                 <Arn>arn:aws:iam::222222222222:instance-profile/i</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate><Roles>{role}</Roles></member></InstanceProfiles><IsTruncated>false</IsTruncated>"
            );
            paged("<InstanceProfiles/>", &profile, "<IsTruncated>true</IsTruncated><Marker>2</Marker>")
        }
        "GetRole" if input["RoleName"] == "gone" => return Err("NoSuchEntity"),
        "GetRole" => format!(
            "<Role><Path>/deep/</Path><RoleName>admin</RoleName><RoleId>A</RoleId><Arn>{ADMIN}</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate>\
             <PermissionsBoundary><PermissionsBoundaryArn>arn:aws:iam::222222222222:policy/limit</PermissionsBoundaryArn></PermissionsBoundary></Role>"
        ),
        "ListAttachedRolePolicies" => paged(
            "<AttachedPolicies/>",
            "<AttachedPolicies><member><PolicyName>x</PolicyName><PolicyArn>arn:aws:iam::aws:policy/x</PolicyArn></member></AttachedPolicies><IsTruncated>false</IsTruncated>",
            "<IsTruncated>true</IsTruncated><Marker>2</Marker>",
        ),
        "ListRolePolicies" => paged(
            "<PolicyNames/>",
            "<PolicyNames><member>own</member></PolicyNames><IsTruncated>false</IsTruncated>",
            "<IsTruncated>true</IsTruncated><Marker>2</Marker>",
        ),
        "GetRolePolicy" => {
            let document = encoded(EVERYTHING);
            format!("<RoleName>admin</RoleName><PolicyName>own</PolicyName><PolicyDocument>{document}</PolicyDocument>")
        }
        "GetPolicy" => "<Policy><DefaultVersionId>v3</DefaultVersionId></Policy>".to_owned(),
        "GetPolicyVersion" => {
            assert_eq!(input["VersionId"], "v3");
            format!("<PolicyVersion><Document>{}</Document></PolicyVersion>", encoded(EVERYTHING))
        }
        operation if operation.starts_with("GET tags") => json!({"Tags": {"daypass:protected": "true"}}).to_string(),
        "ListTagsForResource" => json!({"tags": []}).to_string(),
        "ListInstanceProfileTags" => paged(
            "<Tags/>",
            "<Tags><member><Key>daypass:protected</Key><Value>true</Value></member></Tags><IsTruncated>false</IsTruncated>",
            "<IsTruncated>true</IsTruncated><Marker>2</Marker>",
        ),
        other => panic!("{other} is not needed: {input}"),
    })
}

#[tokio::test]
async fn every_page_is_read_and_everything_of_a_role() {
    let (account, calls) = account(full);
    let facts = account.facts(|_| {}).await;
    assert_eq!(facts.unread, [""; 0]);
    let role = facts.roles[ADMIN].as_ref().unwrap();
    assert_eq!(role.boundary.as_deref(), Some("arn:aws:iam::222222222222:policy/limit"));
    assert_eq!(role.inline["own"], EVERYTHING);
    assert_eq!(role.attached.iter().collect::<Vec<_>>(), ["arn:aws:iam::aws:policy/x"]);
    assert_eq!(facts.policies.len(), 2, "attached, and the boundary: {:?}", facts.policies);
    let plan = Plan::of(&facts);
    let items: Vec<_> = plan.items.iter().map(|item| format!("{:?}: {}", item.shield, item.why)).collect();
    insta::assert_snapshot!(items.join("\n"));
    let made = calls.lock().unwrap();
    let of = |operation: &str| made.iter().filter(|(it, _)| it == operation).count();
    assert_eq!(of("GetRole"), 2, "each role once");
    assert_eq!(of("GetPolicy"), 2, "each policy once");
}

#[tokio::test]
async fn what_cannot_be_listed_is_told() {
    let (account, _) = account(|operation, input, before| match operation {
        "ListProjects" => Err("AccessDeniedException"),
        _ => full(operation, input, before),
    });
    let facts = account.facts(|_| {}).await;
    assert_eq!(
        facts.unread,
        ["build projects cannot be listed: codebuild:ListProjects failed with AccessDeniedException: it says so"]
    );
    assert!(facts.lenders.iter().any(|it| it.kind == Kind::Machine), "the others are");
}

/// A stack that is in this state before its update, and then in each of those.
fn updated(before: &'static str, after: &'static [&'static str]) -> (Account, Calls) {
    account(move |operation, _, looks| match operation {
        "DescribeStacks" => {
            let status = if looks == 0 { before } else { after[looks - 1] };
            Ok(format!("<Stacks>{}</Stacks>", stack(status, &[("team", "x"), ("aws:x", "y")])))
        }
        "UpdateStack" => Ok(format!("<StackId>{STACK}</StackId>")),
        other => panic!("{other}"),
    })
}

#[tokio::test]
async fn a_stack_is_updated_to_the_same_with_the_tag() {
    let (account, calls) = updated("UPDATE_COMPLETE", &["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"]);
    account.update(STACK).await.unwrap();
    let calls = calls.lock().unwrap();
    assert_eq!(calls.len(), 4, "{calls:?}");
    insta::assert_snapshot!(format!("{:#}", calls[1].1));
}

#[tokio::test]
async fn an_update_that_fails_is_told() {
    let (account, _) =
        updated("UPDATE_COMPLETE", &["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"]);
    let why = account.update(STACK).await.unwrap_err();
    assert!(why.starts_with("its update has ended as UPDATE_ROLLBACK_COMPLETE; `aws cloudformation "), "{why}");
    let (account, calls) = updated("UPDATE_IN_PROGRESS", &[]);
    let why = account.update(STACK).await.unwrap_err();
    assert_eq!(why, "its state is UPDATE_IN_PROGRESS: try again when it has ended");
    assert_eq!(calls.lock().unwrap().len(), 1, "it is only looked at");
}

#[tokio::test]
async fn a_stack_that_somebody_has_shielded_meanwhile_is_not_touched() {
    let (account, calls) = account(|_, _, _| {
        Ok(format!("<Stacks>{}</Stacks>", stack("UPDATE_COMPLETE", &[("daypass:protected", "true")])))
    });
    account.update(STACK).await.unwrap();
    assert_eq!(calls.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_project_keeps_its_tags() {
    let (account, calls) = account(|operation, input, before| match operation {
        "UpdateProject" => Ok("{}".to_owned()),
        _ => full(operation, input, before),
    });
    let facts = account.facts(|_| {}).await;
    let plan = Plan::of(&facts);
    let project = plan.items.iter().find(|item| item.lender.kind == Kind::Project).unwrap();
    assert_eq!(project.step, Step::Tag);
    account.tag(&project.lender).await.unwrap();
    let calls = calls.lock().unwrap();
    let tags = json!([{"key": "daypass:protected", "value": "true"}, {"key": "team", "value": "x"}]);
    assert_eq!(calls.last().unwrap().1, json!({"name": "p", "tags": tags}));
}
