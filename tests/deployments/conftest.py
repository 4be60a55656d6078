"""Deploys as README says, with `make`, to a local AWS that nothing is deployed to yet.

target/debug/daypass has to be built; functions need not be, what stands for them is in `cdk/test/fixtures`.
"""

import copy
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from daypass_local import process
from daypass_local.aws import Aws
from daypass_local.deploy import environment
from daypass_local.names import HUB_ACCOUNT, REGION, REPOSITORY

CDK = REPOSITORY / "cdk"
PROVIDER = f"arn:aws:iam::{HUB_ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"


@dataclass
class Hub:
    """A hub account, and the configuration of its deployment."""

    aws: Aws
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)

    def command(self, *command: str, cwd: Path = REPOSITORY) -> subprocess.Popen[str]:
        """Start a command without a terminal, as in a pipeline. It leads a process group of its own."""
        (self.folder / "config.json").write_text(json.dumps(self.settings))
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=environment(self.aws.url, HUB_ACCOUNT, self.folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def make(self, stack: str = "DaypassHub", arguments: str = "--require-approval never") -> subprocess.Popen[str]:
        """Start `make deploy`. The CDK CLI writes its assembly where no other deployment does."""
        arguments = f"{arguments} --output {self.folder / 'cdk.out'}"
        return self.command("make", "deploy", f"STACK={stack}", f"ARGS={arguments}")

    def cdk(self) -> subprocess.Popen[str]:
        """Start the CDK CLI itself."""
        options = ["--require-approval", "never", "--output", str(self.folder / "cdk.out")]
        return self.command("node_modules/.bin/cdk", "deploy", "DaypassHub", *options, cwd=CDK)

    def stack(self) -> dict[str, Any] | None:
        """Return the hub's stack, if there is one."""
        client = self.aws.root("cloudformation", HUB_ACCOUNT)
        try:
            found: dict[str, Any] = client.describe_stacks(StackName="DaypassHub")["Stacks"][0]
        except client.exceptions.ClientError:
            return None
        return found


def done(running: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a command, and return its exit code and all that it said."""
    said, _ = running.communicate()
    return running.returncode, said


@contextmanager
def account(folder: Path) -> Iterator[Hub]:
    """An account with the example's configuration, and nothing in it."""
    engine = process.start(process.claim(0), folder / "engine", lifeline=True)
    try:
        settings = json.loads((CDK / "daypass.config.example.json").read_text())
        # What stands for the functions are programs for x86-64, which nobody calls.
        settings |= {
            "personas_file": str(REPOSITORY / "personas.json"),
            "assets_dir": str(CDK / "test/fixtures/assets"),
        }
        yield Hub(engine.aws, folder, settings)
    finally:
        process.stop(engine.pid)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub account, bootstrapped for CDK."""
    with account(tmp_path) as hub:
        administrator = ["--cloudformation-execution-policies", "arn:aws:iam::aws:policy/AdministratorAccess"]
        bootstrap = [str(CDK / "node_modules/.bin/cdk"), "bootstrap", f"aws://{HUB_ACCOUNT}/{REGION}", *administrator]
        code, said = done(hub.command(*bootstrap, cwd=tmp_path))
        assert code == 0, said
        yield hub


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with account(tmp_path_factory.mktemp("untouched")) as hub:
        yield hub


@pytest.fixture
def untouched(shared: Hub) -> Iterator[Hub]:
    """An account that nothing is ever deployed to, and the example's configuration once more."""
    settings = copy.deepcopy(shared.settings)
    yield shared
    shared.settings = settings
    assert shared.stack() is None
