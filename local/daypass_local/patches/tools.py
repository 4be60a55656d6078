"""What the patches share: replacing a function safely, reading parameters, naming resources, answering errors."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final
from xml.sax.saxutils import escape

Response = tuple[int, dict[str, str], bytes]
"""What a ministack service handler answers: HTTP status, headers, body."""


def replace(module: ModuleType, name: str, new: Any) -> Any:
    """Put `new` in the place of `module.name` and return what was there.

    Raises AttributeError when the module has no such name, so that a patch cannot miss its target silently.
    """
    old = getattr(module, name)
    setattr(module, name, new)
    return old


@dataclass(frozen=True)
class Call:
    """A call that IAM is about to judge."""

    account: str
    params: dict[str, Any]
    body: bytes


def judge_by(service: str, resource_of: Callable[[Call], str | None]) -> None:
    """Have a service's calls judged by the ARN that `resource_of` finds; what it does not find, ministack does."""
    from ministack.core import iam_actions

    def extract_resource_arn(
        called: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
        region: str,
        account_id: str,
    ) -> str:
        found = resource_of(Call(account_id, query_params, body)) if called == service else None
        return str(found or original(called, method, path, headers, body, query_params, region, account_id))

    original = replace(iam_actions, "extract_resource_arn", extract_resource_arn)


TAG_TEXT: Final = re.compile(r"[\w\s.:/=+\-@]*")
TAGS: Final = 50
TAG_KEY_CHARACTERS: Final = 128
TAG_VALUE_CHARACTERS: Final = 256


def invalid_tags(tags: list[dict[str, str]]) -> str | None:
    """Return what AWS has against role or session tags, or None: their number, their characters, their lengths."""
    if len(tags) > TAGS:
        return f"Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to {TAGS}"
    for number, tag in enumerate(tags, 1):
        for part, text, most in (
            ("key", tag["Key"], TAG_KEY_CHARACTERS),
            ("value", tag["Value"], TAG_VALUE_CHARACTERS),
        ):
            where = f"Value '{text}' at 'tags.{number}.member.{part}' failed to satisfy constraint"
            if len(text) > most:
                return f"{where}: Member must have length less than or equal to {most}"
            if not TAG_TEXT.fullmatch(text):
                return f"{where}: Member must satisfy regular expression pattern: [\\p{{L}}\\p{{Z}}\\p{{N}}_.:/=+\\-@]*"
        if tag["Key"].lower().startswith("aws:"):
            return f"The tag key '{tag['Key']}' is reserved: it starts with aws:"
    return None


def param(params: dict[str, Any], name: str) -> str:
    """Return a query-protocol parameter, or the empty string."""
    value = params.get(name, "")
    return str(value[0] if value else "") if isinstance(value, list) else str(value)


def members(params: dict[str, Any], name: str) -> list[str]:
    """Return a query-protocol list of strings (`Name.member.1`, `Name.member.2` …)."""
    found: list[str] = []
    while value := param(params, f"{name}.member.{len(found) + 1}"):
        found.append(value)
    return found


def query_error(status: int, code: str, message: str, service: str = "iam") -> Response:
    """Return an error in the shape of AWS's query protocol (IAM and STS)."""
    from ministack.services import iam

    answer: Response = iam._error(status, code, escape(message), ns=service)
    return answer
