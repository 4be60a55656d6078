"""The engine's own HTTP interface below `/_daypass/`, for tests and for the demo, and the hook that feeds the recorder.

    GET  /_daypass/engine                {"pid": the engine's process}
    GET  /_daypass/calls                 {"calls": [Call]} in the order of their answers
    POST /_daypass/calls/reset           forgets them
    GET  /_daypass/uses                  {"uses": [Use and its `count`], "refusals": [Refusal and its `count`]}: what
                                         all calls since the engine's start needed; nothing resets it
    GET  /_daypass/sessions              {"sessions": [{"arn", "via", "access_key_id", "secret_access_key",
                                         "session_token"}]}: all that STS issued, for those who search for leaks
    GET  /_daypass/faults                {"faults": [Fault]} that are still to happen
    POST /_daypass/faults                Fault (only `action` is required)
    POST /_daypass/faults/reset          cancels them
    GET  /_daypass/settings              Settings
    POST /_daypass/settings              changes some of them
    POST /_daypass/executions/end-delay  {"execution_arn": …} → {"ended": whether it was in a delay}: `waits.py`
    POST /_daypass/executions/end-delays  ends all of them → {"ended": how many}
    POST /_daypass/identity/user-status  {"user_id": …, "status": "ENABLED" | "DISABLED"}
    POST /_daypass/identity/group-external-ids  {"group_id": …, "external_ids": [{"Issuer", "Id"}]}
         /_daypass/issuers/…             issuers of identity tokens: `issuer.py`

The shapes are those of `recorder.Call`, `recorder.Use`, `recorder.Refusal`, `recorder.Fault` and `settings.Settings`.
A request that does not fit is answered 400 with {"error": …}. Nothing here asks for credentials (but a job, for
its token, as at GitHub): it is a test's way in, on loopback.
"""

import contextvars
import json
import os
import re
import urllib.parse
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final

from daypass_local import issuer, waits
from daypass_local.patches.identitystore import DISABLED_USERS, GROUP_EXTERNAL_IDS
from daypass_local.patches.tools import param, replace
from daypass_local.recorder import RECORDER, Call, Fault, Grant, granted, judging, transactions_in
from daypass_local.settings import SETTINGS

PREFIX: Final = "/_daypass/"
RECORDED_PARAMETERS: Final = ("RoleName", "RoleArn", "RoleSessionName", "SourceIdentity", "PolicyName", "PolicyArn")

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
            return {"calls": [call.as_json() for call in RECORDER.calls()]}
        case "POST", "calls/reset":
            RECORDER.forget_calls()
        case "GET", "uses":
            uses, refusals = RECORDER.uses()
            return {
                "uses": [asdict(use) | {"count": count} for use, count in uses.items()],
                "refusals": [asdict(refusal) | {"count": count} for refusal, count in refusals.items()],
            }
        case "GET", "sessions":
            return {"sessions": issued_sessions()}
        case "GET", "faults":
            return {"faults": [asdict(fault) for fault in RECORDER.faults()]}
        case "POST", "faults":
            RECORDER.add_fault(Fault(**body))
        case "POST", "faults/reset":
            RECORDER.forget_faults()
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
            return {"ended": waits.end_delays()}
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
        fault = RECORDER.take_fault(call)
        if fault is None or fault.execute:
            with judging(call):
                answered = await original(method, path, headers, body, query_params, request_id)
        if fault and fault.cut_after:
            before, text, _ = answered[2].partition(fault.cut_after.encode())
            answered = answered[0], answered[1], before + text
        elif fault:
            _, answer_headers, content = iam_actions.access_denied_response(
                service, action, "", request_id, error_code=fault.error, message=fault.message, headers=headers
            )
            answered = fault.status, answer_headers, content
        call.status, call.error = answered[0], _error_code(*answered)
        RECORDER.record(call, fault)
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
