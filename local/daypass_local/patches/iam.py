"""Patches of IAM: which resource and which condition keys a request is judged by, and the AWS-managed policies."""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from daypass_local.patches.tools import Call, Response, judge_by, param, query_error, replace
from daypass_local.settings import SETTINGS


def find_role(arn_or_name: str, account: str) -> dict[str, Any] | None:
    """Return ministack's record of a role, looked up by the last part of its name in `account`."""
    from ministack.services import iam

    role: dict[str, Any] | None = iam._roles.get_scoped(account, None, arn_or_name.rsplit("/", 1)[-1])
    return role


def resource_paths() -> None:
    """A role's or instance profile's path is part of the resource that a policy is matched with.

    On AWS `iam:CreateRole` is judged by the ARN that the role will have, every other call by the ARN it has; the calls
    that join a role to an instance profile are judged by the profile. ministack leaves paths out, so that a policy for
    `role/daypass/*` would never match.
    Unnecessary when ministack's `extract_resource_arn` knows paths.
    """
    from ministack.services import iam

    def resource_of(call: Call) -> str | None:
        profile, role_name = param(call.params, "InstanceProfileName"), param(call.params, "RoleName")
        new_path = param(call.params, "Path") or "/"
        if profile:
            known = iam._instance_profiles.get(profile) or {}
            return known.get("Arn") or f"arn:aws:iam::{call.account}:instance-profile{new_path}{profile}"
        if role_name and param(call.params, "Action") == "CreateRole":
            return f"arn:aws:iam::{call.account}:role{new_path}{role_name}"
        if param(call.params, "Action") == "CreatePolicy":
            return f"arn:aws:iam::{call.account}:policy{new_path}{param(call.params, 'PolicyName')}"
        if param(call.params, "Action") == "CreateServiceLinkedRole":
            return f"arn:aws:iam::{call.account}:role/aws-service-role/{param(call.params, 'AWSServiceName')}/*"
        role = find_role(role_name, call.account) if role_name else None
        return str(role["Arn"]) if role else None

    judge_by("iam", resource_of)


def missing_roles() -> None:
    """Asking about a role that is not there is answered NoSuchEntity if the caller may ask about it.

    A request carries only the role's name, so for a role that is gone the path is not known. Which ARN AWS then judges
    by is not documented. The engine gives the caller the benefit of the doubt: the ARN is completed with the path of
    the caller's own policy. With the setting `missing_role` = `access-denied` it judges by the name without a path,
    which a policy for `role/daypass/*` does not cover: then the answer is AccessDenied, and NoSuchEntity for those
    actions that a policy for `role/daypass-*` allows. Callers have to cope with both.
    Unnecessary when ministack knows which of the two AWS answers.
    """
    from ministack.core import iam_evaluator

    def candidates(access_key_id: str, action: str, resource_arn: str) -> Iterator[str]:
        account, name = resource_arn.split(":")[4], resource_arn.rsplit("/", 1)[-1]
        principal = iam_evaluator.resolve_principal(access_key_id, account)
        if isinstance(principal, iam_evaluator.AuthError) or principal.policies is None:
            return
        for statement in (statement for policy in principal.policies for statement in policy):
            if statement.effect != "Allow" or not iam_evaluator._action_matches(
                action, statement.actions, statement.not_actions
            ):
                continue
            for pattern in statement.resources:
                with_path = re.match(r"arn:[^:]+:iam::[^:]+:role/([^*?]+/)", pattern)
                if with_path:
                    yield f"arn:aws:iam::{account}:role/{with_path[1]}{name}"

    def enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        denied = original(access_key_id, iam_action, service, region, resource_arn, service_context)
        about_a_role = service == "iam" and ":role/" in resource_arn and iam_action != "iam:CreateRole"
        if (
            isinstance(denied, iam_evaluator.EvalResult)
            and about_a_role
            and SETTINGS.missing_role == "no-such-entity"
            and not find_role(resource_arn, resource_arn.split(":")[4])
        ):
            for candidate in candidates(access_key_id, iam_action, resource_arn):
                if original(access_key_id, iam_action, service, region, candidate, service_context) is None:
                    return None
        return denied

    original = replace(iam_evaluator, "enforce", enforce)


def tagging_on_create() -> None:
    """CreateRole with tags needs `iam:TagRole` as well.

    AWS authorises the tags of a new role as an action of its own; a provisioner without it works locally and fails in
    an account.
    Unnecessary when ministack enforces `iam:TagRole` for CreateRole.
    """
    from ministack.core import iam_evaluator

    def enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        denied = original(access_key_id, iam_action, service, region, resource_arn, service_context)
        if denied or iam_action != "iam:CreateRole" or "aws:TagKeys" not in (service_context or {}):
            return denied
        return original(access_key_id, "iam:TagRole", service, region, resource_arn, service_context)

    original = replace(iam_evaluator, "enforce", enforce)


def condition_keys() -> None:
    """`iam:PermissionsBoundary`, `iam:PolicyARN` and `iam:ResourceTag/…` are known to policies.

    The provisioner may only make and change roles that carry the Daypass boundary; that rule is a condition on these
    keys. The boundary is that of the request or, when the request names none, that of the role.
    Unnecessary when ministack's `request_tag_context` (or its successor) provides the keys.
    """
    from ministack.core import iam_actions
    from ministack.core.responses import get_account_id

    def request_tag_context(service: str, iam_action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        context: dict[str, Any] = original(service, iam_action, body, params)
        if service != "iam":
            return context
        role = find_role(param(params, "RoleName"), get_account_id()) or {}
        boundary = param(params, "PermissionsBoundary") or role.get("PermissionsBoundary")
        if boundary:
            context["iam:PermissionsBoundary"] = boundary
        if param(params, "PolicyArn"):
            context["iam:PolicyARN"] = param(params, "PolicyArn")
        for tag in role.get("Tags") or []:
            context[f"iam:ResourceTag/{tag['Key']}"] = tag["Value"]
        return context

    original = replace(iam_actions, "request_tag_context", request_tag_context)


def principal_arn() -> None:
    """`aws:PrincipalArn` of a role session is the ARN of the role, path included.

    ministack compares the session's ARN (`…:assumed-role/name/session`), which no policy written for AWS names.
    Unnecessary when ministack's `_resolve_condition_key` returns the role's ARN.
    """
    from ministack.core import iam_evaluator

    def resolve_condition_key(key: str, context: Any) -> Any:
        if key.lower() == "aws:principalarn" and context.principal_type == "AssumedRole":
            name = iam_evaluator._role_name_from_assumed_arn(context.principal_arn)
            role = find_role(name, context.principal_account)
            return role["Arn"] if role else f"arn:aws:iam::{context.principal_account}:role/{name}"
        return original(key, context)

    original = replace(iam_evaluator, "_resolve_condition_key", resolve_condition_key)


def policy_variables() -> None:
    """`${aws:PrincipalTag/…}` and the other policy variables stand for their values.

    In resources and in conditions; a variable without a value matches nothing, as on AWS. ministack takes them for
    literal text.
    Unnecessary when ministack substitutes policy variables.
    """
    from ministack.core import iam_evaluator

    def substitute(text: str, context: Any) -> str:
        def value_of(found: re.Match[str]) -> str:
            name = found[1]
            if name in ("*", "?", "$"):
                return name
            value = iam_evaluator._resolve_condition_key(name, context)
            return found[0] if value is None or isinstance(value, list) else str(value)

        return re.sub(r"\$\{([^}]+)\}", value_of, text) if "${" in text else text

    def in_conditions(conditions: Any, context: Any) -> Any:
        if isinstance(conditions, dict):
            return {key: in_conditions(value, context) for key, value in conditions.items()}
        if isinstance(conditions, list):
            return [in_conditions(value, context) for value in conditions]
        return substitute(conditions, context) if isinstance(conditions, str) else conditions

    def conditions_met(conditions: Any, context: Any) -> Any:
        return original_conditions(in_conditions(conditions, context), context)

    def first_match(context: Any, statements: list[Any], effect: str) -> Any:
        resolved = [
            dataclasses.replace(
                statement,
                resources=[substitute(arn, context) for arn in statement.resources],
                not_resources=[substitute(arn, context) for arn in statement.not_resources],
            )
            for statement in statements
        ]
        return original_match(context, resolved, effect)

    original_conditions = replace(iam_evaluator, "_conditions_met", conditions_met)
    original_match = replace(iam_evaluator, "_first_match", first_match)


def managed_policies() -> None:
    """Every AWS-managed policy is there, with its real document.

    The personas attach policies by their real ARNs, and what a deploy role can do is judged by their documents. The
    pinned moto ships them all; ministack seeds a few.
    Unnecessary when ministack ships the whole catalogue.
    """
    from ministack.services import iam
    from moto.iam.aws_managed_policies import aws_managed_policies_data

    def seed_aws_managed_policies() -> None:
        for name, policy in json.loads(aws_managed_policies_data).items():
            path_and_name = f"{policy['Path'].lstrip('/')}{name}"
            record = iam._make_aws_managed_record(path_and_name, json.dumps(policy["Document"]))
            version = record["Versions"].pop("v1")
            record["DefaultVersionId"] = version["VersionId"] = policy["DefaultVersionId"]
            record["Versions"][policy["DefaultVersionId"]] = version
            iam._aws_managed_policies[record["Arn"]] = record

    replace(iam, "_seed_aws_managed_policies", seed_aws_managed_policies)  # what a reset of the engine calls
    seed_aws_managed_policies()


def known_policies_only() -> None:
    """Attaching a policy that does not exist is refused.

    ministack attaches any ARN; a misspelt policy in personas.json would pass every test.
    Unnecessary when ministack's AttachRolePolicy answers NoSuchEntity.
    """
    from ministack.services import iam

    def attach_role_policy(params: dict[str, Any]) -> Response:
        arn = param(params, "PolicyArn")
        if param(params, "RoleName") in iam._roles and not iam._policy_exists(arn):
            return query_error(404, "NoSuchEntity", f"Policy {arn} does not exist or is not attachable.")
        answer: Response = original(params)
        return answer

    original = replace(iam, "_attach_role_policy", attach_role_policy)
    iam._IAM_HANDLERS["AttachRolePolicy"] = attach_role_policy


PATCHES: Final[tuple[Callable[[], None], ...]] = (
    resource_paths,
    missing_roles,
    tagging_on_create,
    condition_keys,
    principal_arn,
    policy_variables,
    managed_policies,
    known_policies_only,
)
