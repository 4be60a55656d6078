//! Each persona, in each environment: what its deploy role is, what it may do, and what it may not.

use aws_sdk_iam::types::AttachedPolicy;
use daypass_tests::{
    aws::{Aws, Call, Refused},
    pipeline::{Access, Account, Request},
    stack::Stack,
};
use serde_json::{Value, json};

const PERSONAS: &str = include_str!("../../../personas.json");

/// Something that a deployment does.
#[derive(Clone, Copy, Debug)]
enum Deed {
    CreateBucket,
    DeleteBucket,
    CreateVpc,
    PeerVpcs,
    DeleteVpc,
    CreateRepository,
    DeleteRepository,
    CreateKey,
    CreateSecret(&'static str),
    CreateStack(&'static str),
    StartShell,
    CreateUser,
    CreateRole,
    ChangeItsOwnRole,
    DeleteTheTrail,
    DeleteTheTrailsLogs,
    DeleteFlowLogs,
    DeleteConfigRule,
    CreateLogGroup,
    DeleteLogGroup,
}

use Deed::*;

impl Deed {
    async fn by(self, deployment: &Aws, unique: &str) -> Result<(), Refused> {
        let ec2 = |action, parameters| ("2016-11-15", action, parameters);
        let (bucket, name) = (format!("/{unique}"), json!({"repositoryName": unique}).to_string());
        let (secret, stack, role) = match self {
            CreateSecret(prefix) => (format!("{prefix}{unique}"), String::new(), String::new()),
            CreateStack(prefix) => (String::new(), format!("{prefix}{unique}"), String::new()),
            _ => (String::new(), String::new(), format!("daypass-{unique}")),
        };
        let secret = json!({"Name": secret, "SecretString": "x", "ClientRequestToken": unique}).to_string();
        let template = "%7B%22Resources%22%3A%7B%22T%22%3A%7B%22Type%22%3A%22AWS%3A%3ASNS%3A%3ATopic%22%7D%7D%7D";
        let stack = [("StackName", stack.as_str()), ("TemplateBody", template)];
        let own = [("RoleName", role.as_str()), ("PolicyName", "more"), ("PolicyDocument", "%7B%7D")];
        let target = "AmazonEC2ContainerRegistry_V20150921";
        let (create, delete) = (format!("{target}.CreateRepository"), format!("{target}.DeleteRepository"));
        let shell = json!({"Target": "i-1234567890abcdef0"}).to_string();
        let trail = json!({"Name": "trail"}).to_string();
        let own_logs = json!({"logGroupName": format!("app-{unique}")}).to_string();
        let trails_logs = json!({"logGroupName": "aws-cloudtrail-logs-1"}).to_string();
        let config_rule = json!({"ConfigRuleName": "encrypted-volumes"}).to_string();
        let vpcs = [("VpcId", "vpc-11111111"), ("PeerVpcId", "vpc-22222222")];
        let query = |(version, action, parameters)| Call::Query("ec2", version, action, parameters);
        let call = match self {
            CreateBucket => Call::Rest("s3", "PUT", &bucket),
            DeleteBucket => Call::Rest("s3", "DELETE", &bucket),
            CreateVpc => query(ec2("CreateVpc", &[("CidrBlock", "10.0.0.0%2F16")][..])),
            PeerVpcs => query(ec2("CreateVpcPeeringConnection", &vpcs)),
            DeleteVpc => query(ec2("DeleteVpc", &vpcs[..1])),
            CreateRepository => Call::Json("ecr", &create, &name),
            DeleteRepository => Call::Json("ecr", &delete, &name),
            CreateKey => Call::Json("kms", "TrentService.CreateKey", "{}"),
            CreateSecret(_) => Call::Json("secretsmanager", "secretsmanager.CreateSecret", &secret),
            CreateStack(_) => Call::Query("cloudformation", "2010-05-15", "CreateStack", &stack),
            StartShell => Call::Json("ssm", "AmazonSSM.StartSession", &shell),
            CreateUser => Call::Query("iam", "2010-05-08", "CreateUser", &[("UserName", "backdoor")]),
            CreateRole => {
                let role = &[("RoleName", "backdoor"), ("AssumeRolePolicyDocument", "%7B%7D")];
                Call::Query("iam", "2010-05-08", "CreateRole", role)
            }
            ChangeItsOwnRole => Call::Query("iam", "2010-05-08", "PutRolePolicy", &own),
            DeleteTheTrail => {
                Call::Json("cloudtrail", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.DeleteTrail", &trail)
            }
            DeleteTheTrailsLogs => Call::Json("logs", "Logs_20140328.DeleteLogGroup", &trails_logs),
            DeleteFlowLogs => query(ec2("DeleteFlowLogs", &[("FlowLogId.1", "fl-11111111")])),
            DeleteConfigRule => Call::Json("config", "StarlingDoveService.DeleteConfigRule", &config_rule),
            CreateLogGroup => Call::Json("logs", "Logs_20140328.CreateLogGroup", &own_logs),
            DeleteLogGroup => Call::Json("logs", "Logs_20140328.DeleteLogGroup", &own_logs),
        };
        deployment.call(&call).await.map(drop)
    }
}

/// What nobody may, anywhere.
const NEVER: [Deed; 7] =
    [CreateUser, CreateRole, ChangeItsOwnRole, DeleteTheTrail, DeleteTheTrailsLogs, DeleteFlowLogs, DeleteConfigRule];

struct Case {
    login: &'static str,
    group_type: &'static str,
    persona: &'static str,
    account: Account,
    may: &'static [Deed],
    may_not: &'static [Deed],
}

#[tokio::test]
async fn product_admin_in_non_production() {
    assert_persona(&Case {
        login: "alex",
        group_type: "Product-Deployers",
        persona: "Product_Admin",
        account: Account::Development,
        may: &[
            CreateBucket,
            DeleteBucket,
            CreateVpc,
            CreateRepository,
            CreateSecret("payments/"),
            CreateStack("payments-"),
            CreateLogGroup,
            DeleteLogGroup,
        ],
        may_not: &[PeerVpcs, CreateSecret("network/"), CreateSecret("containers/"), CreateStack("network-")],
    })
    .await;
}

#[tokio::test]
async fn product_admin_in_production() {
    assert_persona(&Case {
        login: "alex",
        group_type: "Product-Deployers",
        persona: "Product_Admin",
        account: Account::Production,
        may: &[CreateBucket, CreateVpc, CreateStack("payments-")],
        may_not: &[DeleteBucket, StartShell, PeerVpcs, CreateSecret("network/")],
    })
    .await;
}

#[tokio::test]
async fn network_in_non_production() {
    assert_persona(&Case {
        login: "nadia",
        group_type: "Network-Deployers",
        persona: "Network",
        account: Account::Development,
        may: &[CreateVpc, DeleteVpc, CreateSecret("network/"), CreateStack("network-")],
        may_not: &[CreateBucket, CreateRepository, CreateKey, CreateSecret("payments/"), CreateStack("payments-")],
    })
    .await;
}

#[tokio::test]
async fn network_in_production() {
    assert_persona(&Case {
        login: "nadia",
        group_type: "Network-Deployers",
        persona: "Network",
        account: Account::Production,
        may: &[CreateVpc, CreateStack("network-")],
        may_not: &[DeleteVpc, CreateSecret("network/"), CreateBucket],
    })
    .await;
}

#[tokio::test]
async fn container_admin_in_non_production() {
    assert_persona(&Case {
        login: "carol",
        group_type: "Container-Deployers",
        persona: "Container_Admin",
        account: Account::Development,
        may: &[CreateRepository, DeleteRepository, CreateKey, CreateSecret("containers/"), CreateStack("containers-")],
        may_not: &[CreateVpc, CreateBucket, CreateSecret("payments/"), CreateStack("payments-")],
    })
    .await;
}

#[tokio::test]
async fn container_admin_in_production() {
    assert_persona(&Case {
        login: "carol",
        group_type: "Container-Deployers",
        persona: "Container_Admin",
        account: Account::Production,
        may: &[CreateRepository, CreateStack("containers-")],
        may_not: &[DeleteRepository, CreateKey, CreateSecret("containers/"), CreateVpc, CreateBucket],
    })
    .await;
}

async fn assert_persona(case: &Case) {
    let stack = Stack::shared().await;
    let request = Request::by(case.login).to(case.account).with("group_type", case.group_type);
    let request = stack.proven(request).await;
    let access = stack.provision(&request).await;
    assert_answer(case, &request, &access);
    assert_role(&stack, case, &access).await;
    assert_recorded(&stack, case, &request, &access).await;

    let deployment = stack.assume(&access).await;
    let unique = access.transaction_id.to_string();
    for deed in case.may {
        let done = deed.by(&deployment, &unique).await;
        assert!(!done.as_ref().is_err_and(Refused::is_refusal), "{} may {deed:?}: {done:?}", case.persona);
    }
    for deed in case.may_not.iter().chain(&NEVER) {
        let done = deed.by(&deployment, &unique).await;
        assert!(done.as_ref().is_err_and(Refused::is_refusal), "{} may not {deed:?}: {done:?}", case.persona);
    }
    assert_names_the_human(&stack, case, &access).await;
    stack.released(&access).await;
}

fn assert_answer(case: &Case, request: &Request, access: &Access) {
    let cap = if case.account == Account::Production { 8.0 } else { 24.0 };
    let id = access.transaction_id;
    let mut expected = json!({
        "transaction_id": id,
        "iam_role_arn": format!("arn:aws:iam::{}:role/daypass/daypass-{id}", case.account.id()),
        "role_name": format!("daypass-{id}"),
        "role_ttl_hours": cap,
        "persona": case.persona,
        "status": "provisioned",
    });
    // The only two that nobody can foretell.
    for field in ["expires_at", "sealed_credentials"] {
        expected[field] = access.grant[field].clone();
    }
    assert_eq!(access.grant, expected, "the answer to {}", request.body);
    assert!(access.grant["sealed_credentials"].as_str().unwrap().starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"));
}

async fn assert_role(stack: &Stack, case: &Case, access: &Access) {
    let (account, name) = (case.account.id(), access.role_name());
    let role = stack.role(access.transaction_id, account).await.expect("the role");
    assert_eq!(role.path(), "/daypass/");
    let boundary = role.permissions_boundary().and_then(|boundary| boundary.permissions_boundary_arn());
    assert_eq!(boundary, Some(format!("arn:aws:iam::{account}:policy/daypass-boundary").as_str()));
    let tag = |key: &str| role.tags().iter().find(|tag| tag.key() == key).map(|tag| tag.value().to_owned());
    assert_eq!(tag("daypass:transaction-id"), Some(access.transaction_id.to_string()), "{:?}", role.tags());

    let iam = stack.root(account).iam();
    let attached = iam.list_attached_role_policies().role_name(&name).send().await.unwrap();
    let mut attached: Vec<_> = attached.attached_policies().iter().filter_map(AttachedPolicy::policy_arn).collect();
    attached.sort_unstable();
    assert_eq!(attached, managed_policies(case.persona, case.account), "as personas.json has it");
}

fn managed_policies(persona: &str, account: Account) -> Vec<&'static str> {
    // Leaked once per case: a test's text.
    let personas: &'static Value = Box::leak(Box::new(serde_json::from_str(PERSONAS).unwrap()));
    let persona = &personas["personas"][persona];
    let here = match account {
        Account::Production => &persona["environments"]["production"]["managed_policies"],
        Account::Development => &persona["environments"]["non-production"]["managed_policies"],
    };
    let list = if here.is_null() { &persona["managed_policies"] } else { here };
    let mut list: Vec<_> = list.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    list.sort_unstable();
    list
}

async fn assert_recorded(stack: &Stack, case: &Case, request: &Request, access: &Access) {
    let item = stack.item(access.transaction_id).await.expect("an item");
    let says = |field: &str, value: Value| assert_eq!(item[field], value, "`{field}` of {item:#}");
    says("transaction_id", json!(access.transaction_id));
    says("status", json!("provisioned"));
    says("email", request.body["email"].clone());
    says("branch", json!("main"));
    says("persona", json!(case.persona));
    says("group_type", json!(case.group_type));
    says("group_name", json!(format!("PwC_GP_{}_{}", case.account.id(), case.persona)));
    says("target_aws_account", json!(case.account.name()));
    says("target_aws_account_id", json!(case.account.id()));
    says("role_arn", json!(access.role_arn));
    says("expires_at", access.grant["expires_at"].clone());
    says("lease_execution_arn", json!(stack.lease(access.transaction_id)));
    assert!(item["open_lease"].is_string(), "the sparse index has it: {item:#}");
}

/// Promise 10: the issued session names the person, and so does every call that is made with the deploy role.
async fn assert_names_the_human(stack: &Stack, case: &Case, access: &Access) {
    let email = format!("{}@example.com", case.login);
    let calls = stack.engine.calls().await;
    let issued: Vec<_> = calls
        .iter()
        .filter(|call| call.action == "sts:AssumeRole" && call.resource.ends_with(":role/daypass-pipeline"))
        .filter(|call| call.parameters.get("RoleSessionName") == Some(&access.role_name()))
        .collect();
    let [issued] = issued[..] else { panic!("issued once: {issued:?}") };
    let says = |name: &str| issued.parameters.get(name).map(String::as_str);
    assert_eq!(says("SourceIdentity"), Some(email.as_str()));
    assert_eq!(says("Tag:daypass:transaction-id"), Some(access.transaction_id.to_string().as_str()));
    assert_eq!(says("Tag:daypass:email"), Some(email.as_str()));
    assert_eq!(says("Tag:daypass:persona"), Some(case.persona));

    let deployment = format!("assumed-role/{}/", access.role_name());
    let made: Vec<_> = calls.iter().filter(|call| call.caller.contains(&deployment)).collect();
    assert!(made.len() >= case.may.len() + case.may_not.len(), "{made:?}");
    for call in made {
        assert_eq!(call.source_identity.as_ref(), Some(&email), "{call:?}");
    }
}
