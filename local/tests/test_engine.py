"""The engine's process: pinned versions, loopback only, nothing left behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Accounts, package, refused

from daypass_local import engine, patches, process
from daypass_local.aws import Aws


def test_only_the_pinned_versions_start(monkeypatch: pytest.MonkeyPatch) -> None:
    engine.check_versions()
    monkeypatch.setattr(engine, "version", lambda _package: "1.5.34")
    with pytest.raises(SystemExit, match=r"1\.5\.34 is installed"):
        engine.check_versions()


def test_pins_and_requirements_agree(repository: Path) -> None:
    pinned = (repository / "local/requirements.txt").read_text()
    for name, version in engine.VERSIONS.items():
        assert f"\n{name}=={version} " in pinned


@pytest.mark.parametrize("patch", patches.ALL, ids=lambda patch: patch.__name__)
def test_every_patch_says_what_would_make_it_unnecessary(patch: object) -> None:
    assert "Unnecessary when" in (patch.__doc__ or "")


def group(leader: int) -> list[int]:
    """The live processes of a process group."""
    shown = subprocess.run(["ps", "-e", "-o", "pgid=", "-o", "pid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in shown.stdout.splitlines()]
    return [pid for found, pid in pairs if found == leader and process.command_of(pid)]


STAYS = """
import os, signal, time, urllib.request
signal.signal(signal.SIGTERM, signal.SIG_IGN)
urllib.request.urlopen(f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation/next")
time.sleep(600)
"""


def test_stopping_ends_functions_too_and_frees_the_port(tmp_path: Path) -> None:
    started = process.start(process.claim(), tmp_path, lifeline=True)
    accounts = Accounts(started.aws, "x")
    role = accounts.role(accounts.hub, "function")
    functions = started.aws.root("lambda", accounts.hub)
    functions.create_function(
        FunctionName="stays", Runtime="provided.al2023", Handler="h", Role=role, Code={"ZipFile": package(STAYS)}
    )
    functions.invoke(FunctionName="stays", InvocationType="Event", Payload=b"{}")
    deadline = time.monotonic() + 10
    while len(group(started.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(group(started.pid)) == 2
    assert process.is_engine(started.pid, started.port)
    assert not process.is_engine(os.getpid(), started.port)
    process.stop(started.pid)
    # What is killed is gone when the system has come to it.
    deadline = time.monotonic() + 10
    while group(started.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert group(started.pid) == []
    assert not process.is_engine(started.pid, started.port)
    assert not process.listening(started.port)


def test_the_engine_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, os\n"
        "from daypass_local import process\n"
        "started = process.start(process.claim(), pathlib.Path(sys.argv[1]), lifeline=True)\n"
        "print(started.pid, started.port, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(process.PACKAGE_PARENT)}
    killed = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False, env=environment
    )
    pid, port = map(int, killed.stdout.split())
    assert killed.returncode == -9
    deadline = time.monotonic() + 10
    while process.is_engine(pid, port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not process.is_engine(pid, port)


def test_a_port_in_use_is_explained(aws: Aws, tmp_path: Path) -> None:
    with pytest.raises(process.EngineError, match=r"already in use|Address already"):
        process.start(process.claim(int(aws.url.rsplit(":", 1)[-1])), tmp_path, lifeline=True)


def test_a_reset_leaves_what_aws_itself_brings(tmp_path: Path) -> None:
    with process.running(tmp_path) as started:
        accounts = Accounts(started.aws, "x")
        iam = started.aws.root("iam", accounts.target)
        name = accounts.role(accounts.target, "role").split("/")[-1]
        started.aws.control("/_ministack/reset", {})
        assert refused(iam.get_role, RoleName=name) == "NoSuchEntity"
        accounts.role(accounts.target, "role")
        iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AWSSupportAccess")
