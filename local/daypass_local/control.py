"""The engine's own HTTP interface below `/_daypass/`, for tests and for the demo, and the hook that feeds the recorder.

    GET  /_daypass/engine                {"pid": the engine's process}
    GET  /_daypass/calls                 {"calls": [Call]} in the order of their answers [?transaction=…]
    POST /_daypass/calls/reset           forgets them [{"transaction": …}]
    GET  /_daypass/uses                  {"uses": [Use and its `count`], "refusals": [Refusal and its `count`]}: what
                                         all calls since the engine's start needed; nothing resets it
    GET  /_daypass/sessions              {"sessions": [{"arn", "via", "access_key_id", "secret_access_key",
                                         "session_token"}]}: all that STS issued, for those who search for leaks
                                         [?about=part of an ARN]
    GET  /_daypass/faults                {"faults": [Fault]} that are still to happen [?transaction=…]
    POST /_daypass/faults                Fault (only `action` is required)
    POST /_daypass/faults/reset          cancels them [{"transaction": …}]
    GET  /_daypass/settings              Settings
    POST /_daypass/settings              changes some of them
    POST /_daypass/executions/end-delay  {"execution_arn": …} → {"ended": whether it was in a delay}: `waits.py`
    POST /_daypass/executions/end-delays  ends all of them → {"ended": how many} [{"transaction": …}]
    GET  /_daypass/executions?transaction=…  {"executions": {ARN: status}} of those that name it; `WAITING`: in a delay
    POST /_daypass/identity/user-status  {"user_id": …, "status": "ENABLED" | "DISABLED"}
    POST /_daypass/identity/group-external-ids  {"group_id": …, "external_ids": [{"Issuer", "Id"}]}
         /_daypass/issuers/…             issuers of identity tokens: `issuer.py`

The shapes are those of `recorder.Call`, `recorder.Use`, `recorder.Refusal`, `recorder.Fault` and `settings.Settings`.
A request that does not fit is answered 400 with {"error": …}. Nothing here asks for credentials (but a job, for
its token, as at GitHub): it is a test's way in, on loopback.
"""

import asyncio
import contextvars
import copy
import json
import os
import re
import socket
import struct
import time
import urllib.parse
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict
from typing import Any, Final

from daypass_local import invocations, issuer, waits
from daypass_local.patches.identitystore import DISABLED_USERS, GROUP_EXTERNAL_IDS
from daypass_local.patches.tools import param, replace
from daypass_local.recorder import RECORDER, Call, Fault, Grant, granted, judging, transactions_in
from daypass_local.settings import SETTINGS

PREFIX: Final = "/_daypass/"
RECORDED_PARAMETERS: Final = ("RoleName", "RoleArn", "RoleSessionName", "SourceIdentity", "PolicyName", "PolicyArn")

SILENCE_SECONDS: Final = 45.0
"""Longer than any caller waits."""

_peer: Final[contextvars.ContextVar[tuple[str, int] | None]] = contextvars.ContextVar("peer", default=None)
"""The other end of the connection by which a request has come."""

Asgi = Callable[[dict[str, Any], Callable[..., Awaitable[Any]], Callable[..., Awaitable[Any]]], Awaitable[None]]


def answer(
    method: str, path: str, body: dict[str, Any], host: str, query: dict[str, str], authorization: str
) -> dict[str, Any]:
    """Carry out one request, which was sent to `host`.

    Raises LookupError for an unknown one, ValueError or TypeError for one that does not fit, and PermissionError for
    one that has to have a bearer token.
    """
    match method, path.removeprefix(PREFIX):
        case "GET", "engine":
            return {"pid": os.getpid()}
        case "GET", "calls":
            return {"calls": [call.as_json() for call in RECORDER.calls(query.get("transaction"))]}
        case "POST", "calls/reset":
            RECORDER.forget_calls(body.get("transaction"))
        case "GET", "uses":
            uses, refusals = RECORDER.uses()
            return {
                "uses": [asdict(use) | {"count": count} for use, count in uses.items()],
                "refusals": [asdict(refusal) | {"count": count} for refusal, count in refusals.items()],
            }
        case "GET", "sessions":
            return {"sessions": [it for it in issued_sessions() if query.get("about", "") in str(it["arn"])]}
        case "GET", "faults":
            return {"faults": [asdict(fault) for fault in RECORDER.faults(query.get("transaction"))]}
        case "POST", "faults":
            RECORDER.add_fault(Fault(**body))
        case "POST", "faults/reset":
            RECORDER.forget_faults(body.get("transaction"))
        case "GET", "settings":
            return asdict(SETTINGS)
        case "POST", "settings":
            SETTINGS.update(body)
            return asdict(SETTINGS)
        case "POST", "executions/end-delay":
            if not body.get("execution_arn"):
                raise ValueError("needs `execution_arn`")
            return {"ended": waits.end_delay(body["execution_arn"])}
        case "POST", "executions/end-delays":
            return {"ended": waits.end_delays(body.get("transaction", ""))}
        case "GET", "executions":
            if not query.get("transaction"):
                raise ValueError("needs `transaction`")
            return {"executions": waits.executions(query["transaction"])}
        case _, below if below.startswith(issuer.PATH):
            return issuer.ISSUERS.answer(method, below, body, f"http://{host}", query, authorization)
        case "POST", "identity/user-status":
            change = {"ENABLED": DISABLED_USERS.discard, "DISABLED": DISABLED_USERS.add}.get(body.get("status", ""))
            if change is None or not body.get("user_id"):
                raise ValueError("needs `user_id`, and a `status` of ENABLED or DISABLED")
            change(body["user_id"])
        case "POST", "identity/group-external-ids":
            ids = body.get("external_ids")
            if not body.get("group_id") or not ids or any(set(given) != {"Issuer", "Id"} for given in ids):
                raise ValueError("needs `group_id`, and `external_ids` that have Issuer and Id")
            GROUP_EXTERNAL_IDS[body["group_id"]] = ids
        case _:
            raise LookupError(f"{method} {path} is not known; see daypass_local/control.py")
    return {}


def issued_sessions() -> list[dict[str, str | None]]:
    """Return every session that STS has issued, with its credentials."""
    from ministack.services import sts

    return [
        {
            "arn": session["Arn"],
            "via": session.get("SourcePrincipalArn"),
            "access_key_id": access_key_id,
            "secret_access_key": session["SecretAccessKey"],
            "session_token": session["SessionToken"],
        }
        for access_key_id, session in list(sts._sessions.items())
    ]


def serve_control(app: Asgi) -> Asgi:
    """Return an ASGI application that answers `/_daypass/…` itself and leaves the rest to `app`."""

    async def control(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            _peer.set(tuple(scope["client"]) if scope.get("client") else None)
            await app(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        host, authorization = headers.get("host", "127.0.0.1"), headers.get("authorization", "")
        query = dict(urllib.parse.parse_qsl(scope["query_string"].decode()))
        try:
            sent = json.loads(body or b"{}")
            status, content = 200, answer(scope["method"], scope["path"], sent, host, query, authorization)
        except PermissionError as error:
            status, content = 401, {"error": str(error)}
        except LookupError as error:
            status, content = 404, {"error": str(error)}
        except (TypeError, ValueError) as error:
            status, content = 400, {"error": str(error)}
        answered = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": answered})
        await send({"type": "http.response.body", "body": json.dumps(content).encode()})

    return control


def _error_code(status: int, headers: dict[str, str], body: Any) -> str | None:
    if status < 400 or not isinstance(body, bytes):
        return None
    text = body.decode("utf-8", "replace")
    found = re.search(r"<Code>([^<]+)</Code>", text) or re.search(r'"__type"\s*:\s*"(?:[^"]*#)?([^"]+)"', text)
    error_type = next((value for name, value in headers.items() if name.lower() == "x-amzn-errortype"), None)
    return found[1] if found else error_type


def _parameters(params: dict[str, Any]) -> dict[str, str]:
    found = {name: value for name in RECORDED_PARAMETERS if (value := param(params, name))}
    number = 1
    while key := param(params, f"Tags.member.{number}.Key"):
        found[f"Tag:{key}"] = param(params, f"Tags.member.{number}.Value")
        number += 1
    return found


def _written(action: str, body: bytes) -> dict[str, str]:
    """Return what is written to a table: expressions of names, without values."""
    if action.lower() not in ("dynamodb:updateitem", "dynamodb:transactwriteitems"):
        return {}
    request = json.loads(body or b"{}")
    updates = [request, *(item.get("Update", {}) for item in request.get("TransactItems", []))]
    return {"UpdateExpression": "; ".join(filter(None, (it.get("UpdateExpression") for it in updates)))}


_room: Final[dict[str, tuple[float, float]]] = {}
"""How many calls more IAM takes of an account, and since when that is so."""


def _throttle(call: Call) -> Fault | None:
    """Return IAM's refusal when an account, but for its root, calls more often than IAM takes calls."""
    rate = SETTINGS.iam_calls_per_second
    if rate is None or not call.action.startswith("iam:") or call.caller.endswith(":root"):
        return None
    now = time.monotonic()
    left, since = _room.get(call.account, (rate, now))
    left = min(rate, left + (now - since) * rate)
    _room[call.account] = (left - 1 if left >= 1 else left, now)
    return None if left >= 1 else Fault(call.action, error="Throttling", status=400, message="Rate exceeded")


def _cut(content: bytes, after: str | None) -> bytes:
    """Return an answer up to a text and with it, or its first half."""
    if after is None:
        return content[: len(content) // 2]
    before, text, _ = content.partition(after.encode())
    return before + text


_kept: Final[set[asyncio.Task[None]]] = set()


def keep(work: Coroutine[Any, Any, None]) -> None:
    """Let something go on after its request has been answered."""
    task = asyncio.get_running_loop().create_task(work)
    _kept.add(task)
    task.add_done_callback(_kept.discard)


def close_connection() -> None:
    """Reset the connection by which this request has come, so that nothing is answered."""
    # The event loop alone knows the connections of its server.
    transports = getattr(asyncio.get_running_loop(), "_transports", {})
    for transport in list(transports.values()):
        if transport.get_extra_info("peername") == _peer.get():
            # Without lingering, closing is a reset.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()


def record_calls() -> None:
    """Put the recorder between ministack's front door and its services."""
    import ministack.app
    from ministack.core import iam_actions, iam_evaluator
    from ministack.core.responses import get_account_id
    from ministack.core.router import detect_service, extract_access_key_id, extract_region
    from ministack.services import sts

    async def dispatch(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any], request_id: str
    ) -> Any:
        params = ministack.app._routing_params(method, path, headers, body, query_params)
        service = detect_service(method, path, headers, params)
        action = iam_actions.extract_iam_action(service, method, path, headers, body, params)
        if action is None:
            return await original(method, path, headers, body, query_params, request_id)
        account, region = get_account_id(), extract_region(headers)
        access_key = extract_access_key_id(headers, query_params)
        session = sts._sessions.get(access_key) or {}
        caller = iam_evaluator.resolve_caller_identity(access_key)
        call = Call(
            caller=caller["userArn"] if caller else "unknown",
            account=account,
            action=action,
            resource=iam_actions.extract_resource_arn(service, method, path, headers, body, params, region, account),
            parameters=_parameters(params) | _written(action, body),
            source_identity=session.get("SourceIdentity"),
            via=session.get("SourcePrincipalArn"),
            transactions=transactions_in(body),
        )
        invocation = invocations.of(call, access_key)
        if invocation:
            call.transactions = sorted({*call.transactions, *invocation.transactions})
            call.execution, call.state = invocation.execution, invocation.state

        async def carry_out(as_call: Call) -> Any:
            with judging(as_call):
                return await original(method, path, headers, body, query_params, request_id)

        async def carry_out_late(after: float) -> None:
            again = copy.copy(call)
            await asyncio.sleep(after)
            answered = await carry_out(again)
            again.status, again.error, again.fault = answered[0], _error_code(*answered), "late"
            RECORDER.record(again)

        fault = RECORDER.take_fault(call) or _throttle(call)
        if fault is None or fault.execute or fault.passes:
            answered = await carry_out(call)
        if fault and fault.late is not None:
            keep(carry_out_late(fault.late))
        if fault and fault.passes:
            if fault.twice:
                await carry_out(copy.copy(call))
            await asyncio.sleep(fault.slow or 0)
        elif fault and (fault.cut_after or fault.cut_half):
            answered = answered[0], answered[1], _cut(answered[2], fault.cut_after)
        elif fault:
            _, answer_headers, content = iam_actions.access_denied_response(
                service, action, "", request_id, error_code=fault.error, message=fault.message, headers=headers
            )
            answered = fault.status, answer_headers, content
        call.status, call.error = answered[0], _error_code(*answered)
        if fault and not fault.passes and fault.instead != "error":
            call.status, call.error = 0, fault.instead
        RECORDER.record(call, fault)
        if fault and not fault.passes and fault.instead != "error":
            if fault.instead == "death" and invocation:
                invocation.kill()
            if fault.instead == "silence":
                await asyncio.sleep(SILENCE_SECONDS)
            close_connection()
        return answered

    original = replace(ministack.app, "_dispatch_service_request", dispatch)


def record_grants() -> None:
    """Note for each call which permissions it needed, and which statements gave them.

    Every decision of the engine's IAM passes through one function, those about a resource's own policy through another
    before it.
    """
    from ministack.core import iam_evaluator

    policy: contextvars.ContextVar[str] = contextvars.ContextVar("policy", default="identity")

    def evaluate(context: Any, *policies: Any) -> Any:
        result = original(context, *policies)
        if result.decision == "Allow":
            granted(Grant(policy.get(), context.action, context.resource_arn, result.matched_sid))
        return result

    def evaluate_resource_policy(*args: Any, **kwargs: Any) -> Any:
        token = policy.set("resource")
        try:
            return original_resource(*args, **kwargs)
        finally:
            policy.reset(token)

    original = replace(iam_evaluator, "evaluate", evaluate)
    original_resource = replace(iam_evaluator, "evaluate_resource_policy", evaluate_resource_policy)
