//! What a deploy role may do at most, judged by an evaluator that is none of ours, over every action of AWS.
//!
//! A persona's policies and the boundary are evaluated together. `make check-escalation` writes the catalogue first
//! (`policies/escalation.py prepare`) and has what is written here scanned by cloudsplaining afterwards.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "these are tests, helpers included")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::LazyLock,
};

use daypass::persona::Personas;
use daypass_policies::{
    BOUNDARY, WORKLOADS,
    methods::{EXAMPLE, METHODS, Method, SHIELD, Step},
};
use daypass_tests::kinds::{ACCEPTED, Kind};
use iam_rs::{Arn, Context, ContextValue, Decision, IAMPolicy, IAMRequest, PolicyEvaluator, Principal, PrincipalId};
use serde::Deserialize;
use serde_json::Value;

const EVERYTHING: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

#[derive(Deserialize)]
struct Catalogue {
    actions: Vec<Action>,
    managed_policies: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Action {
    #[serde(rename = "action")]
    name: String,
    access_level: String,
    sees_tags: bool,
}

impl Action {
    fn changes_something(&self) -> bool {
        !["Read", "List"].contains(&self.access_level.as_str())
    }

    fn is_of(&self, services: &[&str]) -> bool {
        services.contains(&self.name.split(':').next().unwrap())
    }
}

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let text = fs::read_to_string(directory().join("catalogue.json"));
    serde_json::from_str(&text.expect("`make check-escalation` writes the catalogue")).unwrap()
});

/// Where the two Python steps leave and look for their files.
fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.local/check/escalation")
}

/// Somebody with policies, and perhaps a boundary.
struct Somebody {
    name: String,
    policies: PolicyEvaluator,
    boundary: Option<PolicyEvaluator>,
}

impl Somebody {
    fn new(name: String, policies: Vec<IAMPolicy>, boundary: Option<PolicyEvaluator>) -> Self {
        Self { name, policies: PolicyEvaluator::with_policies(policies), boundary }
    }

    fn may(&self, action: &str, resource: &str, context: &BTreeMap<String, Option<String>>) -> bool {
        let request = request(action, resource, context);
        let allows = |policies: &PolicyEvaluator| {
            policies.evaluate(&request).unwrap_or_else(|error| panic!("{}: {action}: {error}", self.name)).decision
                == Decision::Allow
        };
        allows(&self.policies) && self.boundary.as_ref().is_none_or(allows)
    }

    fn may_take(&self, step: &Step) -> bool {
        self.may(&step.action, &step.resource, &step.context)
    }

    fn may_use(&self, method: &Method) -> bool {
        method.steps.iter().all(|step| self.may_take(step))
    }
}

fn request(action: &str, resource: &str, context: &BTreeMap<String, Option<String>>) -> IAMRequest {
    let service = action.split(':').next().unwrap();
    // The evaluator wants an ARN. A request without one is about the service at large.
    let resource =
        if resource == "*" { format!("arn:aws:{service}:{{region}}:{{account}}:*") } else { resource.to_owned() };
    let resource = Arn::parse(&EXAMPLE.fill(&resource)).unwrap_or_else(|error| panic!("{resource}: {error}"));
    let mut keys = Context::new();
    for (key, value) in context {
        // A key that the request has not is none.
        let Some(value) = value else { continue };
        let value = EXAMPLE.fill(value);
        let several = key == "aws:TagKeys";
        let value = if several { ContextValue::StringList(vec![value]) } else { ContextValue::String(value) };
        keys.insert(key.clone(), value);
    }
    let caller = PrincipalId::String(EXAMPLE.fill("arn:aws:iam::{account}:role/daypass/{deploy_role}"));
    IAMRequest::new_with_context(Principal::Aws(caller), action, resource, keys)
}

fn policy(document: &str) -> IAMPolicy {
    IAMPolicy::from_json(document).unwrap_or_else(|error| panic!("{error}: {document}"))
}

/// What the trail of the account writes to, as the parameters of the target stack name it.
const TRAIL_BUCKET: &str = "audit";
const TRAIL_LOG_GROUP: &str = "/landing-zone/trail";
const TRAIL_KEY: &str = "arn:aws:kms:{region}:{account}:key/0b0c6a9e-6d0c-4c43-9a55-0d8a8a5f3b11";

fn boundary() -> PolicyEvaluator {
    filled(BOUNDARY)
}

/// The boundary of the roles that deployments create, where data stays.
fn workloads() -> PolicyEvaluator {
    filled(WORKLOADS)
}

fn filled(document: &str) -> PolicyEvaluator {
    let values = [
        ("${Partition}", "aws"),
        ("${Account}", "{account}"),
        ("${TrailBucket}", TRAIL_BUCKET),
        ("${TrailLogGroup}", TRAIL_LOG_GROUP),
        ("${TrailKeyArn}", TRAIL_KEY),
    ];
    let filled =
        values.iter().fold(document.to_owned(), |document, (name, value)| document.replace(name, &EXAMPLE.fill(value)));
    PolicyEvaluator::with_policies(vec![policy(&filled)])
}

/// Whoever is allowed everything that the boundary allows.
fn bounded_administrator() -> Somebody {
    Somebody::new("everything, within the boundary".to_owned(), vec![policy(EVERYTHING)], Some(boundary()))
}

/// A role that a deployment has created and given everything.
fn workload() -> Somebody {
    Somebody::new("a workload with everything".to_owned(), vec![policy(EVERYTHING)], Some(workloads()))
}

/// The same without the boundary: the control.
fn administrator() -> Somebody {
    Somebody::new("without boundary: everything".to_owned(), vec![policy(EVERYTHING)], None)
}

/// Every persona in every environment, with what personas.json gives them.
fn personas() -> Vec<Somebody> {
    let personas = Personas::parse(include_str!("../../personas.json")).unwrap();
    let mut found = Vec::new();
    for persona in personas.personas() {
        for environment in personas.environments() {
            let entitlement = persona.entitlement(environment);
            let managed =
                entitlement.managed_policies.iter().map(|arn| policy(&CATALOGUE.managed_policies[arn].to_string()));
            let custom = entitlement.custom_policy.iter().map(|custom| policy(&custom.to_json()));
            let name = format!("{} in {}", persona.name(), environment.name());
            found.push(Somebody::new(name, managed.chain(custom).collect(), Some(boundary())));
        }
    }
    assert!(found.len() >= 6, "three personas in two environments");
    found
}

fn nothing() -> BTreeMap<String, Option<String>> {
    BTreeMap::new()
}

#[test]
fn no_method_works_for_any_persona() {
    let works = |somebody: &Somebody| {
        METHODS.iter().filter(|method| somebody.may_use(method)).map(|method| &method.id).cloned().collect::<Vec<_>>()
    };
    for somebody in personas() {
        assert_eq!(works(&somebody), [""; 0], "{}", somebody.name);
    }
}

/// Whatever personas.json will say.
#[test]
fn no_method_works_within_the_boundary() {
    let somebody = bounded_administrator();
    let works: Vec<_> = METHODS.iter().filter(|method| somebody.may_use(method)).map(|method| &method.id).collect();
    assert_eq!(works, [""; 0]);
}

/// What a role may do that a deployment creates, the deployment may do.
#[test]
fn a_workload_may_nothing_that_a_deployment_may_not() {
    let (deployment, workload) = (bounded_administrator(), workload());
    let allowed: Vec<_> = requests().filter(|(action, resource)| workload.may(action, resource, &nothing())).collect();
    for (action, resource) in &allowed {
        assert!(deployment.may(action, resource, &nothing()), "{action} on {resource}");
    }
    assert!(allowed.len() > 10_000, "{}", allowed.len());
}

/// Whoever may create roles gets nothing through them that is denied to themselves, in production above all.
#[test]
fn a_workload_may_nothing_that_its_persona_is_denied() {
    let as_workload = BTreeMap::from([(
        "iam:PermissionsBoundary".to_owned(),
        Some("arn:aws:iam::{account}:policy/daypass-workloads".to_owned()),
    )]);
    let own = "arn:aws:iam::{account}:role/deployed-by-daypass/app";
    let workload = workload();
    let creating: Vec<_> =
        personas().into_iter().filter(|somebody| somebody.may("iam:CreateRole", own, &as_workload)).collect();
    let names: Vec<_> = creating.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["Product_Admin in non-production", "Product_Admin in production"]);
    for (action, resource) in requests().filter(|(action, resource)| workload.may(action, resource, &nothing())) {
        for somebody in &creating {
            assert!(somebody.may(action, resource, &nothing()), "{}: {action} on {resource}", somebody.name);
        }
    }
}

/// Every action, on everything and on what personas name in their statements.
fn requests() -> impl Iterator<Item = (&'static str, &'static str)> {
    CATALOGUE.actions.iter().flat_map(|action| {
        let service = action.name.split(':').next().unwrap();
        let named = NAMED.into_iter().filter(move |arn| arn.split(':').nth(2) == Some(service));
        named.chain(["*"]).map(|resource| (action.name.as_str(), resource))
    })
}

const NAMED: [&str; 5] = [
    "arn:aws:cloudformation:{region}:{account}:stack/network-x/y",
    "arn:aws:cloudformation:{region}:{account}:stack/containers-x/y",
    "arn:aws:secretsmanager:{region}:{account}:secret:network/x",
    "arn:aws:secretsmanager:{region}:{account}:secret:containers/x",
    "arn:aws:iam::{account}:role/fixed-for-daypass/Network/deployer",
];

const DEPLOY_ROLE: &str = "arn:aws:iam::{account}:role/daypass/{deploy_role}";

/// Nobody creates a role that has no boundary, or another one than that of workloads.
#[test]
fn a_persona_creates_roles_within_the_boundary_of_workloads_only() {
    let own = "arn:aws:iam::{account}:role/deployed-by-daypass/app";
    let others = [None, Some("policy/daypass-boundary"), Some("policy/mine"), Some("policy/deployed-by-daypass/mine")];
    for somebody in personas() {
        for boundary in others {
            let given = boundary.map(|name| format!("arn:aws:iam::{{account}}:{name}"));
            let context = BTreeMap::from([("iam:PermissionsBoundary".to_owned(), given)]);
            for action in ["CreateRole", "PutRolePermissionsBoundary", "PutRolePolicy", "AttachRolePolicy"] {
                assert!(
                    !somebody.may(&format!("iam:{action}"), own, &context),
                    "{}: {action} {boundary:?}",
                    somebody.name
                );
            }
        }
    }
}

/// The roles of the platform team: each persona assumes and passes its own, and nobody does anything else with them.
#[test]
fn a_fixed_role_is_assumed_and_passed_by_its_persona_only() {
    let mut all = personas();
    all.push(bounded_administrator());
    let personas = ["Network", "Product_Admin", "Container_Admin"];
    for somebody in &all {
        for (owner, role) in
            personas.iter().flat_map(|owner| ["kubernetes-x", "cloudformation-x"].map(|it| (owner, it)))
        {
            let arn = format!("arn:aws:iam::{{account}}:role/fixed-for-daypass/{owner}/{role}");
            for caller in personas {
                let context = BTreeMap::from([
                    ("aws:PrincipalTag/daypass:persona".to_owned(), Some(caller.to_owned())),
                    ("aws:PrincipalArn".to_owned(), Some(DEPLOY_ROLE.to_owned())),
                    ("iam:PassedToService".to_owned(), Some("cloudformation.amazonaws.com".to_owned())),
                    (
                        "iam:PermissionsBoundary".to_owned(),
                        Some("arn:aws:iam::{account}:policy/daypass-workloads".to_owned()),
                    ),
                ]);
                let changes = CATALOGUE.actions.iter().filter(|it| it.is_of(&["iam"]) && it.changes_something());
                let changes = changes.map(|it| it.name.as_str()).filter(|action| !action.starts_with("iam:Generate"));
                for action in changes.chain(["sts:AssumeRole"]) {
                    let own = ["sts:AssumeRole", "iam:PassRole"].contains(&action) && caller == *owner;
                    let may = somebody.may(action, &arn, &context);
                    assert!(!may || own, "{} as {caller}: {action} on {arn}", somebody.name);
                }
            }
        }
    }
    let kubernetes = "arn:aws:iam::{account}:role/fixed-for-daypass/Container_Admin/kubernetes-x";
    let tagged = |persona: &str| {
        BTreeMap::from([
            ("aws:PrincipalTag/daypass:persona".to_owned(), Some(persona.to_owned())),
            ("aws:PrincipalArn".to_owned(), Some(DEPLOY_ROLE.to_owned())),
        ])
    };
    for somebody in all.iter().filter(|it| it.name.starts_with("Container_Admin")) {
        assert!(somebody.may("sts:AssumeRole", kubernetes, &tagged("Container_Admin")), "{}", somebody.name);
    }
}

/// The control of the two above: the evaluator refuses none of the methods by itself.
#[test]
fn every_method_works_without_the_boundary() {
    let somebody = administrator();
    let stopped: Vec<_> = METHODS.iter().filter(|method| !somebody.may_use(method)).map(|method| &method.id).collect();
    assert_eq!(stopped, [""; 0]);
}

/// The boundary does not pass the checks by allowing nothing.
#[test]
fn deployments_can_do_their_work() {
    let somebody = bounded_administrator();
    let bounded = BTreeMap::from([(
        "iam:PermissionsBoundary".to_owned(),
        Some("arn:aws:iam::{account}:policy/daypass-boundary".to_owned()),
    )]);
    let own = "arn:aws:iam::{account}:role/deployed-by-daypass/app";
    for (action, resource, context) in [
        ("iam:CreateRole", own, &bounded),
        ("iam:AttachRolePolicy", own, &bounded),
        ("iam:PassRole", own, &nothing()),
        ("sts:AssumeRole", own, &nothing()),
        ("lambda:UpdateFunctionCode", "arn:aws:lambda:{region}:{account}:function:app", &nothing()),
        ("cloudformation:UpdateStack", "arn:aws:cloudformation:{region}:{account}:stack/app/*", &nothing()),
    ] {
        assert!(somebody.may(action, resource, context), "{action} on {resource}");
    }
}

/// Over the whole catalogue, also what AWS has added since the methods were written down.
#[test]
fn who_is_who_cannot_be_changed() {
    let services = [
        "account",
        "codestar",
        "ds-data",
        "iam",
        "identity-sync",
        "identitystore",
        "identitystore-auth",
        "organizations",
        "rolesanywhere",
        "sso",
        "sso-directory",
        "sso-oauth",
    ];
    let principals = [
        "user/admin",
        "group/admins",
        "role/admin",
        "policy/admin",
        "instance-profile/admin",
        "saml-provider/corporate",
    ]
    .map(|name| format!("arn:aws:iam::{{account}}:{name}"));
    let somebody = bounded_administrator();
    let changes: Vec<_> = CATALOGUE.actions.iter().filter(|it| it.is_of(&services) && it.changes_something()).collect();
    assert!(changes.len() > 300, "{} actions", changes.len());
    let reads = [
        "iam:GenerateCredentialReport",
        "iam:GenerateServiceLastAccessedDetails",
        "iam:GenerateOrganizationsAccessReport",
    ];
    for action in changes.iter().map(|it| it.name.as_str()).filter(|action| !reads.contains(action)) {
        for resource in principals.iter().map(String::as_str).chain(["*"]) {
            assert!(!somebody.may(action, resource, &nothing()), "{action} on {resource}");
        }
    }
}

#[test]
fn daypass_itself_can_only_be_looked_at() {
    let somebody = bounded_administrator();
    let own = [
        "role/daypass/{deploy_role}",
        "role/daypass/{other_deploy_role}",
        "role/daypass-provisioner",
        "policy/daypass-boundary",
    ]
    .map(|name| format!("arn:aws:iam::{{account}}:{name}"));
    let bounded = BTreeMap::from([("iam:PermissionsBoundary".to_owned(), Some(own[3].clone()))]);
    for action in CATALOGUE.actions.iter().filter(|it| it.is_of(&["iam", "sts"])) {
        let name = action.name.split(':').nth(1).unwrap();
        let looks = ["Get", "List", "Simulate", "Generate"].iter().any(|verb| name.starts_with(verb));
        for resource in &own {
            let may = somebody.may(&action.name, resource, &bounded);
            assert!(!may || looks, "{} on {resource}", action.name);
        }
    }
    for stack in ["DaypassTarget", "StackSet-x", "CDKToolkit"] {
        let resource = format!("arn:aws:cloudformation:{{region}}:{{account}}:stack/{stack}/x");
        for action in CATALOGUE.actions.iter().filter(|it| it.is_of(&["cloudformation"]) && it.changes_something()) {
            assert!(!somebody.may(&action.name, &resource, &nothing()), "{} on {resource}", action.name);
        }
    }
}

#[test]
fn what_is_shielded_cannot_be_touched() {
    let somebody = bounded_administrator();
    let shielded = BTreeMap::from([(SHIELD.to_owned(), Some("true".to_owned()))]);
    let mut allowed_otherwise = 0;
    for action in CATALOGUE.actions.iter().filter(|it| it.sees_tags) {
        assert!(!somebody.may(&action.name, "*", &shielded), "{}", action.name);
        allowed_otherwise += usize::from(somebody.may(&action.name, "*", &nothing()));
    }
    assert!(allowed_otherwise > 5000, "without the tag: {allowed_otherwise}");
}

/// What is allowed of a kind, though nobody has accepted it.
fn unjudged<'a>(actions: impl IntoIterator<Item = &'a Action>) -> BTreeSet<&'a str> {
    let somebody = bounded_administrator();
    let accepted: BTreeSet<_> = ACCEPTED.iter().flat_map(|group| &group.actions).map(String::as_str).collect();
    actions
        .into_iter()
        .filter(|it| Kind::of(&it.name, &it.access_level).is_some())
        .map(|it| it.name.as_str())
        .filter(|name| !accepted.contains(name) && somebody.may(name, "*", &nothing()))
        .collect()
}

/// Over the whole catalogue: an action that AWS adds, and that is of one of the two kinds, makes this fail.
#[test]
fn no_witness_is_silenced_and_no_credentials_are_handed_out() {
    let found = unjudged(&CATALOGUE.actions);
    assert!(
        found.is_empty(),
        "{found:#?}: each silences a witness or hands out credentials. Deny it in cdk/lib/constructs/boundary.ts, or accept \
         it in policies/accepted-actions.json with the reason why a deployment needs it"
    );
    let of_a_kind =
        CATALOGUE.actions.iter().filter(|it| Kind::of(&it.name, &it.access_level).is_some()).map(|it| &it.name);
    let somebody = bounded_administrator();
    let withheld = of_a_kind.filter(|name| !somebody.may(name, "*", &nothing())).count();
    assert!(withheld > 500, "{withheld}");
}

/// The control of the one above: what nobody has thought of is found, or withheld already.
#[test]
fn an_action_that_is_new_is_judged() {
    let action = |name: &str, access_level: &str| Action {
        name: name.to_owned(),
        access_level: access_level.to_owned(),
        sees_tags: true,
    };
    let found = [
        action("newservice:GetTemporaryCredentials", "Read"),
        action("newservice:RegisterPublicKeyForUser", "Write"),
        action("newservice:AssumeOperatorRole", "Read"),
        action("ec2:DisableNetworkLogs", "Write"),
        action("newservice:BatchDeleteFindings", "Write"),
        action("logs:SuspendEverything", "Write"),
        // Its name is that of a read.
        action("guardduty:GetRidOfFindings", "Write"),
    ];
    assert_eq!(unjudged(&found), found.iter().map(|it| it.name.as_str()).collect());
    let withheld = action("guardduty:SilenceEverything", "Write");
    assert_eq!(Kind::of(&withheld.name, &withheld.access_level), Some(Kind::Witness));
    assert_eq!(unjudged([&withheld]), BTreeSet::new());
    let harmless = [
        action("newservice:ListTokens", "List"),
        action("newservice:GetCertificate", "Read"),
        action("newservice:DeletePassword", "Write"),
        action("newservice:UpdateCatalog", "Write"),
        action("newservice:GetFindings", "Read"),
    ];
    assert_eq!(unjudged(&harmless), BTreeSet::new());
}

/// What is accepted exists, is of the kind that it is said to be, is not denied, and has a reason.
#[test]
fn what_is_accepted_is_what_is_left() {
    let somebody = bounded_administrator();
    let mut seen = BTreeSet::new();
    for group in ACCEPTED.iter() {
        assert!(group.reason.len() > 20, "{group:?}");
        assert!(group.actions.is_sorted(), "{group:?}");
        for name in &group.actions {
            let known = CATALOGUE.actions.iter().find(|it| it.name == *name);
            let known = known.unwrap_or_else(|| panic!("{name}: AWS has no such action; remove it"));
            assert_eq!(Kind::of(name, &known.access_level), Some(group.kind), "{name}");
            assert!(somebody.may(name, "*", &nothing()), "{name} is denied: it need not be accepted");
            assert!(seen.insert(name), "{name} is accepted twice");
        }
    }
}

/// Every action of the three services, whatever it is called: what is left can only be looked at.
#[test]
fn what_the_trail_writes_to_can_only_be_looked_at() {
    let somebody = bounded_administrator();
    let resources = [
        ("s3", format!("arn:aws:s3:::{TRAIL_BUCKET}-1")),
        ("s3", format!("arn:aws:s3:::{TRAIL_BUCKET}-1/AWSLogs/x")),
        ("s3", "arn:aws:s3:::aws-cloudtrail-logs-1/AWSLogs/x".to_owned()),
        ("kms", TRAIL_KEY.to_owned()),
        ("logs", format!("arn:aws:logs:{{region}}:{{account}}:log-group:{TRAIL_LOG_GROUP}")),
        ("logs", format!("arn:aws:logs:{{region}}:{{account}}:log-group:{TRAIL_LOG_GROUP}:log-stream:x")),
        ("logs", "arn:aws:logs:{region}:{account}:log-group:aws-cloudtrail-logs-1:*".to_owned()),
    ];
    for (service, resource) in resources {
        let changes = CATALOGUE.actions.iter().filter(|it| it.is_of(&[service]) && it.changes_something());
        let allowed: Vec<_> = changes.filter(|it| somebody.may(&it.name, &resource, &nothing())).collect();
        assert!(allowed.is_empty(), "{:?} on {resource}", allowed.iter().map(|it| &it.name).collect::<Vec<_>>());
    }
}

/// What a persona of `personas.json` was found to do to the witnesses, and what is like it; and beside each what it may do
/// to its own.
#[test]
fn no_persona_silences_a_witness() {
    let bucket = format!("arn:aws:s3:::{TRAIL_BUCKET}");
    let object = format!("{bucket}/AWSLogs/x");
    let group = format!("arn:aws:logs:{{region}}:{{account}}:log-group:{TRAIL_LOG_GROUP}");
    let harmful = [
        ("kms:ScheduleKeyDeletion", TRAIL_KEY),
        ("kms:DisableKey", TRAIL_KEY),
        ("kms:PutKeyPolicy", TRAIL_KEY),
        ("logs:DeleteLogGroup", &group),
        ("logs:PutRetentionPolicy", &group),
        ("logs:DeleteSubscriptionFilter", &group),
        ("s3:DeleteObject", &object),
        ("s3:PutObject", &object),
        ("s3:PutBucketPolicy", &bucket),
        ("s3:PutLifecycleConfiguration", &bucket),
        ("guardduty:ArchiveFindings", "*"),
        ("guardduty:UpdateMalwareScanSettings", "*"),
        ("securityhub:BatchUpdateFindings", "*"),
        ("securityhub:CreateAutomationRule", "*"),
        ("config:DeleteConfigRule", "*"),
        ("config:PutRetentionConfiguration", "*"),
        ("inspector2:CreateFilter", "*"),
        ("macie2:DisableMacie", "*"),
        ("access-analyzer:UpdateFindings", "*"),
        ("ec2:DeleteFlowLogs", "*"),
        ("route53resolver:DeleteResolverQueryLogConfig", "*"),
        ("acm-pca:IssueCertificate", "*"),
        ("transfer:ImportSshPublicKey", "*"),
    ];
    for somebody in personas() {
        for (action, resource) in harmful {
            assert!(!somebody.may(action, resource, &nothing()), "{}: {action} on {resource}", somebody.name);
        }
    }
    let all = personas();
    let developer = all.iter().find(|it| it.name == "Product_Admin in non-production").expect("the persona");
    for (action, resource) in [
        ("kms:ScheduleKeyDeletion", "arn:aws:kms:{region}:{account}:key/app"),
        ("logs:DeleteLogGroup", "arn:aws:logs:{region}:{account}:log-group:app"),
        ("logs:PutRetentionPolicy", "arn:aws:logs:{region}:{account}:log-group:app"),
        ("s3:DeleteObject", "arn:aws:s3:::app/x"),
        ("s3:PutBucketPolicy", "arn:aws:s3:::app"),
        ("ec2:CreateFlowLogs", "*"),
        ("events:DeleteRule", "arn:aws:events:{region}:{account}:rule/app"),
        ("cloudwatch:DeleteAlarms", "arn:aws:cloudwatch:{region}:{account}:alarm:app"),
        ("guardduty:GetFindings", "*"),
        ("config:DescribeConfigRules", "*"),
        ("cloudtrail:LookupEvents", "*"),
        ("ecr:GetAuthorizationToken", "*"),
        ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:{region}:{account}:secret:app"),
    ] {
        assert!(developer.may(action, resource, &nothing()), "{action} on {resource}");
    }
}

/// Who may do what, for cloudsplaining, which knows neither resources nor tags. An action that methods take counts as
/// allowed when it is for each of them: one's own function may be invoked, somebody else's may not.
#[test]
fn effective_actions_are_written_down() {
    let mut steps: BTreeMap<&str, Vec<&Step>> = BTreeMap::new();
    for step in METHODS.iter().flat_map(|method| &method.steps) {
        steps.entry(&step.action).or_default().push(step);
    }
    let mut effective = BTreeMap::new();
    for somebody in personas().into_iter().chain([bounded_administrator(), administrator()]) {
        let may = |action: &str| match steps.get(action) {
            Some(steps) => steps.iter().all(|step| somebody.may_take(step)),
            None => somebody.may(action, "*", &nothing()),
        };
        let actions: Vec<_> = CATALOGUE.actions.iter().map(|it| it.name.as_str()).filter(|it| may(it)).collect();
        assert!(actions.len() > 100, "{}: {}", somebody.name, actions.len());
        effective.insert(somebody.name.clone(), actions);
    }
    fs::write(directory().join("effective.json"), serde_json::to_string(&effective).unwrap()).unwrap();
}
