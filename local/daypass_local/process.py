"""Starting and ending the engine's process."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daypass_local.aws import Aws

PACKAGE_PARENT: Final = Path(__file__).resolve().parents[1]
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 10.0


class EngineError(Exception):
    """The engine did not start; the text holds the end of its log."""


@dataclass(frozen=True)
class Engine:
    """A running engine."""

    port: int
    pid: int
    state: Path

    @property
    def aws(self) -> Aws:
        """Clients of this engine."""
        return Aws(f"http://127.0.0.1:{self.port}")


def claim(port: int = 0) -> socket.socket:
    """Return a socket that listens on `port` of 127.0.0.1, without a port on a free one, for `start` to hand over.

    A port that is only looked for can be somebody else's by the time that an engine is there to listen on it. Raises
    EngineError when the port is in use.
    """
    door = socket.socket()
    # As servers do: connections of an engine that has ended do not keep its port.
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind(("127.0.0.1", port))
        door.listen()
    except OSError as error:
        door.close()
        raise EngineError(f"port {port} is in use: {error.strerror}") from error
    return door


def port_of(door: socket.socket) -> int:
    """Return the port that a socket listens on."""
    port: int = door.getsockname()[1]
    return port


def listening(port: int) -> bool:
    """Return whether something listens on `port` of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def tail(log: Path, lines: int = 25) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"


def start(door: socket.socket, state: Path, *, lifeline: bool) -> Engine:
    """Start an engine behind `door`, which is its own from then on, and wait until it answers.

    Its log is `engine.log` below `state`. With `lifeline` it ends with this process, whatever happens; without, it goes
    on until `stop`. Raises EngineError when it does not come up.
    """
    state.mkdir(parents=True, exist_ok=True)
    log = state / "engine.log"
    port = port_of(door)
    command = [sys.executable, "-m", "daypass_local.engine", "--port", str(port), "--state", str(state)]
    command += ["--door", str(door.fileno())]
    with door, log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--lifeline"] if lifeline else command,
            env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(PACKAGE_PARENT)},
            stdin=subprocess.PIPE if lifeline else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[door.fileno()],
            start_new_session=True,  # its own process group: functions end with it, Ctrl-C here does not reach it
        )
    if lifeline:
        _lifelines[process.pid] = process
    engine = Engine(port, process.pid, state)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if engine.aws.control("/_daypass/engine")["pid"] == process.pid:
                return engine
        except (OSError, ValueError):
            pass
        time.sleep(0.05)
    stop(process.pid)
    raise EngineError(f"the engine did not start on port {port}:\n{tail(log)}")


_lifelines: dict[int, "subprocess.Popen[bytes]"] = {}
"""Engines that end when their standard input closes; kept here so that it stays open."""


def command_of(pid: int) -> str:
    """Return the command line of a live process, or the empty string."""
    proc = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self/cmdline").exists():
        try:
            return proc.read_bytes().replace(b"\0", b" ").decode(errors="replace")  # empty for a zombie
        except OSError:
            return ""
    ps = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(ps, capture_output=True, text=True, check=False).stdout


def is_engine(pid: int, port: int) -> bool:
    """Return whether `pid` is alive and an engine on `port` (and not another process that got its number)."""
    command = command_of(pid)
    return "daypass_local.engine" in command and f"--port {port} " in command


def stop(pid: int) -> None:
    """End an engine that this user runs, and the functions that it started."""
    _signal_group(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline and _alive(pid):
        time.sleep(0.02)
    # What is left of its process group: functions that ignored SIGTERM.
    _signal_group(pid, signal.SIGKILL)
    process = _lifelines.pop(pid, None)
    if process:
        process.wait()
        if process.stdin:
            process.stdin.close()


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _alive(pid: int) -> bool:
    process = _lifelines.get(pid)
    if process:
        return process.poll() is None
    try:
        if os.waitpid(pid, os.WNOHANG) != (0, 0):
            return False
    except ChildProcessError:
        pass  # not our child, or waited for already
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def running(state: Path, port: int | None = None) -> Iterator[Engine]:
    """Run an engine for the length of a `with` block."""
    engine = start(claim(port or 0), state, lifeline=True)
    try:
        yield engine
    finally:
        stop(engine.pid)
