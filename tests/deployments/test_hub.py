"""The first deployment of a hub, with something in its way: it is refused, or the next one succeeds."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import PROVIDER, Hub, done

from daypass_local.names import HUB_ACCOUNT, REPOSITORY

GITHUB = "https://token.actions.githubusercontent.com"


def is_whole(hub: Hub) -> None:
    """The hub is deployed once, and what holds data is protected."""
    found = hub.stack()
    assert found is not None
    assert found["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
    assert found["EnableTerminationProtection"]
    tables = hub.aws.root("dynamodb", HUB_ACCOUNT)
    names = tables.list_tables()["TableNames"]
    assert names == ["daypass-open-roles", "daypass-transactions", "daypass-used-tokens"]
    assert all(tables.describe_table(TableName=name)["Table"]["DeletionProtectionEnabled"] for name in names)
    keys = hub.aws.root("kms", HUB_ACCOUNT)
    aliases = {alias["AliasName"] for alias in keys.list_aliases()["Aliases"]}
    assert {"alias/daypass", "alias/daypass-identity-tokens"} <= aliases


def test_a_provider_that_is_there_is_named_before_anything_is_deployed(hub: Hub) -> None:
    hub.aws.root("iam", HUB_ACCOUNT).create_open_id_connect_provider(Url=GITHUB, ClientIDList=["sts.amazonaws.com"])
    code, said = done(hub.make())
    assert code != 0
    assert f"set github.oidc_provider_arn to {PROVIDER}" in said
    assert hub.stack() is None

    # Whoever calls the CDK CLI itself sees it fail half-way, and goes on from there.
    code, said = done(hub.cdk())
    assert code != 0
    found = hub.stack()
    assert found is not None, said
    assert found["StackStatus"] == "CREATE_FAILED", said
    hub.settings["github"]["oidc_provider_arn"] = PROVIDER
    code, said = done(hub.make())
    assert code == 0, said
    assert "goes on where the last deployment has stopped (CREATE_FAILED), in account 111111111111 (the hub)" in said
    is_whole(hub)

    # And once more: the stack would delete a provider that it has not made.
    code, said = done(hub.make())
    assert (code, "updates it in account 111111111111" in said) == (0, True), said
    is_whole(hub)


def in_the_way(hub: Hub) -> Callable[[], object]:
    """Make a role that the stack makes late, when most of it is there, and return what removes it."""
    iam = hub.aws.root("iam", HUB_ACCOUNT)
    trust = {"Effect": "Allow", "Principal": {"AWS": HUB_ACCOUNT}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName="daypass-sweep", AssumeRolePolicyDocument=document)
    return lambda: iam.delete_role(RoleName="daypass-sweep")


def test_a_stack_of_another_region_is_named_before_anything_is_deployed(untouched: Hub) -> None:
    iam = untouched.aws.root("iam", HUB_ACCOUNT)
    iam.create_role(RoleName="daypass-invoker", AssumeRolePolicyDocument="{}")
    try:
        code, said = done(untouched.make())
    finally:
        iam.delete_role(RoleName="daypass-invoker")
    assert code != 0
    assert "the account has a role daypass-invoker already, which is not of DaypassHub in us-east-1" in said


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("", "make deploy STACK=DaypassHub ARGS='--require-approval never'"),
        ("--require-approval never DaypassTarget", "DaypassTarget: one deployment is of one stack"),
        ("--require-approval never --app elsewhere", "--app would deploy something else"),
        ("--require-approval never --all", "--all would deploy something else"),
        ("--require-approval never --roleArn=arn:aws:iam::111111111111:role/other", "--roleArn would deploy something"),
    ],
)
def test_what_is_deployed_is_what_is_said(untouched: Hub, arguments: str, reason: str) -> None:
    code, said = done(untouched.make(arguments=arguments))
    assert code != 0
    assert reason in said, said


@pytest.mark.parametrize("rollback", ["", " --rollback"], ids=["as it is", "rolled back"])
def test_a_first_deployment_that_fails_half_way(hub: Hub, rollback: str) -> None:
    remove = in_the_way(hub)
    code, said = done(hub.make(arguments=f"--require-approval never{rollback}"))
    assert code != 0, said
    remove()
    code, said = done(hub.make())
    assert code == 0, said
    is_whole(hub)


def test_a_first_deployment_that_is_killed(hub: Hub) -> None:
    killed = hub.make()
    deadline = time.monotonic() + 120
    while hub.stack() is None and time.monotonic() < deadline and killed.poll() is None:
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert hub.stack() is not None
    code, said = done(hub.make())
    assert code == 0, said
    is_whole(hub)


def broken_personas(hub: Hub, folder: Path) -> str:
    personas = json.loads((REPOSITORY / "personas.json").read_text())
    personas["accounts"][0]["environment"] = "nonprod"
    file = folder / "personas.json"
    file.write_text(json.dumps(personas))
    hub.settings["personas_file"] = str(file)
    return "accounts[0].environment: `nonprod` is not defined as environment in this file"


def all_rights(hub: Hub, folder: Path) -> str:
    personas = json.loads((REPOSITORY / "personas.json").read_text())
    personas["personas"]["Network"]["managed_policies"] = ["arn:aws:iam::aws:policy/AdministratorAccess"]
    file = folder / "personas.json"
    file.write_text(json.dumps(personas))
    hub.settings["personas_file"] = str(file)
    return "allow-everything"


def for_macos(hub: Hub, folder: Path) -> str:
    for task in sorted(path.name for path in (REPOSITORY / "tasks").iterdir()):
        (folder / task).mkdir()
        (folder / task / "bootstrap").write_bytes(bytes.fromhex("cffaedfe0c000001"))
    hub.settings["assets_dir"] = str(folder)
    return "bootstrap is a program for macOS: build it with `make functions`"


def for_arm(hub: Hub, _folder: Path) -> str:
    hub.settings["architecture"] = "arm64"
    return "bootstrap is for x86_64, and `architecture` is arm64: build it with `make functions ARCH=arm64`"


def long_trust(hub: Hub, _folder: Path) -> str:
    workflow = "my-organization/daypass/.github/workflows/{}.yml@refs/tags/v*"
    hub.settings["github"]["job_workflow_refs"] = [workflow.format(f"{'w' * 120}{i}") for i in range(10)]
    return "the trust policy of daypass-invoker would have 2,"


def long_environment(hub: Hub, _folder: Path) -> str:
    patterns = [f"refs/heads/{'x' * 200}-{i}" for i in range(20)]
    hub.settings["identity_tokens"]["issuers"][0]["claims"]["ref"] = patterns
    return "the environment of daypass-prove would have "


def unknown_environment(hub: Hub, _folder: Path) -> str:
    hub.settings["identity_tokens"]["issuers"][0]["environments"] = {"prod": ["production"]}
    return "has no environment prod; it has"


def other_account(hub: Hub, _folder: Path) -> str:
    hub.settings["hub"]["account_id"] = "999999999999"
    return "and the hub is 999999999999: use credentials of that account"


@pytest.mark.parametrize(
    "craft",
    [
        broken_personas,
        all_rights,
        for_macos,
        for_arm,
        long_trust,
        long_environment,
        unknown_environment,
        other_account,
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_deployed(
    untouched: Hub, tmp_path: Path, craft: Callable[[Hub, Path], str]
) -> None:
    reason = craft(untouched, tmp_path)
    code, said = done(untouched.make())
    assert code != 0
    assert reason in said, said
