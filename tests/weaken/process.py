"""Running commands that end with this process."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

PATIENCE_SECONDS: Final = 1200.0
"""For a weakening that makes something wait forever. A first build may take minutes."""


def run(command: list[str], folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; it, and whatever it has started, does not outlive this call."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a process group of its own, which can be ended as a whole
    )
    try:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired as expired:
        raise TimeoutError(f"{command[0]} did not end within {PATIENCE_SECONDS:.0f} seconds") from expired
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return subprocess.CompletedProcess(command, process.returncode, out, err)
