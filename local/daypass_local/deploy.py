"""Deploying Daypass to the engine with the real CDK CLI, the way it is deployed to AWS."""

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Final

from daypass_local import issuer
from daypass_local.aws import Aws
from daypass_local.names import (
    HUB_ACCOUNT,
    IDENTITY_STORE_ID,
    PRODUCTION_ACCOUNT,
    REGION,
    REPOSITORY,
    TARGET_ACCOUNT,
    THIRD_ACCOUNT,
)
from daypass_local.process import tail

CDK: Final = REPOSITORY / "cdk"
CDK_CLI: Final = CDK / "node_modules/.bin/cdk"
MINIMUM_ROLE_TTL_SECONDS: Final = 1
HUB: Final = ("DaypassHub", HUB_ACCOUNT)
TARGETS: Final = (("DaypassTarget", TARGET_ACCOUNT), ("DaypassTarget", PRODUCTION_ACCOUNT))

CONFIGURATION: Final[dict[str, Any]] = {
    "hub": {"account_id": HUB_ACCOUNT, "region": REGION},
    "identity": {"store_id": IDENTITY_STORE_ID},
    # The engine lets an account's root assume a role: that is how the local pipeline gets the invoker's credentials.
    "invoker_principal_arns": [f"arn:aws:iam::{HUB_ACCOUNT}:root"],
    "external_id": "daypass-local",
    # Leases of seconds, to watch them end.
    "minimum_role_ttl_seconds": MINIMUM_ROLE_TTL_SECONDS,
    # The engine's IAM has one region.
    "role_settle_seconds": 0,
    # One person plays many; one job deploys to both accounts.
    "limits": {"open_roles_per_person": 100, "open_roles_per_account": 1000, "accounts_per_job": 2},
}


def _personas(three_accounts: bool) -> dict[str, Any]:
    """Return the project's personas.json, on request with another account in the environment of `TARGET_ACCOUNT`."""
    found: dict[str, Any] = json.loads((REPOSITORY / "personas.json").read_text())
    if three_accounts:
        (like,) = (account for account in found["accounts"] if account["id"] == TARGET_ACCOUNT)
        found["accounts"].append(like | {"id": THIRD_ACCOUNT, "name": "payments-third"})
    return found


def configuration(engine: str, *, three_accounts: bool = False) -> dict[str, Any]:
    """Return the deployment's configuration for an engine at this URL.

    In the environment of `TARGET_ACCOUNT` a request by hand needs no CI: it may come without an identity token.
    """
    tokens = {"audience": issuer.AUDIENCE, "issuers": issuer.configuration(engine)}
    return CONFIGURATION | {"identity_tokens": tokens, "personas_file": str(_open_personas(three_accounts))}


def _open_personas(three_accounts: bool) -> Path:
    """Write the project's personas.json with the environment of `TARGET_ACCOUNT` opened, and return where."""
    opening = _personas(three_accounts)
    (name,) = {account["environment"] for account in opening["accounts"] if account["id"] == TARGET_ACCOUNT}
    opening["environments"][name]["identity_token"] = "optional"
    opened = REPOSITORY / (".local/personas-of-three.json" if three_accounts else ".local/personas.json")
    opened.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=opened.parent, delete=False) as new:
        json.dump(opening, new, indent=2)
    return Path(new.name).replace(opened)


Report = Callable[[str, float], None]
"""Called with the name of a finished step and the seconds that it took."""


class DeployError(Exception):
    """A step failed; the text holds the end of its log."""


def check_prerequisites() -> None:
    """Raise DeployError unless everything that a deployment reads is there."""
    remedies = {
        CDK_CLI: "run `npm ci --prefix cdk` first",
        REPOSITORY / "target/lambda": "run `make build` first",
        REPOSITORY / "personas.json": "it belongs to the repository",
    }
    for needed, remedy in remedies.items():
        if not needed.exists():
            raise DeployError(f"{needed.relative_to(REPOSITORY)} is not there: {remedy}")


class Deployment:
    """One deployment: CDK commands that run side by side and end together.

    It is of this checkout, unless `cdk` is the CDK app of another one; `settings` is then a configuration that fits it.
    """

    def __init__(
        self, aws: Aws, state: Path, report: Report, cdk: Path | None = None, settings: dict[str, Any] | None = None
    ) -> None:
        self._aws, self._state, self._report = aws, state, report
        self._app, self._cli = (cdk, cdk / "node_modules/.bin/cdk") if cdk else (CDK, CDK_CLI)
        self._settings = settings or configuration(aws.url)
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._cancelled = False

    def run(self, stacks: Collection[tuple[str, str]] = (HUB, *TARGETS)) -> dict[str, str]:
        """Deploy stacks, each of a name and to an account, and return the outputs of the hub's.

        Synthesis and the hub's bootstrap run side by side, then the stacks do. What has been synthesized to the same
        state before is deployed again as it is. Raises DeployError for the first step that fails; the others are ended.
        """
        self._state.mkdir(parents=True, exist_ok=True)
        (self._state / "config.json").write_text(json.dumps(self._settings, indent=2))
        assembly = self._state / "cdk.out"
        hub = f"aws://{HUB_ACCOUNT}/{REGION}"
        with ThreadPoolExecutor(max_workers=5) as pool:
            try:
                bootstrap: list[Future[None]] = []
                if not assembly.exists():
                    synth = ["synth", "--quiet", "--output", str(assembly)]
                    # CDK's default, which the engine does not find in the template by itself.
                    administrator = [
                        "--cloudformation-execution-policies",
                        "arn:aws:iam::aws:policy/AdministratorAccess",
                    ]
                    arguments = ["bootstrap", hub, *administrator]
                    bootstrap = [pool.submit(self._cdk, "bootstrap hub", HUB_ACCOUNT, arguments, self._state)]
                    _all([pool.submit(self._cdk, "synthesize", HUB_ACCOUNT, synth, self._app)])
                deploys = [pool.submit(self._stack, *it, assembly) for it in stacks if it != HUB]
                _all(bootstrap)
                deploys += [pool.submit(self._stack, *it, assembly) for it in stacks if it == HUB]
                _all(deploys)
            finally:
                self._cancel()
        deployed = self._aws.root("cloudformation", HUB_ACCOUNT).describe_stacks(StackName="DaypassHub")["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in deployed[0]["Outputs"]}

    def _stack(self, name: str, account: str, assembly: Path) -> None:
        command = ["deploy", "--app", str(assembly), name, "--exclusively", "--require-approval", "never"]
        if account == TARGET_ACCOUNT and self._app == CDK:
            command += ["--parameters", "WorkloadsDeleteData=yes"]
        self._cdk(f"deploy {name} to {account}", account, [*command, "--method", "direct"], cwd=self._state)

    def _cdk(self, step: str, account: str, arguments: list[str], cwd: Path) -> None:
        started = time.monotonic()
        log = self._state / f"{step.replace(' ', '-')}.log"
        with log.open("wb") as output:
            with self._lock:
                if self._cancelled:
                    return
                process = subprocess.Popen(
                    [str(self._cli), *arguments],
                    cwd=cwd,
                    env=environment(self._aws.url, account, self._state),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                self._running.add(process)
            status = process.wait()
        with self._lock:
            self._running.discard(process)
            cancelled = self._cancelled
        if cancelled:
            return
        if status != 0:
            raise DeployError(f"`{step}` failed (cdk {' '.join(arguments)}):\n{tail(log)}")
        self._report(step, time.monotonic() - started)

    def _cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            for process in self._running:
                os.killpg(process.pid, signal.SIGTERM)


def environment(url: str, account: str, state: Path) -> dict[str, str]:
    """Return what a CDK command has that deploys to an account of the engine at this URL.

    Its configuration is `config.json` below `state`. Of this process's environment it has nothing of AWS, CDK or
    Daypass.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_", "DAYPASS_"))}
    return kept | {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": account,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "CDK_HOME": str(state / "cdk-home"),
        "CDK_DISABLE_VERSION_CHECK": "true",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "DAYPASS_CONFIG": str(state / "config.json"),
        "NO_COLOR": "1",
        "CI": "true",
    }


def _all(steps: list[Future[None]]) -> None:
    """Wait for all steps, or until one has failed, and raise what it raised."""
    pending = set(steps)
    while pending:
        done, pending = wait(pending, timeout=0.2, return_when="FIRST_COMPLETED")
        for step in done:
            step.result()
