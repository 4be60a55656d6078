"""CloudFormation deploys with the rights of its caller or of the stack's role, resource by resource."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Accounts, allow, deny, policy, refused, service_trust

from daypass_local.aws import Credentials

TRUST = {"Version": "2012-10-17", "Statement": [service_trust("lambda.amazonaws.com")]}
STACKS = ["cloudformation:CreateStack", "cloudformation:DeleteStack", "cloudformation:UpdateStack"]
DONE = ("_COMPLETE", "_FAILED")

Session = Callable[..., Credentials]


@pytest.fixture
def session(accounts: Accounts) -> Session:
    def with_policies(name: str, *policies: dict[str, Any]) -> Credentials:
        return accounts.session(accounts.role(accounts.target, name, policies=list(policies)))

    return with_policies


class Stack:
    """A stack of one test, deployed with credentials of its choice."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts, self.name = accounts, f"stack-{accounts.suffix}"
        self.root = accounts.aws.root("cloudformation", accounts.target)

    def create(self, who: Credentials, *resources: dict[str, Any], **more: Any) -> str:
        """Return the status that the creation ends with."""
        client = self.accounts.aws.client("cloudformation", who)
        client.create_stack(StackName=self.name, TemplateBody=template(*resources), Capabilities=CAPABLE, **more)
        return self.status()

    def update(self, who: Credentials, *resources: dict[str, Any], **more: Any) -> str:
        client = self.accounts.aws.client("cloudformation", who)
        client.update_stack(StackName=self.name, TemplateBody=template(*resources), Capabilities=CAPABLE, **more)
        return self.status()

    def delete(self, who: Credentials) -> str:
        stack = self.root.describe_stacks(StackName=self.name)["Stacks"][0]["StackId"]
        self.accounts.aws.client("cloudformation", who).delete_stack(StackName=self.name)
        return self.status(stack)

    def status(self, stack: str = "") -> str:
        for _ in range(600):
            found = self.root.describe_stacks(StackName=stack or self.name)["Stacks"][0]
            if found["StackStatus"].endswith(DONE):
                return str(found["StackStatus"])
            time.sleep(0.05)
        raise AssertionError(found)

    def reasons(self) -> str:
        """Return why resources have failed."""
        events = self.root.describe_stack_events(StackName=self.name)["StackEvents"]
        return "\n".join(event.get("ResourceStatusReason", "") for event in events)


CAPABLE = ["CAPABILITY_NAMED_IAM"]


def template(*resources: dict[str, Any]) -> str:
    return json.dumps({"Resources": {f"R{number}": resource for number, resource in enumerate(resources)}})


@pytest.fixture
def stack(accounts: Accounts) -> Stack:
    return Stack(accounts)


def role(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST, **properties}}


def function(name: str, role: Any) -> dict[str, Any]:
    code = {"ZipFile": "exports.handler = async () => {}"}
    properties = {"FunctionName": name, "Role": role, "Runtime": "nodejs20.x", "Handler": "index.handler", "Code": code}
    return {"Type": "AWS::Lambda::Function", "Properties": properties}


def table(name: str, **properties: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            **properties,
        },
    }


WITHOUT: dict[str, tuple[Callable[[str], dict[str, Any]], str]] = {
    "queue": (lambda name: {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}}, "sqs:CreateQueue"),
    "bucket": (lambda name: {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}, "s3:CreateBucket"),
    "what a property causes": (
        lambda name: {
            "Type": "AWS::S3::Bucket",
            "Properties": {"BucketName": name, "VersioningConfiguration": {"Status": "Enabled"}},
        },
        "s3:PutBucketVersioning",
    ),
    "table": (table, "dynamodb:CreateTable"),
    "tags": (lambda name: table(name, Tags=[{"Key": "team", "Value": "payments"}]), "dynamodb:TagResource"),
    "log group": (
        lambda name: {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name, "RetentionInDays": 7}},
        "logs:PutRetentionPolicy",
    ),
    "role": (lambda name: role(RoleName=name), "iam:CreateRole"),
    "inline policy": (
        lambda name: role(
            RoleName=name,
            Policies=[{"PolicyName": "x", "PolicyDocument": json.loads(policy(allow("s3:GetObject")))}],
        ),
        "iam:PutRolePolicy",
    ),
    "attached policy": (
        lambda name: role(RoleName=name, ManagedPolicyArns=["arn:aws:iam::aws:policy/ReadOnlyAccess"]),
        "iam:AttachRolePolicy",
    ),
    "user": (lambda name: {"Type": "AWS::IAM::User", "Properties": {"UserName": name}}, "iam:CreateUser"),
    "type without handlers": (
        lambda name: {
            "Type": "AWS::CodeBuild::Project",
            "Properties": {
                "Name": name,
                "ServiceRole": "arn:aws:iam::222222222222:role/x",
                "Artifacts": {"Type": "NO_ARTIFACTS"},
                "Environment": {"Type": "LINUX_CONTAINER", "ComputeType": "BUILD_GENERAL1_SMALL", "Image": "x"},
                "Source": {"Type": "NO_SOURCE", "BuildSpec": "version: 0.2"},
            },
        },
        "codebuild:CreateProject",
    ),
}


@pytest.mark.parametrize(("resource", "action"), WITHOUT.values(), ids=WITHOUT.keys())
def test_a_resource_needs_its_permissions(
    accounts: Accounts, session: Session, stack: Stack, resource: Callable[[str], dict[str, Any]], action: str
) -> None:
    made = resource(f"x-{accounts.suffix}")
    assert stack.create(session("cannot", allow("*"), deny(action)), made) == "ROLLBACK_COMPLETE"
    assert f"is not authorized to perform: {action} on resource: arn:aws:" in stack.reasons()
    assert stack.create(session("can", allow("*")), made) == "CREATE_COMPLETE"


def test_what_no_property_causes_is_not_needed(accounts: Accounts, session: Session, stack: Stack) -> None:
    name = f"x-{accounts.suffix}"
    others = ["s3:PutBucketVersioning", "s3:PutBucketPolicy", "s3:DeleteObject", "s3:PutBucketAcl", "iam:PassRole"]
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}
    assert stack.create(session("can", allow("*"), deny(others)), bucket) == "CREATE_COMPLETE", stack.reasons()


def test_a_resource_is_judged_by_its_own_arn(accounts: Accounts, session: Session, stack: Stack) -> None:
    mine = f"mine-{accounts.suffix}"
    may = [allow(STACKS), allow("dynamodb:*", f"arn:aws:dynamodb:*:*:table/{mine}")]
    assert stack.create(session("others", *may), table(f"other-{accounts.suffix}")) == "ROLLBACK_COMPLETE"
    assert stack.create(session("own", *may), table(mine)) == "CREATE_COMPLETE", stack.reasons()


def test_a_name_that_cloudformation_makes_is_judged_by_its_beginning(session: Session, stack: Stack) -> None:
    made = {"Type": "AWS::SQS::Queue", "Properties": {}}
    others = session("others", allow(STACKS), allow("sqs:*", "arn:aws:sqs:*:*:other-*"))
    assert stack.create(others, made) == "ROLLBACK_COMPLETE"
    own = session("own", allow(STACKS), allow("sqs:*", f"arn:aws:sqs:*:*:{stack.name}-*"))
    assert stack.create(own, made) == "CREATE_COMPLETE", stack.reasons()


def test_a_role_is_made_where_and_with_the_boundary_that_is_allowed(
    accounts: Accounts, session: Session, stack: Stack
) -> None:
    boundary = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    may = session(
        "path",
        allow(STACKS),
        allow(["iam:Get*", "iam:List*"]),
        allow(
            ["iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:PutRolePermissionsBoundary"],
            "arn:aws:iam::*:role/apps/*",
            Condition={"StringEquals": {"iam:PermissionsBoundary": boundary}},
        ),
        allow(["iam:DeleteRole"], "arn:aws:iam::*:role/apps/*"),
    )
    inline = [{"PolicyName": "x", "PolicyDocument": json.loads(policy(allow("s3:GetObject")))}]
    for wrong in (role(), role(Path="/apps/"), role(PermissionsBoundary=boundary)):
        assert stack.create(may, wrong) == "ROLLBACK_COMPLETE"
        assert "is not authorized to perform: iam:CreateRole" in stack.reasons()
    right = role(Path="/apps/", PermissionsBoundary=boundary, Policies=inline)
    assert stack.create(may, right) == "CREATE_COMPLETE", stack.reasons()
    made = stack.root.describe_stack_resources(StackName=stack.name)["StackResources"][0]["PhysicalResourceId"]
    shown = accounts.aws.root("iam", accounts.target).get_role(RoleName=made)["Role"]
    assert shown["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    other = role(Path="/apps/", PermissionsBoundary="arn:aws:iam::aws:policy/AdministratorAccess", Policies=inline)
    assert stack.update(may, other) == "UPDATE_ROLLBACK_COMPLETE"
    without = role(Path="/apps/", Policies=inline)
    assert stack.update(may, without) == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.delete(may) == "DELETE_COMPLETE", stack.reasons()


def test_a_role_in_a_template_is_passed(accounts: Accounts, session: Session, stack: Stack) -> None:
    arn = accounts.role(accounts.target, "runs", trusts=[service_trust("lambda.amazonaws.com")])
    made = function(f"f-{accounts.suffix}", arn)
    assert stack.create(session("cannot", allow("*"), deny("iam:PassRole", arn)), made) == "ROLLBACK_COMPLETE"
    assert f"iam:PassRole on resource: {arn}" in stack.reasons()
    to_others = {"StringNotEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    elsewhere = session("elsewhere", allow("*"), deny("iam:PassRole", Condition=to_others))
    assert stack.create(elsewhere, made) == "CREATE_COMPLETE", stack.reasons()


def test_an_update_needs_what_it_changes(accounts: Accounts, session: Session, stack: Stack) -> None:
    everybody, name = session("can", allow("*")), f"t-{accounts.suffix}"
    assert stack.create(everybody, table(name)) == "CREATE_COMPLETE"
    cannot = session("cannot", allow("*"), deny(["dynamodb:TagResource"]))
    tagged = table(name, Tags=[{"Key": "team", "Value": "payments"}])
    assert stack.update(cannot, tagged) == "UPDATE_ROLLBACK_COMPLETE"
    backups = table(name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    assert stack.update(cannot, backups) == "UPDATE_COMPLETE", stack.reasons()


def test_a_deletion_needs_its_permission(accounts: Accounts, session: Session, stack: Stack) -> None:
    made = table(f"t-{accounts.suffix}")
    cannot = session("cannot", allow("*"), deny("dynamodb:DeleteTable"))
    assert stack.create(cannot, made) == "CREATE_COMPLETE"
    assert stack.delete(cannot) == "DELETE_FAILED"
    assert stack.delete(session("can", allow("*"))) == "DELETE_COMPLETE"


def test_a_change_set_is_judged_when_it_is_executed(accounts: Accounts, session: Session, stack: Stack) -> None:
    cannot = session("cannot", allow("*"), deny("sqs:CreateQueue"))
    client = accounts.aws.client("cloudformation", cannot)
    made = template({"Type": "AWS::SQS::Queue", "Properties": {}})
    client.create_change_set(StackName=stack.name, ChangeSetName="x", ChangeSetType="CREATE", TemplateBody=made)
    client.execute_change_set(StackName=stack.name, ChangeSetName="x")
    assert stack.status() == "ROLLBACK_COMPLETE"


def test_a_nested_stack_is_judged(accounts: Accounts, session: Session, stack: Stack) -> None:
    s3, bucket = accounts.aws.root("s3", accounts.target), f"templates-{accounts.suffix}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="x", Body=template(role()).encode())
    nested = {
        "Type": "AWS::CloudFormation::Stack",
        "Properties": {"TemplateURL": f"{accounts.aws.url}/{bucket}/x"},
    }
    assert stack.create(session("cannot", allow("*"), deny("iam:CreateRole")), nested) == "ROLLBACK_COMPLETE"


def stack_role(accounts: Accounts, name: str, *policies: dict[str, Any]) -> str:
    trusts = [service_trust("cloudformation.amazonaws.com")]
    return accounts.role(accounts.target, name, trusts=trusts, policies=list(policies))


def test_a_stack_acts_with_the_role_that_it_was_given_and_keeps_it(
    accounts: Accounts, session: Session, stack: Stack
) -> None:
    strong = stack_role(accounts, "strong", allow("*"))
    passes = session("passes", allow(STACKS), allow("iam:PassRole", strong))
    assert stack.create(passes, role(), RoleARN=strong) == "CREATE_COMPLETE", stack.reasons()
    assert stack.root.describe_stacks(StackName=stack.name)["Stacks"][0]["RoleARN"] == strong
    # Whoever may update the stack has the role's rights, and passes nothing.
    updates = session("updates", allow(STACKS))
    assert stack.update(updates, role(Description="another")) == "UPDATE_COMPLETE", stack.reasons()
    weak = stack_role(accounts, "weak", deny("*"))
    passes_weak = session("passes-weak", allow(STACKS), allow("iam:PassRole", weak))
    assert stack.update(passes_weak, role(Description="third"), RoleARN=weak) == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.root.describe_stacks(StackName=stack.name)["Stacks"][0]["RoleARN"] == weak


def test_a_stack_takes_only_a_role_that_trusts_cloudformation(
    accounts: Accounts, session: Session, stack: Stack
) -> None:
    others = accounts.role(accounts.target, "others", trusts=[service_trust("lambda.amazonaws.com")])
    client = accounts.aws.client("cloudformation", session("can", allow("*")))
    for wrong in (others, others + "-gone"):
        code = refused(client.create_stack, StackName=stack.name, TemplateBody=template(role()), RoleARN=wrong)
        assert code == "ValidationError"


def test_a_session_that_ends_ends_its_deployment(accounts: Accounts, stack: Stack) -> None:
    arn = accounts.role(accounts.target, "goes", policies=[allow("*")])
    who = accounts.session(arn)
    assert stack.create(who, table(f"t-{accounts.suffix}")) == "CREATE_COMPLETE"
    iam, name = accounts.aws.root("iam", accounts.target), arn.rsplit("/", 1)[-1]
    iam.put_role_policy(RoleName=name, PolicyName="given", PolicyDocument=policy(allow(STACKS)))
    assert stack.delete(who) == "DELETE_FAILED"


SUBMITS = """
const https = require('https');
exports.handler = async (event) => {
  // As the functions do that CDK brings: always by HTTPS, and without the port.
  const to = new URL(event.ResponseURL);
  const body = JSON.stringify({ Status: 'SUCCESS', PhysicalResourceId: 'made', RequestId: event.RequestId,
    StackId: event.StackId, LogicalResourceId: event.LogicalResourceId,
    Data: { Sdk: typeof require('@aws-sdk/client-s3').S3 } });
  await new Promise((resolve, reject) => {
    const request = https.request({ hostname: to.hostname, path: to.pathname + to.search, method: 'PUT',
      headers: { 'content-type': '', 'content-length': Buffer.byteLength(body, 'utf8') } }, resolve);
    request.on('error', reject);
    request.end(body);
  });
};
"""


def test_a_custom_resource_ends_and_needs_the_function(accounts: Accounts, session: Session, stack: Stack) -> None:
    arn = accounts.role(
        accounts.target, "custom", trusts=[service_trust("lambda.amazonaws.com")], policies=[allow("*")]
    )
    provider = function(f"custom-{accounts.suffix}", arn)
    provider["Properties"]["Code"] = {"ZipFile": SUBMITS}
    custom = {"Type": "Custom::Thing", "Properties": {"ServiceToken": {"Fn::GetAtt": ["R0", "Arn"]}}}
    cannot = session("cannot", allow("*"), deny("lambda:InvokeFunction"))
    assert stack.create(cannot, provider, custom) == "ROLLBACK_COMPLETE"
    assert "lambda:InvokeFunction" in stack.reasons()
    assert stack.create(session("can", allow("*")), provider, custom) == "CREATE_COMPLETE", stack.reasons()


def test_a_bucket_has_the_tags_of_its_template(accounts: Accounts, session: Session, stack: Stack) -> None:
    name = f"tagged-{accounts.suffix}"

    def bucket(value: str) -> dict[str, Any]:
        tags = [{"Key": "team", "Value": value}]
        return {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name, "Tags": tags}}

    def tag() -> str:
        tags = accounts.aws.root("s3", accounts.target).get_bucket_tagging(Bucket=name)["TagSet"]
        return next(str(tag["Value"]) for tag in tags if tag["Key"] == "team")

    who = session("can", allow("*"))
    assert stack.create(who, bucket("payments")) == "CREATE_COMPLETE", stack.reasons()
    assert tag() == "payments"
    assert stack.update(who, bucket("receipts")) == "UPDATE_COMPLETE", stack.reasons()
    assert tag() == "receipts"


IMPORTS = {"Type": "AWS::IAM::Role", "DeletionPolicy": "Retain"}


def test_what_was_imported_is_judged_by_all_that_the_template_says(
    accounts: Accounts, session: Session, stack: Stack
) -> None:
    boundary = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    name, trust = f"r-{accounts.suffix}", {"AssumeRolePolicyDocument": TRUST}
    iam = accounts.aws.root("iam", accounts.target)
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), PermissionsBoundary=boundary)
    who = session("can", allow("*"))
    client = accounts.aws.client("cloudformation", who)

    def template_of(**more: Any) -> str:
        return template(IMPORTS | {"Properties": {"RoleName": name, **trust, **more}})

    client.create_change_set(
        StackName=stack.name,
        ChangeSetName="x",
        ChangeSetType="IMPORT",
        TemplateBody=template_of(),
        Capabilities=CAPABLE,
        ResourcesToImport=[
            {"ResourceType": "AWS::IAM::Role", "LogicalResourceId": "R0", "ResourceIdentifier": {"RoleName": name}}
        ],
    )
    client.execute_change_set(StackName=stack.name, ChangeSetName="x")
    assert stack.status() == "IMPORT_COMPLETE"
    client.update_stack(StackName=stack.name, TemplateBody=template_of(Description="x"), Capabilities=CAPABLE)
    assert stack.status() == "UPDATE_COMPLETE", stack.reasons()
    shown = iam.get_role(RoleName=name)["Role"]
    assert shown["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary


def test_what_is_there_is_not_taken_over(accounts: Accounts, session: Session, stack: Stack) -> None:
    name = accounts.role(accounts.target, "there").rsplit("/", 1)[-1]
    accounts.aws.root("logs", accounts.target).create_log_group(logGroupName=name)
    accounts.aws.root("secretsmanager", accounts.target).create_secret(Name=name, SecretString="x")
    who = session("can", allow("*"))
    for taken in (
        role(RoleName=name, Path="/apps/"),
        {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name}},
        {"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": name}},
    ):
        assert stack.create(who, taken) == "ROLLBACK_COMPLETE"
        assert "already exists" in stack.reasons()


def test_an_account_has_one_provider_of_a_url(accounts: Accounts, session: Session, stack: Stack) -> None:
    host = f"{accounts.suffix}.example.com"

    def provider(*clients: str) -> dict[str, Any]:
        return {
            "Type": "AWS::IAM::OIDCProvider",
            "Properties": {"Url": f"https://{host}", "ClientIdList": list(clients)},
        }

    def clients() -> list[str]:
        found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["ClientIDList"]
        return [str(client) for client in found]

    iam = accounts.aws.root("iam", accounts.target)
    arn = f"arn:aws:iam::{accounts.target}:oidc-provider/{host}"
    who = session("can", allow("*"))
    assert stack.create(who, provider("one")) == "CREATE_COMPLETE", stack.reasons()
    assert stack.update(who, provider("one", "two")) == "UPDATE_COMPLETE", stack.reasons()
    assert clients() == ["one", "two"]
    second = Stack(accounts)
    second.name += "-second"
    assert second.create(who, provider("three")) == "ROLLBACK_COMPLETE"
    assert "already exists" in second.reasons()
    assert clients() == ["one", "two"]
    assert stack.delete(who) == "DELETE_COMPLETE"
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == []


def test_what_a_dynamic_reference_names_is_read(accounts: Accounts, session: Session, stack: Stack) -> None:
    secret = f"s-{accounts.suffix}"
    accounts.aws.root("secretsmanager", accounts.target).create_secret(Name=secret, SecretString="x")
    parameter = {
        "Type": "AWS::SSM::Parameter",
        "Properties": {"Type": "String", "Value": f"{{{{resolve:secretsmanager:{secret}}}}}"},
    }
    cannot = session("cannot", allow("*"), deny("secretsmanager:GetSecretValue"))
    assert stack.create(cannot, parameter) == "ROLLBACK_COMPLETE"
    assert "secretsmanager:GetSecretValue" in stack.reasons()
    assert stack.create(session("can", allow("*")), parameter) == "CREATE_COMPLETE", stack.reasons()


def test_a_change_set_is_of_its_stack_also_by_its_arn(accounts: Accounts, session: Session, stack: Stack) -> None:
    made = template({"Type": "AWS::SQS::Queue", "Properties": {}})
    change_set = {"StackName": stack.name, "ChangeSetName": "x", "ChangeSetType": "CREATE", "TemplateBody": made}
    arn = stack.root.create_change_set(**change_set)["Id"]
    others = deny("cloudformation:*ChangeSet", f"arn:aws:cloudformation:*:*:stack/{stack.name}/*")
    client = accounts.aws.client("cloudformation", session("cannot", allow("*"), others))
    for call in (client.execute_change_set, client.delete_change_set):
        assert refused(call, ChangeSetName=arn) == "AccessDenied"


def test_a_replacement_needs_to_create_and_to_delete(accounts: Accounts, session: Session, stack: Stack) -> None:
    def group(name: str) -> dict[str, Any]:
        return {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": f"{name}-{accounts.suffix}"}}

    cannot = session("cannot", allow("*"), deny("logs:DeleteLogGroup"))
    assert stack.create(cannot, group("one")) == "CREATE_COMPLETE"
    assert stack.update(cannot, group("two")) == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.update(session("can", allow("*")), group("two")) == "UPDATE_COMPLETE", stack.reasons()


def test_an_update_does_not_need_to_end_what_it_changes(session: Session, stack: Stack) -> None:
    def key(description: str) -> dict[str, Any]:
        document = json.loads(policy({"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}))
        return {"Type": "AWS::KMS::Key", "Properties": {"Description": description, "KeyPolicy": document}}

    cannot = session("cannot", allow("*"), deny(["kms:DisableKey", "kms:ScheduleKeyDeletion"]))
    assert stack.create(cannot, key("one")) == "CREATE_COMPLETE", stack.reasons()
    assert stack.update(cannot, key("two")) == "UPDATE_COMPLETE", stack.reasons()


@pytest.mark.parametrize("kind", ["AWS::SQS::Queue", "AWS::Kinesis::Stream", "AWS::SNS::Topic"])
def test_a_tag_in_a_template_is_a_tag_of_the_request(session: Session, stack: Stack, kind: str) -> None:
    shield = {"ForAnyValue:StringEqualsIgnoreCase": {"aws:TagKeys": "daypass:protected"}}
    cannot = session("cannot", allow("*"), deny("*", Condition=shield))
    tags = [{"Key": "Daypass:Protected", "Value": "true"}]
    assert stack.create(cannot, {"Type": kind, "Properties": {"Tags": tags}}) == "ROLLBACK_COMPLETE"


def test_a_parameter_of_systems_manager_is_read(accounts: Accounts, session: Session, stack: Stack) -> None:
    name = f"/{accounts.suffix}/secret"
    accounts.aws.root("ssm", accounts.target).put_parameter(Name=name, Value="x", Type="String")
    body = json.dumps(
        {
            "Parameters": {"P": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": name}},
            "Resources": {"R0": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "P"}}}},
        }
    )
    cannot = accounts.aws.client("cloudformation", session("cannot", allow("*"), deny("ssm:GetParameters")))
    assert refused(cannot.create_stack, StackName=stack.name, TemplateBody=body) == "ValidationError"
    can = accounts.aws.client("cloudformation", session("can", allow("*")))
    can.create_stack(StackName=stack.name, TemplateBody=body)
    assert stack.status() == "CREATE_COMPLETE", stack.reasons()
