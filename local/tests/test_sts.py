"""AssumeRole and what becomes of a session: promises 2, 3, 9 and 10 rest on these."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import EVERYTHING, Accounts, allow, deny, policy, refused, trust

from daypass_local.aws import Aws, Credentials
from daypass_local.names import HUB_ACCOUNT

TAG = "daypass:transaction-id"


def tags(value: str) -> dict[str, Any]:
    return {"Tags": [{"Key": TAG, "Value": value}], "TransitiveTagKeys": [TAG]}


def caller_of(aws: Aws, credentials: Credentials) -> str:
    return str(aws.client("sts", credentials).get_caller_identity()["Arn"])


def test_across_accounts_both_sides_have_to_allow(accounts: Accounts) -> None:
    hub = accounts.role(accounts.hub, "hub")
    target = accounts.role(accounts.target, "target", trusts=[trust(hub)])
    session = accounts.session(hub)
    sts = accounts.aws.client("sts", session)
    assert refused(sts.assume_role, RoleArn=target, RoleSessionName="ab") == "AccessDenied"
    accounts.aws.root("iam", accounts.hub).put_role_policy(
        RoleName=hub.split("/")[-1], PolicyName="p", PolicyDocument=policy(allow("sts:AssumeRole", target))
    )
    assert sts.assume_role(RoleArn=target, RoleSessionName="ab")
    other = accounts.session(accounts.role(accounts.hub, "other", policies=[allow("sts:AssumeRole")]))
    assert refused(accounts.session, target, other) == "AccessDenied"


def test_in_one_account_a_trust_policy_that_names_the_caller_is_enough(accounts: Accounts) -> None:
    caller = accounts.role(accounts.hub, "caller")
    named = accounts.role(accounts.hub, "named", trusts=[trust(caller)])
    by_account = accounts.role(accounts.hub, "by-account")
    session = accounts.session(caller)
    assert accounts.session(named, session)
    assert refused(accounts.session, by_account, session) == "AccessDenied"


def test_external_id(accounts: Accounts) -> None:
    condition = {"StringEquals": {"sts:ExternalId": "right"}}
    caller = accounts.role(accounts.hub, "caller", policies=[allow("sts:AssumeRole")])
    role = accounts.role(accounts.target, "role", trusts=[trust(caller, Condition=condition)])
    session = accounts.session(caller)
    assert refused(accounts.session, role, session) == "AccessDenied"
    assert refused(accounts.session, role, session, ExternalId="wrong") == "AccessDenied"
    assert accounts.session(role, session, ExternalId="right")


def test_a_role_is_found_by_its_whole_arn(accounts: Accounts) -> None:
    arn = accounts.role(accounts.target, "pathed", Path="/daypass/")
    assert arn.split(":")[-1].startswith("role/daypass/pathed-")
    assert accounts.session(arn)
    assert refused(accounts.session, arn.replace("/daypass/", "/")) == "AccessDenied"


def test_session_policy_and_explicit_deny_narrow_a_session(accounts: Accounts) -> None:
    role = accounts.role(accounts.hub, "wide", policies=[allow("*"), deny("sqs:ListQueues")])
    session = accounts.session(role, Policy=policy(allow("sqs:*")))
    assert refused(accounts.aws.client("dynamodb", session).list_tables) == "AccessDeniedException"
    assert refused(accounts.aws.client("sqs", session).list_queues) == "AccessDenied"
    assert accounts.aws.client("sqs", session).create_queue(QueueName=f"q-{accounts.suffix}")


def test_tags_and_source_identity_need_their_own_permissions(accounts: Accounts) -> None:
    plain = accounts.role(accounts.hub, "plain", trusts=[trust(f"arn:aws:iam::{HUB_ACCOUNT}:root")])
    assert refused(accounts.session, plain, **tags("t1")) == "AccessDenied"
    assert refused(accounts.session, plain, SourceIdentity="alex@example.com") == "AccessDenied"
    # … on the caller's side as well.
    caller = accounts.role(accounts.hub, "caller", policies=[allow("sts:AssumeRole")])
    role = accounts.role(accounts.target, "role", trusts=[trust(caller, EVERYTHING)])
    assert accounts.session(role, accounts.session(caller))
    assert refused(accounts.session, role, accounts.session(caller), **tags("t1")) == "AccessDenied"
    assert refused(accounts.session, role, accounts.session(caller), SourceIdentity="ab") == "AccessDenied"


def test_a_trust_policy_can_demand_tag_and_source_identity(accounts: Accounts) -> None:
    condition = {"StringLike": {f"aws:RequestTag/{TAG}": "?*", "sts:SourceIdentity": "?*"}}
    role = accounts.role(
        accounts.hub, "demanding", trusts=[trust(f"arn:aws:iam::{HUB_ACCOUNT}:root", EVERYTHING, Condition=condition)]
    )
    assert refused(accounts.session, role) == "AccessDenied"
    assert refused(accounts.session, role, **tags("t1")) == "AccessDenied"
    assert refused(accounts.session, role, SourceIdentity="alex@example.com") == "AccessDenied"
    assert accounts.session(role, SourceIdentity="alex@example.com", **tags("t1"))


def test_source_identity_is_answered_handed_down_and_fixed(accounts: Accounts) -> None:
    first = accounts.role(accounts.hub, "first", policies=[allow(EVERYTHING)])
    condition = {"StringEquals": {"aws:SourceIdentity": "alex@example.com"}}
    second = accounts.role(accounts.target, "second", trusts=[trust(first, EVERYTHING, Condition=condition)])
    sts = accounts.aws.root("sts", accounts.hub)
    request = {"RoleArn": first, "RoleSessionName": "ab", "SourceIdentity": "alex@example.com"}
    assert sts.assume_role(**request)["SourceIdentity"] == "alex@example.com"
    session = accounts.session(first, SourceIdentity="alex@example.com")
    answer = accounts.aws.client("sts", session).assume_role(RoleArn=second, RoleSessionName="ab")
    assert answer["SourceIdentity"] == "alex@example.com"
    assert refused(accounts.session, second, session, SourceIdentity="mallory@example.com") == "AccessDenied"
    assert refused(accounts.session, second, accounts.session(first)) == "AccessDenied"
    # The target's trust policy has to allow SetSourceIdentity for an inherited one, too.
    plain = accounts.role(accounts.target, "plain", trusts=[trust(first)])
    assert refused(accounts.session, plain, session) == "AccessDenied"
    assert accounts.session(plain, accounts.session(first))


def test_transitive_tags_are_handed_down_and_fixed(accounts: Accounts) -> None:
    first = accounts.role(accounts.hub, "first", policies=[allow(EVERYTHING)])
    condition = {"StringEquals": {f"aws:PrincipalTag/{TAG}": "t1"}}
    second = accounts.role(
        accounts.target,
        "second",
        trusts=[trust(first, EVERYTHING, Condition=condition)],
        policies=[allow("sqs:ListQueues", Condition=condition), allow("sts:AssumeRole")],
    )
    assert refused(accounts.session, second, accounts.session(first)) == "AccessDenied"
    assert refused(accounts.session, second, accounts.session(first, **tags("t2"))) == "AccessDenied"
    session = accounts.session(first, **tags("t1"))
    assert refused(accounts.session, second, session, **tags("t2")) == "InvalidParameterValue"
    # The tag goes on to the second session and decides there, in its identity policy.
    accounts.aws.client("sqs", accounts.session(second, session)).list_queues()
    # A tag that is not transitive stays behind.
    once = accounts.session(first, Tags=[{"Key": TAG, "Value": "t1"}])
    queues = accounts.aws.client("sqs", accounts.session(second, once))
    assert refused(queues.list_queues) == "AccessDenied"
    # Without TagSession in the target's trust policy an inherited tag cannot be taken along.
    plain = accounts.role(accounts.target, "plain", trusts=[trust(first)])
    assert refused(accounts.session, plain, session) == "AccessDenied"


def test_a_session_tag_wins_over_the_roles_tag(accounts: Accounts) -> None:
    wants = [allow("sqs:ListQueues", Condition={"StringEquals": {f"aws:PrincipalTag/{TAG}": "session"}})]
    role = accounts.role(accounts.hub, "tagged", policies=wants, Tags=[{"Key": TAG, "Value": "role"}])
    assert refused(accounts.aws.client("sqs", accounts.session(role)).list_queues) == "AccessDenied"
    accounts.aws.client("sqs", accounts.session(role, **tags("session"))).list_queues()


def test_principal_arn_is_the_roles(accounts: Accounts) -> None:
    caller = accounts.role(accounts.hub, "caller", Path="/team/", policies=[allow("sts:AssumeRole")])
    by_arn = [trust("*", Condition={"ArnEquals": {"aws:PrincipalArn": caller}})]
    role = accounts.role(accounts.target, "role", trusts=by_arn)
    other = accounts.role(accounts.hub, "other", policies=[allow("sts:AssumeRole")])
    assert accounts.session(role, accounts.session(caller))
    assert refused(accounts.session, role, accounts.session(other)) == "AccessDenied"


def test_expiry_in_trust_policy_and_guard(accounts: Accounts) -> None:
    """What ends a deploy role whose clean-up failed: promise 2."""

    def ending(end: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
        stamp = end.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        root = f"arn:aws:iam::{accounts.target}:root"
        until = trust(root, Condition={"DateLessThan": {"aws:CurrentTime": stamp}})
        return until, deny("*", Condition={"DateGreaterThanEquals": {"aws:CurrentTime": stamp}})

    # First an end that does not come meanwhile, however slow this is, then one that is waited for.
    until, guard = ending(datetime.now(UTC) + timedelta(hours=1))
    role = accounts.role(accounts.target, "lease", trusts=[until], policies=[allow("sqs:ListQueues"), guard])
    queues = accounts.aws.client("sqs", accounts.session(role))
    queues.list_queues()
    end = datetime.now(UTC) + timedelta(seconds=1)
    until, guard = ending(end)
    iam, name = accounts.aws.root("iam", accounts.target), role.split("/")[-1]
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=policy(until))
    limited = policy(allow("sqs:ListQueues"), guard)
    iam.put_role_policy(RoleName=name, PolicyName="given", PolicyDocument=limited)
    time.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds()) + 0.01)
    assert refused(queues.list_queues) == "AccessDenied"
    assert refused(accounts.session, role) == "AccessDenied"


def test_durations(accounts: Accounts) -> None:
    first = accounts.role(accounts.hub, "first", policies=[allow("sts:AssumeRole")], MaxSessionDuration=7200)
    second = accounts.role(accounts.hub, "second", trusts=[trust(first)], MaxSessionDuration=7200)
    assert accounts.session(first, DurationSeconds=7200)
    assert refused(accounts.session, first, DurationSeconds=7201) == "ValidationError"
    assert refused(accounts.session, second, accounts.session(first), DurationSeconds=3601) == "ValidationError"
    assert accounts.session(second, accounts.session(first), DurationSeconds=3600)
    # The SDK itself refuses less than 900.
    sts = accounts.aws.client("sts", Credentials.root(accounts.hub), parameter_validation=False)
    assert refused(sts.assume_role, RoleArn=first, RoleSessionName="ab", DurationSeconds=899) == "ValidationError"


def test_expired_credentials(accounts: Accounts) -> None:
    role = accounts.role(accounts.hub, "short")
    accounts.aws.control("/_daypass/settings", {"minimum_session_seconds": 1})
    sts = accounts.aws.client("sts", Credentials.root(accounts.hub), parameter_validation=False)
    longer = accounts.aws.client("sts", accounts.session(role, DurationSeconds=900))
    issued = sts.assume_role(RoleArn=role, RoleSessionName="ab", DurationSeconds=1)["Credentials"]
    caller = accounts.aws.client("sts", Credentials.from_sts(issued))
    # However slow this is: they work until their end, and not much longer.
    code = None
    while code is None and datetime.now(UTC) < issued["Expiration"] + timedelta(seconds=20):
        try:
            caller.get_caller_identity()
            time.sleep(0.05)
        except ClientError as error:
            code = error.response["Error"]["Code"]
    assert code == "ExpiredToken"
    assert datetime.now(UTC) >= issued["Expiration"], "not before its end"
    assert longer.get_caller_identity(), "others go on"


@pytest.mark.parametrize("again", [False, True], ids=["deleted", "deleted-and-made-again"])
def test_a_deleted_roles_credentials_are_dead(accounts: Accounts, again: bool) -> None:
    role = accounts.role(accounts.target, "gone", Path="/daypass/")
    session = accounts.session(role)
    assert caller_of(accounts.aws, session).endswith("/test")
    accounts.aws.root("iam", accounts.target).delete_role(RoleName=role.split("/")[-1])
    if again:
        accounts.role(accounts.target, "gone", Path="/daypass/", policies=[allow("*")])
    assert refused(accounts.aws.client("sts", session).get_caller_identity) == "InvalidClientTokenId"
    assert refused(accounts.aws.client("sqs", session).list_queues) == "InvalidClientTokenId"
    assert refused(accounts.aws.client("s3", session).list_buckets) == "InvalidAccessKeyId"
    if not again:
        assert refused(accounts.session, role) == "AccessDenied"


def test_token_issue_time(accounts: Accounts) -> None:
    revoke = deny("*", Condition={"DateLessThan": {"aws:TokenIssueTime": "2999-01-01T00:00:00Z"}})
    role = accounts.role(accounts.hub, "revoked", policies=[allow("*"), revoke])
    assert refused(accounts.aws.client("sqs", accounts.session(role)).list_queues) == "AccessDenied"


def test_signatures_are_checked(accounts: Accounts) -> None:
    session = accounts.session(accounts.role(accounts.hub, "signed", policies=[allow("*")]))
    forged = Credentials(session.access_key_id, "wrong", session.session_token)
    assert refused(accounts.aws.client("iam", forged).list_users) == "SignatureDoesNotMatch"
    without_token = Credentials(session.access_key_id, session.secret_access_key)
    assert refused(accounts.aws.client("iam", without_token).list_users) == "InvalidClientTokenId"


@pytest.mark.parametrize(
    "request_part",
    [
        {"RoleSessionName": "with space"},
        {"SourceIdentity": "a:b"},
        {"TransitiveTagKeys": ["not-passed"]},
        {"Tags": [{"Key": "branch", "Value": "feature#1"}]},
        {"Tags": [{"Key": "branch", "Value": "x" * 257}]},
        {"Tags": [{"Key": "aws:branch", "Value": "main"}]},
        {"Tags": [{"Key": f"k{number}", "Value": ""} for number in range(51)]},
    ],
)
def test_malformed_requests(accounts: Accounts, request_part: dict[str, Any]) -> None:
    role = accounts.role(accounts.hub, "role")
    assert accounts.session(role, Tags=[{"Key": "Grüße", "Value": "a_b:c/d=e+f-g@h.i 1"}])
    assert refused(accounts.session, role, **request_part) in ("ValidationError", "InvalidParameterValue")
