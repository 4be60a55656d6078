"""Delays of executions, which a test can end: a Wait state, or the pause before another attempt of a task.

On AWS they end by themselves, and here as well. But a test that deploys between the start and the end of a lease would
have to guess how long a deployment takes.
"""

import threading
from contextvars import ContextVar
from typing import Any, Final

from daypass_local.patches.tools import replace

_execution: Final[ContextVar[str]] = ContextVar("execution", default="")
_delays: Final[dict[str, threading.Event]] = {}
"""The executions that wait at this moment, by their ARN."""


def end_delay(execution_arn: str) -> bool:
    """End the delay that an execution is in. Return False when it is in none."""
    over = _delays.pop(execution_arn, None)
    if over is not None:
        over.set()
    return over is not None


def end_delays() -> int:
    """End every delay that an execution is in, and return how many there were."""
    waiting = list(_delays)
    return sum(end_delay(arn) for arn in waiting)


def install() -> None:
    """Let every delay be ended."""
    from ministack.services import stepfunctions

    def run_execution(arn: str) -> None:
        token = _execution.set(arn)
        try:
            original(arn)
        finally:
            _execution.reset(token)

    def scaled_sleep(seconds: float) -> None:
        arn, over = _execution.get(), threading.Event()
        _delays[arn] = over
        over.wait(min(seconds * stepfunctions._SFN_WAIT_SCALE, threading.TIMEOUT_MAX))
        _delays.pop(arn, None)

    original: Any = replace(stepfunctions, "_run_execution", run_execution)
    replace(stepfunctions, "_scaled_sleep", scaled_sleep)
