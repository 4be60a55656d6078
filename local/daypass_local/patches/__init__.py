"""Where ministack differs from AWS in something that Daypass promises, it is corrected here.

One function is one patch. Its docstring says what AWS does (the reason) and, after `Unnecessary when`, what a newer
ministack or moto has to do for the patch to go. `python -m daypass_local patches` prints them all, and `tests/` holds a
test for the behaviour each one promises.
"""

from collections.abc import Callable
from typing import Any, Final

from daypass_local.patches import (
    authorization,
    cloudformation,
    functions,
    http,
    iam,
    identitystore,
    quotas,
    scheduler,
    stepfunctions,
    sts,
)

ALL: Final[tuple[Callable[[], None], ...]] = (
    *http.PATCHES,
    *iam.PATCHES,
    *quotas.PATCHES,
    *sts.PATCHES,
    *authorization.PATCHES,
    *cloudformation.PATCHES,
    *functions.PATCHES,
    *stepfunctions.PATCHES,
    *scheduler.PATCHES,
    *identitystore.PATCHES,
)


def apply_all() -> None:
    """Apply every patch, once, before the first request."""
    for patch in ALL:
        patch()


def describe(patch: Callable[[], Any]) -> str:
    """Return a patch's name and its documentation, as `daypass_local patches` prints it."""
    text = "\n".join(f"    {line.strip()}".rstrip() for line in (patch.__doc__ or "").strip().splitlines())
    return f"{patch.__module__.rsplit('.', 1)[-1]}.{patch.__name__}\n{text}"
