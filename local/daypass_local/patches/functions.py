"""Patches of Lambda."""

import contextvars
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from daypass_local.invocations import PORTS
from daypass_local.patches.tools import replace

KEPT: Final = frozenset({"PATH", "LANG", "TZ", "AWS_ENDPOINT_URL"})
FIRST_LINE_SECONDS: Final = 0.002
QUIET_SECONDS: Final = 0.001
LATE_SECONDS: Final = 0.1
LATEST_SECONDS: Final = 4.0


def clean_environment() -> None:
    """A function sees its own environment, not the engine's.

    On AWS a function's environment holds what Lambda sets and what its configuration says. ministack starts functions
    with a copy of its own.
    Unnecessary when ministack's `_provided_worker_env` starts from an empty environment.
    """
    from ministack.services import lambda_svc

    def provided_worker_env(config: dict[str, Any], code_dir: str, port: int) -> dict[str, str]:
        configured = config.get("Environment", {}).get("Variables", {})
        environment: dict[str, str] = original(config, code_dir, port)
        return {
            name: value
            for name, value in environment.items()
            if name in KEPT or name in configured or name not in os.environ
        }

    original = replace(lambda_svc, "_provided_worker_env", provided_worker_env)


def own_credentials() -> None:
    """Each environment of a function has credentials of its own.

    On AWS two environments of one function have two sessions of its role. ministack derives one access key from the
    names of function and role. Here a call tells which environment it comes from.
    Unnecessary when ministack's `execution_credentials` issues a session for each environment.
    """
    from ministack.services import lambda_svc, sts

    def provided_worker_env(config: dict[str, Any], code_dir: str, port: int) -> dict[str, str]:
        environment: dict[str, str] = original(config, code_dir, port)
        shared = sts._sessions.get(environment.get("AWS_ACCESS_KEY_ID"))
        if shared is None:
            return environment
        own = {
            "AWS_ACCESS_KEY_ID": f"ASIA{secrets.token_hex(8).upper()}",
            "AWS_SECRET_ACCESS_KEY": secrets.token_hex(32),
            "AWS_SESSION_TOKEN": secrets.token_hex(32),
        }
        issued = {"SecretAccessKey": own["AWS_SECRET_ACCESS_KEY"], "SessionToken": own["AWS_SESSION_TOKEN"]}
        sts.register_session(own["AWS_ACCESS_KEY_ID"], {"Arn": shared["Arn"], "UserId": shared["UserId"]} | issued)
        PORTS[own["AWS_ACCESS_KEY_ID"]] = port
        return environment | own

    original = replace(lambda_svc, "_provided_worker_env", provided_worker_env)


def environments_fail_alone() -> None:
    """An environment that cannot start, or breaks, takes no other one with it.

    On AWS each environment of a function lives and dies alone. When one fails to start, ministack drops all those of
    that function, also those that are at work or are starting, which then fail in the same way.
    Unnecessary when ministack drops the one that failed.
    """
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    def invalidate_worker(*args: Any, **kwargs: Any) -> None:
        # New code and new settings concern all environments; an exception that is being handled is of one.
        if sys.exc_info()[0] is None:
            original(*args, **kwargs)

    def invoke(worker: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original_invoke(worker, *args, **kwargs)
        except Exception:
            with lambda_runtime._lock:
                for workers in lambda_runtime._workers.values():
                    if worker in workers:
                        workers.remove(worker)
            lambda_runtime.kill_workers([worker])
            raise

    original = replace(lambda_svc, "invalidate_worker", invalidate_worker)
    original_invoke: Any = lambda_runtime.ProvidedWorker.invoke
    lambda_runtime.ProvidedWorker.invoke = invoke


def logs_do_not_delay() -> None:
    """An invocation's answer does not wait for its log.

    ministack waits 50 ms for the first line of output after each invocation; a function that prints nothing pays all of
    it. Here it waits 2 ms. What a busy machine delivers later is logged later, in a stream that ends in `late`: it is
    looked for after 100 ms, and again and again for some seconds, until the next invocation has its own log.
    Unnecessary when ministack answers an invocation before it collects the log.
    """
    from ministack.core import lambda_runtime
    from ministack.services import cloudwatch_logs

    def look_later(worker: Any, seconds: float) -> None:
        # The request's account and region go along: the log group is theirs.
        later = threading.Timer(seconds, contextvars.copy_context().run, [look, worker, seconds])
        later.daemon = True
        worker.daypass_looks_later = later
        later.start()

    def look(worker: Any, seconds: float) -> None:
        lines = worker._drain_stderr().splitlines()
        if lines:
            log_late_lines(worker, lines)
        is_last_of_worker = worker.daypass_looks_later is threading.current_thread()
        if is_last_of_worker and 2 * seconds <= LATEST_SECONDS:
            look_later(worker, 2 * seconds)

    def log_late_lines(worker: Any, lines: list[str]) -> None:
        group = (worker.config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{worker.func_name}"
        where = {"logGroupName": group, "logStreamName": f"{time.strftime('%Y/%m/%d', time.gmtime())}/late"}
        cloudwatch_logs._create_log_group({"logGroupName": group})
        cloudwatch_logs._create_log_stream(where)
        now = int(time.time() * 1000)
        cloudwatch_logs._put_log_events(where | {"logEvents": [{"timestamp": now, "message": line} for line in lines]})

    def drain_stderr_bounded(worker: Any, first_line_wait: float = FIRST_LINE_SECONDS) -> str:
        log: str = original(worker, first_line_wait, QUIET_SECONDS)
        look_later(worker, LATE_SECONDS)
        return log

    original = lambda_runtime.ProvidedWorker._drain_stderr_bounded
    lambda_runtime.ProvidedWorker._drain_stderr_bounded = drain_stderr_bounded


PATCHES: Final[tuple[Callable[[], None], ...]] = (
    clean_environment,
    own_credentials,
    environments_fail_alone,
    logs_do_not_delay,
)
