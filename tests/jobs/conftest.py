"""Runs workflows with the action of this checkout: with act, on this machine, against the local AWS of the environment.

`python -m daypass_local run -- COMMAND` gives that environment; target/debug/daypass has to be built.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from daypass_local.aws import Aws
from daypass_local.names import REPOSITORY, TARGET_ACCOUNT

ACT = Path(sys.executable).parent / "act"
DAYPASS = REPOSITORY / "target/debug/daypass"
WORKFLOWS = Path(__file__).parent / "workflows"
# How the local issuer's runs are described: `daypass_local/issuer.py`.
RUN = {"GITHUB_RUN_ID": "42", "GITHUB_REPOSITORY": "example/payments"}
PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="session")
def aws() -> Aws:
    return Aws(os.environ["AWS_ENDPOINT_URL"])


def until(what: str, holds: Callable[[], Any]) -> Any:
    """Wait until `holds` gives something true, and return it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = holds()
        if found:
            return found
        time.sleep(0.1)
    pytest.fail(f"{what}: not within {PATIENCE_SECONDS:.0f} s")


@dataclass
class Job:
    """A repository whose workflow uses the action, and one run of it."""

    aws: Aws
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def outside(self) -> Path:
        """A folder that the deployment may write to, and that nobody prints."""
        return self.folder / "outside"

    def start(self, workflow: str, *, deploy: str = "true", **inputs: str) -> None:
        """Start the workflow; its deployment is a command of bash, `inputs` are what the workflow takes from `env`."""
        repository, action = self.folder / "payments", self.folder / "daypass"
        shutil.copytree(WORKFLOWS, repository / ".github/workflows")
        (action / "action").mkdir(parents=True)
        shutil.copy(REPOSITORY / "action.yml", action)
        shutil.copytree(REPOSITORY / "action/dist", action / "action/dist")
        self.outside.mkdir()
        for command in (
            "init --quiet --initial-branch main",
            "remote add origin https://github.com/example/payments",
            "add --all",
            "-c user.name=Alex -c user.email=alex@example.com commit --quiet --message Deploy",
        ):
            subprocess.run(["git", *command.split(" ")], cwd=repository, check=True)

        event = self.folder / "event.json"
        event.write_text(
            json.dumps({"ref": "refs/heads/main", "pusher": {"name": "alex", "email": "alex@example.com"}})
        )
        # What the stack gives to a pipeline; the rest of this process's environment stays here.
        stack = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "DAYPASS_"))}
        issuer = f"{self.aws.url}/_daypass/issuers/github/token?api-version=2.0"
        variables = (
            stack
            | RUN
            | {"ACTIONS_ID_TOKEN_REQUEST_URL": issuer, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token-of-this-job"}
            | {"OUTSIDE": str(self.outside), "DEPLOY": deploy, "PYTHON": sys.executable, "DAYPASS_BINARY": str(DAYPASS)}
            | {name.upper(): value for name, value in inputs.items()}
            | self.environment
        )
        options = [f"--env={name}={value}" for name, value in variables.items()]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(ACT, "push", "--workflows", f".github/workflows/{workflow}", "--eventpath", event),
                    *("--platform", "ubuntu-24.04=-self-hosted", "--no-cache-server", "--actor", "alex"),
                    *("--local-repository", f"example/daypass@v1={action}", *options),
                ],
                cwd=repository,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder / "home")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> int:
        """Wait for the end of the run and return its exit code."""
        assert self.process
        return self.process.wait(PATIENCE_SECONDS)

    def cancel(self) -> None:
        """Cancel the run, as a person does."""
        assert self.process
        self.process.send_signal(signal.SIGINT)

    @property
    def log(self) -> str:
        """Everything that was printed so far, the job's summary included."""
        return (self.folder / "log").read_text(errors="replace")

    def created(self) -> list[str]:
        """The names of the roles that were made since the test began."""
        calls = [call for call in self.aws.calls() if call["action"] == "iam:CreateRole" and call["status"] == 200]
        return [call["parameters"]["RoleName"] for call in calls]

    def is_gone(self, role: str) -> bool:
        """Whether the target account has no such role (any more)."""
        iam = self.aws.root("iam", TARGET_ACCOUNT)
        try:
            iam.get_role(RoleName=role)
        except iam.exceptions.NoSuchEntityException:
            return True
        return False

    def secrets(self) -> dict[str, str]:
        """Everything that must not be printed, with what it is."""
        found = {"the token that asks for identity tokens": "request-token-of-this-job"}
        for session in self.aws.control("/_daypass/sessions")["sessions"]:
            for name in ("secret_access_key", "session_token"):
                found[f"{name} of {session['arn']}"] = session[name]
        return found


@pytest.fixture
def job(aws: Aws, tmp_path: Path) -> Iterator[Job]:
    aws.control("/_daypass/calls/reset", {})
    started = Job(aws, tmp_path)
    yield started
    aws.control("/_daypass/faults/reset", {})
    if started.process and started.process.poll() is None:
        os.killpg(started.process.pid, signal.SIGKILL)
        started.process.wait()
