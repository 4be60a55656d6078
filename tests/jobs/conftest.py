"""Runs workflows with the action of this checkout: with act, on this machine, against the local AWS of the environment.

`python -m daypass_local run -- COMMAND` gives that environment; target/debug/daypass has to be built.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from daypass_local.aws import Aws
from daypass_local.names import HUB_ACCOUNT, REPOSITORY, TARGET_ACCOUNT

ACT = Path(sys.executable).parent / "act"
DAYPASS = REPOSITORY / "target/debug/daypass"
INVOKERS_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
REQUEST_TOKEN = "the-token-that-gets-identity-tokens"
# What a runner gives to actions alone; act gives it to every step.
RUNTIME_TOKEN = "the-token-that-actions-have"
# How the local issuer's runs are described: `daypass_local/issuer.py`.
RUN = {"GITHUB_RUN_ID": "42", "GITHUB_REPOSITORY": "example/payments"}
INVOKER = "daypass-invoker"
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


def options(name: str, values: Mapping[str, object]) -> list[str]:
    """An option of act for each of the values."""
    return [f"{name}={key}={value}" for key, value in values.items()]


def write_repository(folder: Path, workflow: Path) -> None:
    """Write the repository of a developer, with this workflow."""
    (folder / ".github/workflows").mkdir(parents=True)
    text = re.sub(r"my-organization/daypass(\S*)@\S+", r"example/daypass\1@v1", workflow.read_text())
    (folder / ".github/workflows" / workflow.name).write_text(text)
    shutil.copy(REPOSITORY / "examples/github/template.yaml", folder)
    for command in (
        "init --quiet --initial-branch main",
        "remote add origin https://github.com/example/payments",
        "add --all",
        "-c user.name=Alex -c user.email=alex@example.com commit --quiet --message Deploy",
    ):
        subprocess.run(["git", *command.split(" ")], cwd=folder, check=True)


def write_daypass(folder: Path, scan: str) -> str:
    """Write the repository of Daypass as far as others use it, and return the central workflow.

    It is as in this checkout, but that act does not know `$/`, and that no test installs checkov.
    """
    (folder / "action").mkdir(parents=True)
    shutil.copy(REPOSITORY / "action.yml", folder)
    shutil.copytree(REPOSITORY / "action/dist", folder / "action/dist")
    text = (REPOSITORY / ".github/workflows/jit-deploy.yml").read_text()
    central = re.sub(r"uses: \$(\S*?)/?$", r"uses: example/daypass\1@v1", text, flags=re.MULTILINE)
    (folder / ".github/workflows").mkdir(parents=True)
    (folder / ".github/workflows/jit-deploy.yml").write_text(central)
    write_stand_in(folder / ".github/actions/scan-iac", scan)
    return central


def write_stand_in(folder: Path, command: str) -> None:
    """Write an action that runs a command."""
    folder.mkdir(parents=True)
    step = {"run": command, "shell": "bash"}
    action = {"name": folder.name, "description": "stands in", "runs": {"using": "composite", "steps": [step]}}
    (folder / "action.yml").write_text(json.dumps(action))


@dataclass
class Job:
    """A repository whose workflow uses the action, and one run of it."""

    aws: Aws
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def outside(self) -> Path:
        """A folder that the deployment may write to, and that nobody prints."""
        return self.folder / "outside"

    def start(self, workflow: Path, *, deploy: str = "true", scan: str = "true", only: str = "", **inputs: str) -> None:
        """Start the workflow of a developer.

        Its deployment is a command of bash. `scan` stands in for the scan of the central workflow, `only` is the job
        to run. `inputs` are what the workflow takes from `env`.
        """
        repository, daypass, stand_in = (self.folder / name for name in ("payments", "daypass", "stand-in"))
        write_repository(repository, workflow)
        central = write_daypass(daypass, scan)
        # GitHub's own actions would be fetched, and have nothing to do here.
        write_stand_in(stand_in, "true")
        foreign = dict.fromkeys(re.findall(r"uses: (actions/\S+)", central), stand_in)

        self.outside.mkdir()
        event = self.folder / "event.json"
        event.write_text(json.dumps({"ref": "refs/heads/main", "pusher": {"email": "alex@example.com"}}))
        on_path = self.folder / "bin"
        on_path.mkdir()
        (on_path / "daypass").symlink_to(DAYPASS)
        # What the stack gives to a pipeline, but for what is found by the name of the first machine. The rest of this
        # process's environment stays here.
        stack = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "DAYPASS_"))}
        del stack["DAYPASS_DEPROVISION_ARN"]
        stack.pop("DAYPASS_RENEW_ARN", None)
        shared = {name: value for name, value in stack.items() if name.startswith("DAYPASS_")}
        if "invoker_role_arn" in inputs:  # whoever becomes the invoker with a token has no credentials
            stack = {name: value for name, value in stack.items() if name not in INVOKERS_CREDENTIALS}
            shared["DAYPASS_INVOKER_ROLE_ARN"] = inputs["invoker_role_arn"]
        # A job of its own: what an earlier one has left open is not in its way.
        claims = quote(json.dumps({"check_run_id": str(uuid.uuid4().int)}))
        issuer = f"{self.aws.url}/_daypass/issuers/github/token?api-version=2.0&claims={claims}"
        variables = (
            stack
            | RUN
            | {"ACTIONS_ID_TOKEN_REQUEST_URL": issuer, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": REQUEST_TOKEN}
            | {"ACTIONS_RUNTIME_TOKEN": RUNTIME_TOKEN}
            | {"OUTSIDE": str(self.outside), "DEPLOY": deploy, "PYTHON": sys.executable}
            | {name.upper(): value for name, value in inputs.items()}
        )
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(ACT, "push", "--workflows", f".github/workflows/{workflow.name}", "--eventpath", event),
                    *("--platform", "ubuntu-24.04=-self-hosted", "--no-cache-server", "--actor", "alex"),
                    *(["--job", only] if only else []),
                    *options("--local-repository", {"example/daypass@v1": daypass} | foreign),
                    *options("--env", variables),
                    # GitHub's runner masks them by itself; act masks secrets.
                    *options("--secret", {"REQUEST_TOKEN": REQUEST_TOKEN, "RUNTIME_TOKEN": RUNTIME_TOKEN}),
                    *options("--var", shared),
                ],
                cwd=repository,
                env={"PATH": f"{on_path}:{ACT.parent}:{os.environ['PATH']}", "HOME": str(self.folder / "home")},
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

    def is_gone(self, role: str, account: str = TARGET_ACCOUNT) -> bool:
        """Whether a target account has no such role (any more)."""
        iam = self.aws.root("iam", account)
        try:
            iam.get_role(RoleName=role)
        except iam.exceptions.NoSuchEntityException:
            return True
        return False

    def recorded(self, role: str) -> dict[str, Any]:
        """What Daypass has recorded of the role's transaction."""
        table = self.aws.root("dynamodb", HUB_ACCOUNT)
        key = {"transaction_id": {"S": role.removeprefix("daypass-")}}
        item: dict[str, Any] = table.get_item(TableName=os.environ["DAYPASS_TABLE"], Key=key)["Item"]
        return item

    def secrets(self) -> dict[str, str]:
        """Everything that must not be printed, with what it is."""
        found = {"the token that gets identity tokens": REQUEST_TOKEN, "the token of actions": RUNTIME_TOKEN}
        for session in self.aws.control("/_daypass/sessions")["sessions"]:
            for name in ("secret_access_key", "session_token"):
                found[f"{name} of {session['arn']}"] = session[name]
        return found


@pytest.fixture(scope="session")
def invoker_role_arn(aws: Aws) -> str:
    """A role that may what the invoker may, and that trusts tokens of the local GitHub for AWS."""
    iam = aws.root("iam", HUB_ACCOUNT)
    provider = aws.url.removeprefix("http://") + "/_daypass/issuers/github"
    trust = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{HUB_ACCOUNT}:oidc-provider/{provider}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{provider}:aud": "sts.amazonaws.com"}},
    }
    name = f"jobs-of-github-{uuid.uuid4()}"
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    for policy in iam.list_role_policies(RoleName=INVOKER)["PolicyNames"]:
        document = json.dumps(iam.get_role_policy(RoleName=INVOKER, PolicyName=policy)["PolicyDocument"])
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=document)
    return arn


@pytest.fixture
def job(aws: Aws, tmp_path: Path) -> Iterator[Job]:
    aws.control("/_daypass/calls/reset", {})
    started = Job(aws, tmp_path)
    yield started
    aws.control("/_daypass/faults/reset", {})
    if started.process and started.process.poll() is None:
        os.killpg(started.process.pid, signal.SIGKILL)
        started.process.wait()
