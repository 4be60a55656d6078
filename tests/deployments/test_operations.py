"""What docs/operations.md says, run as it stands there: the blocks that are marked `played`."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daypass_local import stack
from daypass_local.deploy import HUB, Deployment
from daypass_local.names import HUB_ACCOUNT, PRODUCTION_ACCOUNT, REGION, REPOSITORY, TARGET_ACCOUNT

PAGE = REPOSITORY / "docs/operations.md"
BLOCK = re.compile(r"^ *<!-- played: (\S+) -->\n *```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
BLOCKS = dict(BLOCK.findall(PAGE.read_text()))
TABLE = "daypass-transactions"
PLAYED: set[str] = set()


class World:
    """A stack of its own, and commands against it."""

    def __init__(self, stack: stack.Stack, tools: Path) -> None:
        self.stack, self.tools = stack, tools
        self.aws = stack.aws
        self.items = self.aws.root("dynamodb", HUB_ACCOUNT)
        # The names stay when the hub is gone.
        self.names = stack.environment()

    def environment(self, account: str, more: Mapping[str, str]) -> dict[str, str]:
        """What an administrator of the account has; the invoker, if no account is named."""
        own = dict(self.names)
        if account:
            own |= {"AWS_ACCESS_KEY_ID": account, "AWS_SECRET_ACCESS_KEY": "local"}
            del own["AWS_SESSION_TOKEN"]
        else:
            own |= self.stack.environment()
        path = f"{self.tools}:{os.environ['PATH']}"
        files = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "HOME": str(self.tools)}
        return own | files | {"PATH": path, "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": ""} | more

    def play(self, name: str, account: str, **more: str) -> str:
        """Run a block of the page with credentials of an account, and return what it says."""
        PLAYED.add(name)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", BLOCKS[name]],
            env=self.environment(account, more),
            cwd=self.tools,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout

    def request(self, account: str = "payments-dev") -> "subprocess.CompletedProcess[str]":
        """Ask for a role, as a pipeline does."""
        who = ["--email", "alex@example.com", "--branch", "feature/receipts"]
        command = ["daypass", "request", "--account", account, *who, "--output", "json"]
        state = self.tools / "state"
        state.mkdir(mode=0o700, exist_ok=True)
        environment = self.environment("", {"DAYPASS_STATE_DIR": str(state)})
        return subprocess.run(command, env=environment, cwd=self.tools, capture_output=True, text=True, check=False)

    def granted(self) -> str:
        """Return the id of a transaction with an open role."""
        done = self.request()
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["transaction_id"])

    def item(self, transaction: str) -> dict[str, Any]:
        found = self.items.get_item(TableName=TABLE, Key={"transaction_id": {"S": transaction}}, ConsistentRead=True)
        return {name: next(iter(value.values())) for name, value in found.get("Item", {}).items()}

    def roles(self, account: str = TARGET_ACCOUNT) -> list[str]:
        listed = self.aws.root("iam", account).list_roles(PathPrefix="/daypass/")["Roles"]
        return [role["RoleName"] for role in listed]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    tools = tmp_path_factory.mktemp("tools")
    for name, command in (
        ("daypass", REPOSITORY / "target/debug/daypass"),
        ("aws", Path(sys.executable).parent / "aws"),
    ):
        (tools / name).symlink_to(command)
    started = stack.up(None, lambda _step, _seconds: None, temporary=True)
    try:
        yield World(started, tools)
    finally:
        stack.down(started)


def test_everything_stops_and_goes_on(world: World) -> None:
    before = world.granted()
    world.play("freeze", HUB_ACCOUNT)
    refused = world.request()
    assert refused.returncode != 0
    assert "AccessDenied" in refused.stderr
    # What ends access goes on.
    world.play("release-account", HUB_ACCOUNT, target=TARGET_ACCOUNT)
    assert world.item(before)["status"] == "deprovisioned"
    world.play("thaw", HUB_ACCOUNT)
    assert world.item(world.granted())["status"] == "provisioned"


def test_a_target_is_removed_when_nothing_is_open(world: World) -> None:
    opened = [world.granted() for _ in range(3)]
    said = world.play("release-account", HUB_ACCOUNT, target=TARGET_ACCOUNT)
    assert {world.item(transaction)["status"] for transaction in opened} == {"deprovisioned"}
    assert "still open" not in said
    assert world.play("roles-left", TARGET_ACCOUNT).split() == []
    # Nothing is open: there is nothing to do, and that is no failure.
    assert world.play("release-account", HUB_ACCOUNT, target=PRODUCTION_ACCOUNT) == ""
    world.play("delete-target", PRODUCTION_ACCOUNT)
    iam = world.aws.root("iam", PRODUCTION_ACCOUNT)
    assert not [role for role in iam.list_roles()["Roles"] if role["RoleName"] == "daypass-provisioner"]


def test_items_are_put_back(world: World) -> None:
    lost, changed = world.granted(), world.granted()
    before = world.item(lost)
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    time.sleep(1)
    world.play("restore-items", HUB_ACCOUNT, at=at)
    assert world.item(lost) == before

    backup = world.items.create_backup(TableName=TABLE, BackupName="before")["BackupDetails"]["BackupArn"]
    world.items.delete_item(TableName=TABLE, Key={"transaction_id": {"S": lost}})
    # The engine restores what is in the table now, whatever the time: the restored table is that of a backup.
    restored = f"{TABLE}-restored"
    world.items.restore_table_from_backup(TargetTableName=restored, BackupArn=backup)
    assert world.item(lost) == {}
    script = BLOCKS["restore-items"].replace("aws dynamodb restore-table-to-point-in-time", ": aws")
    BLOCKS["from-a-backup"] = script
    assert f"put back {lost}" in world.play("from-a-backup", HUB_ACCOUNT, at=at)
    assert world.item(lost) == before
    assert world.item(changed)["status"] == "provisioned"
    assert restored not in world.items.list_tables()["TableNames"]
    world.play("release-account", HUB_ACCOUNT, target=TARGET_ACCOUNT)
    assert world.item(lost)["status"] == "deprovisioned"


def test_a_table_that_was_deleted_is_restored(world: World) -> None:
    opened = world.granted()
    # DynamoDB makes one by itself when a table with point-in-time recovery is deleted; the engine does not.
    backup = world.items.create_backup(TableName=TABLE, BackupName="of-the-deletion")["BackupDetails"]["BackupArn"]
    world.items.update_table(TableName=TABLE, DeletionProtectionEnabled=False)
    world.items.delete_table(TableName=TABLE)
    assert world.request().returncode != 0
    world.play("restore-deleted", HUB_ACCOUNT, backup=backup)
    table = world.items.describe_table(TableName=TABLE)["Table"]
    assert table["DeletionProtectionEnabled"]
    names = {index["IndexName"] for index in table["GlobalSecondaryIndexes"]}
    assert names == {"by-user", "by-account", "by-actor", "open-leases"}
    world.play("release-account", HUB_ACCOUNT, target=TARGET_ACCOUNT)
    assert world.item(opened)["status"] == "deprovisioned"
    assert world.item(world.granted())["status"] == "provisioned"


def test_only_roles_whose_expiry_has_passed_are_deleted(world: World) -> None:
    iam = world.aws.root("iam", TARGET_ACCOUNT)
    kept = world.item(world.granted())["role_arn"].rsplit("/", 1)[-1]
    # One that no lease knows, as after a loss of the table, and that somebody has given to an instance.
    gone = "daypass-00000000-0000-4000-8000-000000000000"
    trust = {"Effect": "Allow", "Principal": {"AWS": HUB_ACCOUNT}, "Action": "sts:AssumeRole"}
    iam.create_role(
        RoleName=gone,
        Path="/daypass/",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        Tags=[{"Key": "daypass:expires-at", "Value": "2026-01-01T00:00:00Z"}],
    )
    iam.attach_role_policy(RoleName=gone, PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName=gone, PolicyName="guard", PolicyDocument=json.dumps(deny))
    iam.create_instance_profile(InstanceProfileName="server")
    iam.add_role_to_instance_profile(InstanceProfileName="server", RoleName=gone)
    said = world.play("delete-expired-roles", TARGET_ACCOUNT)
    assert f"deleted {gone}" in said
    assert f"kept {kept}" in said
    assert gone not in world.roles()
    assert kept in world.roles()
    world.play("release-account", HUB_ACCOUNT, target=TARGET_ACCOUNT)


def test_the_hub_is_torn_down_and_deployed_again(world: World) -> None:
    world.play("freeze", HUB_ACCOUNT)
    world.play("release-account", HUB_ACCOUNT, target=TARGET_ACCOUNT)
    assert world.roles() == []
    world.play("delete-hub", HUB_ACCOUNT)
    assert TABLE in world.items.list_tables()["TableNames"]
    world.play("delete-data", HUB_ACCOUNT)
    assert world.items.list_tables()["TableNames"] == []
    settings = json.loads((world.stack.state / "config.json").read_text())
    Deployment(world.aws, world.stack.state, lambda _step, _seconds: None, settings=settings).run([HUB])
    assert world.item(world.granted())["status"] == "provisioned"
    assert REGION in world.stack.environment()["DAYPASS_PROVISION_ARN"]


def test_every_block_is_played() -> None:
    assert set(BLOCKS) <= PLAYED
