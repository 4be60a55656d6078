"""Delays of executions, which a test can end: a Wait state, or the pause before another attempt of a task.

On AWS they end by themselves, and here as well. But a test that deploys between the start and the end of a lease would
have to guess how long a deployment takes.
"""

import threading
from collections import defaultdict
from contextvars import ContextVar
from typing import Any, Final

from daypass_local.patches.tools import replace
from daypass_local.recorder import transactions_in

_execution: Final[ContextVar[str]] = ContextVar("execution", default="")
_delays: Final[dict[str, threading.Event]] = {}
"""The executions that wait at this moment, by their ARN."""
_of_transactions: Final[defaultdict[str, dict[str, Any]]] = defaultdict(dict)
"""Every execution that was started in the name of a transaction, by its ARN."""


def executions(transaction: str) -> dict[str, str]:
    """Return the status of every execution whose name names a transaction, by its ARN; `WAITING` is one in a delay."""
    known = dict(_of_transactions.get(transaction, {}))
    waiting = set(_delays)
    return {
        arn: "WAITING" if arn in waiting and execution["status"] == "RUNNING" else execution["status"]
        for arn, execution in known.items()
    }


def end_delay(execution_arn: str) -> bool:
    """End the delay that an execution is in. Return False when it is in none."""
    over = _delays.pop(execution_arn, None)
    if over is not None:
        over.set()
    return over is not None


def end_delays(transaction: str = "") -> int:
    """End every delay that an execution is in, or one of a transaction; return how many there were."""
    waiting = [arn for arn in list(_delays) if transaction in arn]
    return sum(end_delay(arn) for arn in waiting)


def install() -> None:
    """Let every delay be ended."""
    from ministack.services import stepfunctions

    def run_execution(arn: str) -> None:
        execution = stepfunctions._executions.get(arn)
        for transaction in transactions_in(arn) if execution else ():
            _of_transactions[transaction][arn] = execution
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
