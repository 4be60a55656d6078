"""Patches of STS: AssumeRole, what a session carries, and when its credentials stop working."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from daypass_local.patches.iam import find_role
from daypass_local.patches.tools import Response, invalid_tags, members, param, query_error, replace
from daypass_local.settings import SETTINGS

CHAINED_SESSION_SECONDS: Final = 3_600
LONGEST_SESSION_SECONDS: Final = 43_200
NAME_PATTERN: Final = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)

Tag = dict[str, str]


class RefusedError(Exception):
    """AssumeRole is refused."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.answer: Response = query_error(status, code, message, "sts")


@dataclass(frozen=True)
class AssumeRole:
    """An AssumeRole request, together with what the caller's own session hands down to the new one."""

    role_arn: str
    session_name: str
    duration_seconds: int | None
    external_id: str | None
    source_identity: str | None
    tags: list[Tag]
    transitive_keys: list[str]
    session_policies: dict[str, Any]
    inherited_source_identity: str | None
    inherited_tags: list[Tag]

    @property
    def account(self) -> str:
        """The account of the role."""
        return self.role_arn.split(":")[4]

    @classmethod
    def parse(cls, params: dict[str, Any], caller_session: dict[str, Any]) -> "AssumeRole":
        """Read the request and check everything that AWS checks before it looks at the role."""
        from ministack.services import sts

        role_arn, session_name = param(params, "RoleArn"), param(params, "RoleSessionName")
        _, invalid = sts._assumed_role_arn(role_arn, session_name)
        if invalid:
            raise RefusedError("ValidationError", f"{role_arn} is invalid")
        source_identity = param(params, "SourceIdentity") or None
        for field, value in (("roleSessionName", session_name), ("sourceIdentity", source_identity)):
            if value is not None and not NAME_PATTERN.fullmatch(value):
                raise RefusedError(
                    "ValidationError",
                    f"1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: "
                    "Member must satisfy regular expression pattern: [\\w+=,.@-]* and have 2 to 64 characters",
                )
        duration = param(params, "DurationSeconds")
        if duration and not SETTINGS.minimum_session_seconds <= int(duration) <= LONGEST_SESSION_SECONDS:
            raise RefusedError(
                "ValidationError",
                f"1 validation error detected: Value '{duration}' at 'durationSeconds' failed to satisfy constraint: "
                f"Member must have value between {SETTINGS.minimum_session_seconds} and {LONGEST_SESSION_SECONDS}",
            )
        policies, invalid = sts._session_policies(params, role_arn.split(":")[4])
        if invalid:
            raise AnsweredError(invalid)
        tags, invalid = sts._session_tags(params)
        if invalid:
            raise AnsweredError(invalid)
        request = cls(
            role_arn=role_arn,
            session_name=session_name,
            duration_seconds=int(duration) if duration else None,
            external_id=param(params, "ExternalId") or None,
            source_identity=source_identity,
            tags=tags,
            transitive_keys=members(params, "TransitiveTagKeys"),
            session_policies=policies,
            inherited_source_identity=caller_session.get("SourceIdentity"),
            inherited_tags=_transitive_tags(caller_session),
        )
        request._check_tags()
        if source_identity and request.inherited_source_identity not in (None, source_identity):
            raise RefusedError("AccessDenied", "The SourceIdentity of a session cannot be changed.", 403)
        return request

    def _check_tags(self) -> None:
        keys = {tag["Key"].lower() for tag in self.tags}
        invalid = invalid_tags([*self.tags, *self.inherited_tags])
        if invalid:
            raise RefusedError("ValidationError", f"1 validation error detected: {invalid}")
        if not {key.lower() for key in self.transitive_keys} <= keys:
            raise RefusedError("InvalidParameterValue", "Each transitive tag key must be the key of a session tag.")
        fixed = keys & {tag["Key"].lower() for tag in self.inherited_tags}
        if fixed:
            raise RefusedError(
                "InvalidParameterValue",
                f"A transitive tag of the calling session cannot be overridden: {', '.join(sorted(fixed))}",
            )

    def actions(self) -> list[str]:
        """Return everything that the caller needs to be allowed."""
        needed = ["sts:AssumeRole"]
        if self.tags or self.inherited_tags:
            needed.append("sts:TagSession")
        if self.source_identity or self.inherited_source_identity:
            needed.append("sts:SetSourceIdentity")
        return needed

    def condition_keys(self, role: dict[str, Any]) -> dict[str, Any]:
        """Return the condition keys of the request, in lower case."""
        keys: dict[str, Any] = {
            "sts:externalid": self.external_id,
            "sts:rolesessionname": self.session_name,
            "sts:sourceidentity": self.source_identity,
            "sts:transitivetagkeys": self.transitive_keys or None,
            "aws:tagkeys": [tag["Key"] for tag in self.tags] or None,
        }
        for tag in role.get("Tags") or []:
            keys[f"aws:resourcetag/{tag['Key']}".lower()] = tag["Value"]
            keys[f"iam:resourcetag/{tag['Key']}".lower()] = tag["Value"]
        return keys


class AnsweredError(RefusedError):
    """Refused with an answer that ministack has already put into words."""

    def __init__(self, answer: Response) -> None:
        Exception.__init__(self, "refused")
        self.answer = answer


def _transitive_tags(session: dict[str, Any]) -> list[Tag]:
    keys = {key.lower() for key in session.get("TransitiveTagKeys", [])}
    return [tag for tag in session.get("SessionTags") or [] if tag["Key"].lower() in keys]


def _authorise(request: AssumeRole, access_key: str, caller: dict[str, Any], role: dict[str, Any]) -> None:
    """Judge each needed action by the caller's policies and by the role's trust policy.

    A trust policy is a resource policy that always has to allow. In the role's own account it may do so alone, if it
    names the caller itself; across accounts the caller's policies have to allow as well.
    """
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_region

    principal = iam_evaluator.resolve_principal(access_key, caller["accountId"])
    if isinstance(principal, iam_evaluator.AuthError):
        raise RefusedError(principal.code, principal.message, 403)
    for action in request.actions():
        context = iam_evaluator.EvalContext(
            principal_arn=principal.arn,
            principal_type=principal.type,
            principal_account=principal.account,
            action=action,
            resource_arn=request.role_arn,
            region=get_region(),
            request_tags={tag["Key"]: tag["Value"] for tag in request.tags},
            service_context=request.condition_keys(role),
            principal_keys=principal.keys,
        )
        if principal.policies is None:
            by_identity = iam_evaluator.EvalResult("Allow")
        else:
            by_identity = iam_evaluator.evaluate(context, principal.policies, *principal.limits)
        decision = iam_evaluator.combine_resource_policy(
            by_identity,
            context,
            role.get("AssumeRolePolicyDocument", "{}"),
            request.account,
            required=True,
            limits=tuple(principal.limits),
        )
        if decision.decision != "Allow":
            raise RefusedError(
                "AccessDenied",
                f"User: {principal.arn} is not authorized to perform: {action} on resource: {request.role_arn}",
                403,
            )


def _session_seconds(request: AssumeRole, caller: dict[str, Any], role: dict[str, Any]) -> int:
    seconds = request.duration_seconds or CHAINED_SESSION_SECONDS
    if caller["principalType"] == "AssumedRole" and seconds > CHAINED_SESSION_SECONDS:
        raise RefusedError(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        )
    if seconds > int(role.get("MaxSessionDuration", CHAINED_SESSION_SECONDS)):
        raise RefusedError(
            "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        )
    return seconds


def _issue(request: AssumeRole, caller: dict[str, Any], role: dict[str, Any], seconds: int) -> Response:
    from ministack.services import iam, sts

    assumed_arn, _ = sts._assumed_role_arn(request.role_arn, request.session_name)
    assumed_id = f"{role['RoleId']}:{request.session_name}"
    source_identity = request.source_identity or request.inherited_source_identity
    session = {
        "Arn": assumed_arn,
        "UserId": assumed_id,
        "SecretAccessKey": iam._gen_secret(),
        "SessionToken": iam._gen_session_token(),
        "Expiration": time.time() + seconds,
        "AccountId": request.account,
        "PrincipalType": "AssumedRole",
        "SourceAccessKeyId": caller["accessKey"],
        "SourcePrincipalArn": caller["userArn"],
        "SourceIdentity": source_identity,
        "SessionTags": [*request.inherited_tags, *request.tags],
        "TransitiveTagKeys": [*(tag["Key"] for tag in request.inherited_tags), *request.transitive_keys],
        "SessionPolicies": request.session_policies if any(request.session_policies.values()) else None,
    }
    access_key = iam._gen_session_access_key()
    sts.register_session(access_key, session)
    answer: Response = iam._xml(
        200,
        "AssumeRoleResponse",
        "<AssumeRoleResult><Credentials>"
        f"<AccessKeyId>{access_key}</AccessKeyId>"
        f"<SecretAccessKey>{session['SecretAccessKey']}</SecretAccessKey>"
        f"<SessionToken>{session['SessionToken']}</SessionToken>"
        f"<Expiration>{iam._future(seconds)}</Expiration>"
        "</Credentials>"
        f"<AssumedRoleUser><AssumedRoleId>{assumed_id}</AssumedRoleId><Arn>{assumed_arn}</Arn></AssumedRoleUser>"
        "<PackedPolicySize>0</PackedPolicySize>"
        + (f"<SourceIdentity>{escape(source_identity)}</SourceIdentity>" if source_identity else "")
        + "</AssumeRoleResult>",
        ns="sts",
    )
    return answer


def assume_role() -> None:
    """AssumeRole follows AWS.

    The role is found by its whole ARN, path included. The caller's policies and the role's trust policy are judged
    together, for `sts:AssumeRole` and, when they come into play, `sts:TagSession` and `sts:SetSourceIdentity` (also for
    tags and an identity that are inherited). SourceIdentity and transitive tags are kept on the session, handed down
    through role chaining and cannot be changed on the way. Chained sessions last at most one hour, all others at most
    the role's MaxSessionDuration, and 15 minutes at least. Two differences stay: an account's root may assume roles
    (on AWS it may not), which is how a test or `up` gets a role's credentials, and PackedPolicySize is always 0.
    Unnecessary when ministack's AssumeRole does all this.
    """
    from ministack.core import iam_evaluator
    from ministack.services import sts

    async def handle_request(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
    ) -> Response:
        params = query_params | parse_qs((body or b"").decode("utf-8", "replace"))
        if param(params, "Action") != "AssumeRole":
            answer: Response = await original(method, path, headers, body, query_params)
            return answer
        caller = sts._caller_identity(headers, query_params)
        if isinstance(caller, iam_evaluator.CredentialResolutionError):
            return sts._credential_error_response(caller)  # type: ignore[no-any-return]
        try:
            request = AssumeRole.parse(params, sts._sessions.get(caller["accessKey"]) or {})
            role = find_role(request.role_arn, request.account)
            if role is None or role["Arn"] != request.role_arn:
                raise RefusedError(
                    "AccessDenied",
                    f"User: {caller['userArn']} is not authorized to perform: sts:AssumeRole "
                    f"on resource: {request.role_arn}",
                    403,
                )
            _authorise(request, caller["accessKey"], caller, role)
            return _issue(request, caller, role, _session_seconds(request, caller, role))
        except RefusedError as refused:
            return refused.answer

    original = replace(sts, "handle_request", handle_request)
    # Requests are still authenticated first; AssumeRole is then authorised here alone, where everything is known.
    replace(iam_evaluator, "_ALWAYS_ALLOWED_ACTIONS", iam_evaluator._ALWAYS_ALLOWED_ACTIONS | {"sts:AssumeRole"})


def source_identity_key() -> None:
    """`aws:SourceIdentity` names the source identity of the caller's session.

    Unnecessary when ministack's `_principal_keys` provides it.
    """
    from ministack.core import iam_evaluator
    from ministack.services import sts

    def principal_keys(credential: Any) -> dict[str, Any]:
        keys: dict[str, Any] = original(credential)
        source_identity = (sts._sessions.get(credential.access_key_id) or {}).get("SourceIdentity")
        if source_identity:
            keys["aws:sourceidentity"] = source_identity
        return keys

    original = replace(iam_evaluator, "_principal_keys", principal_keys)
    replace(sts, "_principal_keys", principal_keys)


def deleted_roles() -> None:
    """Credentials of a role that was deleted, or deleted and made again, are not valid any more.

    Not for any call, GetCallerIdentity included. ministack denies most calls (the role has no policies any more), but
    answers GetCallerIdentity, and lets a new role of the same name revive old sessions.
    Unnecessary when ministack ties a session to the id of its role.
    """
    from ministack.core import iam_evaluator
    from ministack.services import s3, sts

    def resolve_credential(access_key_id: str, *args: Any, **kwargs: Any) -> Any:
        credential = original(access_key_id, *args, **kwargs)
        if getattr(credential, "principal_type", "") != "AssumedRole":
            return credential
        name = iam_evaluator._role_name_from_assumed_arn(credential.principal_arn)
        role = find_role(name, credential.account_id)
        # A function's session is made by ministack, which puts the role's name where its id belongs.
        if role is None or credential.principal_id.split(":")[0] not in (role["RoleId"], name):
            return iam_evaluator._unknown_access_key()
        return credential

    original = replace(iam_evaluator, "resolve_credential", resolve_credential)
    replace(sts, "resolve_credential", resolve_credential)
    replace(s3, "resolve_credential", resolve_credential)


PATCHES: Final[tuple[Callable[[], None], ...]] = (assume_role, source_identity_key, deleted_roles)
