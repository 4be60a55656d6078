"""What the engine was asked to do, and the faults that a test asks it for."""

import threading
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass
class Call:
    """One call of the AWS API, made by a client, a function or a state machine's task."""

    caller: str
    """ARN of who called: a role session, a user, an account's root, or the role of a state machine."""

    account: str
    """Account of the caller's credentials."""

    action: str
    """IAM's name of the call, `iam:CreateRole`."""

    resource: str
    """ARN that the call was judged by, or `*`."""

    parameters: dict[str, str] = field(default_factory=dict)
    """The request's role and on whose behalf: `RoleName` for IAM, `RoleArn`, `RoleSessionName`, `SourceIdentity` and,
    as `Tag:<key>`, the session tags for STS."""

    source_identity: str | None = None
    """Whom the caller's session names, as CloudTrail shows it for every call of the session."""

    status: int = 200
    """HTTP status of the answer."""

    error: str | None = None
    """AWS's error code, if the call failed."""

    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    """When the call came in (RFC 3339, UTC)."""

    @property
    def accounts(self) -> list[str]:
        """Every account that the call touched: the caller's and that of the resource."""
        parts = self.resource.split(":")
        owner = parts[4] if len(parts) > 5 else ""
        return sorted({self.account} | ({owner} if owner.isdigit() else set()))

    def as_json(self) -> dict[str, Any]:
        """Return the call as `GET /_daypass/calls` lists it."""
        return asdict(self) | {"accounts": self.accounts}


@dataclass
class Fault:
    """Makes the next calls that fit it fail."""

    action: str
    """IAM's name of the call, `iam:CreateRole`."""

    error: str = "ServiceUnavailable"
    """Error code of the answer. Of a state machine's task it becomes `<Service>.<error>`."""

    status: int = 503
    """HTTP status of the answer."""

    message: str = "a fault that a test asked for"
    """Error text of the answer."""

    times: int = 1
    """How many calls fail."""

    skip: int = 0
    """How many calls that fit pass before the first one fails."""

    execute: bool = False
    """True: the call is carried out and only its answer is lost."""

    account: str | None = None
    """Only calls with credentials of this account."""

    caller: str | None = None
    """Only calls whose caller's ARN contains this."""

    resource: str | None = None
    """Only calls whose resource's ARN contains this."""

    def fits(self, call: Call) -> bool:
        """Return whether `call` is one of those that this fault is about."""
        return (
            call.action.lower() == self.action.lower()
            and self.account in (None, call.account)
            and (self.caller is None or self.caller in call.caller)
            and (self.resource is None or self.resource in call.resource)
        )


class Recorder:
    """The calls so far and the faults that are still to happen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._faults: list[Fault] = []

    def record(self, call: Call) -> None:
        """Append a call that was answered."""
        with self._lock:
            self._calls.append(call)

    def calls(self) -> list[Call]:
        """Return all calls since the last reset, in the order in which they were answered."""
        with self._lock:
            return list(self._calls)

    def forget_calls(self) -> None:
        """Forget all calls."""
        with self._lock:
            self._calls.clear()

    def add_fault(self, fault: Fault) -> None:
        """Make the next calls that fit `fault` fail."""
        with self._lock:
            self._faults.append(fault)

    def faults(self) -> list[Fault]:
        """Return the faults that have not happened yet."""
        with self._lock:
            return list(self._faults)

    def forget_faults(self) -> None:
        """Cancel all faults."""
        with self._lock:
            self._faults.clear()

    def take_fault(self, call: Call) -> Fault | None:
        """Return the fault that `call` meets, if any, and count it as happened."""
        with self._lock:
            for fault in self._faults:
                if not fault.fits(call):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                if fault.times == 0:
                    self._faults.remove(fault)
                return fault
            return None


RECORDER = Recorder()
"""The recorder of this process's engine."""
