"""What `up`, `run` and `down` promise when something goes wrong; the good way is the end-to-end tests' every start."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_seed import PERSONAS

from daypass_local import deploy, process, stack


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of its own: state, personas, built functions and a CDK CLI that does what its arguments say."""
    (tmp_path / "cdk").mkdir()
    (tmp_path / "target/lambda").mkdir(parents=True)
    (tmp_path / "personas.json").write_text(json.dumps(PERSONAS))
    cli = tmp_path / "cdk/cdk"
    cli.write_text(f"#!/bin/sh\nexec {sys.executable} {tmp_path}/cdk.py $*\n")
    cli.chmod(0o755)
    for module in (deploy, stack):
        monkeypatch.setattr(module, "REPOSITORY", tmp_path)
    monkeypatch.setattr(deploy, "CDK", tmp_path / "cdk")
    monkeypatch.setattr(deploy, "CDK_CLI", cli)
    monkeypatch.setattr(stack, "STATE", tmp_path / ".local")
    monkeypatch.setattr(stack, "STACKS", tmp_path / ".local/stacks")
    monkeypatch.setattr(stack, "LATEST", tmp_path / ".local/env")
    return tmp_path


def silent(_step: str, _seconds: float) -> None:
    pass


def test_a_failing_step_ends_everything_and_shows_its_log(checkout: Path) -> None:
    (checkout / "cdk.py").write_text(
        "import os, pathlib, sys, time\n"
        f"mine = pathlib.Path('{checkout}') / sys.argv[1]\n"
        # It is there with its content or not at all: whoever sees it may end this process at once.
        "mine.with_suffix('.new').write_text(str(os.getpid()))\n"
        "mine.with_suffix('.new').rename(mine)\n"
        "if sys.argv[1] == 'synth':\n"
        f"    while not os.path.exists('{checkout}/bootstrap'): time.sleep(0.01)\n"
        "    sys.exit('TypeScript says no')\n"
        "time.sleep(600)\n"
    )
    with pytest.raises(deploy.DeployError, match="TypeScript says no"):
        stack.up(None, silent, temporary=False)
    (port,) = [int(state.name) for state in stack.STACKS.iterdir()]
    assert not process.listening(port)
    assert stack.live() == []
    assert process.command_of(int((checkout / "bootstrap").read_text())) == ""


def test_what_is_missing_is_named_before_anything_starts(checkout: Path) -> None:
    (checkout / "target/lambda").rmdir()
    with pytest.raises(deploy.DeployError, match="make build"):
        stack.up(None, silent, temporary=False)
    assert not (checkout / ".local").exists()


def test_a_port_in_use_is_refused(checkout: Path, aws: object) -> None:
    port = int(str(getattr(aws, "url", "")).rsplit(":", 1)[-1])
    with pytest.raises(stack.StackError, match=f"port {port} is in use"):
        stack.up(port, silent, temporary=False)
    assert not (checkout / ".local").exists()


def test_the_link_to_the_latest_environment_goes_with_its_stack(checkout: Path) -> None:
    engines = []
    for _ in range(2):
        door = process.claim()
        port = process.port_of(door)
        engine = process.start(door, stack.STACKS / str(port), lifeline=True)
        known = {"pid": engine.pid, "port": port, "temporary": False}
        (engine.state / "engine.json").write_text(json.dumps(known))
        engines.append(stack.Stack(engine, temporary=False))
    first, second = engines
    assert {found.engine.port for found in stack.live()} == {first.engine.port, second.engine.port}
    stack.LATEST.symlink_to(Path("stacks") / str(second.engine.port) / "env")
    stack.down(first)
    assert stack.LATEST.is_symlink()
    # The second one dies by itself; the next command notices.
    process.stop(second.engine.pid)
    assert stack.live() == []
    stack.forget_dead()
    assert not stack.LATEST.is_symlink()
    assert list(stack.STACKS.iterdir()) == []
    assert checkout.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_deployment_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    script = (
        "import pathlib, signal, sys\n"
        "from daypass_local import deploy, stack\n"
        "state = pathlib.Path(sys.argv[1])\n"
        "stack.STATE, stack.STACKS, stack.LATEST = state, state / 'stacks', state / 'env'\n"
        "stack.check_prerequisites = lambda: None\n"
        "stack.seed.seed = lambda aws, file: None\n"
        "deploy.CDK_CLI = pathlib.Path('/bin/sleep')\n"
        "deploy.CDK = state\n"
        "run = deploy.Deployment._cdk\n"
        "deploy.Deployment._cdk = lambda self, step, account, arguments, cwd: run(self, step, account, ['600'], cwd)\n"
        "def say(step, seconds): print(step, flush=True)\n"
        # A shell lets what it runs in the background ignore Ctrl-C, and whatever that starts inherits it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with stack.ending_on_signals():\n"
        "    stack.up(None, say, temporary=False)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(process.PACKAGE_PARENT)}
    started = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    assert started.stdout is not None
    assert started.stdout.readline().startswith("engine on")
    logs = tmp_path / "stacks"
    deadline = time.monotonic() + 20
    while not list(logs.glob("*/synthesize.log")) and time.monotonic() < deadline:
        time.sleep(0.02)
    known = json.loads(next(logs.glob("*/engine.json")).read_text())
    started.send_signal(number)
    started.communicate(timeout=30)
    assert started.returncode not in (0, None)
    assert not process.is_engine(known["pid"], known["port"])
    assert sleeping(str(tmp_path)) == []


def sleeping(marker: str) -> list[int]:
    """The live processes that have the marker in their environment or working directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if marker in os.readlink(entry / "cwd") and process.command_of(int(entry.name)):  # noqa: PTH115
                found.append(int(entry.name))
        except OSError:
            continue
    return found
