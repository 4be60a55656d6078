"""What the patches share: replacing a function safely, reading request parameters, answering errors."""

from types import ModuleType
from typing import Any
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
