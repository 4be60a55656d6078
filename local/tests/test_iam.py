"""What the provisioner role relies on, and the policies of the personas."""

import json
from typing import Any

import pytest
from conftest import Accounts, allow, policy, refused, role_arn, trust

from daypass_local.aws import Credentials
from daypass_local.names import TARGET_ACCOUNT

PATH = "/daypass/"
ROLES = f"arn:aws:iam::{TARGET_ACCOUNT}:role/daypass/*"
TRUST = policy(trust(f"arn:aws:iam::{TARGET_ACCOUNT}:root"))


class Provisioner:
    """A provisioner role like that of the target stack, and its session's IAM client."""

    def __init__(self, accounts: Accounts) -> None:
        self.root = accounts.aws.root("iam", accounts.target)
        self.boundary = self.root.create_policy(
            PolicyName=f"boundary-{accounts.suffix}", PolicyDocument=policy(allow(["s3:*", "sqs:*"]))
        )["Policy"]["Arn"]
        bounded = {"StringEquals": {"iam:PermissionsBoundary": self.boundary}}
        persona = {"ArnEquals": {"iam:PolicyARN": "arn:aws:iam::aws:policy/PowerUserAccess"}}
        make = ["iam:CreateRole", "iam:PutRolePolicy"]
        remove = ["iam:GetRole", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:List*"]
        self.role = accounts.role(
            accounts.target,
            "provisioner",
            policies=[
                allow(make, ROLES, Condition=bounded),
                allow("iam:AttachRolePolicy", ROLES, Condition=bounded | persona),
                allow([*remove, "iam:TagRole"], ROLES),
                allow("iam:RemoveRoleFromInstanceProfile", f"arn:aws:iam::{TARGET_ACCOUNT}:instance-profile/*"),
            ],
        )
        self.iam = accounts.aws.client("iam", accounts.session(self.role))
        self.name = f"daypass-{accounts.suffix}"
        self.accounts = accounts

    def create(self, **more: Any) -> Any:
        request = {"RoleName": self.name, "Path": PATH, "PermissionsBoundary": self.boundary} | more
        return self.iam.create_role(
            AssumeRolePolicyDocument=TRUST, **{key: value for key, value in request.items() if value is not None}
        )


@pytest.fixture
def provisioner(accounts: Accounts) -> Provisioner:
    return Provisioner(accounts)


def test_path_and_boundary_are_conditions_of_create_role(provisioner: Provisioner) -> None:
    assert refused(provisioner.create, PermissionsBoundary=None) == "AccessDenied"
    assert refused(provisioner.create, PermissionsBoundary="arn:aws:iam::aws:policy/PowerUserAccess") == "AccessDenied"
    assert refused(provisioner.create, Path="/") == "AccessDenied"
    assert refused(provisioner.create, Path="/other/") == "AccessDenied"
    role = provisioner.create()["Role"]
    assert role["Arn"] == role_arn(TARGET_ACCOUNT, provisioner.name, PATH)
    assert refused(provisioner.create) == "EntityAlreadyExists"
    assert provisioner.iam.get_role(RoleName=provisioner.name)["Role"]["AssumeRolePolicyDocument"] == json.loads(TRUST)


def test_tags_of_a_new_role_need_tag_role(provisioner: Provisioner) -> None:
    tag = [{"Key": "daypass:transaction-id", "Value": "t1"}]
    provisioner.root.delete_role_policy(RoleName=provisioner.role.split("/")[-1], PolicyName="given")
    for actions, expected in ((["iam:CreateRole"], "AccessDenied"), (["iam:CreateRole", "iam:TagRole"], None)):
        provisioner.root.put_role_policy(
            RoleName=provisioner.role.split("/")[-1],
            PolicyName="tags",
            PolicyDocument=policy(allow(actions, ROLES)),
        )
        if expected:
            assert refused(provisioner.create, Tags=tag) == expected
        else:
            assert provisioner.create(Tags=tag)
    assert provisioner.root.get_role(RoleName=provisioner.name)["Role"]["Tags"] == tag


def test_conditions_on_an_existing_roles_boundary_policy_and_tags(provisioner: Provisioner) -> None:
    provisioner.create(Tags=[{"Key": "daypass:transaction-id", "Value": "t1"}])
    attach = provisioner.iam.attach_role_policy
    document = policy(allow("s3:*"))
    provisioner.iam.put_role_policy(RoleName=provisioner.name, PolicyName="p", PolicyDocument=document)
    attach(RoleName=provisioner.name, PolicyArn="arn:aws:iam::aws:policy/PowerUserAccess")
    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    assert refused(attach, RoleName=provisioner.name, PolicyArn=admin) == "AccessDenied"
    provisioner.root.create_role(RoleName=f"{provisioner.name}-x", Path=PATH, AssumeRolePolicyDocument=TRUST)
    put = {"RoleName": f"{provisioner.name}-x", "PolicyName": "p", "PolicyDocument": document}
    assert refused(provisioner.iam.put_role_policy, **put) == "AccessDenied"
    for key in ("aws:ResourceTag", "iam:ResourceTag"):
        tagged = {"StringEquals": {f"{key}/daypass:transaction-id": "t1"}}
        helper = provisioner.accounts.role(
            TARGET_ACCOUNT, f"helper-{key[:3]}", policies=[allow("iam:GetRole", ROLES, Condition=tagged)]
        )
        iam = provisioner.accounts.aws.client("iam", provisioner.accounts.session(helper))
        assert iam.get_role(RoleName=provisioner.name)
        assert refused(iam.get_role, RoleName=f"{provisioner.name}-x") == "AccessDenied"


def test_a_boundary_limits_what_policies_allow(provisioner: Provisioner) -> None:
    provisioner.create()
    provisioner.iam.put_role_policy(RoleName=provisioner.name, PolicyName="p", PolicyDocument=policy(allow("*")))
    arn = role_arn(TARGET_ACCOUNT, provisioner.name, PATH)
    session = provisioner.accounts.session(arn)
    provisioner.accounts.aws.client("sqs", session).list_queues()
    assert refused(provisioner.accounts.aws.client("dynamodb", session).list_tables) == "AccessDeniedException"
    assert refused(provisioner.accounts.aws.client("iam", session).list_users) == "AccessDenied"


def test_a_role_is_deleted_last(provisioner: Provisioner) -> None:
    iam, name = provisioner.iam, provisioner.name
    provisioner.create()
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(allow("s3:*")))
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/PowerUserAccess")
    provisioner.root.create_instance_profile(InstanceProfileName=name)
    provisioner.root.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    assert refused(iam.delete_role, RoleName=name) == "DeleteConflict"
    iam.detach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/PowerUserAccess")
    assert refused(iam.delete_role, RoleName=name) == "DeleteConflict"
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    assert refused(iam.delete_role, RoleName=name) == "DeleteConflict"
    profiles = iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"]
    assert [profile["InstanceProfileName"] for profile in profiles] == [name]
    iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
    iam.delete_role(RoleName=name)


def test_an_instance_profile_call_is_judged_by_the_profile(provisioner: Provisioner) -> None:
    provisioner.create()
    add = {"InstanceProfileName": provisioner.name, "RoleName": provisioner.name}
    provisioner.root.create_instance_profile(InstanceProfileName=provisioner.name)
    assert refused(provisioner.iam.add_role_to_instance_profile, **add) == "AccessDenied"
    assert "NoSuchEntity" in refused(provisioner.iam.remove_role_from_instance_profile, **add)


@pytest.mark.parametrize("ever_existed", [True, False])
def test_a_role_that_is_not_there(provisioner: Provisioner, ever_existed: bool) -> None:
    iam, name = provisioner.iam, provisioner.name
    if ever_existed:
        provisioner.create()
        iam.delete_role(RoleName=name)
    assert refused(iam.get_role, RoleName=name) == "NoSuchEntity"
    assert refused(iam.delete_role, RoleName=name) == "NoSuchEntity"
    assert refused(iam.list_role_policies, RoleName=name) == "NoSuchEntity"
    # What the caller may not do to any role stays denied, and so does what needs the role's boundary.
    assert refused(iam.update_role, RoleName=name) == "AccessDenied"
    put = {"RoleName": name, "PolicyName": "p", "PolicyDocument": policy(allow("s3:*"))}
    assert refused(iam.put_role_policy, **put) == "AccessDenied"
    provisioner.accounts.aws.control("/_daypass/settings", {"missing_role": "access-denied"})
    assert refused(iam.get_role, RoleName=name) == "AccessDenied"


def test_a_role_that_is_not_there_is_judged_by_its_name(provisioner: Provisioner) -> None:
    name = provisioner.name
    by_name = f"arn:aws:iam::{TARGET_ACCOUNT}:role/{name}"
    provisioner.root.put_role_policy(
        RoleName=provisioner.role.split("/")[-1],
        PolicyName="by-name",
        PolicyDocument=policy(allow("iam:GetRole", f"arn:aws:iam::{TARGET_ACCOUNT}:role/daypass-*")),
    )
    # As Daypass narrows it: a session is judged by both.
    narrowed = policy(allow("iam:*", role_arn(TARGET_ACCOUNT, name, PATH)), allow("iam:GetRole", by_name))
    accounts = provisioner.accounts
    sessions = [accounts.session(provisioner.role), accounts.session(provisioner.role, Policy=narrowed)]
    accounts.aws.control("/_daypass/settings", {"missing_role": "access-denied"})
    for session in sessions:
        iam = accounts.aws.client("iam", session)
        assert refused(iam.get_role, RoleName=name) == "NoSuchEntity"
        assert refused(iam.delete_role, RoleName=name) == "AccessDenied"
        assert refused(iam.list_role_policies, RoleName=name) == "AccessDenied"
    blind = policy(allow("iam:*", role_arn(TARGET_ACCOUNT, name, PATH)))
    iam = accounts.aws.client("iam", accounts.session(provisioner.role, Policy=blind))
    assert refused(iam.get_role, RoleName=name) == "AccessDenied"
    # One that is there is judged by its whole ARN, as ever.
    provisioner.root.create_role(RoleName=name, Path="/other/", AssumeRolePolicyDocument=TRUST)
    iam = accounts.aws.client("iam", sessions[0])
    assert refused(iam.get_role, RoleName=name) == "AccessDenied"


PERSONA_POLICIES = {
    "AWSNetworkManagerFullAccess": "networkmanager:*",
    "service-role/AWSShieldDRTAccessPolicy": "cloudfront:List*",
    "AWSSupportAccess": "support:*",
    "CloudFrontFullAccess": "cloudfront:*",
    "job-function/NetworkAdministrator": "ec2:CreateVpc",
    "SecretsManagerReadWrite": "secretsmanager:*",
    "PowerUserAccess": "organizations:DescribeOrganization",
    "AmazonEKSClusterPolicy": "ec2:DescribeInstances",
    "AmazonVPCReadOnlyAccess": "ec2:DescribeVpcs",
    "IAMReadOnlyAccess": "iam:Get*",
    "AWSKeyManagementServicePowerUser": "kms:CreateKey",
    "AWSCloudTrail_ReadOnlyAccess": "cloudtrail:Get*",
}


@pytest.mark.parametrize(("name", "action"), PERSONA_POLICIES.items(), ids=PERSONA_POLICIES.keys())
def test_aws_managed_policies_have_their_real_documents(accounts: Accounts, name: str, action: str) -> None:
    iam = accounts.aws.root("iam", accounts.target)
    arn = f"arn:aws:iam::aws:policy/{name}"
    found = iam.get_policy(PolicyArn=arn)["Policy"]
    version = iam.get_policy_version(PolicyArn=arn, VersionId=found["DefaultVersionId"])["PolicyVersion"]
    assert action.lower() in json.dumps(version["Document"]).lower()


def test_an_attached_policy_decides_by_its_document(accounts: Accounts) -> None:
    role = accounts.role(accounts.target, "reader")
    iam = accounts.aws.root("iam", accounts.target)
    read_only = "arn:aws:iam::aws:policy/AWSKeyManagementServicePowerUser"
    iam.attach_role_policy(RoleName=role.split("/")[-1], PolicyArn=read_only)
    session = accounts.session(role)
    assert accounts.aws.client("kms", session).list_aliases()
    assert refused(accounts.aws.client("sqs", session).list_queues) == "AccessDenied"


@pytest.mark.parametrize(
    "arn", ["arn:aws:iam::aws:policy/PowerUserAcces", f"arn:aws:iam::{TARGET_ACCOUNT}:policy/not-there"]
)
def test_attaching_an_unknown_policy_is_refused(accounts: Accounts, arn: str) -> None:
    role = accounts.role(accounts.target, "role").split("/")[-1]
    iam = accounts.aws.root("iam", accounts.target)
    assert refused(iam.attach_role_policy, RoleName=role, PolicyArn=arn) == "NoSuchEntity"
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []


def test_quotas(accounts: Accounts) -> None:
    iam = accounts.aws.root("iam", accounts.target)
    name = accounts.role(accounts.target, "full").split("/")[-1]
    arns = [f"arn:aws:iam::aws:policy/{policy_name}" for policy_name in PERSONA_POLICIES]
    for arn in arns[:10]:
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    iam.attach_role_policy(RoleName=name, PolicyArn=arns[0])  # again: not one more
    assert refused(iam.attach_role_policy, RoleName=name, PolicyArn=arns[10]) == "LimitExceeded"

    def inline(characters: int) -> str:
        empty = policy(allow("s3:*", "")).replace(" ", "")
        return policy(allow("s3:*", "x" * (characters - len(empty))))

    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=inline(10_000))
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=inline(10_240))
    more = {"RoleName": name, "PolicyName": "q", "PolicyDocument": inline(100)}
    assert refused(iam.put_role_policy, **more) == "LimitExceeded"
    long_trust = policy(*[trust(f"arn:aws:iam::{number:012}:root") for number in range(30)])
    create = {"RoleName": f"{name}-2", "AssumeRolePolicyDocument": long_trust}
    assert refused(iam.create_role, **create) == "LimitExceeded"
    create = {"RoleName": "r" * 65, "AssumeRolePolicyDocument": TRUST}
    unchecked = accounts.aws.client("iam", Credentials.root(accounts.target), parameter_validation=False)
    assert refused(unchecked.create_role, **create) == "ValidationError"
    for tag in ({"Key": "k", "Value": "a,b"}, {"Key": "aws:k", "Value": "v"}):
        create = {"RoleName": f"{name}-2", "AssumeRolePolicyDocument": TRUST, "Tags": [tag]}
        assert refused(unchecked.create_role, **create) == "ValidationError"


def test_policy_variables(accounts: Accounts) -> None:
    tag = "daypass:transaction-id"
    own = f"arn:aws:iam::{accounts.target}:role/daypass/daypass-${{aws:PrincipalTag/{tag}}}"
    caller = accounts.role(accounts.hub, "caller", policies=[allow(["sts:AssumeRole", "sts:TagSession"], own)])
    for transaction in ("t1", "t2"):
        name = f"daypass-{transaction}{accounts.suffix}"
        accounts.aws.root("iam", accounts.target).create_role(
            RoleName=name,
            Path=PATH,
            AssumeRolePolicyDocument=policy(trust(caller, ["sts:AssumeRole", "sts:TagSession"])),
        )
    own_tag = [{"Key": tag, "Value": f"t1{accounts.suffix}"}]
    session = accounts.session(caller, Tags=own_tag, TransitiveTagKeys=[tag])
    assert accounts.session(role_arn(accounts.target, f"daypass-t1{accounts.suffix}", PATH), session)
    other = role_arn(accounts.target, f"daypass-t2{accounts.suffix}", PATH)
    assert refused(accounts.session, other, session) == "AccessDenied"
    assert refused(accounts.session, other, accounts.session(caller)) == "AccessDenied"
