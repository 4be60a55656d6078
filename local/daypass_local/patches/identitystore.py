"""IAM Identity Center's Identity Store, which ministack does not have: moto's, in the same process."""

import json
import sys
import types
from collections.abc import Callable
from typing import Any, Final

from daypass_local.patches.tools import Call, Response, judge_by, replace
from daypass_local.settings import SETTINGS

DISABLED_USERS: Final[set[str]] = set()
"""Ids of the users whose UserStatus is DISABLED. The real API only reads the status: it comes from the identity source,
which `POST /_daypass/identity/user-status` stands in for."""

GROUP_EXTERNAL_IDS: Final[dict[str, list[dict[str, str]]]] = {}
"""By the group's id: the ids (`Issuer`, `Id`) that the directory has given it which it comes from by SCIM. The real API
only reads them, too; `POST /_daypass/identity/group-external-ids` stands in for the directory."""


def mount() -> None:
    """The Identity Store answers on the engine's port, with the engine's signature checks and IAM enforcement.

    Each account has stores of its own, as on AWS. DescribeUser says `UserStatus`, which moto leaves out. Groups
    have external ids, a group that is not there is no success, a deleted one takes its memberships along, and a group
    can get another name and description.
    Unnecessary when ministack has an Identity Store.
    """
    import ministack.app
    from ministack.core import iam_actions, router
    from ministack.core.responses import get_account_id
    from moto.core.request import Request
    from moto.identitystore.exceptions import ConflictException, ResourceNotFoundException, ValidationException
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

        def list_groups(self) -> str:
            answer = json.loads(super().list_groups())
            groups = [
                group | {"ExternalIds": GROUP_EXTERNAL_IDS.get(group["GroupId"], [])} for group in answer["Groups"]
            ]
            return json.dumps(answer | {"Groups": groups})

        def list_group_memberships(self) -> str:
            self._check_group()
            return str(super().list_group_memberships())

        def update_group(self) -> str:
            groups = self._check_group().groups
            group = groups[self._get_param("GroupId")]
            fields = {"displayName": "DisplayName", "description": "Description"}
            for operation in self._get_param("Operations"):
                field = fields.get(operation["AttributePath"])
                if field is None:
                    raise ValidationException(message=f"{operation['AttributePath']} is no attribute of a group.")
                group = group._replace(**{field: operation.get("AttributeValue")})
            if any(it.DisplayName == group.DisplayName for it in groups.values() if it.GroupId != group.GroupId):
                raise ConflictException(message="Duplicate GroupDisplayName", reason="UNIQUENESS_CONSTRAINT_VIOLATION")
            groups[group.GroupId] = group
            return "{}"

        def delete_group(self) -> str:
            memberships = self._check_group().group_memberships
            group = self._get_param("GroupId")
            for membership in [key for key, known in memberships.items() if known["GroupId"] == group]:
                del memberships[membership]
            GROUP_EXTERNAL_IDS.pop(group, None)
            return str(super().delete_group())

        def _check_group(self) -> Any:
            """Return the store, if the request's group is there."""
            store = self.identitystore_backend.identity_stores.get(self._get_param("IdentityStoreId"))
            if store is None or self._get_param("GroupId") not in store.groups:
                raise ResourceNotFoundException(message="GROUP not found.", resource_type="GROUP")
            return store

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
        GROUP_EXTERNAL_IDS.clear()

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


INSIDE: Final = {
    "identitystore:GetUserId": ("user",),
    "identitystore:DescribeUser": ("user",),
    "identitystore:GetGroupId": ("group",),
    "identitystore:ListGroups": ("group",),
    "identitystore:ListGroupMemberships": ("group", "membership"),
    "identitystore:UpdateGroup": ("group",),
    "identitystore:DeleteGroup": ("group",),
    "identitystore:IsMemberInGroups": ("group", "membership", "user"),
}
"""What of a store a call is about, besides the store: the resource types that AWS's service authorization reference
marks as required."""


def resource_arns() -> None:
    """A call to the Identity Store is judged by the store's ARN, and by the kinds of things in it that it reads.

    AWS wants the caller to be allowed on the store and on `arn:aws:identitystore:::user/…`, `…:::group/…` and
    `…:::membership/…`, as the action needs them. Which user or group it is does not matter here: all of a kind are
    checked, as `user/*`. With the setting `identity_store_key` the caller also has to be allowed to decrypt with that
    key, for this store and through this service.
    Unnecessary when ministack has an Identity Store.
    """
    from ministack.core import iam_actions, iam_evaluator

    def resource_of(call: Call) -> str | None:
        store = iam_actions._safe_json_field(call.body, "IdentityStoreId")
        return f"arn:aws:identitystore::{call.account}:identitystore/{store}" if store else None

    def enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        inside = [f"arn:aws:identitystore:::{kind}/*" for kind in INSIDE.get(iam_action, ())]
        for arn in [resource_arn, *inside]:
            denied = original_enforce(access_key_id, iam_action, service, region, arn, service_context)
            if denied:
                return denied
        if SETTINGS.identity_store_key is None or iam_action not in INSIDE:
            return None
        # The service decrypts in the caller's name.
        keys = {
            "kms:ViaService": f"identitystore.{region}.amazonaws.com",
            "kms:EncryptionContext:aws:identitystore:identitystore-arn": resource_arn,
        }
        return original_enforce(access_key_id, "kms:Decrypt", "kms", region, SETTINGS.identity_store_key, keys)

    judge_by("identitystore", resource_of)
    original_enforce = replace(iam_evaluator, "enforce", enforce)


PATCHES: Final[tuple[Callable[[], None], ...]] = (mount, resource_arns)
