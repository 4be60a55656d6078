"""What keeps a deploy role from stronger roles: passing them, and touching what runs with them."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Accounts, allow, deny, package, policy, refused, service_trust

from daypass_local.aws import Credentials
from daypass_local.names import TARGET_ACCOUNT

ADMIN = f"arn:aws:iam::{TARGET_ACCOUNT}:role/somebody"
PASSING: dict[str, tuple[str, str, dict[str, Any]]] = {
    "function": ("lambda", "create_function", {"FunctionName": "x", "Role": ADMIN, "Code": {"ZipFile": b"x"}}),
    "stack": ("cloudformation", "create_stack", {"StackName": "x", "TemplateBody": "{}", "RoleARN": ADMIN}),
    "machine": ("stepfunctions", "create_state_machine", {"name": "x", "definition": "{}", "roleArn": ADMIN}),
    "task": ("ecs", "register_task_definition", {"family": "x", "containerDefinitions": [], "taskRoleArn": ADMIN}),
    "nested": (
        "events",
        "put_targets",
        {"Rule": "x", "Targets": [{"Id": "1", "Arn": "arn:aws:sqs:us-east-1:222222222222:x", "RoleArn": ADMIN}]},
    ),
    "absent service": (
        "sagemaker",
        "create_notebook_instance",
        {"NotebookInstanceName": "x", "InstanceType": "ml.t3.medium", "RoleArn": ADMIN},
    ),
    "named by fields": (
        "datapipeline",
        "put_pipeline_definition",
        {
            "pipelineId": "x",
            "pipelineObjects": [{"id": "x", "name": "x", "fields": [{"key": "role", "stringValue": ADMIN}]}],
        },
    ),
}


def answer(accounts: Accounts, credentials: Credentials, service: str, operation: str, request: dict[str, Any]) -> str:
    """Return the error code of a call, or `done`."""
    client = accounts.aws.client(service, credentials)
    try:
        getattr(client, operation)(**request)
    except client.exceptions.ClientError as error:
        return str(error.response["Error"]["Code"])
    return "done"


@pytest.fixture
def session(accounts: Accounts) -> Callable[..., Credentials]:
    def with_policies(name: str, *policies: dict[str, Any]) -> Credentials:
        return accounts.session(accounts.role(accounts.target, name, policies=list(policies)))

    return with_policies


@pytest.mark.parametrize(("service", "operation", "request_"), PASSING.values(), ids=PASSING.keys())
def test_a_role_can_only_be_passed_by_who_may(
    accounts: Accounts, session: Callable[..., Credentials], service: str, operation: str, request_: dict[str, Any]
) -> None:
    call = (service, operation, request_)
    everything_else = [allow("*"), deny("iam:PassRole", ADMIN)]
    assert answer(accounts, session("cannot-pass", *everything_else), *call).startswith("AccessDenied")
    assert not answer(accounts, session("passes", allow("*")), *call).startswith("AccessDenied")


def test_it_matters_to_whom_a_role_is_passed(accounts: Accounts, session: Callable[..., Credentials]) -> None:
    condition = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    to_lambda = [allow(["cloudformation:*", "lambda:*"]), allow("iam:PassRole", ADMIN, Condition=condition)]
    only_lambda = session("only-lambda", *to_lambda)
    assert answer(accounts, only_lambda, *PASSING["stack"]) == "AccessDenied"
    assert not answer(accounts, only_lambda, *PASSING["function"]).startswith("AccessDenied")


def test_the_role_in_an_instance_profile_is_passed(accounts: Accounts, session: Callable[..., Credentials]) -> None:
    iam, name = accounts.aws.root("iam", accounts.target), f"profile-{accounts.suffix}"
    role = accounts.role(accounts.target, "in-profile", trusts=[service_trust("ec2.amazonaws.com")])
    iam.create_instance_profile(InstanceProfileName=name)
    cannot_pass = session("cannot-pass", allow("*"), deny("iam:PassRole", role))
    join = {"InstanceProfileName": name, "RoleName": role.split("/")[-1]}
    assert refused(accounts.aws.client("iam", cannot_pass).add_role_to_instance_profile, **join) == "AccessDenied"
    iam.add_role_to_instance_profile(**join)
    run = {"ImageId": "ami-12345678", "MinCount": 1, "MaxCount": 1, "IamInstanceProfile": {"Name": name}}
    code = refused(accounts.aws.client("ec2", cannot_pass).run_instances, **run)
    assert code == "UnauthorizedOperation"
    assert accounts.aws.client("ec2", session("passes", allow("*"))).run_instances(**run)


def test_a_role_that_is_only_mentioned_is_not_passed(accounts: Accounts, session: Callable[..., Credentials]) -> None:
    credentials = session("mentions", allow("*"), deny("iam:PassRole"))
    table = f"t-{accounts.suffix}"
    dynamodb = accounts.aws.client("dynamodb", credentials)
    dynamodb.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    dynamodb.put_item(TableName=table, Item={"id": {"S": "1"}, "role_arn": {"S": ADMIN}})
    ssm = accounts.aws.client("ssm", credentials)
    assert ssm.put_parameter(Name=f"/{accounts.suffix}/role", Value=ADMIN, Type="String")


ABSENT: dict[str, tuple[str, dict[str, Any]]] = {
    "ds": ("reset_user_password", {"DirectoryId": "d-1234567890", "UserName": "x", "NewPassword": "y"}),
    "guardduty": ("delete_detector", {"DetectorId": "x"}),
    "securityhub": ("disable_security_hub", {}),
}


@pytest.mark.parametrize("service", ABSENT)
def test_a_service_that_is_not_there_is_judged(
    accounts: Accounts, session: Callable[..., Credentials], service: str
) -> None:
    assert answer(accounts, session("nothing"), service, *ABSENT[service]).startswith("AccessDenied")
    assert not answer(accounts, session("everything", allow("*")), service, *ABSENT[service]).startswith("AccessDenied")


def test_tags_shield_what_there_is(accounts: Accounts, session: Callable[..., Credentials]) -> None:
    name, shield = f"shielded-{accounts.suffix}", {"daypass:protected": "true"}
    role = accounts.role(accounts.target, "runs", trusts=[service_trust("lambda.amazonaws.com")])
    as_list = [{"Key": "daypass:protected", "Value": "true"}]
    in_small_letters = [{"key": "daypass:protected", "value": "true"}]
    root = accounts.aws.root

    template = '{"Resources":{"T":{"Type":"AWS::SNS::Topic"}}}'
    root("cloudformation", accounts.target).create_stack(StackName=name, TemplateBody=template, Tags=as_list)
    succeed = '{"StartAt":"S","States":{"S":{"Type":"Succeed"}}}'
    machine = root("stepfunctions", accounts.target).create_state_machine(
        name=name, definition=succeed, roleArn=role, tags=in_small_letters
    )["stateMachineArn"]
    root("codebuild", accounts.target).create_project(
        name=name,
        source={"type": "NO_SOURCE", "buildspec": "version: 0.2"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole=role,
        tags=in_small_letters,
    )
    specification = [{"ResourceType": "instance", "Tags": as_list}]
    instance = root("ec2", accounts.target).run_instances(
        ImageId="ami-12345678", MinCount=1, MaxCount=1, TagSpecifications=specification
    )["Instances"][0]["InstanceId"]
    root("lambda", accounts.target).create_function(
        FunctionName=name,
        Role=role,
        Runtime="provided.al2023",
        Handler="x",
        Code={"ZipFile": package("")},
        Tags=shield,
    )

    shielded = {"StringEquals": {"aws:ResourceTag/daypass:protected": "true"}}
    boundary = root("iam", accounts.target).create_policy(
        PolicyName=name, PolicyDocument=policy(allow("*"), deny("*", Condition=shielded))
    )["Policy"]["Arn"]
    bounded = accounts.role(accounts.target, "bounded", policies=[allow("*")], PermissionsBoundary=boundary)
    whose = (session("denied", allow("*"), deny("*", Condition=shielded)), accounts.session(bounded))
    touches: list[tuple[str, str, dict[str, Any]]] = [
        ("cloudformation", "update_stack", {"StackName": name, "TemplateBody": template}),
        ("stepfunctions", "update_state_machine", {"stateMachineArn": machine, "definition": succeed}),
        ("codebuild", "update_project", {"name": name, "description": "x"}),
        ("ec2", "stop_instances", {"InstanceIds": [instance]}),
        ("lambda", "update_function_code", {"FunctionName": name, "ZipFile": base64.b64decode("UEsFBgAA")}),
    ]
    for credentials in whose:
        for service, operation, request in touches:
            code = refused(getattr(accounts.aws.client(service, credentials), operation), **request)
            assert code.startswith(("AccessDenied", "Unauthorized")), service


def test_a_version_is_deleted_by_who_may_delete_versions(
    accounts: Accounts, session: Callable[..., Credentials]
) -> None:
    s3, bucket = accounts.aws.root("s3", accounts.target), f"versions-{accounts.suffix}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="x", Body=b"x")["VersionId"]
    one = {"Bucket": bucket, "Delete": {"Objects": [{"Key": "x", "VersionId": version}]}}
    cannot = accounts.aws.client("s3", session("cannot", allow("*"), deny("s3:DeleteObjectVersion")))
    assert refused(cannot.delete_objects, **one) == "AccessDenied"
    assert "Errors" not in accounts.aws.client("s3", session("can", allow("*"))).delete_objects(**one)
