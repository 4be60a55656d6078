//! No escalation: every published method, tried with the real credentials of every persona, and with the provisioner's.
//!
//! What a call is refused with has to be an authorisation error. A control makes the same call in an account where
//! Daypass is not, as an administrator without the boundary, and must not be refused: so the engine knows the call, and
//! what refuses it is the boundary.

use aws_credential_types::Credentials;
use daypass_policies::methods::{EXAMPLE, METHODS, Method, Placeholders, RawCall};
use daypass_tests::{
    aws::{Aws, Refused, percent_decoded},
    escalation::make,
    pipeline::{Access, Account, Request, new_transaction_id},
    stack::Stack,
};
use serde_json::{Value, json};

const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";
const EVERYTHING: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
/// Accounts for controls: nothing in them is anybody's.
const ELSEWHERE: &str = "444444444444";
const BEYOND: &str = "555555555555";
const REGION: &str = "us-east-1";

/// Whether the caller may not do it. That it is nobody (any more) would prove nothing.
fn is_denied(refused: &Refused) -> bool {
    refused.code.starts_with("AccessDenied") || refused.code == "UnauthorizedOperation"
}

/// An account with what attackers look for: principals that are stronger, and things that run with them.
struct Field<'a> {
    stack: &'a Stack,
    account: &'a str,
    other_account: &'a str,
}

impl Field<'_> {
    fn root(&self) -> Aws {
        self.stack.root(self.account)
    }

    fn arn(&self, resource: &str) -> String {
        format!("arn:aws:iam::{}:{resource}", self.account)
    }

    fn trust(&self) -> String {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"AWS": [self.arn("root"), format!("arn:aws:iam::{ELSEWHERE}:root")]},
            "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
        }]})
        .to_string()
    }

    /// A role that the account trusts, also if it was there before.
    async fn role(&self, path: &str, name: &str, boundary: Option<&str>) -> String {
        let iam = self.root().iam();
        let create = iam.create_role().path(path).role_name(name).assume_role_policy_document(self.trust());
        made(create.set_permissions_boundary(boundary.map(str::to_owned)).send().await);
        let trust = iam.update_assume_role_policy().role_name(name).policy_document(self.trust());
        trust.send().await.expect("trusted");
        self.arn(&format!("role{path}{name}"))
    }

    async fn administrator(&self, path: &str, name: &str, boundary: Option<&str>) -> String {
        let arn = self.role(path, name, boundary).await;
        let attach = self.root().iam().attach_role_policy().role_name(name).policy_arn(ADMINISTRATOR);
        attach.send().await.expect("attached");
        arn
    }

    /// Principals that are stronger. Controls take them away, so this can be done again.
    async fn principals(&self) {
        let iam = self.root().iam();
        self.administrator("/", "admin", None).await;
        made(iam.create_user().user_name("admin").send().await);
        made(iam.create_group().group_name("admins").send().await);
        made(iam.create_policy().policy_name("admin").policy_document(EVERYTHING).send().await);
        for profile in ["admin", "escalation"] {
            made(iam.create_instance_profile().instance_profile_name(profile).send().await);
        }
        let join = iam.add_role_to_instance_profile().instance_profile_name("admin").role_name("admin");
        if let Err(error) = join.send().await.map_err(Refused::from) {
            assert_eq!(error.code, "LimitExceeded", "it is in the profile already");
        }
        self.administrator("/", &format!("cdk-hnb659fds-deploy-role-{}-{REGION}", self.account), None).await;
        self.administrator("/", &format!("cdk-hnb659fds-cfn-exec-role-{}-{REGION}", self.account), None).await;
        self.administrator("/fixed-for-daypass/Container_Admin/", "fixed-own", None).await;
        self.administrator("/fixed-for-daypass/Another/", "fixed-other", None).await;
    }

    /// What runs with a stronger role, shielded by its owner. Returns the instance among it.
    async fn workloads(&self) -> String {
        let tags = json!([{"key": "daypass:protected", "value": "true"}]);
        let (role, empty_zip) = (self.arn("role/admin"), "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==");
        let shield =
            |prefix: &str| json!({format!("{prefix}.1.Key"): "daypass:protected", format!("{prefix}.1.Value"): "true"});
        let with = |mut parameters: Value, more: Value| {
            parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            parameters
        };
        let template = r#"{"Resources":{"T":{"Type":"AWS::SNS::Topic"}}}"#;
        let stack = with(json!({"StackName": "landing-zone", "TemplateBody": template}), shield("Tags.member"));
        let instance = json!({"ImageId": "ami-12345678", "MinCount": "1", "MaxCount": "1",
            "TagSpecification.1.ResourceType": "instance"});
        let calls = [
            json!({"service": "s3", "method": "PUT", "path": "/aws-cloudtrail-logs-{account}-audit"}),
            json!({"service": "lambda", "method": "POST", "path": "/2015-03-31/functions", "body": {
                "FunctionName": "landing-zone", "Role": role, "Runtime": "provided.al2023", "Handler": "x",
                "Code": {"ZipFile": empty_zip}, "Tags": {"daypass:protected": "true"}}}),
            json!({"service": "states", "target": "AWSStepFunctions.CreateStateMachine", "body": {
                "name": "landing-zone", "roleArn": role, "tags": tags,
                "definition": r#"{"StartAt":"S","States":{"S":{"Type":"Succeed"}}}"#}}),
            json!({"service": "codebuild", "target": "CodeBuild_20161006.CreateProject", "body": {
                "name": "landing-zone", "serviceRole": role, "tags": tags, "artifacts": {"type": "NO_ARTIFACTS"},
                "source": {"type": "NO_SOURCE", "buildspec": "version: 0.2"}, "environment": {
                    "type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL"}}}),
            json!({"service": "cloudformation", "version": "2010-05-15", "action": "CreateStack", "parameters": stack}),
            json!({"service": "ec2", "version": "2016-11-15", "action": "RunInstances",
                "parameters": with(instance, shield("TagSpecification.1.Tag"))}),
        ];
        let mut answer = String::new();
        for call in calls {
            match make(&call_of(call), &self.root(), &self.values("", "", "")).await {
                Ok(made) => answer = made,
                // Another scenario has made it.
                Err(refused) => {
                    assert!(["Already", "Conflict"].iter().any(|it| refused.code.contains(it)), "{refused}");
                }
            }
        }
        answer.split_once("<instanceId>").and_then(|(_, rest)| rest.split_once('<')).expect("an instance").0.to_owned()
    }

    /// What the braces of a method stand for, for a role of this name in this account.
    fn values(&self, instance: &str, deploy_role: &str, other_deploy_role: &str) -> Placeholders {
        (*EXAMPLE)
            .clone()
            .with("account", self.account)
            .with("other_account", self.other_account)
            .with("region", REGION)
            .with("instance", instance)
            .with("deploy_role", deploy_role)
            .with("other_deploy_role", other_deploy_role)
            .with("unique", uuid::Uuid::new_v4().simple().to_string())
    }
}

/// Something is made, or was made before.
fn made<T, E: Into<Refused>>(result: Result<T, E>) {
    if let Err(error) = result.map_err(Into::into) {
        assert_eq!(error.code, "EntityAlreadyExists", "{error}");
    }
}

fn call_of(call: Value) -> RawCall {
    serde_json::from_value(call).expect("one of the three shapes")
}

/// Tries every call of every method; returns those that were not refused, and how many were.
async fn try_all(who: &str, somebody: &Aws, values: &Placeholders) -> (Vec<String>, usize) {
    let (mut passed, mut refused) = (Vec::new(), 0);
    for method in METHODS.iter() {
        for call in &method.calls {
            match make(call, somebody, values).await {
                Err(error) if is_denied(&error) => refused += 1,
                answer => passed.push(format!("{who}: {}: {call}: {answer:?}", method.id)),
            }
        }
    }
    (passed, refused)
}

/// Every persona in every environment: who, and with which group type.
const PERSONAS: [(&str, &str); 3] =
    [("alex", "Product-Deployers"), ("nadia", "Network-Deployers"), ("carol", "Container-Deployers")];

#[tokio::test]
async fn no_method_works_with_the_credentials_of_any_persona() {
    let stack = Stack::alone().await;
    let calls: usize = METHODS.iter().map(|method| method.calls.len()).sum();
    for account in Account::ALL {
        let field = Field { stack: &stack, account: account.id(), other_account: ELSEWHERE };
        field.principals().await;
        let instance = field.workloads().await;
        let peer = stack.provision(&stack.proven(Request::by("alex").to(account)).await).await;
        for (login, group_type) in PERSONAS {
            let request = Request::by(login).to(account).with("group_type", group_type);
            let access = stack.provision(&stack.proven(request).await).await;
            let values = field.values(&instance, &access.role_name(), &peer.role_name());
            let who = format!("{group_type} in {}", account.name());
            let (passed, refused) = try_all(&who, &stack.assume(&access).await, &values).await;
            assert!(passed.is_empty(), "{passed:#?}");
            assert_eq!(refused, calls);
            assert_intact(&stack, &access).await;
            stack.released(&access).await;
        }
        stack.released(&peer).await;
    }
}

/// The role is as Daypass has made it.
async fn assert_intact(stack: &Stack, access: &Access) {
    let role = stack.role(access.transaction_id, access.account()).await.expect("the role");
    assert!(role.permissions_boundary().is_some(), "{role:?}");
    let iam = stack.root(access.account()).iam();
    let inline = iam.list_role_policies().role_name(access.role_name()).send().await.unwrap().policy_names;
    assert!(inline.contains(&"daypass-guard".to_owned()), "{inline:?}");
}

/// Whatever personas.json will say: somebody who is allowed everything, and has the boundary.
#[tokio::test]
async fn the_boundary_alone_stops_every_method() {
    let stack = Stack::alone().await;
    let calls: usize = METHODS.iter().map(|method| method.calls.len()).sum();
    let account = Account::Development.id();
    let field = Field { stack: &stack, account, other_account: ELSEWHERE };
    field.principals().await;
    let instance = field.workloads().await;
    let [own, peer] = [(); 2].map(|()| new_transaction_id().role_name());
    let boundary = field.arn("policy/daypass-boundary");
    let arn = field.administrator("/daypass/", &own, Some(&boundary)).await;
    field.administrator("/daypass/", &peer, Some(&boundary)).await;
    let somebody = stack.assume_with(&field.root(), &arn).await.unwrap();
    let (passed, refused) = try_all("bounded administrator", &somebody, &field.values(&instance, &own, &peer)).await;
    assert!(passed.is_empty(), "{passed:#?}");
    assert_eq!(refused, calls);
    for name in [own, peer] {
        forget(&field, &name).await;
    }
}

async fn forget(field: &Field<'_>, name: &str) {
    let iam = field.root().iam();
    iam.detach_role_policy().role_name(name).policy_arn(ADMINISTRATOR).send().await.unwrap();
    iam.delete_role().role_name(name).send().await.unwrap();
}

/// The control of the two above.
#[tokio::test]
async fn without_the_boundary_no_call_is_refused() {
    let stack = Stack::alone().await;
    let field = Field { stack: &stack, account: ELSEWHERE, other_account: BEYOND };
    let beyond = Field { stack: &stack, account: BEYOND, other_account: ELSEWHERE };
    beyond.role("/deployed-by-daypass/", "app", None).await;
    field.principals().await;
    let instance = field.workloads().await;
    let mut refused = Vec::new();
    for method in METHODS.iter() {
        // What the method before has changed must not decide about this one.
        field.principals().await;
        field.administrator("/", "daypass-provisioner", None).await;
        made(
            field.root().iam().create_policy().policy_name("daypass-boundary").policy_document(EVERYTHING).send().await,
        );
        refused.extend(refused_without_boundary(&field, method, &instance).await);
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

async fn refused_without_boundary(field: &Field<'_>, method: &Method, instance: &str) -> Vec<String> {
    let [own, peer] = [(); 2].map(|()| new_transaction_id().role_name());
    field.role("/daypass/", &peer, None).await;
    let mut refused = Vec::new();
    for call in &method.calls {
        let arn = field.administrator("/daypass/", &own, None).await;
        let somebody = field.stack.assume_with(&field.root(), &arn).await.unwrap();
        let answer = make(call, &somebody, &field.values(instance, &own, &peer)).await;
        if let Err(error) = answer
            && error.is_refusal()
        {
            refused.push(format!("{}: {call}: {error}", method.id));
        }
    }
    refused
}

/// What is not tried here is evaluated by `effective_policies.rs`, with all the rest.
#[test]
fn what_the_engine_cannot_play_is_named() {
    let offline = METHODS.iter().filter(|method| method.calls.is_empty());
    assert!(offline.clone().all(|method| method.offline.is_some()));
    assert!(METHODS.iter().all(|method| method.calls.is_empty() == method.offline.is_some()));
    assert!(offline.count() * 4 < METHODS.len(), "three of four are played");
    assert!(METHODS.iter().all(|method| !method.sources.is_empty() && !method.steps.is_empty()));
}

fn iam(action: &str, parameters: &Value) -> Value {
    json!({"service": "iam", "version": "2010-05-08", "action": action, "parameters": parameters})
}

/// What somebody with the provisioner's credentials would try. `{deploy_role}` is a role that they may manage,
/// `{unbounded_role}` one among the deploy roles whose boundary somebody took off.
fn abuses_of_roles() -> Vec<(&'static str, Value)> {
    let (account, trust) = ("arn:aws:iam::{account}:", r#"{"Version":"2012-10-17","Statement":[]}"#);
    let boundary = format!("{account}policy/daypass-boundary");
    let new = |name: &str, path: &str, boundary: Option<&str>| {
        let mut role = json!({"RoleName": name, "Path": path, "AssumeRolePolicyDocument": trust});
        if let Some(boundary) = boundary {
            role["PermissionsBoundary"] = json!(boundary);
        }
        role
    };
    let mut tagged = new("daypass-{unique}", "/daypass/", Some(&boundary));
    tagged["Tags.member.1.Key"] = json!("team");
    tagged["Tags.member.1.Value"] = json!("security");
    let put = |role: &str| json!({"RoleName": role, "PolicyName": "more", "PolicyDocument": EVERYTHING});
    let attach = |role: &str, policy: &str| json!({"RoleName": role, "PolicyArn": policy});
    let trusting = |role: &str| json!({"RoleName": role, "PolicyDocument": trust});
    let (own, unbounded) = ("{deploy_role}", "{unbounded_role}");
    vec![
        ("a role without boundary", iam("CreateRole", &new("daypass-{unique}", "/daypass/", None))),
        ("a role with another boundary", iam("CreateRole", &new("daypass-{unique}", "/daypass/", Some(ADMINISTRATOR)))),
        ("a role of no path", iam("CreateRole", &new("daypass-{unique}", "/", Some(&boundary)))),
        (
            "a role of the deployments",
            iam("CreateRole", &new("app-{unique}", "/deployed-by-daypass/", Some(&boundary))),
        ),
        ("a role of another name", iam("CreateRole", &new("other-{unique}", "/daypass/", Some(&boundary)))),
        ("a role with somebody's tags", iam("CreateRole", &tagged)),
        ("a policy on a role without boundary", iam("PutRolePolicy", &put(unbounded))),
        ("a policy on an administrator", iam("PutRolePolicy", &put("admin"))),
        ("a policy on itself", iam("PutRolePolicy", &put("daypass-provisioner"))),
        ("a managed policy on a role without boundary", iam("AttachRolePolicy", &attach(unbounded, ADMINISTRATOR))),
        ("a managed policy on an administrator", iam("AttachRolePolicy", &attach("admin", ADMINISTRATOR))),
        ("a managed policy on itself", iam("AttachRolePolicy", &attach("daypass-provisioner", ADMINISTRATOR))),
        ("a policy of the account's own", iam("AttachRolePolicy", &attach(own, &format!("{account}policy/admin")))),
        (
            "its own guard",
            iam("DeleteRolePolicy", &json!({"RoleName": "daypass-provisioner", "PolicyName": "provisioner"})),
        ),
        ("a boundary taken off", iam("DeleteRolePermissionsBoundary", &json!({"RoleName": own}))),
        (
            "a boundary put on",
            iam("PutRolePermissionsBoundary", &json!({"RoleName": own, "PermissionsBoundary": boundary})),
        ),
        ("the trust of a deploy role", iam("UpdateAssumeRolePolicy", &trusting(own))),
        ("the trust of an administrator", iam("UpdateAssumeRolePolicy", &trusting("admin"))),
        ("its own trust", iam("UpdateAssumeRolePolicy", &trusting("daypass-provisioner"))),
        ("longer sessions", iam("UpdateRole", &json!({"RoleName": own, "MaxSessionDuration": "43200"}))),
        (
            "somebody's tags",
            iam("TagRole", &json!({"RoleName": own, "Tags.member.1.Key": "team", "Tags.member.1.Value": "x"})),
        ),
        ("tags taken off", iam("UntagRole", &json!({"RoleName": own, "TagKeys.member.1": "daypass:transaction-id"}))),
        ("an administrator deleted", iam("DeleteRole", &json!({"RoleName": "admin"}))),
        ("itself deleted", iam("DeleteRole", &json!({"RoleName": "daypass-provisioner"}))),
    ]
}

/// The same, with what is no role.
fn abuses_of_the_rest() -> Vec<(&'static str, Value)> {
    let account = "arn:aws:iam::{account}:";
    let boundary = format!("{account}policy/daypass-boundary");
    let assume = |role: &str| {
        json!({"service": "sts", "version": "2011-06-15", "action": "AssumeRole",
            "parameters": {"RoleArn": format!("{account}{role}"), "RoleSessionName": "abuse"}})
    };
    let function = |role: &str| {
        json!({"service": "lambda", "method": "POST", "path": "/2015-03-31/functions", "body": {
            "FunctionName": "abuse-{unique}", "Role": format!("{account}{role}"), "Runtime": "provided.al2023",
            "Handler": "x", "Code": {"ZipFile": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="}}})
    };
    let own = "{deploy_role}";
    vec![
        ("an instance profile", iam("CreateInstanceProfile", &json!({"InstanceProfileName": "abuse-{unique}"}))),
        (
            "a role in a profile",
            iam("AddRoleToInstanceProfile", &json!({"InstanceProfileName": "escalation", "RoleName": own})),
        ),
        ("a user", iam("CreateUser", &json!({"UserName": "abuse-{unique}"}))),
        ("an access key", iam("CreateAccessKey", &json!({"UserName": "admin"}))),
        ("a policy", iam("CreatePolicy", &json!({"PolicyName": "abuse-{unique}", "PolicyDocument": EVERYTHING}))),
        (
            "the boundary, new version",
            iam("CreatePolicyVersion", &json!({"PolicyArn": boundary, "PolicyDocument": EVERYTHING})),
        ),
        (
            "the boundary, old version",
            iam("SetDefaultPolicyVersion", &json!({"PolicyArn": boundary, "VersionId": "v1"})),
        ),
        ("the boundary, deleted", iam("DeletePolicy", &json!({"PolicyArn": boundary}))),
        ("a SAML provider", iam("CreateSAMLProvider", &json!({"Name": "abuse", "SAMLMetadataDocument": "x"}))),
        ("an OIDC provider", iam("CreateOpenIDConnectProvider", &json!({"Url": "https://abuse.example"}))),
        ("who is there", iam("ListRoles", &json!({}))),
        ("what an administrator is", iam("GetRole", &json!({"RoleName": "admin"}))),
        ("what hangs on itself", iam("ListRolePolicies", &json!({"RoleName": "daypass-provisioner"}))),
        ("who may do what", iam("GetAccountAuthorizationDetails", &json!({}))),
        ("being an administrator", assume("role/admin")),
        ("being a deployment", assume("role/daypass/{deploy_role}")),
        ("a function as a deployment", function("role/daypass/{deploy_role}")),
        ("a function as an administrator", function("role/admin")),
        ("buckets", json!({"service": "s3", "method": "GET", "path": "/"})),
        (
            "the target's stack",
            json!({"service": "cloudformation", "version": "2010-05-15", "action": "DeleteStack",
            "parameters": {"StackName": "DaypassTarget"}}),
        ),
        (
            "the trail",
            json!({"service": "cloudtrail",
            "target": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.StopLogging", "body": {"Name": "audit"}}),
        ),
        (
            "the organisation",
            json!({"service": "organizations", "target": "AWSOrganizationsV20161128.LeaveOrganization",
            "body": {}}),
        ),
    ]
}

fn abuses() -> Vec<(&'static str, Value)> {
    abuses_of_roles().into_iter().chain(abuses_of_the_rest()).collect()
}

/// What the provisioner may do to any deploy role, and its session to one.
fn rights() -> Vec<(&'static str, Value)> {
    let role = |more: Value| {
        let mut role = json!({"RoleName": "{other_deploy_role}"});
        role.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        role
    };
    vec![
        ("look", iam("GetRole", &role(json!({})))),
        ("put", iam("PutRolePolicy", &role(json!({"PolicyName": "more", "PolicyDocument": EVERYTHING})))),
        ("attach", iam("AttachRolePolicy", &role(json!({"PolicyArn": ADMINISTRATOR})))),
        ("tag", iam("TagRole", &role(json!({"Tags.member.1.Key": "daypass:email", "Tags.member.1.Value": "x"})))),
        ("detach", iam("DetachRolePolicy", &role(json!({"PolicyArn": ADMINISTRATOR})))),
        ("take", iam("DeleteRolePolicy", &role(json!({"PolicyName": "more"})))),
        ("delete", iam("DeleteRole", &role(json!({})))),
    ]
}

/// Sessions of the provisioner as create-role and delete-role get them; while this lasts, the hub's administrator can be
/// those functions.
struct Provisioner<'a> {
    stack: &'a Stack,
    account: &'a str,
    trusts: Vec<(String, String)>,
}

impl<'a> Provisioner<'a> {
    async fn borrowed(stack: &'a Stack, account: &'a str, functions: &[&str]) -> Self {
        let iam = stack.hub().iam();
        let mut trusts = Vec::new();
        for function in functions {
            let role = iam.get_role().role_name(*function).send().await.unwrap().role.unwrap();
            let before = percent_decoded(role.assume_role_policy_document().unwrap());
            let mut trust: Value = serde_json::from_str(&before).unwrap();
            let root = format!("arn:aws:iam::{}:root", stack.names.hub);
            let statement = json!({"Effect": "Allow", "Principal": {"AWS": root}, "Action": "sts:AssumeRole"});
            trust["Statement"].as_array_mut().unwrap().push(statement);
            trusts.push(((*function).to_owned(), before));
            let update = iam.update_assume_role_policy().role_name(*function);
            update.policy_document(trust.to_string()).send().await.unwrap();
        }
        Self { stack, account, trusts }
    }

    async fn returned(self) {
        for (function, trust) in self.trusts {
            let update = self.stack.hub().iam().update_assume_role_policy().role_name(function).policy_document(trust);
            update.send().await.unwrap();
        }
    }

    /// A session of the provisioner that a function of the hub takes.
    async fn session(&self, function: &str, external_id: Option<&str>, policy: Option<&str>) -> Result<Aws, Refused> {
        let arn = format!("arn:aws:iam::{}:role/{function}", self.stack.names.hub);
        let function = self.stack.assume_with(&self.stack.hub(), &arn).await.unwrap();
        let arn = format!("arn:aws:iam::{}:role/daypass-provisioner", self.account);
        let request = function.sts().assume_role().role_arn(arn).role_session_name("abuse").duration_seconds(900);
        let request = request.set_external_id(external_id.map(str::to_owned)).set_policy(policy.map(str::to_owned));
        let issued = request.send().await?.credentials.expect("credentials");
        let token = Some(issued.session_token);
        Ok(self.stack.with(&Credentials::new(issued.access_key_id, issued.secret_access_key, token, None, "abuse")))
    }
}

/// The external id of the deployment, from the provisioner's own trust policy.
async fn external_id(stack: &Stack, account: &str) -> String {
    let role =
        stack.root(account).iam().get_role().role_name("daypass-provisioner").send().await.unwrap().role.unwrap();
    let trust: Value = serde_json::from_str(&percent_decoded(role.assume_role_policy_document().unwrap())).unwrap();
    trust["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"].as_str().expect("an external id").to_owned()
}

async fn answers(
    somebody: &Aws,
    calls: &[(&'static str, Value)],
    values: &Placeholders,
) -> Vec<(&'static str, Option<Refused>)> {
    let mut answers = Vec::new();
    for (name, call) in calls {
        answers.push((*name, make(&call_of(call.clone()), somebody, values).await.err()));
    }
    answers
}

fn not_denied(answers: Vec<(&'static str, Option<Refused>)>) -> Vec<(&'static str, Option<Refused>)> {
    answers.into_iter().filter(|(_, refused)| !refused.as_ref().is_some_and(is_denied)).collect()
}

#[tokio::test]
async fn the_provisioner_can_do_nothing_but_manage_deploy_roles() {
    let stack = Stack::alone().await;
    let account = Account::Development.id();
    let field = Field { stack: &stack, account, other_account: ELSEWHERE };
    field.principals().await;
    let [own, other, unbounded] = [(); 3].map(|()| new_transaction_id().role_name());
    let boundary = field.arn("policy/daypass-boundary");
    let role = field.role("/daypass/", &own, Some(&boundary)).await;
    field.role("/daypass/", &other, Some(&boundary)).await;
    field.role("/daypass/", &unbounded, None).await;
    let values = field.values("none", &own, &other).with("unbounded_role", &unbounded);
    let id = external_id(&stack, account).await;
    let provisioner = Provisioner::borrowed(&stack, account, &["daypass-create-role", "daypass-record"]).await;

    // Who gets a session at all.
    assert!(is_denied(&provisioner.session("daypass-create-role", None, None).await.unwrap_err()));
    assert!(is_denied(&provisioner.session("daypass-create-role", Some("another"), None).await.unwrap_err()));
    assert!(is_denied(&provisioner.session("daypass-record", Some(&id), None).await.unwrap_err()));
    let session = provisioner.session("daypass-create-role", Some(&id), None).await.unwrap();
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iam:*", "Resource": [role, field.arn("instance-profile/*")]},
        {"Effect": "Allow", "Action": "iam:GetRole", "Resource": field.arn(&format!("role/{own}"))}]});
    let narrowed = provisioner.session("daypass-create-role", Some(&id), Some(&policy.to_string())).await.unwrap();

    let abuses = abuses();
    assert!(abuses.len() >= 20);
    for (who, somebody) in [("provisioner", &session), ("its session for one role", &narrowed)] {
        let passed = not_denied(answers(somebody, &abuses, &values).await);
        assert!(passed.is_empty(), "{who}: {passed:#?}");
    }

    // What it may do to a deploy role its session may do to one only.
    let passed = not_denied(answers(&narrowed, &rights(), &values).await);
    assert!(passed.is_empty(), "another's role: {passed:#?}");
    // That the provisioner can be read, because it has a deploy role's name but for the path, is no session's right.
    let itself = [("how it is set up", iam("GetRole", &json!({"RoleName": "daypass-provisioner"})))];
    assert!(not_denied(answers(&narrowed, &itself, &values).await).is_empty());
    assert_eq!(not_denied(answers(&session, &itself, &values).await).len(), 1);
    let refused: Vec<_> = answers(&session, &rights(), &values).await.into_iter().filter(|it| it.1.is_some()).collect();
    assert!(refused.is_empty(), "without the session policy: {refused:#?}");

    provisioner.returned().await;
    for name in [own, unbounded] {
        field.root().iam().delete_role().role_name(name).send().await.unwrap();
    }
}

/// The control of the above: the abuses, by a role that is not restricted.
#[tokio::test]
async fn an_administrator_is_refused_none_of_the_provisioners_abuses() {
    let stack = Stack::alone().await;
    let field = Field { stack: &stack, account: ELSEWHERE, other_account: BEYOND };
    let mut refused = Vec::new();
    for abuse in abuses() {
        field.principals().await;
        field.administrator("/", "daypass-provisioner", None).await;
        made(
            field.root().iam().create_policy().policy_name("daypass-boundary").policy_document(EVERYTHING).send().await,
        );
        let [own, unbounded, caller] = [(); 3].map(|()| new_transaction_id().role_name());
        field.role("/daypass/", &own, None).await;
        field.role("/daypass/", &unbounded, None).await;
        let arn = field.administrator("/", &caller, None).await;
        let somebody = stack.assume_with(&field.root(), &arn).await.unwrap();
        let values = field.values("none", &own, &own).with("unbounded_role", &unbounded);
        let answer = answers(&somebody, &[abuse], &values).await;
        refused.extend(answer.into_iter().filter(|(_, refused)| refused.as_ref().is_some_and(Refused::is_refusal)));
    }
    assert!(refused.is_empty(), "{refused:#?}");
}
