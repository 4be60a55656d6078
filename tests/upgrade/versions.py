"""The present version and the one before: what each deploys, and how the older one is made."""

import fcntl
import io
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from daypass_local.aws import Aws
from daypass_local.deploy import Deployment, Report
from daypass_local.names import REPOSITORY, STATE
from weaken.process import run

BEFORE: Final = "7c99b117c64797338e564aba740c0155624a475d"
"""The version before. It moves on with each release (CONTRIBUTING.md, "Versions that work together")."""

VERSIONS: Final = STATE / "versions"

CHEAP: Final = {
    "CARGO_INCREMENTAL": "0",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "1",
}
"""Nobody measures the functions of the version before: they are built in half the time."""


class VersionError(Exception):
    """The version before cannot be had."""


@dataclass(frozen=True)
class Version:
    """A checkout whose functions are built."""

    name: str
    checkout: Path

    def deploy(self, aws: Aws, state: Path, stacks: tuple[tuple[str, str], ...], report: Report) -> None:
        """Deploy stacks of this version, with its own CDK app and the configuration that it has for a local AWS."""
        Deployment(aws, state / self.name, report, self.checkout / "cdk", self._settings(aws.url)).run(stacks)

    def _settings(self, engine: str) -> dict[str, Any]:
        program = f"import json; from daypass_local import deploy; print(json.dumps(deploy.configuration({engine!r})))"
        environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(self.checkout / "local")}
        said = subprocess.run(
            [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
        )
        settings: dict[str, Any] = json.loads(said.stdout)
        return settings


def present() -> Version:
    """Return the working tree as it is. `make build` has built its functions."""
    return Version("present", REPOSITORY)


def before(report: Report) -> Version:
    """Return the version before, out of the repository's own history; it is built once. Raises VersionError."""
    checkout = VERSIONS / BEFORE
    VERSIONS.mkdir(parents=True, exist_ok=True)
    with (VERSIONS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not checkout.exists():
            _check_out(checkout)
        built = checkout / "target/built"
        if not built.exists():
            report("build the version before: some minutes, once", 0)
            # Its own make knows what it needs. What this make was told is not for it.
            done = run(["make", "build", "cdk/node_modules/.package-lock.json"], checkout, MAKEFLAGS="", **CHEAP)
            if done.returncode != 0:
                raise VersionError(f"the version before, {checkout}, cannot be built:\n{done.stderr[-4000:]}")
            built.touch()
    return Version("before", checkout)


def _check_out(folder: Path) -> None:
    archive = subprocess.run(["git", "archive", BEFORE], cwd=REPOSITORY, check=False, capture_output=True)
    if archive.returncode != 0:
        raise VersionError(
            f"the version before is commit {BEFORE} of this repository, and git does not have it here "
            f"({archive.stderr.decode(errors='replace').strip()}). In a shallow clone, `git fetch --unshallow` gets it."
        )
    unfinished = folder.with_suffix(".new")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(unfinished, filter="data")
    unfinished.rename(folder)
