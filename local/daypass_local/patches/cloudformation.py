"""Patches of CloudFormation: in whose name it creates resources, and what a resource has of its template."""

import contextvars
import json
import secrets
from collections.abc import Callable, Iterable
from typing import Any, Final

from daypass_local import deployments
from daypass_local.patches.tools import Response, param, replace

DEPLOYER: Final[contextvars.ContextVar[str]] = contextvars.ContextVar("daypass_deployer", default="")
"""The access key in whose name the stack operation acts that is running."""

OPERATIONS: Final = (
    "ContinueUpdateRollback",
    "CreateChangeSet",
    "CreateStack",
    "DeleteStack",
    "ExecuteChangeSet",
    "RollbackStack",
    "UpdateStack",
)
"""The operations that change resources or, as CreateChangeSet, prepare it, and take or keep a role."""


def _refusal(denied: Any, action: str, resource: str) -> str:
    """Return how CloudFormation words what a service has refused."""
    from ministack.core import iam_actions, iam_evaluator

    if isinstance(denied, iam_evaluator.AuthError):
        return f"{denied.message} (HandlerErrorCode: InvalidCredentials)"
    said = iam_actions.identity_denial_message(action, denied.principal_arn, resource, denied.decision == "Deny")
    return f'Resource handler returned message: "{said}" (HandlerErrorCode: AccessDenied)'


def resources_are_judged() -> None:
    """Every resource of a stack needs the permissions of whoever deploys it, or of the stack's role.

    On AWS CloudFormation calls each service with the session of its caller. `daypass_local.deployments` says which
    permissions that needs, and what of it is approximate. A refused resource fails, and the operation rolls back.
    Unnecessary when ministack judges the resources of a stack.
    """
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import iam
    from ministack.services.cloudformation import changesets, engine, handlers, provisioners, stacks

    adopted: set[tuple[str, str, str]] = set()

    def is_judged() -> bool:
        return bool(DEPLOYER.get()) and not iam_evaluator.is_root_access_key(DEPLOYER.get())

    def change_of(type_: str, operation: str, properties: Any, previous: Any, name: str) -> deployments.Change:
        now, before = map(deployments.without_system_tags, (properties or {}, previous or {}))
        return deployments.Change(type_, operation, now, before, name, "aws", get_region(), get_account_id())

    def judge(type_: str, operation: str, properties: Any, previous: Any, name: str) -> None:
        if is_judged():
            known = deployments.Roles(dict(iam._roles.items()), dict(iam._instance_profiles.items()))
            demand(deployments.needs(change_of(type_, operation, properties, previous, name), known))

    def demand(needs: Iterable[deployments.Need]) -> None:
        key = DEPLOYER.get()
        for need in needs:
            service = need.action.partition(":")[0]
            resource = _key_of(need.resource) if service == "kms" else need.resource
            denied = iam_evaluator.enforce(key, need.action, service, get_region(), resource, dict(need.context))
            if denied:
                raise PermissionError(_refusal(denied, need.action, resource))

    def provision(type_: str, logical_id: str, properties: Any, stack_name: str) -> Any:
        _refuse_what_is_there(type_, properties or {})
        judge(type_, "create", properties, {}, f"{stack_name}-{logical_id}-{secrets.token_hex(6).upper()}")
        return original_provision(type_, logical_id, properties, stack_name)

    def update(type_: str, name: str, old: Any, new: Any, *more: Any, **named: Any) -> Any:
        # Of what was imported, the template says how it shall be, and nobody has asked for that yet.
        before = {} if (get_account_id(), type_, name) in adopted else old
        # A replacement is a creation and a deletion. Where ministack makes it so, they are judged as such.
        if old != new and not provisioners._replacing_change(type_, old, new):
            if is_judged() and deployments.is_replaced(change_of(type_, "update", new, old, name)):
                judge(type_, "create", new, {}, name)
                if not provisioners._RETAIN_REPLACED.get():
                    judge(type_, "delete", old, old, name)
            else:
                judge(type_, "update", new, before, name)
        return original_update(type_, name, old, new, *more, **named)

    def delete(type_: str, name: str, properties: Any, *more: Any, **named: Any) -> Any:
        judge(type_, "delete", properties, properties, name)
        adopted.discard((get_account_id(), type_, name))
        return original_delete(type_, name, properties, *more, **named)

    def adopt(type_: str, identifier: Any) -> Any:
        judge(type_, "read", identifier, {}, str(next(iter(identifier.values()), "")))
        found = original_adopt(type_, identifier)
        adopted.add((get_account_id(), type_, found[0]))
        return found

    def resolve(properties: Any, *more: Any, **named: Any) -> Any:
        if is_judged():
            demand(deployments.needs_of_references(properties, "aws", get_region(), get_account_id()))
        return original_resolve(properties, *more, **named)

    def parameters(template: Any, given: Any, previous: Any = None, *more: Any, **named: Any) -> Any:
        if is_judged():
            before = {key: one["SsmName"] for key, one in (previous or {}).items() if "SsmName" in one}
            names = before | {one["Key"]: one["Value"] for one in given if one["Value"]}
            try:
                demand(deployments.needs_of_parameters(template, names, "aws", get_region(), get_account_id()))
            except PermissionError as refused:
                # What the operation answers, before there is anything to roll back.
                raise ValueError(str(refused)) from refused
        return original_parameters(template, given, previous, *more, **named)

    original_provision = replace(provisioners, "_provision_resource", provision)
    original_update = replace(provisioners, "_update_resource", update)
    original_delete = replace(provisioners, "_delete_resource", delete)
    original_adopt = replace(provisioners, "_import_resource", adopt)
    original_resolve = replace(stacks, "_resolve_dynamic_references", resolve)
    original_parameters = replace(engine, "_resolve_parameters", parameters)
    # They are imported by name.
    for name, new in (("_provision_resource", provision), ("_update_resource", update), ("_delete_resource", delete)):
        replace(stacks, name, new)
    for module in (stacks, changesets):
        replace(module, "_import_resource", adopt)
    for module in (handlers, changesets):
        replace(module, "_resolve_parameters", parameters)


def _refuse_what_is_there(type_: str, properties: dict[str, Any]) -> None:
    """Raise ValueError for a resource whose name is taken: ministack takes these over, where AWS refuses."""
    from ministack.services import cloudwatch_logs, dynamodb, iam, secretsmanager

    named = {
        "AWS::DynamoDB::Table": ("TableName", dynamodb._tables),
        "AWS::IAM::Role": ("RoleName", iam._roles),
        "AWS::Logs::LogGroup": ("LogGroupName", cloudwatch_logs._log_groups),
        "AWS::SecretsManager::Secret": ("Name", secretsmanager._secrets),
    }
    property_, known = named.get(type_, ("", {}))
    name = properties.get(property_) if property_ else None
    if name and name in known:
        raise ValueError(f"Resource of type '{type_}' with identifier '{name}' already exists.")


def _key_of(arn: str) -> str:
    """Return the ARN of the key that an alias stands for, which is what IAM judges by."""
    from ministack.services import kms

    found = kms._resolve_key(arn)
    return str(found["Arn"]) if found else arn


def deployers() -> None:
    """A stack operation acts in the name of its caller or, if the stack has a role, of that role, which it keeps.

    On AWS a stack that was given a role uses it in every later operation, whoever asks for it, and needs no
    `iam:PassRole` again. The role has to trust CloudFormation. DescribeStacks shows it.
    Unnecessary when ministack knows `RoleARN`.
    """
    from ministack.core import iam_evaluator
    from ministack.services import cloudformation
    from ministack.services.cloudformation import changesets, handlers, helpers

    def enforce(access_key_id: str, iam_action: str, service: str, *more: Any, **named: Any) -> Any:
        if service == "cloudformation":
            DEPLOYER.set(access_key_id or "")
        return original_enforce(access_key_id, iam_action, service, *more, **named)

    def with_role(operation: str, original: Callable[[dict[str, Any]], Response]) -> Callable[[Any], Response]:
        def handle(params: dict[str, Any]) -> Response:
            name, given = param(params, "StackName"), param(params, "RoleARN")
            if operation == "ExecuteChangeSet":
                _, change_set = changesets._find_change_set(param(params, "ChangeSetName"), name)
                name, given = (change_set or {}).get("StackName", name), (change_set or {}).get("RoleARN", "")
            stack = handlers._resolve_stack(name) or {}
            kept = stack.get("RoleARN", "") if stack.get("StackStatus") != "DELETE_COMPLETE" else ""
            role = given or ("" if operation == "CreateStack" else kept)
            before = DEPLOYER.get()
            if role:
                key = _session_of(role)
                if not key:
                    said = f"Role {role} is invalid or cannot be assumed"
                    refused: Response = helpers._error("ValidationError", said)
                    return refused
                DEPLOYER.set(key)
            answer = original(params)
            DEPLOYER.set(before)
            if answer[0] < 300 and role:
                if operation == "CreateChangeSet":
                    _, made = changesets._find_change_set(param(params, "ChangeSetName"), name)
                    made["RoleARN"] = role
                elif operation != "DeleteStack" and (found := handlers._resolve_stack(name)):
                    found["RoleARN"] = role
            return answer

        return handle

    def describe(params: dict[str, Any]) -> Response:
        status, headers, body = original_describe(params)
        text = body.decode() if isinstance(body, bytes) else body
        for stack in cloudformation._stacks.values():
            if role := stack.get("RoleARN"):
                known = f"<StackId>{stack['StackId']}</StackId>"
                text = text.replace(known, f"{known}<RoleARN>{role}</RoleARN>")
        return status, headers, text.encode()

    original_enforce = replace(iam_evaluator, "enforce", enforce)
    for operation in OPERATIONS:
        handlers._ACTION_HANDLERS[operation] = with_role(operation, handlers._ACTION_HANDLERS[operation])
    original_describe = handlers._ACTION_HANDLERS["DescribeStacks"]
    handlers._ACTION_HANDLERS["DescribeStacks"] = describe


def _session_of(role_arn: str) -> str:
    """Return the access key of a new session of a role that trusts CloudFormation, or the empty string."""
    from ministack.core.responses import get_account_id
    from ministack.services import iam, sts

    name = role_arn.rsplit("/", 1)[-1]
    role = iam._roles.get_scoped(get_account_id(), None, name)
    if not role or role["Arn"] != role_arn or not _trusts_cloudformation(role["AssumeRolePolicyDocument"]):
        return ""
    key = f"ASIA{secrets.token_hex(8).upper()}"
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{get_account_id()}:assumed-role/{name}/AWSCloudFormation",
            "UserId": f"{role['RoleId']}:AWSCloudFormation",
            "SecretAccessKey": secrets.token_hex(32),
            "SessionToken": secrets.token_hex(32),
        },
    )
    return key


def _trusts_cloudformation(document: Any) -> bool:
    trust = json.loads(document) if isinstance(document, str) else document
    statements = trust.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        services = (statement.get("Principal") or {}).get("Service", []) if statement.get("Effect") == "Allow" else []
        if "cloudformation.amazonaws.com" in (services if isinstance(services, list) else [services]):
            return True
    return False


def role_boundaries() -> None:
    """A role of a stack has the permissions boundary that its template says.

    ministack drops the property, so that a role within a boundary would be one without. A boundary, or a policy that is
    attached, has to exist.
    Unnecessary when ministack's provisioner of `AWS::IAM::Role` keeps `PermissionsBoundary` and knows its policies.
    """
    from ministack.services import iam
    from ministack.services.cloudformation import provisioners

    def check(properties: dict[str, Any]) -> str:
        boundary = str(properties.get("PermissionsBoundary") or "")
        for arn in filter(None, [*(properties.get("ManagedPolicyArns") or []), boundary]):
            if not iam._policy_exists(arn):
                raise ValueError(f"Policy {arn} does not exist or is not attachable.")
        return boundary

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        boundary = check(properties)
        made = original_create(logical_id, properties, stack_name)
        iam._roles[made[0]]["PermissionsBoundary"] = boundary
        return made

    def update(name: str, old: dict[str, Any], new: dict[str, Any], *more: Any, **named: Any) -> Any:
        boundary = check(new)
        updated = original_update(name, old, new, *more, **named)
        # What the template has not changed stays as it is, also where that is not what the template says.
        if updated[0] != name or old.get("PermissionsBoundary") != new.get("PermissionsBoundary"):
            iam._roles[updated[0]]["PermissionsBoundary"] = boundary
        return updated

    handlers = provisioners._RESOURCE_HANDLERS["AWS::IAM::Role"]
    original_create, original_update = handlers["create"], handlers["update"]
    handlers |= {"create": create, "update": update}


def bucket_tags() -> None:
    """A bucket of a stack has the tags of its template.

    ministack drops them. CDK's function that empties a bucket looks for one before it deletes anything.
    Unnecessary when ministack's provisioner of `AWS::S3::Bucket` keeps `Tags`.
    """
    from ministack.services import s3
    from ministack.services.cloudformation import provisioners

    def tagged(made: Any, properties: dict[str, Any]) -> Any:
        s3._bucket_tags[made[0]] = {tag["Key"]: tag["Value"] for tag in properties.get("Tags") or []}
        return made

    def create(logical_id: str, properties: dict[str, Any], *more: Any, **named: Any) -> Any:
        return tagged(original_create(logical_id, properties, *more, **named), properties)

    def update(name: str, old: dict[str, Any], new: dict[str, Any], *more: Any, **named: Any) -> Any:
        return tagged(original_update(name, old, new, *more, **named), new)

    handlers = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    original_create, original_update = handlers["create"], handlers["update"]
    handlers |= {"create": create, "update": update}


def oidc_providers() -> None:
    """A stack can have an identity provider: `AWS::IAM::OIDCProvider`.

    ministack does not know the type, and refuses the template of a hub for GitHub. An account has one provider of a
    URL: a second one is refused, whoever has made the first.
    Unnecessary when ministack's provisioners know the type.
    """
    from ministack.services import iam
    from ministack.services.cloudformation import provisioners

    def create(_logical_id: str, properties: dict[str, Any], _stack_name: str) -> Any:
        lists = {"ClientIDList": properties.get("ClientIdList"), "ThumbprintList": properties.get("ThumbprintList")}
        members = {
            f"{name}.member.{i}": [value] for name, values in lists.items() for i, value in enumerate(values or [], 1)
        }
        answer = iam._create_oidc_provider({"Url": [properties["Url"]], **members})
        if answer[0] >= 400:
            raise ValueError(f"EntityAlreadyExistsException: Provider with url {properties['Url']} already exists.")
        arn = f"arn:aws:iam::{iam.get_account_id()}:oidc-provider/{properties['Url'].removeprefix('https://')}"
        return arn, {"Arn": arn}

    def update(arn: str, old: dict[str, Any], new: dict[str, Any], stack_name: str) -> Any:
        if old["Url"] != new["Url"]:
            return create("", new, stack_name)
        iam._oidc_providers[arn]["ClientIDList"] = list(new.get("ClientIdList") or [])
        return arn, {"Arn": arn}

    def delete(arn: str, _properties: dict[str, Any]) -> None:
        iam._oidc_providers.pop(arn, None)

    provisioners._RESOURCE_HANDLERS["AWS::IAM::OIDCProvider"] = {"create": create, "update": update, "delete": delete}


PATCHES: Final[tuple[Callable[[], None], ...]] = (
    oidc_providers,
    resources_are_judged,
    deployers,
    role_boundaries,
    bucket_tags,
)
