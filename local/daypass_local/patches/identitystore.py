"""IAM Identity Center's Identity Store, which ministack does not have: moto's, in the same process."""

import json
import sys
import types
from collections.abc import Callable
from typing import Any, Final

from daypass_local.patches.tools import Response, replace

DISABLED_USERS: Final[set[str]] = set()
"""Ids of the users whose UserStatus is DISABLED. The real API only reads the status: it comes from the identity source,
which `POST /_daypass/identity/user-status` stands in for."""


def mount() -> None:
    """The Identity Store answers on the engine's port, with the engine's signature checks and IAM enforcement.

    Each account has stores of its own, as on AWS. DescribeUser says `UserStatus`, which moto leaves out.
    Unnecessary when ministack has an Identity Store.
    """
    import ministack.app
    from ministack.core import iam_actions, router
    from ministack.core.responses import get_account_id
    from moto.core.request import Request
    from moto.identitystore.models import identitystore_backends
    from moto.identitystore.responses import IdentityStoreResponse
    from werkzeug.test import EnvironBuilder

    class IdentityStore(IdentityStoreResponse):
        def get_current_account(self) -> str:
            return str(get_account_id())

        def describe_user(self) -> str:
            user = json.loads(super().describe_user())
            user["UserStatus"] = "DISABLED" if user["UserId"] in DISABLED_USERS else "ENABLED"
            return json.dumps({name: value for name, value in user.items() if value is not None})

    async def handle_request(
        method: str, path: str, headers: dict[str, str], body: bytes, _query: dict[str, Any]
    ) -> Response:
        request = Request(
            EnvironBuilder(method=method, path=path, data=body, headers=list(headers.items())).get_environ()
        )
        url = f"http://{headers.get('host', 'localhost')}{path}"
        status, answer_headers, answer = IdentityStore.dispatch(request, url, request.headers)
        error_type = {name: str(value) for name, value in answer_headers.items() if name.lower() == "x-amzn-errortype"}
        content = answer.encode() if isinstance(answer, str) else answer
        return status, {"Content-Type": "application/x-amz-json-1.1", **error_type}, content

    def reset() -> None:
        identitystore_backends.reset()
        DISABLED_USERS.clear()

    service: Any = types.ModuleType("ministack.services.identitystore")
    service.handle_request, service.reset = handle_request, reset
    sys.modules[service.__name__] = service
    ministack.app._loaded_modules["identitystore"] = service
    ministack.app.SERVICE_REGISTRY["identitystore"] = {"module": "identitystore"}
    ministack.app.SERVICE_HANDLERS["identitystore"] = handle_request
    router.SERVICE_PATTERNS["identitystore"] = {
        "target_prefixes": ["AWSIdentityStore"],
        "host_patterns": [r"identitystore\."],
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE["identitystore"] = "identitystore"


def resource_arn() -> None:
    """A call to the Identity Store is judged by the store's ARN.

    AWS also checks the users and groups that a call names (`arn:aws:identitystore:::user/*` …); those ARNs are not
    checked here.
    Unnecessary when ministack has an Identity Store.
    """
    from ministack.core import iam_actions

    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
        region: str,
        account_id: str,
    ) -> str:
        store = iam_actions._safe_json_field(body, "IdentityStoreId") if service == "identitystore" else ""
        if store:
            return f"arn:aws:identitystore::{account_id}:identitystore/{store}"
        return str(original(service, method, path, headers, body, query_params, region, account_id))

    original = replace(iam_actions, "extract_resource_arn", extract_resource_arn)


PATCHES: Final[tuple[Callable[[], None], ...]] = (mount, resource_arn)
