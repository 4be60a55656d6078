"""Patches of IAM's quotas: the ones a deploy role can meet."""

import re
from collections.abc import Callable
from typing import Any, Final

from daypass_local.patches.iam import find_role
from daypass_local.patches.tools import Response, invalid_tags, param, query_error, replace

TRUST_POLICY_CHARACTERS: Final = 2_048
INLINE_POLICY_CHARACTERS: Final = 10_240
POLICIES_PER_ROLE: Final = 10
NAME_CHARACTERS: Final = 64


def size(document: str) -> int:
    """Return the size of a policy as IAM counts it: its characters without white space."""
    return len(re.sub(r"\s", "", document))


def role_quotas() -> None:
    """A role's policies, name and tags keep to AWS's default quotas.

    2,048 characters of trust policy, 10,240 of inline policies in all, 10 managed policies, a name of 64 characters, 50
    tags of the characters that AWS allows in tags. ministack has no quotas, so a persona that cannot be provisioned on
    AWS would pass.
    Unnecessary when ministack answers LimitExceeded and ValidationError for these.
    """
    from ministack.core.responses import get_account_id
    from ministack.services import iam

    def limit_exceeded(message: str) -> Response:
        return query_error(409, "LimitExceeded", message)

    def create_role(params: dict[str, Any]) -> Response | None:
        if len(param(params, "RoleName")) > NAME_CHARACTERS:
            return query_error(
                400,
                "ValidationError",
                "1 validation error detected: Value at 'roleName' failed to satisfy constraint: "
                f"Member must have length less than or equal to {NAME_CHARACTERS}",
            )
        if size(param(params, "AssumeRolePolicyDocument")) > TRUST_POLICY_CHARACTERS:
            return limit_exceeded(f"Cannot exceed quota for ACLSizePerRole: {TRUST_POLICY_CHARACTERS}")
        invalid = invalid_tags(iam._extract_tags(params))
        return query_error(400, "ValidationError", f"1 validation error detected: {invalid}") if invalid else None

    def put_role_policy(params: dict[str, Any]) -> Response | None:
        role = find_role(param(params, "RoleName"), get_account_id())
        if role is None:
            return None
        after = role["InlinePolicies"] | {param(params, "PolicyName"): param(params, "PolicyDocument")}
        if sum(map(size, after.values())) > INLINE_POLICY_CHARACTERS:
            return limit_exceeded(
                f"Maximum policy size of {INLINE_POLICY_CHARACTERS} bytes exceeded for role {role['RoleName']}"
            )
        return None

    def attach_role_policy(params: dict[str, Any]) -> Response | None:
        role = find_role(param(params, "RoleName"), get_account_id()) or {}
        attached = role.get("AttachedPolicies", [])
        if param(params, "PolicyArn") not in attached and len(attached) >= POLICIES_PER_ROLE:
            return limit_exceeded(f"Cannot exceed quota for PoliciesPerRole: {POLICIES_PER_ROLE}")
        return None

    def guard(action: str, name: str, refuse: Callable[[dict[str, Any]], Response | None]) -> None:
        def handler(params: dict[str, Any]) -> Response:
            return refuse(params) or original(params)

        original = replace(iam, name, handler)
        iam._IAM_HANDLERS[action] = handler

    guard("CreateRole", "_create_role", create_role)
    guard("PutRolePolicy", "_put_role_policy", put_role_policy)
    guard("AttachRolePolicy", "_attach_role_policy", attach_role_policy)


PATCHES: Final[tuple[Callable[[], None], ...]] = (role_quotas,)
