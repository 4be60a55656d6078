"""Patches of Lambda."""

import os
from collections.abc import Callable
from typing import Any, Final

from daypass_local.patches.tools import replace

KEPT: Final = frozenset({"PATH", "LANG", "TZ", "AWS_ENDPOINT_URL"})


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


PATCHES: Final[tuple[Callable[[], None], ...]] = (clean_environment,)
