"""What CloudFormation needs of IAM to create, update or delete a resource.

CloudFormation calls each service with the rights of whoever deploys, so a deployment needs the permissions of every
resource that it changes. cfn-lint ships AWS's schemas of the resource types; their `handlers` list the permissions of
each operation, as an upper bound over all properties. Of them, these are judged here:

- those of the service of the type that are about the resource itself, or about a property that is set (create), that
  was set (delete) or that differs (update). What an action is about is told by its name: `PutBucketVersioning` is about
  the property `VersioningConfiguration` of a bucket. If none of them writes, all writes of the service are needed.
- for create and update, those of other services that a property causes: `iam:PassRole` for a role, `kms:…` for a key,
  `s3:GetObject` for code in a bucket, and what has the name of a property.

Actions that AWS does not document are left out. IAM's types are judged call by call, as their handlers make the calls.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

Properties = dict[str, Any]

READS: Final = frozenset({"Read", "List"})
TAGGING: Final = re.compile(r"(Untag|Tag|(Create|Delete|Remove|Add)Tags|.*Tagging$)")
GENERIC: Final = frozenset(
    {"attribute", "attributes", "config", "configuration", "document", "resource", "settings", "specification"}
)
"""Words of names that do not say what a name is about."""

UNDOING: Final = re.compile(
    r"(Cancel|Delete|Deregister|Detach|Disable|Disassociate|Release|Reboot|Remove|Replace|Revoke|Schedule|Stop|Terminate|Un)"
)
"""How the names of actions begin that a creation does not need: they are for its rollback, or for other properties."""

STEM: Final = 6
"""Words are equal whose first letters are, so many of them: `Concurrency` and `ConcurrentExecutions`."""

ABOUT: Final[dict[str, tuple[str, ...]]] = {
    "dynamodb:UpdateContinuousBackups": ("PointInTimeRecoverySpecification",),
    "kms:DisableKey": ("Enabled",),
    "kms:EnableKey": ("Enabled",),
    "lambda:UpdateFunctionCode": ("Code",),
    "logs:AssociateKmsKey": ("KmsKeyId",),
    "logs:DisassociateKmsKey": ("KmsKeyId",),
    "logs:PutRetentionPolicy": ("RetentionInDays",),
    "logs:DeleteRetentionPolicy": ("RetentionInDays",),
    "s3:PutBucketAcl": ("AccessControl",),
}
"""The properties that an action is about, where its name does not tell."""

PASSED_TO: Final = {
    "AWS::AutoScaling": "ec2",
    "AWS::ECS": "ecs-tasks",
    "AWS::KinesisAnalyticsV2": "kinesisanalytics",
    "AWS::StepFunctions": "states",
}
"""The service that a role is passed to, where it is not the one that the type is named after."""

NAMESPACES: Final = {
    "AWS::CertificateManager": "acm",
    "AWS::Cognito": "cognito-idp",
    "AWS::DocDB": "rds",
    "AWS::ElasticLoadBalancingV2": "elasticloadbalancing",
    "AWS::EMR": "elasticmapreduce",
    "AWS::KinesisAnalyticsV2": "kinesisanalytics",
    "AWS::KinesisFirehose": "firehose",
    "AWS::OpenSearchService": "es",
    "AWS::StepFunctions": "states",
}
"""IAM's name of a service, where it is not the one in the type's name."""

WITHOUT_HANDLERS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "AWS::CDK::Metadata": {},
    "AWS::CloudFormation::WaitCondition": {},
    "AWS::CloudFormation::WaitConditionHandle": {},
    "AWS::CodeBuild::Project": {
        "create": ("codebuild:CreateProject", "iam:PassRole"),
        "update": ("codebuild:UpdateProject", "iam:PassRole"),
        "delete": ("codebuild:DeleteProject",),
    },
    "AWS::DocDB::DBCluster": {
        "create": ("rds:CreateDBCluster",),
        "update": ("rds:ModifyDBCluster",),
        "delete": ("rds:DeleteDBCluster",),
    },
    "AWS::DocDB::DBInstance": {
        "create": ("rds:CreateDBInstance",),
        "update": ("rds:ModifyDBInstance",),
        "delete": ("rds:DeleteDBInstance",),
    },
    "AWS::KinesisAnalyticsV2::ApplicationCloudWatchLoggingOption": {
        "create": ("kinesisanalytics:AddApplicationCloudWatchLoggingOption",),
        "update": ("kinesisanalytics:UpdateApplication",),
        "delete": ("kinesisanalytics:DeleteApplicationCloudWatchLoggingOption",),
    },
}
"""Types whose schemas have no handlers. A type that is missing here, too, needs `service:CreateType` and the like."""

ROLE_ARN: Final = re.compile(r"arn:[^:]+:iam::\d{12}:role/.+")
KEY: Final = re.compile(r"arn:[^:]+:kms:.+|alias/.+|[0-9a-f]{8}-[0-9a-f-]{27}|mrk-[0-9a-f]{32}")


@dataclass(frozen=True)
class Need:
    """A permission: an action on a resource, and what else IAM knows about the request."""

    action: str
    resource: str
    context: Properties = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Roles:
    """What is known of IAM in the account, by name."""

    roles: dict[str, Properties]
    """`Arn`, and `PermissionsBoundary` if there is one."""
    profiles: dict[str, Properties]
    """`Arn`, and the names of the `Roles` in it."""

    def named(self, name: str) -> Properties | None:
        """Return a role, given by its name or ARN."""
        return self.roles.get(name.rsplit("/", 1)[-1])

    def in_profile(self, profile: str) -> list[str]:
        """Return the ARNs of the roles in an instance profile, given by its name or ARN."""
        known = self.profiles.get(profile.rsplit("/", 1)[-1]) or {}
        return [role["Arn"] for role in map(self.named, known.get("Roles", [])) if role]


@dataclass(frozen=True)
class Change:
    """An operation on a resource: `create`, `update`, `delete` or `read`, and where."""

    type: str
    operation: str
    properties: Properties
    previous: Properties
    name: str
    """The physical id, or what the resource is going to be called when it has no name in its properties."""
    partition: str
    region: str
    account: str

    @property
    def service(self) -> str:
        """The service in the type's name, such as `AWS::Lambda`."""
        return self.type.rsplit("::", 1)[0]

    @property
    def namespace(self) -> str:
        """IAM's name of the service."""
        return NAMESPACES.get(self.service, self.service.rsplit("::", 1)[-1].lower())

    def concerns(self, name: str) -> bool:
        """Tell whether the operation has something to do with a property: with its value, or with the change of it."""
        if self.operation == "update":
            return bool(self.properties.get(name) != self.previous.get(name))
        return name in self.properties


DYNAMIC: Final = re.compile(
    r"\{\{resolve:(?P<service>secretsmanager|ssm-secure|ssm):(?P<name>arn:[^}]*?:secret:[^:}]+|[^:}]+)"
)


def needs_of_references(properties: Any, partition: str, region: str, account: str) -> Iterator[Need]:
    """Yield what the dynamic references in properties need: reading the secrets and parameters that they name."""
    for _, text in _members({"": properties}):
        for found in DYNAMIC.finditer(text) if isinstance(text, str) else ():
            name = found["name"]
            if found["service"] == "secretsmanager":
                arn = f"arn:{partition}:secretsmanager:{region}:{account}:secret:{name}"
                yield Need("secretsmanager:GetSecretValue", name if name.startswith("arn:") else arn)
            else:
                yield Need("ssm:GetParameters", _parameter_arn(name, partition, region, account))


SSM_VALUE: Final = "AWS::SSM::Parameter::Value<"


def needs_of_parameters(
    template: Properties, given: dict[str, str], partition: str, region: str, account: str
) -> Iterator[Need]:
    """Yield what the parameters of a template need whose values are those of Systems Manager parameters."""
    for name, parameter in (template.get("Parameters") or {}).items():
        named = given.get(name) or parameter.get("Default")
        if named and str(parameter.get("Type", "")).startswith(SSM_VALUE):
            yield Need("ssm:GetParameters", _parameter_arn(str(named), partition, region, account))


def _parameter_arn(name: str, partition: str, region: str, account: str) -> str:
    return f"arn:{partition}:ssm:{region}:{account}:parameter/{name.lstrip('/')}"


def is_replaced(change: Change) -> bool:
    """Tell whether an update makes another resource, because a property differs that cannot be changed."""
    fixed = _schema(change.region, change.type).get("createOnlyProperties") or []
    return any(change.concerns(path.split("/")[2]) for path in fixed if path.count("/") >= 2)


def needs(change: Change, known: Roles) -> Iterator[Need]:
    """Yield the permissions that an operation needs, none of them twice."""
    if change.type.startswith("Custom::") or change.type == "AWS::CloudFormation::CustomResource":
        yield from _custom_resource(change)
    elif change.type in IAM_TYPES:
        yield from dict.fromkeys(IAM_TYPES[change.type](change, known))
    else:
        yield from dict.fromkeys(_of_handlers(change, known))


def _custom_resource(change: Change) -> Iterator[Need]:
    token = str(change.properties.get("ServiceToken", ""))
    yield Need("sns:Publish" if ":sns:" in token else "lambda:InvokeFunction", token)


# The schemas


@cache
def _schema(region: str, resource_type: str) -> Properties:
    from cfnlint.schema import ResourceNotFoundError
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    try:
        return dict(PROVIDER_SCHEMA_MANAGER.get_resource_schema(region, resource_type).schema)
    except ResourceNotFoundError:
        return {}


@cache
def _documented(action: str) -> tuple[Properties, ...]:
    """Return what AWS documents about an action, once for each kind of resource that it takes."""
    from policy_sentry.querying.actions import get_action_data

    namespace, _, name = action.partition(":")
    found = get_action_data(namespace, name)
    return tuple(found.get(namespace, ())) if found else ()


def _permissions(change: Change) -> list[str]:
    handlers = _schema(change.region, change.type).get("handlers") or {}
    if handlers:
        listed: Iterable[str] = (handlers.get(change.operation) or {}).get("permissions", ())
    elif change.type in WITHOUT_HANDLERS:
        listed = WITHOUT_HANDLERS[change.type].get(change.operation, ())
    else:
        # Nothing is known of the type. Somebody who may do everything in its service may do it.
        return [f"{change.namespace}:{change.operation.capitalize()}{change.type.rsplit('::', 1)[-1]}"]
    return [action for action in dict.fromkeys(listed) if _documented(action)]


def _of_handlers(change: Change, known: Roles) -> Iterator[Need]:
    permissions = _permissions(change)
    namespace = _own_namespace(change, permissions)
    own = [action for action in permissions if action.startswith(f"{namespace}:") and not _is_undone(action, change)]
    judged = [action for action in own if _is_needed(action, change)]
    # What only tags makes and ends nothing, but may be all that an update does.
    writing = [
        action for action in judged if _writes(action) and (change.operation == "update" or not _tags_only(action))
    ]
    if change.operation != "read" and not writing:
        judged = [action for action in own if action in judged or _may_be_meant(action, change)]
    for action in judged:
        for resource in _resources(action, change):
            yield Need(action, resource, _tags(action, change))
    if change.operation not in ("create", "update"):
        return
    changed = {name: value for name, value in change.properties.items() if change.concerns(name)}
    for action in permissions:
        if action.startswith(f"{namespace}:"):
            continue
        if action in ("iam:PassRole", "iam:GetRole", "iam:ListAttachedRolePolicies"):
            passed_to = {"iam:PassedToService": _passed_to(change)} if action == "iam:PassRole" else {}
            for role in _passed_roles(changed, known):
                yield Need(action, role, passed_to)
        elif action.startswith("kms:"):
            for key in _keys(changed):
                yield Need(action, _key_arn(key, change))
        elif action in ("s3:GetObject", "s3:GetObjectVersion"):
            versioned = action.endswith("Version")
            yield from (Need(action, arn) for arn in _objects(changed, change.partition, versioned=versioned))
        elif _names_any(action, changed):
            yield Need(action, "*")


def _own_namespace(change: Change, permissions: list[str]) -> str:
    """IAM's name of the type's service: the type's own, or else what most of its permissions begin with."""
    namespaces = [action.partition(":")[0] for action in permissions]
    wanted = change.namespace.replace("-", "")
    own = [namespace for namespace in namespaces if namespace.replace("-", "") == wanted]
    return max(dict.fromkeys(own or namespaces), key=namespaces.count, default=change.namespace)


def _is_undone(action: str, change: Change) -> bool:
    return change.operation == "create" and bool(UNDOING.match(action.partition(":")[2]))


def _may_be_meant(action: str, change: Change) -> bool:
    """Tell whether an action is one of those that are needed when no name tells which."""
    undoes = change.operation == "update" and UNDOING.match(action.partition(":")[2])
    return _writes(action) and not _tags_only(action) and not undoes


def _tags_only(action: str) -> bool:
    name = action.partition(":")[2]
    return bool(TAGGING.match(name) or TAGGING.match(name.removeprefix("Put")))


def _writes(action: str) -> bool:
    return not any(found["access_level"] in READS for found in _documented(action))


def _is_needed(action: str, change: Change) -> bool:
    name = action.partition(":")[2]
    if action in ABOUT:
        return any(map(change.concerns, ABOUT[action]))
    tagging = _schema(change.region, change.type).get("tagging") or {}
    if _tags_only(action):
        property_ = str(tagging.get("tagProperty", "/properties/Tags")).rpartition("/")[2]
        removes = name.startswith(("Untag", "Delete", "Remove"))
        if removes:
            return change.operation == "update" and change.concerns(property_)
        # What a template does not tag, CloudFormation tags with the stack's name, where it can.
        by_itself = change.operation == "create" and bool(tagging.get("cloudFormationSystemTags"))
        return by_itself or (change.operation != "delete" and change.concerns(property_))
    about = _words(name)[1:]
    itself = _words(change.type.rsplit("::", 1)[-1])
    rest = [word for word in about if word not in GENERIC]
    if not rest or _same(rest, itself):
        # An update ends no resource: what would is for a part of it.
        return not (change.operation == "update" and UNDOING.match(name))
    named = _property_named(rest, itself, change)
    if named:
        return change.concerns(named)
    # `UpdateTable`, `ModifyDBInstance`, `DescribeDBInstances`: about the resource, whatever else they are called.
    return len(rest) <= len(itself) and _same(rest, itself[-len(rest) :])


def _property_named(words: list[str], itself: list[str], change: Change) -> str | None:
    """Return the property that an action is about, by its words: all of them stand in the property's name."""
    known = _schema(change.region, change.type).get("properties") or {}
    without_type = [word for word in words if not any(_alike(word, own) for own in itself)]
    for wanted in filter(None, (words, without_type)):
        for name in known:
            if all(any(_alike(word, other) for other in _words(name)) for word in wanted):
                return str(name)
    return None


@cache
def _words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*|[a-z0-9]+", name)]


def _alike(one: str, other: str) -> bool:
    return one.rstrip("s") == other.rstrip("s") or (
        len(one) >= STEM and len(other) >= STEM and one[:STEM] == other[:STEM]
    )


def _same(some: list[str], others: list[str]) -> bool:
    return len(some) == len(others) and all(map(_alike, some, others))


def _names_any(action: str, properties: Properties) -> bool:
    about = [word for word in _words(action.partition(":")[2])[1:] if word not in GENERIC]
    names = [_words(name) for name, _ in _members(properties)]
    return bool(about) and any(
        all(any(_alike(word, other) for other in name) for word in about) for name in names if name
    )


# What properties name


def _members(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value below, with the name that it has."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key), item
            yield from _members(item, str(key))
    elif isinstance(value, list):
        for item in value:
            if not isinstance(item, dict | list):
                yield name, item
            yield from _members(item, name)


def _passed_roles(properties: Properties, known: Roles) -> Iterator[str]:
    for name, value in _members(properties):
        if not isinstance(value, str):
            continue
        lower = name.lower()
        if "instanceprofile" in lower or lower == "jobflowrole":
            yield from known.in_profile(value)
        elif "role" in lower and ROLE_ARN.fullmatch(value):
            yield value
        elif "role" in lower and (role := known.named(value)):
            yield role["Arn"]


def _passed_to(change: Change) -> str:
    return f"{PASSED_TO.get(change.service, change.service.rsplit('::', 1)[-1].lower())}.amazonaws.com"


def _keys(properties: Properties) -> Iterator[str]:
    for name, value in _members(properties):
        if isinstance(value, str) and ("kms" in name.lower() or "key" in name.lower()) and KEY.fullmatch(value):
            yield value


def _key_arn(key: str, change: Change) -> str:
    if key.startswith("arn:"):
        return key
    kind = key if key.startswith("alias/") else f"key/{key}"
    return f"arn:{change.partition}:kms:{change.region}:{change.account}:{kind}"


def _objects(value: Any, partition: str, *, versioned: bool) -> Iterator[str]:
    """Yield the ARNs of the objects that are named by bucket and key, of those with a version or of the others."""
    if isinstance(value, dict):
        members = {name.lower().removeprefix("s3"): item for name, item in value.items()}
        bucket, key = members.get("bucket"), members.get("key")
        has_version = any(name.endswith("version") for name in members)
        if isinstance(bucket, str) and isinstance(key, str) and versioned == has_version:
            yield f"arn:{partition}:s3:::{bucket}/{key}"
        for item in value.values():
            yield from _objects(item, partition, versioned=versioned)
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item, partition, versioned=versioned)


# What an action is judged on


def _resources(action: str, change: Change) -> list[str]:
    """Return the ARNs that an action is judged on; `*` stands for what is not known."""
    documented = _documented(action)
    formats = [found["resource_arn_format"] for found in documented if found["resource_arn_format"] != "*"]
    if not formats:
        return ["*"]
    if change.operation in ("update", "delete", "read") and change.name.startswith("arn:"):
        return [change.name]
    itself = _words(change.type.rsplit("::", 1)[-1])
    candidates = []
    for number, pattern in enumerate(formats):
        filled = _fill(pattern, change)
        is_it = _kind(pattern).rstrip("s") == "".join(itself)
        related = sum(word in pattern.lower() for word in itself)
        candidates.append(((not is_it, -related, min(arn.count("*") for arn in filled), number), filled))
    return min(candidates, key=lambda candidate: candidate[0])[1]


def _kind(pattern: str) -> str:
    """Return the kind of resource that a documented ARN is of: `vpc` of `arn:…:vpc/${VpcId}`, in letters alone."""
    return re.sub("[^a-z]", "", re.split(r"(?<=\w)[/:]|\$\{(?!Part|Reg|Acc)", pattern.split(":", 5)[-1])[0].lower())


def _fill(pattern: str, change: Change) -> list[str]:
    """Return the ARNs of a documented pattern, such as `arn:${Partition}:sqs:${Region}:${Account}:${QueueName}`."""
    # The id of a stack is not known, its name is.
    pattern = pattern.replace("stack/${StackName}/${Id}", "stack/${StackName}/*")
    where = {"Partition": change.partition, "Region": change.region, "Account": change.account}
    arn = re.sub(r"\$\{(Partition|Region|Account)\}", lambda found: where[found[1]], pattern)
    arns = [arn]
    placeholders = re.findall(r"\$\{(\w+)\}", arn)
    for number, placeholder in enumerate(placeholders):
        values = _named_by(placeholder, _kind(pattern), change)
        if any(value.startswith("arn:") for value in values):
            return [value for value in values if value.startswith("arn:")]
        if not values and number == len(placeholders) - 1 and not _is_of_another(placeholder, change):
            values = [_last_part(change.name)]
        arns = [arn.replace(f"${{{placeholder}}}", value.lstrip("/")) for arn in arns for value in values or ["*"]]
    return arns


def _named_by(placeholder: str, kind: str, change: Change) -> list[str]:
    """Return what a property says in the place of `TableName`, `BucketName`, …: its name, its ARN, a list of them."""
    base = placeholder.removesuffix("WithoutLeadingSlash").removesuffix("Name").removesuffix("Id")
    names = [placeholder, base, f"{base}Arn", f"{base}s", f"{base}Id", f"{base}Name", f"{base}Url", f"Target{base}Arn"]
    # `hostedzone/${Id}` is what the property HostedZoneId says.
    names += [name for name in change.properties if not base and name.lower() == f"{kind}{placeholder.lower()}"]
    names += [] if _is_of_another(placeholder, change) else ["Name"]
    for name in names:
        value = change.properties.get(name)
        values = value if isinstance(value, list) else [value]
        if found := [_last_part(text) for text in values if isinstance(text, str) and text]:
            return found
    return []


def _is_of_another(placeholder: str, change: Change) -> bool:
    """Tell whether a placeholder names another thing than the resource, such as the function of a permission."""
    itself = _words(change.type.rsplit("::", 1)[-1])
    return not any(_alike(word, own) for word in _words(placeholder) for own in [*itself, "name", "id"])


def _last_part(name: str) -> str:
    """Return a physical id as it stands in an ARN: of a URL, its last part."""
    return name.rstrip("/").rsplit("/", 1)[-1] if name.startswith(("http://", "https://")) else name


def _tags(action: str, change: Change) -> Properties:
    """Return the tags that a request sets, by the keys that IAM knows them by. What is documented of them has gaps."""
    if not _writes(action):
        return {}
    tagging = _schema(change.region, change.type).get("tagging") or {}
    return tag_context(change.properties.get(str(tagging.get("tagProperty", "/Tags")).rpartition("/")[2]))


def without_system_tags(properties: Properties) -> Properties:
    """Return the properties without the tags by which CloudFormation marks what is a stack's, nor then empty lists."""

    def own(tags: Any) -> Any:
        if isinstance(tags, list):
            return [tag for tag in tags if not (isinstance(tag, dict) and str(tag.get("Key")).startswith("aws:"))]
        if isinstance(tags, dict):
            return {key: value for key, value in tags.items() if not key.startswith("aws:")}
        return tags

    tagged = {name: own(value) if "Tags" in name else value for name, value in properties.items()}
    return {name: value for name, value in tagged.items() if value or "Tags" not in name}


def tag_context(tags: Any) -> Properties:
    """Return the condition keys of tags that a request sets: a list of keys and values, or a map."""
    if isinstance(tags, list):
        tags = {tag["Key"]: tag.get("Value", "") for tag in tags if isinstance(tag, dict) and "Key" in tag}
    if not isinstance(tags, dict) or not tags:
        return {}
    return {f"aws:RequestTag/{key}": str(value) for key, value in tags.items()} | {"aws:TagKeys": list(map(str, tags))}


# IAM's own types


def _boundary(arn: Any) -> Properties:
    return {"iam:PermissionsBoundary": arn} if arn else {}


def _path(properties: Properties) -> str:
    return str(properties.get("Path") or "/")


def _new_name(change: Change, property_: str) -> str:
    return str(change.properties.get(property_) or change.name)


def _names(policies: Any) -> dict[str, str]:
    """Return inline policies by name, as text that can be compared."""
    listed = policies if isinstance(policies, list) else []
    return {str(policy.get("PolicyName")): json.dumps(policy, sort_keys=True) for policy in listed}


def _role(change: Change, known: Roles) -> Iterator[Need]:
    new, old = change.properties, change.previous
    found = known.named(change.name) if change.operation != "create" else None
    name = _new_name(change, "RoleName")
    arn = str(found["Arn"]) if found else f"arn:{change.partition}:iam::{change.account}:role{_path(new)}{name}"
    has = _boundary(
        new.get("PermissionsBoundary") if change.operation == "create" else (found or {}).get("PermissionsBoundary")
    )
    inline, attached = _names(new.get("Policies")), list(new.get("ManagedPolicyArns") or [])
    if change.operation == "create":
        yield Need("iam:CreateRole", arn, has | tag_context(new.get("Tags")))
        yield Need("iam:GetRole", arn)
        yield from _policies_of(arn, has, put=inline, attach=attached)
    elif change.operation == "delete":
        for action in ("iam:GetRole", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies"):
            yield Need(action, arn)
        yield from _policies_of(arn, has, delete=inline, detach=attached)
        yield Need("iam:DeleteRole", arn)
    elif change.operation == "read":
        yield Need("iam:GetRole", arn)
    else:
        if change.concerns("PermissionsBoundary"):
            wanted = new.get("PermissionsBoundary")
            yield Need(
                "iam:PutRolePermissionsBoundary" if wanted else "iam:DeleteRolePermissionsBoundary",
                arn,
                _boundary(wanted) or has,
            )
            has = _boundary(wanted) or has
        if change.concerns("AssumeRolePolicyDocument"):
            yield Need("iam:UpdateAssumeRolePolicy", arn)
        if change.concerns("MaxSessionDuration"):
            yield Need("iam:UpdateRole", arn)
        if change.concerns("Description"):
            yield Need("iam:UpdateRoleDescription", arn)
        before, attached_before = _names(old.get("Policies")), list(old.get("ManagedPolicyArns") or [])
        yield from _policies_of(
            arn,
            has,
            put=[name for name, text in inline.items() if before.get(name) != text],
            delete=before.keys() - inline.keys(),
            attach=[policy for policy in attached if policy not in attached_before],
            detach=[policy for policy in attached_before if policy not in attached],
        )
        yield from _retag("iam", "Role", arn, change)


def _policies_of(
    role: str,
    boundary: Properties,
    *,
    put: Iterable[str] = (),
    delete: Iterable[str] = (),
    attach: Iterable[str] = (),
    detach: Iterable[str] = (),
) -> Iterator[Need]:
    yield from (Need("iam:PutRolePolicy", role, boundary) for _ in put)
    yield from (Need("iam:DeleteRolePolicy", role, boundary) for _ in delete)
    yield from (Need("iam:AttachRolePolicy", role, boundary | {"iam:PolicyARN": policy}) for policy in attach)
    yield from (Need("iam:DetachRolePolicy", role, boundary | {"iam:PolicyARN": policy}) for policy in detach)


def _retag(namespace: str, noun: str, arn: str, change: Change) -> Iterator[Need]:
    if change.concerns("Tags"):
        if change.properties.get("Tags"):
            yield Need(f"{namespace}:Tag{noun}", arn, tag_context(change.properties["Tags"]))
        if change.previous.get("Tags"):
            yield Need(f"{namespace}:Untag{noun}", arn, tag_context(change.previous["Tags"]))


HOLDERS: Final = (("Roles", "Role", "role"), ("Users", "User", "user"), ("Groups", "Group", "group"))
"""Who can have a policy: the property that names them, IAM's word in actions, and that in ARNs."""


def _holders(properties: Properties, change: Change, known: Roles) -> Iterator[tuple[str, str, Properties]]:
    """Yield IAM's word, the ARN and the boundary of each principal that a policy is given to."""
    for property_, noun, kind in HOLDERS:
        for name in properties.get(property_) or []:
            role = known.named(name) if kind == "role" else None
            arn = role["Arn"] if role else f"arn:{change.partition}:iam::{change.account}:{kind}/{name}"
            yield noun, arn, _boundary((role or {}).get("PermissionsBoundary"))


def _inline_policy(change: Change, known: Roles) -> Iterator[Need]:
    holders = list(_holders(change.properties, change, known))
    verb = "Delete" if change.operation == "delete" else "Get" if change.operation == "read" else "Put"
    yield from (Need(f"iam:{verb}{noun}Policy", arn, boundary) for noun, arn, boundary in holders)
    if change.operation == "update":
        for noun, arn, boundary in _holders(change.previous, change, known):
            if (noun, arn, boundary) not in holders:
                yield Need(f"iam:Delete{noun}Policy", arn, boundary)


def _managed_policy(change: Change, known: Roles) -> Iterator[Need]:
    name = _new_name(change, "ManagedPolicyName")
    arn = f"arn:{change.partition}:iam::{change.account}:policy{_path(change.properties)}{name}"
    if change.operation != "create" and change.name.startswith("arn:"):
        arn = change.name
    policy = {"iam:PolicyARN": arn}
    now = list(_holders(change.properties, change, known))
    if change.operation == "create":
        yield Need("iam:CreatePolicy", arn)
        yield from (Need(f"iam:Attach{noun}Policy", holder, boundary | policy) for noun, holder, boundary in now)
    elif change.operation == "delete":
        yield from (Need(f"iam:Detach{noun}Policy", holder, boundary | policy) for noun, holder, boundary in now)
        yield Need("iam:ListPolicyVersions", arn)
        yield Need("iam:DeletePolicy", arn)
    elif change.operation == "read":
        yield Need("iam:GetPolicy", arn)
    else:
        before = list(_holders(change.previous, change, known))
        if change.concerns("PolicyDocument"):
            yield Need("iam:ListPolicyVersions", arn)
            yield Need("iam:CreatePolicyVersion", arn)
        for noun, holder, boundary in now:
            if (noun, holder, boundary) not in before:
                yield Need(f"iam:Attach{noun}Policy", holder, boundary | policy)
        for noun, holder, boundary in before:
            if (noun, holder, boundary) not in now:
                yield Need(f"iam:Detach{noun}Policy", holder, boundary | policy)


def _instance_profile(change: Change, known: Roles) -> Iterator[Need]:
    name = _new_name(change, "InstanceProfileName")
    found = known.profiles.get(change.name.rsplit("/", 1)[-1]) if change.operation != "create" else None
    made = f"arn:{change.partition}:iam::{change.account}:instance-profile{_path(change.properties)}{name}"
    arn = str(found["Arn"]) if found else made
    roles = [role["Arn"] for role in map(known.named, change.properties.get("Roles") or []) if role]
    if change.operation == "create":
        yield Need("iam:CreateInstanceProfile", arn)
    if change.operation in ("update", "delete") and (change.previous.get("Roles") or change.operation == "delete"):
        yield Need("iam:RemoveRoleFromInstanceProfile", arn)
    if change.operation in ("create", "update"):
        for role in roles:
            yield Need("iam:AddRoleToInstanceProfile", arn)
            yield Need("iam:PassRole", role, {"iam:PassedToService": "ec2.amazonaws.com"})
    yield Need("iam:DeleteInstanceProfile" if change.operation == "delete" else "iam:GetInstanceProfile", arn)


IAM_TYPES: Final = {
    "AWS::IAM::InstanceProfile": _instance_profile,
    "AWS::IAM::ManagedPolicy": _managed_policy,
    "AWS::IAM::Policy": _inline_policy,
    "AWS::IAM::Role": _role,
    "AWS::IAM::RolePolicy": lambda change, known: _inline_policy(_of_one("RoleName", "Roles", change), known),
}


def _of_one(property_: str, holders: str, change: Change) -> Change:
    """Return the change of a policy of one principal as that of a policy of many."""

    def many(properties: Properties) -> Properties:
        return properties | {holders: [properties[property_]] if property_ in properties else []}

    return replace(change, properties=many(change.properties), previous=many(change.previous))
