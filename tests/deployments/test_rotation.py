"""The external id of a deployment is changed, and every request in between gets its role.

On a stack of its own, since hub and targets are deployed anew; target/debug/daypass has to be built.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daypass_local import deploy, stack
from daypass_local.deploy import HUB, TARGETS, Deployment
from daypass_local.names import REPOSITORY

DAYPASS = REPOSITORY / "target/debug/daypass"
OLD, NEW = "daypass-local", "daypass-next"


class Rotation:
    """A stack whose external ids change."""

    def __init__(self, stack: stack.Stack, folder: Path) -> None:
        self._stack, self._folder, self._steps = stack, folder, 0
        config = "".join(
            f"[profile at-{account}]\naws_access_key_id = {account}\naws_secret_access_key = local\n"
            for _, account in TARGETS
        )
        (folder / "aws-config").write_text(config)

    def deploy(self, stacks: tuple[tuple[str, str], ...], external_id: str, accepted: list[str]) -> None:
        """Deploy these stacks with these ids, in a configuration that `doctor` reads as well."""
        self._steps += 1
        ids = {"external_id": external_id, "accepted_external_ids": accepted}
        settings = deploy.configuration(self._stack.aws.url) | ids
        state = self._folder / f"step-{self._steps}"
        Deployment(self._stack.aws, state, lambda *_: None, settings=settings).run(stacks)

    def request(self) -> subprocess.CompletedProcess[str]:
        """Ask for a role, and run a command with it."""
        person = ["--email", "alex@example.com", "--branch", "feature/receipts"]
        return self._daypass("exec", "--account", "payments-dev", *person, "--", "true")

    def doctor(self) -> dict[str, Any]:
        """Examine both targets by the latest configuration, and return by account the checks that are not ok."""
        config = self._folder / f"step-{self._steps}/config.json"
        personas = str(REPOSITORY / "personas.json")
        seen = ["--personas", personas, "--deployment-config", str(config), "--target-profile", "at-{account_id}"]
        said = self._daypass("doctor", "--output", "json", "--all-targets", *seen)
        return {
            target["account"]: [f"{it['status']} {it['check']}" for it in target["checks"] if it["status"] != "ok"]
            for target in json.loads(said.stdout)["targets"]
            if target["status"] != "ok"
        }

    def _daypass(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DAYPASS_"))}
        environment = (
            kept
            | self._stack.environment()
            | {
                "AWS_CONFIG_FILE": str(self._folder / "aws-config"),
                "DAYPASS_CONFIG_FILE": os.devnull,
                "DAYPASS_STATE_DIR": str(self._folder / "sessions"),
            }
        )
        return subprocess.run(
            [str(DAYPASS), "--quiet", *arguments], env=environment, check=False, capture_output=True, text=True
        )


@pytest.fixture
def rotation(tmp_path: Path) -> Iterator[Rotation]:
    with stack.temporary(lambda *_: None) as started:
        yield Rotation(started, tmp_path)


def test_an_external_id_is_changed_without_a_refused_request(rotation: Rotation) -> None:
    def assert_granted(step: str) -> None:
        said = rotation.request()
        assert said.returncode == 0, f"{step}: {said.stderr}"

    assert_granted("before")
    # 1. Targets accept the new id.
    rotation.deploy(TARGETS, OLD, [NEW])
    assert_granted("targets accept both")
    assert rotation.doctor() == {}
    # 2. The hub sends it.
    rotation.deploy((HUB,), NEW, [OLD])
    assert_granted("the hub sends the new one")
    assert rotation.doctor() == {}
    # 3. Targets no longer accept the old one.
    rotation.deploy(TARGETS, NEW, [])
    assert_granted("targets accept the new one alone")
    assert rotation.doctor() == {}
    # What it is good for: a hub that sends an id that targets do not accept gets into none of them.
    rotation.deploy((HUB,), "daypass-other", [])
    said = rotation.request()
    assert said.returncode == 70, said.stderr
    assert "Daypass.TargetAccountNotOnboarded" in said.stderr
    assert rotation.doctor() == {"payments-dev": ["fail external id"], "payments-prod": ["fail external id"]}
