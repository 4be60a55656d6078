"""Every action that Product_Admin has in IAM is needed: without it, an app cannot be created, changed or deleted."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Accounts, policy
from test_cloudformation import TRUST, Stack

from daypass_local.aws import Credentials

PERSONA = json.loads((Path(__file__).parents[2] / "personas.json").read_text())["personas"]["Product_Admin"]
BLOCK = ("RolesOfWorkloads", "OwnRoles", "OwnPoliciesAndProfiles")
OWN = "/deployed-by-daypass/"


def actions() -> Iterator[tuple[str, str]]:
    for statement in PERSONA["custom_policy"]:
        if statement["Sid"] in BLOCK:
            yield from ((statement["Sid"], action) for action in statement["Action"])


def without(sid: str, action: str) -> list[dict[str, Any]]:
    """Return the persona's statements without an action."""
    statements: list[dict[str, Any]] = copy.deepcopy(PERSONA["custom_policy"])
    for statement in statements:
        if statement["Sid"] == sid:
            statement["Action"] = [other for other in statement["Action"] if other != action]
    return statements


def document(action: str) -> dict[str, Any]:
    return json.loads(policy({"Effect": "Allow", "Action": action, "Resource": "*"}))


def app(boundary: str, *, later: bool) -> list[dict[str, Any]]:
    """Return an app's resources first, and as they become: a role, a policy and a profile in all their parts."""
    managed = "arn:aws:iam::aws:policy/" + ("ReadOnlyAccess" if later else "service-role/AWSLambdaBasicExecutionRole")
    role = {
        "Path": OWN,
        "PermissionsBoundary": boundary,
        "AssumeRolePolicyDocument": TRUST | ({"Version": "2008-10-17"} if later else {}),
        "Description": "later" if later else "first",
        "MaxSessionDuration": 7200 if later else 3600,
        "ManagedPolicyArns": [managed],
        "Policies": [{"PolicyName": "later" if later else "first", "PolicyDocument": document("s3:GetObject")}],
        "Tags": [{"Key": "team", "Value": "later" if later else "first"}],
    }
    return [
        {"Type": "AWS::IAM::Role", "Properties": role},
        {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Role": {"Fn::GetAtt": ["R0", "Arn"]},
                "Runtime": "nodejs22.x",
                "Handler": "index.handler",
                "Code": {"ZipFile": "exports.handler = async () => {}"},
            },
        },
        {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {"Path": OWN, "PolicyDocument": document("s3:PutObject" if later else "s3:GetObject")},
        },
        {"Type": "AWS::IAM::InstanceProfile", "Properties": {"Path": OWN, "Roles": [{"Ref": "R0"}]}},
    ]


def life(accounts: Accounts, stack: Stack, who: Credentials) -> list[str]:
    """Return what becomes of an app that is created, changed and deleted, until something fails."""
    iam = accounts.aws.root("iam", accounts.target)
    boundary = "arn:aws:iam::222222222222:policy/daypass-workloads"
    if not any(found["Arn"] == boundary for found in iam.list_policies(Scope="Local")["Policies"]):
        iam.create_policy(PolicyName="daypass-workloads", PolicyDocument=json.dumps(document("*")))
    seen = [stack.create(who, *app(boundary, later=False))]
    if seen[-1] == "CREATE_COMPLETE":
        shown = stack.root.describe_stack_resource(StackName=stack.name, LogicalResourceId="R0")
        made = shown["StackResourceDetail"]
        # A role of before may have another boundary.
        iam.put_role_permissions_boundary(
            RoleName=made["PhysicalResourceId"], PermissionsBoundary="arn:aws:iam::aws:policy/PowerUserAccess"
        )
        client = accounts.aws.client("iam", who)
        try:
            client.put_role_permissions_boundary(RoleName=made["PhysicalResourceId"], PermissionsBoundary=boundary)
        except client.exceptions.ClientError as refused:
            return [*seen, refused.response["Error"]["Code"]]
    if seen[-1] == "CREATE_COMPLETE":
        seen.append(stack.update(who, *app(boundary, later=True)))
    if seen[-1] == "UPDATE_COMPLETE":
        seen.append(stack.delete(who))
    return seen


def deployer(accounts: Accounts, statements: list[dict[str, Any]]) -> Credentials:
    arn = accounts.role(accounts.target, "deployer", policies=statements)
    attach = {"RoleName": arn.rsplit("/", 1)[-1], "PolicyArn": PERSONA["managed_policies"][0]}
    accounts.aws.root("iam", accounts.target).attach_role_policy(**attach)
    return accounts.session(arn)


def test_the_persona_deploys_an_app(accounts: Accounts) -> None:
    stack = Stack(accounts)
    done = ["CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE"]
    assert life(accounts, stack, deployer(accounts, PERSONA["custom_policy"])) == done, stack.reasons()


@pytest.mark.parametrize(("sid", "action"), list(actions()))
def test_without_an_action_an_app_fails(accounts: Accounts, sid: str, action: str) -> None:
    seen = life(accounts, Stack(accounts), deployer(accounts, without(sid, action)))
    assert seen[-1] not in ("UPDATE_COMPLETE", "DELETE_COMPLETE"), seen
