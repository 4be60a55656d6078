"""Which function is at work for which task: so a call of a function is known to be of a transaction, and of a state.

Not every request names its transaction: the identity store is asked about a person, KMS about a ciphertext. But a
function works for one task at a time, and each of its environments has credentials of its own.
"""

import json
import os
import signal
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from daypass_local.recorder import Call, transactions_in

TASK: Final[ContextVar[tuple[str, str]]] = ContextVar("task", default=("", ""))
"""The execution and the state whose task this thread carries out."""

PORTS: Final[dict[str, int]] = {}
"""The port at which an environment asks for its invocations, by its access key."""


@dataclass
class Invocation:
    """A function at work."""

    worker: Any
    function: str
    transactions: list[str]
    execution: str
    state: str

    def kill(self) -> None:
        """End the function's process, as a crash would."""
        process = self.worker._proc
        if process is not None and process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)


_lock: Final = threading.Lock()
_running: Final[dict[int, Invocation]] = {}


def of(call: Call, access_key: str | None) -> Invocation | None:
    """Return the invocation that makes a call: with the function's credentials, or those of a role that it assumed."""
    with _lock:
        running = list(_running.values())
    port = PORTS.get(access_key or "")
    if port is not None:
        found = (it for it in running if (server := it.worker._server) and server.server_address[1] == port)
        # What it calls while it starts is for whomever comes.
        return next((it for it in found if it.worker._current_request_id is not None), None)
    assumed_by = (call.via or "").rsplit("/", 1)[-1]
    named = transactions_in(call.caller) or call.transactions
    return next((it for it in running if it.function == assumed_by and set(it.transactions) & set(named)), None)


def install() -> None:
    """Note every invocation of a function for as long as it lasts."""
    from ministack.core import lambda_runtime

    def invoke(worker: Any, event: Any, request_id: str, **more: Any) -> Any:
        execution, state = TASK.get()
        named = transactions_in(json.dumps(event)) or transactions_in(execution)
        with _lock:
            _running[id(worker)] = Invocation(worker, worker.func_name, named, execution, state)
        try:
            return original(worker, event, request_id, **more)
        finally:
            with _lock:
                _running.pop(id(worker), None)

    original: Any = lambda_runtime.ProvidedWorker.invoke
    lambda_runtime.ProvidedWorker.invoke = invoke
