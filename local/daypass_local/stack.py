"""Stacks: an engine with Daypass deployed to it. Their state lies below `.local/stacks/<port>/`.

engine.json   {"pid": …, "port": …, "temporary": whether it ends with the command that started it}
env           what `.local/env` links to, for the latest one
*.log         of the engine and of each step of the deployment
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

from daypass_local import process, seed
from daypass_local.aws import Aws
from daypass_local.deploy import HUB, TARGETS, Deployment, Report, check_prerequisites, configuration
from daypass_local.names import (
    HUB_ACCOUNT,
    IDENTITY_STORE_ID,
    REGION,
    REPOSITORY,
    STATE,
    TARGET_ACCOUNT,
    THIRD_ACCOUNT,
)

STACKS: Final = STATE / "stacks"
LATEST: Final = STATE / "env"
INVOKER_ROLE: Final = f"arn:aws:iam::{HUB_ACCOUNT}:role/daypass-invoker"
COMMAND_GRACE_SECONDS: Final = 10.0


class StackError(Exception):
    """A stack cannot be used as asked."""


@dataclass(frozen=True)
class Stack:
    """A live stack."""

    engine: process.Engine
    temporary: bool
    """It ends with the command that started it."""

    @property
    def aws(self) -> Aws:
        """Clients of its engine."""
        return self.engine.aws

    @property
    def state(self) -> Path:
        """Where its state lies."""
        return self.engine.state

    def environment(self) -> dict[str, str]:
        """Return what a pipeline knows: the endpoint, the names, and the invoker's credentials, fresh for an hour."""
        outputs = self.aws.root("cloudformation", HUB_ACCOUNT).describe_stacks(StackName="DaypassHub")["Stacks"][0]
        values = {output["OutputKey"]: output["OutputValue"] for output in outputs["Outputs"]}
        issued = self.aws.root("sts", HUB_ACCOUNT).assume_role(RoleArn=INVOKER_ROLE, RoleSessionName="local-pipeline")
        return {
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": issued["Credentials"]["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": issued["Credentials"]["SecretAccessKey"],
            "AWS_SESSION_TOKEN": issued["Credentials"]["SessionToken"],
            # Else the aws command-line tool and boto3 send StartSyncExecution to the host `sync-127.0.0.1`.
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "DAYPASS_PROVISION_ARN": values["ProvisionArn"],
            "DAYPASS_RENEW_ARN": values["RenewArn"],
            "DAYPASS_DEPROVISION_ARN": values["DeprovisionArn"],
            "DAYPASS_TABLE": values["TableName"],
            "DAYPASS_ACCOUNTS": ",".join(f"{account['name']}={account['id']}" for account in _accounts()),
            "DAYPASS_HUB_ACCOUNT_ID": HUB_ACCOUNT,
            "DAYPASS_TARGET_ACCOUNT_ID": TARGET_ACCOUNT,
            "DAYPASS_IDENTITY_STORE_ID": IDENTITY_STORE_ID,
            "DAYPASS_IDENTITY_TOKEN_KEY_ARN": values["IdentityTokenKeyArn"],
            "DAYPASS_IDENTITY_TOKEN_AUDIENCE": values["IdentityTokenAudience"],
        }

    def write_environment(self) -> Path:
        """Write the environment as a file to `source`, make `.local/env` link to it, and return its path."""
        lines = [f"export {name}={shlex.quote(value)}" for name, value in self.environment().items()]
        file = self.state / "env"
        file.touch(mode=0o600)
        file.write_text("\n".join(["unset AWS_PROFILE", *lines, ""]))
        link = STATE / f"env.{os.getpid()}"
        link.symlink_to(file.relative_to(STATE))
        link.replace(LATEST)
        return file


def _accounts() -> list[dict[str, Any]]:
    """Return the target accounts of the personas that are deployed."""
    accounts: list[dict[str, Any]] = json.loads((REPOSITORY / "personas.json").read_text())["accounts"]
    return accounts


def live() -> list[Stack]:
    """Return this checkout's live stacks, the latest first."""
    found = []
    for file in sorted(STACKS.glob("*/engine.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        known = json.loads(file.read_text())
        if process.is_engine(known["pid"], known["port"]):
            engine = process.Engine(known["port"], known["pid"], file.parent)
            found.append(Stack(engine, known["temporary"]))
    return found


def up(port: int | None, report: Report, *, temporary: bool, three_accounts: bool = False) -> Stack:
    """Start an engine, seed it and deploy Daypass to it, with two target accounts or with three.

    Without a port a free one is taken. A temporary one ends with this process, whatever happens. Raises StackError,
    EngineError or DeployError; whatever was started has then been stopped, and the logs are kept.
    """
    check_prerequisites()
    try:
        door = process.claim(port or 0)
    except process.EngineError as error:
        raise StackError(str(error)) from error
    state = STACKS / str(process.port_of(door))
    shutil.rmtree(state, ignore_errors=True)
    started = time.monotonic()
    engine = process.start(door, state, lifeline=temporary)
    try:
        known = {"pid": engine.pid, "port": engine.port, "temporary": temporary}
        (state / "engine.json").write_text(json.dumps(known))
        report(f"engine on {engine.aws.url}", time.monotonic() - started)
        started = time.monotonic()
        settings = configuration(engine.aws.url, three_accounts=three_accounts)
        seed.seed(engine.aws, Path(settings["personas_file"]))
        report(f"seed {len(seed.PEOPLE)} users and their groups", time.monotonic() - started)
        third = [("DaypassTarget", THIRD_ACCOUNT)] if three_accounts else []
        Deployment(engine.aws, state, report, settings=settings).run((HUB, *TARGETS, *third))
    except BaseException:
        process.stop(engine.pid)
        raise
    return Stack(engine, temporary)


def down(stack: Stack, *, keep_logs: bool = False) -> None:
    """End a stack and forget its state (with `keep_logs` only the next `up` or `down` forgets it)."""
    if LATEST.is_symlink() and LATEST.readlink().parent.name == stack.state.name:
        LATEST.unlink()
    process.stop(stack.engine.pid)
    if not keep_logs:
        shutil.rmtree(stack.state, ignore_errors=True)


def forget_dead() -> None:
    """Remove what stacks left that are not alive any more, and a `.local/env` that links to one of them."""
    alive = {stack.state.name for stack in live()}
    for file in STACKS.glob("*/engine.json"):  # a folder without one belongs to an `up` that has just begun
        if file.parent.name not in alive:
            shutil.rmtree(file.parent, ignore_errors=True)
    if LATEST.is_symlink() and LATEST.readlink().parent.name not in alive:
        LATEST.unlink()


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into an exception, so that `finally` blocks run for them as they do for Ctrl-C."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def temporary(report: Report, *, three_accounts: bool = False) -> Iterator[Stack]:
    """Run a stack for the length of a `with` block, on a free port. Its logs are kept when the block raises."""
    stack = up(None, report, temporary=True, three_accounts=three_accounts)
    try:
        yield stack
    except BaseException:
        down(stack, keep_logs=True)
        raise
    down(stack)


class CommandError(Exception):
    """The command that was run ended with another exit code than 0."""

    def __init__(self, status: int, logs: Path) -> None:
        super().__init__(f"the command ended with exit code {status}; the stack's logs: {logs}")
        self.status = status


def run(command: list[str], report: Report, *, uses: Path | None = None, three_accounts: bool = False) -> None:
    """Run a command with the environment of a stack of its own; write what all calls needed to the file `uses`.

    Raises CommandError unless the command succeeds.
    """
    with temporary(report, three_accounts=three_accounts) as stack:
        try:
            child = subprocess.Popen(command, env=os.environ | stack.environment())
        except OSError as error:
            print(f"{command[0]}: {error.strerror}", file=sys.stderr)
            raise CommandError(127, stack.state) from error
        try:
            status = child.wait()
        finally:
            # Ctrl-C reached the command as well: it shares our terminal. Any other end we pass on.
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(COMMAND_GRACE_SECONDS)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
        if uses is not None:
            with urllib.request.urlopen(f"{stack.aws.url}/_daypass/uses") as answer:
                uses.parent.mkdir(parents=True, exist_ok=True)
                uses.write_bytes(answer.read())
        if status != 0:
            raise CommandError(status if status > 0 else 128 - status, stack.state)
