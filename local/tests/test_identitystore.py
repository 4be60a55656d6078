"""The Identity Store behind the engine's front door."""

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Accounts, allow, refused

from daypass_local.aws import Aws

STORE = "d-9067000000"


@pytest.fixture
def store(aws: Aws) -> Any:
    return aws.root("identitystore", "111111111111")


def test_users_groups_and_memberships(accounts: Accounts, store: Any) -> None:
    email = f"{accounts.suffix}@example.com"
    user = store.create_user(
        IdentityStoreId=STORE,
        UserName=email,
        DisplayName="Someone",
        Name={"GivenName": "Some", "FamilyName": "One"},
        Emails=[{"Value": email, "Type": "work", "Primary": True}],
    )["UserId"]
    group = store.create_group(IdentityStoreId=STORE, DisplayName=f"group-{accounts.suffix}")["GroupId"]
    other = store.create_group(IdentityStoreId=STORE, DisplayName=f"other-{accounts.suffix}")["GroupId"]
    store.create_group_membership(IdentityStoreId=STORE, GroupId=group, MemberId={"UserId": user})

    def by(path: str, value: str) -> dict[str, Any]:
        return {
            "IdentityStoreId": STORE,
            "AlternateIdentifier": {"UniqueAttribute": {"AttributePath": path, "AttributeValue": value}},
        }

    assert store.get_user_id(**by("emails.value", email))["UserId"] == user
    assert store.get_group_id(**by("displayName", f"group-{accounts.suffix}"))["GroupId"] == group
    assert refused(store.get_user_id, **by("emails.value", "nobody@example.com")) == "ResourceNotFoundException"
    assert refused(store.get_group_id, **by("displayName", "no-such-group")) == "ResourceNotFoundException"
    results = store.is_member_in_groups(IdentityStoreId=STORE, MemberId={"UserId": user}, GroupIds=[group, other])
    assert [result["MembershipExists"] for result in results["Results"]] == [True, False]

    who = {"IdentityStoreId": STORE, "UserId": user}
    assert store.describe_user(**who)["UserStatus"] == "ENABLED"
    accounts.aws.control("/_daypass/identity/user-status", {"user_id": user, "status": "DISABLED"})
    assert store.describe_user(**who)["UserStatus"] == "DISABLED"
    assert store.describe_user(**who)["Emails"][0]["Value"] == email
    accounts.aws.control("/_daypass/identity/user-status", {"user_id": user, "status": "ENABLED"})
    assert store.describe_user(**who)["UserStatus"] == "ENABLED"


def test_groups_come_page_by_page_and_go_with_their_memberships(accounts: Accounts, store: Any) -> None:
    of_store = {"IdentityStoreId": f"d-{accounts.suffix[:10]}"}
    groups = [store.create_group(**of_store, DisplayName=f"group-{n}")["GroupId"] for n in range(5)]
    assert refused(store.create_group, **of_store, DisplayName="group-3") == "ConflictException"
    found, token = [], {}
    while True:
        page = store.list_groups(**of_store, MaxResults=2, **token)
        assert len(page["Groups"]) <= 2
        found += [group["GroupId"] for group in page["Groups"]]
        if not page.get("NextToken"):
            break
        token = {"NextToken": page["NextToken"]}
    assert sorted(found) == sorted(groups)

    user = store.create_user(
        **of_store, UserName="u", DisplayName="u", Name={"GivenName": "u", "FamilyName": "u"}, Emails=[{"Value": "u"}]
    )["UserId"]
    for group in groups[:2]:
        store.create_group_membership(**of_store, GroupId=group, MemberId={"UserId": user})
    assert len(store.list_group_memberships(**of_store, GroupId=groups[0])["GroupMemberships"]) == 1
    store.delete_group(**of_store, GroupId=groups[0])
    memberships = store.list_group_memberships_for_member(**of_store, MemberId={"UserId": user})["GroupMemberships"]
    assert [membership["GroupId"] for membership in memberships] == [groups[1]]
    for call in (store.delete_group, store.list_group_memberships):
        assert refused(call, **of_store, GroupId=groups[0]) == "ResourceNotFoundException"


def test_groups_of_another_directory_have_its_ids(accounts: Accounts, store: Any) -> None:
    of_store = {"IdentityStoreId": f"d-{accounts.suffix[:10]}"}
    ours = store.create_group(**of_store, DisplayName="ours")["GroupId"]
    theirs = store.create_group(**of_store, DisplayName="theirs")["GroupId"]
    ids = [{"Issuer": "https://directory.example.com", "Id": "42"}]
    accounts.aws.control("/_daypass/identity/group-external-ids", {"group_id": theirs, "external_ids": ids})
    listed = {group["GroupId"]: group["ExternalIds"] for group in store.list_groups(**of_store)["Groups"]}
    assert listed == {ours: [], theirs: ids}


def test_permissions_are_enforced_on_the_store(accounts: Accounts, aws: Aws) -> None:
    listing = allow("identitystore:ListUsers", f"arn:aws:identitystore::{accounts.hub}:identitystore/{STORE}")
    role = accounts.role(accounts.hub, "reader", policies=[listing])
    reader = aws.client("identitystore", accounts.session(role))
    reader.list_users(IdentityStoreId=STORE)
    assert refused(reader.list_users, IdentityStoreId="d-0000000000") == "AccessDeniedException"
    group = {"IdentityStoreId": STORE, "DisplayName": "g"}
    assert refused(reader.create_group, **group) == "AccessDeniedException"


def test_a_read_needs_what_it_reads_besides_the_store(accounts: Accounts, aws: Aws) -> None:
    action = "identitystore:DescribeUser"
    stores, users, groups = (
        f"arn:aws:identitystore::{accounts.hub}:identitystore/{STORE}",
        "arn:aws:identitystore:::user/*",
        "arn:aws:identitystore:::group/*",
    )
    for name, resources, code in (
        ("both", [stores, users], "ResourceNotFoundException"),
        ("no-users", [stores, groups], "AccessDeniedException"),
        ("no-store", [users, groups], "AccessDeniedException"),
    ):
        role = accounts.role(accounts.hub, name, policies=[allow(action, resources)])
        reader = aws.client("identitystore", accounts.session(role))
        assert refused(reader.describe_user, IdentityStoreId=STORE, UserId="9067000000-00000000") == code, resources


@pytest.fixture
def encrypted(aws: Aws) -> Iterator[str]:
    """The key of an Identity Store whose data is encrypted with a customer managed one."""
    key = "arn:aws:kms:us-east-1:444444444444:key/mrk-1234abcd12ab34cd56ef1234567890ab"
    aws.control("/_daypass/settings", {"identity_store_key": key})
    yield key
    aws.control("/_daypass/settings", {"identity_store_key": None})


def test_a_read_of_an_encrypted_store_needs_its_key(accounts: Accounts, aws: Aws, encrypted: str) -> None:
    """With the very statement that `identity.kms_key_arn` adds, and with nothing wider."""
    store = "arn:aws:identitystore::*:identitystore/"
    reads = allow("identitystore:DescribeUser", [f"{store}{STORE}", "arn:aws:identitystore:::user/*"])

    def decrypt(region: str = "us-east-1", store_id: str = STORE, key: str = encrypted) -> dict[str, Any]:
        context = {"kms:EncryptionContext:aws:identitystore:identitystore-arn": f"{store}{store_id}"}
        via = {"kms:ViaService": f"identitystore.{region}.amazonaws.com"}
        return allow("kms:Decrypt", key, Condition={"StringEquals": via, "StringLike": context})

    for name, policies, code in (
        ("decrypts", [decrypt()], "ResourceNotFoundException"),
        ("does-not", [], "AccessDeniedException"),
        ("elsewhere", [decrypt(region="eu-west-1")], "AccessDeniedException"),
        ("other-store", [decrypt(store_id="d-0000000000")], "AccessDeniedException"),
        ("other-key", [decrypt(key=f"{encrypted}0")], "AccessDeniedException"),
    ):
        role = accounts.role(accounts.hub, name, policies=[reads, *policies])
        reader = aws.client("identitystore", accounts.session(role))
        assert refused(reader.describe_user, IdentityStoreId=STORE, UserId="9067000000-00000000") == code, name


def test_each_account_has_its_own_store(accounts: Accounts, store: Any) -> None:
    store.create_group(IdentityStoreId=STORE, DisplayName=f"hub-{accounts.suffix}")
    elsewhere = accounts.aws.root("identitystore", accounts.target)
    assert elsewhere.list_groups(IdentityStoreId=STORE)["Groups"] == []
