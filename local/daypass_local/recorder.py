"""What the engine was asked to do, which permission each call needed, and the faults that a test asks it for."""

import contextvars
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

TRANSACTION_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LONGEST_REQUEST: Final = 65_536


@dataclass(frozen=True)
class Grant:
    """A permission that a call needed, and the statement that gave it."""

    policy: str
    """`identity`, a policy of the caller's role, or `resource`, that of what is called: a role's trust policy."""

    action: str
    """IAM's name: one call can need several, AssumeRole with tags `sts:TagSession`."""

    resource: str
    """ARN that was asked for."""

    statement: str
    """`Sid` of the first statement that allows it, empty when it has none."""


@dataclass(frozen=True)
class Use:
    """What a principal's calls needed, however often. Ids of transactions are replaced by `<id>`."""

    principal: str
    """ARN of the caller's role without its path, or of whoever else called."""

    via: str | None
    """Likewise who assumed that role; None for a function, whose role nobody assumes."""

    call: str
    """IAM's name of the call."""

    grant: Grant | None
    """None for a call that needs no permission, such as `sts:GetCallerIdentity`."""


@dataclass(frozen=True)
class Refusal:
    """A call that was refused for want of permission, not by a fault."""

    principal: str
    via: str | None
    call: str
    resource: str


def principal_of(caller: str) -> str:
    """Return the ARN of a session's role, as far as the session tells it: without the role's path."""
    session = re.fullmatch(r"arn:aws:sts::(\d+):assumed-role/([^/]+)/.*", caller)
    return f"arn:aws:iam::{session[1]}:role/{session[2]}" if session else caller


def maker_of(via: str) -> str:
    """Return the ARN of the role whose session made another session.

    A function's session has the name of the function, as its role has. Whoever has put on a function's role to try what
    it can do has another, which is said: `… as NAME`.
    """
    session = re.fullmatch(r"arn:aws:sts::\d+:assumed-role/([^/]+)/(.*)", via)
    stranger = session is not None and session[1] != session[2]
    return f"{principal_of(via)} as {session[2]}" if session and stranger else principal_of(via)


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

    transactions: list[str] = field(default_factory=list)
    """The ids of transactions that the request names, wherever in it, or that the function is at work for."""

    execution: str = ""
    """ARN of the execution whose task this is, or whose task the function is at work for."""

    state: str = ""
    """The name of that task's state."""

    status: int = 200
    """HTTP status of the answer."""

    fault: str | None = None
    """What a fault has done: taken the place of the `answer` only, or of the whole `call`; or `twice`, `slow`, and
    `late` for the call that was carried out late, which is a call of its own."""

    error: str | None = None
    """AWS's error code, if the call failed."""

    via: str | None = None
    """ARN of who assumed the caller's role."""

    grants: list[Grant] = field(default_factory=list)
    """The permissions that the call needed and had."""

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

    def uses(self) -> list[Use]:
        """Return what the call needed."""
        principal, via = self._who()
        grants = [Grant(**{name: _anonymous(text) for name, text in asdict(grant).items()}) for grant in self.grants]
        if not grants and self.error is None:
            return [Use(principal, via, self.action, None)]
        return [Use(principal, via, self.action, grant) for grant in grants]

    def refusal(self) -> Refusal:
        """Return what was refused."""
        return Refusal(*self._who(), self.action, _anonymous(self.resource))

    def _who(self) -> tuple[str, str | None]:
        return _anonymous(principal_of(self.caller)), _anonymous(maker_of(self.via)) if self.via else None


def transactions_in(request: bytes | str) -> list[str]:
    """Return the ids of transactions that a request names. What is long is no request about a transaction."""
    text = request[:LONGEST_REQUEST]
    found = TRANSACTION_ID.findall(text if isinstance(text, str) else text.decode("utf-8", "replace"))
    return sorted(set(found))


def _anonymous(text: str) -> str:
    return TRANSACTION_ID.sub("<id>", text)


_judged: Final[contextvars.ContextVar[Call | None]] = contextvars.ContextVar("judged", default=None)


@contextmanager
def judging(call: Call) -> Iterator[None]:
    """Say that what IAM decides inside the block is about `call`."""
    token = _judged.set(call)
    try:
        yield
    finally:
        _judged.reset(token)


def granted(grant: Grant) -> None:
    """Note that the call which is being judged, if any, has a permission that it needs."""
    call = _judged.get()
    if call:
        call.grants.append(grant)


Instead = Literal["error", "reset", "silence", "death"]


@dataclass
class Fault:
    """Makes the next calls that fit it fail, or happen in a way that nobody expects."""

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

    cut_after: str | None = None
    """With `execute`: the answer is not lost, but ends with the first of this text in it."""

    cut_half: bool = False
    """With `execute`: the answer is not lost, but its second half is."""

    instead: Instead = "error"
    """What comes instead of the answer: an `error`; a `reset` of the connection (of a task: `SdkClientException`, which
    is what Step Functions makes of it); `silence`, until the caller gives up; or the `death` of the function that has
    called. Of a task it is that of the function which is called."""

    late: float | None = None
    """Without `execute`: the call is carried out all the same, so many seconds after it was answered."""

    twice: bool = False
    """The call is carried out twice; the first answer is the answer."""

    slow: float | None = None
    """The call is carried out, and its answer comes so many seconds later."""

    def __post_init__(self) -> None:
        if self.instead not in get_args(Instead):
            raise ValueError(f"instead is one of {', '.join(get_args(Instead))}")

    @property
    def passes(self) -> bool:
        """Whether the caller gets the answer that the call has."""
        return self.twice or self.slow is not None

    account: str | None = None
    """Only calls with credentials of this account."""

    caller: str | None = None
    """Only calls whose caller's ARN contains this."""

    resource: str | None = None
    """Only calls whose resource's ARN contains this."""

    transaction: str | None = None
    """Only calls whose request names this transaction, or of a function that is at work for it."""

    execution: str | None = None
    """Only calls for an execution whose ARN contains this: `:daypass-renew:` are those of a machine."""

    state: str | None = None
    """Only calls of a state of this name: its task's, and those of the function that it has called."""

    spreads: bool = False
    """From its first hit on it is about that call to that resource in every state and execution."""

    def spread(self, call: Call) -> None:
        """Be about what `call` calls, whichever execution calls it.

        IAM judges one role by its name, with and without its path.
        """
        self.execution, self.state = "arn:", None
        self.resource = None if call.resource == "*" or call.action.startswith("iam:") else call.resource

    def fits(self, call: Call) -> bool:
        """Return whether `call` is one of those that this fault is about."""
        return (
            call.action.lower() == self.action.lower()
            and self.account in (None, call.account)
            and (self.caller is None or self.caller in call.caller)
            and (self.resource is None or self.resource in call.resource)
            and (self.transaction is None or self.transaction in call.transactions)
            and (self.execution is None or self.execution in call.execution)
            and self.state in (None, call.state)
        )


class Recorder:
    """The calls so far, what they needed, and the faults that are still to happen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._calls: dict[int, Call] = {}
        self._numbers: defaultdict[str, list[int]] = defaultdict(list)
        self._uses: Counter[Use] = Counter()
        self._refusals: Counter[Refusal] = Counter()
        self._faults: list[Fault] = []

    def record(self, call: Call, fault: Fault | None = None) -> None:
        """Append a call that was answered, by `fault` if it met one."""
        if fault and fault.passes:
            call.fault = "twice" if fault.twice else "slow"
        elif fault:
            call.fault = "answer" if fault.execute else "call"
        carried_out = fault is None or fault.execute or fault.passes
        refused = (fault is None or fault.passes) and "AccessDenied" in (call.error or "")
        with self._lock:
            self._number += 1
            self._calls[self._number] = call
            for transaction in call.transactions:
                self._numbers[transaction].append(self._number)
            if refused:
                self._refusals[call.refusal()] += 1
            elif carried_out:
                self._uses.update(call.uses())

    def uses(self) -> tuple[Counter[Use], Counter[Refusal]]:
        """Return what every call since the engine started needed, and what was refused. Nothing resets them."""
        with self._lock:
            return self._uses.copy(), self._refusals.copy()

    def calls(self, transaction: str | None = None) -> list[Call]:
        """Return all calls since the last reset, or those about a transaction, in the order of their answers."""
        with self._lock:
            if transaction is None:
                return list(self._calls.values())
            numbers = self._numbers.get(transaction, [])
            return [self._calls[number] for number in numbers if number in self._calls]

    def forget_calls(self, transaction: str | None = None) -> None:
        """Forget all calls, or those about a transaction."""
        with self._lock:
            if transaction is None:
                self._calls.clear()
                self._numbers.clear()
            else:
                for number in self._numbers.pop(transaction, []):
                    self._calls.pop(number, None)

    def add_fault(self, fault: Fault) -> None:
        """Make the next calls that fit `fault` fail."""
        with self._lock:
            self._faults.append(fault)

    def faults(self, transaction: str | None = None) -> list[Fault]:
        """Return the faults that have not happened yet, or those about a transaction."""
        with self._lock:
            return [fault for fault in self._faults if transaction in (None, fault.transaction)]

    def forget_faults(self, transaction: str | None = None) -> None:
        """Cancel all faults, or those about a transaction."""
        with self._lock:
            self._faults = [fault for fault in self._faults if transaction not in (None, fault.transaction)]

    def take_fault(self, call: Call) -> Fault | None:
        """Return the fault that `call` meets, if any, and count it as happened."""
        with self._lock:
            for fault in self._faults:
                if not fault.fits(call):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                if fault.spreads:
                    fault.spread(call)
                fault.times -= 1
                if fault.times == 0:
                    self._faults.remove(fault)
                return fault
            return None


RECORDER = Recorder()
"""The recorder of this process's engine."""
