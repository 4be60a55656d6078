"""The people of the demo and of the tests: users and groups in the Identity Store."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from daypass_local.aws import Aws
from daypass_local.names import HUB_ACCOUNT, IDENTITY_STORE_ID, TARGET_ACCOUNT


@dataclass(frozen=True)
class Person:
    """A user, and the persona whose groups they are in."""

    login: str
    """E-mail address before `@example.com`; also the name at GitHub, by the profile URL."""

    given_name: str
    family_name: str
    persona: str | None
    """In the group of this persona of each account in `accounts`; None is in no group."""

    accounts: tuple[str, ...] | None = None
    """None is every account that is open to the persona."""

    enabled: bool = True

    @property
    def email(self) -> str:
        """The primary e-mail address, which is the sign-in name as well."""
        return f"{self.login}@example.com"


PEOPLE: Final = (
    Person("alex", "Alex", "Reyes", "Product_Admin"),
    Person("nadia", "Nadia", "Karimi", "Network"),
    Person("carol", "Carol", "Lindqvist", "Container_Admin"),
    Person("mallory", "Mallory", "Quinn", None),
    Person("dave", "Dave", "Osei", "Product_Admin", enabled=False),
    Person("erin", "Erin", "Novak", "Product_Admin", accounts=(TARGET_ACCOUNT,)),
)


def group_names(personas: dict[str, Any]) -> dict[tuple[str, str], str]:
    """Return the name of the group of each account and persona that personas.json opens to one another."""
    organization = personas["organization"]
    return {
        (account["id"], persona): personas["group_name"].format(
            company=organization["company"], org=organization["org"], account_id=account["id"], persona=persona
        )
        for account in personas["accounts"]
        for persona in account["personas"]
    }


def seed(aws: Aws, personas_file: Path) -> None:
    """Put every person and every group into the hub account's store, as its administrator would."""
    store = aws.root("identitystore", HUB_ACCOUNT)
    names = group_names(json.loads(personas_file.read_text()))
    groups = {
        key: store.create_group(IdentityStoreId=IDENTITY_STORE_ID, DisplayName=name)["GroupId"]
        for key, name in names.items()
    }
    for person in PEOPLE:
        user = store.create_user(
            IdentityStoreId=IDENTITY_STORE_ID,
            UserName=person.email,
            DisplayName=f"{person.given_name} {person.family_name}",
            Name={"GivenName": person.given_name, "FamilyName": person.family_name},
            Emails=[{"Value": person.email, "Type": "work", "Primary": True}],
            ProfileUrl=f"https://github.com/{person.login}",
        )["UserId"]
        for (account, persona), group in groups.items():
            if persona == person.persona and account in (person.accounts or (account,)):
                store.create_group_membership(
                    IdentityStoreId=IDENTITY_STORE_ID, GroupId=group, MemberId={"UserId": user}
                )
        if not person.enabled:
            aws.control("/_daypass/identity/user-status", {"user_id": user, "status": "DISABLED"})
