"""Patches of what every service asks IAM: which roles a call passes, which tags a resource has.

The scenarios of escalation rest on them: a deploy role is kept from stronger roles by `iam:PassRole`, and from what
runs with one already by a tag.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from daypass_local.patches.iam import find_role
from daypass_local.patches.tools import Call, judge_by, param, replace

ROLE_ARN: Final = re.compile(r"arn:[^:]+:iam::\d{12}:role/.+")
PROFILE: Final = re.compile(r"(?:arn:[^:]+:iam::\d{12}:instance-profile/)?(?:.*/)?([\w+=,.@-]+)")

PASSES_NOTHING: Final = frozenset(
    {"dynamodb", "events:PutEvents", "iam", "kms", "lambda:InvokeFunction", "logs", "s3", "sns", "sqs", "sts"}
)
"""Services and calls that take role ARNs as content or as principals, and pass none."""

CONTENT: Final = frozenset({"environment", "environmentvariables", "tags", "variables"})
"""Members of a request whose values are content, whatever they look like."""

PASSED_TO: Final = {"autoscaling": "ec2", "cloudcontrolapi": "cloudformation", "ecs": "ecs-tasks"}
NAMESPACES: Final = {"cloudcontrolapi": "cloudformation", "kinesisanalyticsv2": "kinesisanalytics"}
PASSED_ROLES: Final = "daypass:passed-roles"
"""Where the roles that a request passes stand in its context, between the two functions of `pass_role`."""


def _members(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of a request with the names on the way to it, in lower case."""
    if isinstance(value, dict):
        for key, item in value.items():
            # Data Pipeline's way to say {"role": …}.
            key = str(value["key"]) if key == "stringValue" and "key" in value else str(key)
            if key.lower() not in CONTENT:
                yield from _members(item, f"{name}.{key}".lower())
    elif isinstance(value, list):
        for item in value:
            yield from _members(item, name)
    elif isinstance(value, str):
        yield name, value


def _roles_in(profile: str, account: str) -> set[str]:
    """Return the role in an instance profile, given by ARN or name."""
    from ministack.services import iam

    name = PROFILE.fullmatch(profile)
    known = (iam._instance_profiles.get(name[1]) if name else None) or {}
    roles = (find_role(role, account) for role in known.get("Roles", []))
    return {role["Arn"] for role in roles if role}


def passed_roles(service: str, iam_action: str, body: bytes, params: dict[str, Any], account: str) -> set[str]:
    """Return the ARNs of the roles that a request hands over to a service."""
    if iam_action == "iam:AddRoleToInstanceProfile":
        role = find_role(param(params, "RoleName"), account)
        return {role["Arn"]} if role else set()
    if {service, iam_action} & PASSES_NOTHING:
        return set()
    try:
        data = json.loads(body) if body[:1] == b"{" else {}
    except (json.JSONDecodeError, UnicodeDecodeError):
        data = {}
    roles: set[str] = set()
    for name, text in _members([data, params]):
        if "role" in name and ROLE_ARN.fullmatch(text):
            roles.add(text)
        elif "instanceprofile" in name or name.endswith("jobflowrole"):
            roles |= _roles_in(text, account)
    return roles


def pass_role() -> None:
    """A call that hands a role over to a service needs `iam:PassRole` on that role as well.

    So for a function's role, a stack's, a task's, the role in an instance profile that an instance is started with, and
    the role that is put into an instance profile. Which members of a request are such roles is told by their names.
    `iam:PassedToService` is named after the service that is called, but for those in `PASSED_TO`.
    Unnecessary when ministack checks `iam:PassRole`.
    """
    from ministack.core import iam_actions, iam_evaluator
    from ministack.core.responses import get_account_id

    def request_tag_context(service: str, iam_action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        context: dict[str, Any] = original_context(service, iam_action, body, params)
        roles = passed_roles(service, iam_action, body, params, get_account_id())
        return context | ({PASSED_ROLES: sorted(roles)} if roles else {})

    def enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        context = dict(service_context or {})
        roles = context.pop(PASSED_ROLES, [])
        denied = original_enforce(access_key_id, iam_action, service, region, resource_arn, context)
        passed_to = {"iam:PassedToService": f"{PASSED_TO.get(service, service)}.amazonaws.com"}
        for role in roles:
            denied = denied or original_enforce(access_key_id, "iam:PassRole", service, region, role, passed_to)
        return denied

    original_context = replace(iam_actions, "request_tag_context", request_tag_context)
    original_enforce = replace(iam_evaluator, "enforce", enforce)


def absent_services() -> None:
    """A call of a service that ministack does not have is judged all the same, before it is answered as unsupported.

    AWS tells whether a caller may before it tells anything else. The call's name is read from its target header, its
    `Action` or, by botocore's model of the service, its path.
    Unnecessary when ministack's `extract_iam_action` knows the services of botocore.
    """
    from ministack.core import iam_actions, router

    def extract_iam_action(
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
    ) -> Any:
        action = original(service, method, path, headers, body, query_params)
        if action or service in iam_actions._BOTOCORE_SERVICE_MAP or not router._is_aws_service_name(service):
            return action
        name = iam_actions._action_from_query(query_params, body, headers.get("content-type", ""))
        name = name or iam_actions._action_from_target(headers)
        if not name:
            iam_actions._REST_ROUTE_CACHE.setdefault(service, iam_actions._load_botocore_routes(service))
            name = next(
                (
                    operation
                    for verb, route, operation, *_ in iam_actions._REST_ROUTE_CACHE[service]
                    if verb == method and route.match(path.rstrip("/") or "/")
                ),
                None,
            )
        return f"{NAMESPACES.get(service, service)}:{name}" if name else None

    original = replace(iam_actions, "extract_iam_action", extract_iam_action)


def stack_arns() -> None:
    """A call about a stack that is there is judged by the stack's ARN, its id included.

    ministack judges by a `*` in the place of the id, under which no tags are found.
    Unnecessary when ministack's `extract_resource_arn` looks stacks up.
    """
    from ministack.services import cloudformation

    def resource_of(call: Call) -> str | None:
        name, change_set = param(call.params, "StackName"), param(call.params, "ChangeSetName")
        if not name and change_set.startswith("arn:"):
            # A change set that is named by its ARN is of the stack that it is of.
            name = (cloudformation._change_sets.get(change_set) or {}).get("StackName", "")
        stack = cloudformation._stacks.get(name) if name else None
        return (stack or {}).get("StackId")

    judge_by("cloudformation", resource_of)


def resource_tags() -> None:
    """`aws:ResourceTag/…` is known for stacks, state machines, build projects and instances, and to boundaries.

    The boundary shields what its owner has tagged. ministack knows the tags of some services' resources only, and looks
    them up when a policy of the caller asks for tags, not when its boundary or its session policy does.
    Unnecessary when ministack's `resource_tags` collects them from these services, too, for whoever asks.
    """
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import cloudformation, codebuild, ec2, stepfunctions, tagging

    def tagged_stacks() -> Iterator[tuple[str, Any]]:
        for stack in cloudformation._stacks.values():
            yield str(stack.get("StackId", "")), tagging._normalise_list(stack.get("Tags"))

    def tagged_projects() -> Iterator[tuple[str, Any]]:
        for project in codebuild._projects.values():
            tags = [{"Key": tag["key"], "Value": tag["value"]} for tag in project.get("tags") or []]
            yield str(project["arn"]), tags

    def tagged_machines() -> Iterator[tuple[str, Any]]:
        for arn, tags in stepfunctions._tags.items():
            yield arn, [{"Key": tag["key"], "Value": tag["value"]} for tag in tags]

    def tagged_instances() -> Iterator[tuple[str, Any]]:
        for instance in ec2._instances:
            arn = f"arn:aws:ec2:{get_region()}:{get_account_id()}:instance/{instance}"
            yield arn, ec2._tags.get(instance) or []

    def names_condition_key(policies: list[Any], prefix: str) -> bool:
        return prefix == "aws:resourcetag/" or bool(original(policies, prefix))

    original = replace(iam_evaluator, "_names_condition_key", names_condition_key)
    tagging._RESOURCE_TAG_COLLECTORS.update(
        {
            "cloudformation": tagged_stacks,
            "codebuild": tagged_projects,
            "ec2": tagged_instances,
            "states": tagged_machines,
        }
    )


def versions_are_deleted_by_their_own_action() -> None:
    """DeleteObjects needs `s3:DeleteObjectVersion` for each entry with a version, also for the first.

    ministack judges the first entry as the deletion of an object, so that a single version could be deleted by whoever
    may delete objects.
    Unnecessary when ministack's `s3_additional_checks` has the first entry.
    """
    from ministack.core import iam_actions

    def s3_additional_checks(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
    ) -> list[tuple[str, str]]:
        checks: list[tuple[str, str]] = original(method, path, headers, body, query_params)
        bucket = path.strip("/")
        if method == "POST" and "delete" in query_params and "/" not in bucket:
            for arn, version in iam_actions._s3_batch_delete_targets(bucket, body)[:1]:
                checks += [("s3:DeleteObjectVersion", arn)] if version else []
        return checks

    original = replace(iam_actions, "s3_additional_checks", s3_additional_checks)


PATCHES: Final[tuple[Callable[[], None], ...]] = (
    pass_role,
    absent_services,
    stack_arns,
    resource_tags,
    versions_are_deleted_by_their_own_action,
)
