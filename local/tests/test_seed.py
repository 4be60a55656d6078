"""The people that the demo and the end-to-end tests know."""

import json
from pathlib import Path
from typing import Any

from daypass_local import seed
from daypass_local.aws import Aws
from daypass_local.names import HUB_ACCOUNT, IDENTITY_STORE_ID, PRODUCTION_ACCOUNT, TARGET_ACCOUNT

OPEN_TO = ["Container_Admin", "Network", "Product_Admin"]
PERSONAS = {
    "environments": {"any": {}},
    "organization": {"company": "PwC", "org": "GP"},
    "group_name": "{company}_{org}_{account_id}_{persona}",
    "accounts": [
        {"id": TARGET_ACCOUNT, "name": "payments-dev", "environment": "any", "personas": OPEN_TO},
        {"id": PRODUCTION_ACCOUNT, "name": "payments-prod", "environment": "any", "personas": OPEN_TO},
    ],
}
EXPECTED = {
    "alex": {f"PwC_GP_{TARGET_ACCOUNT}_Product_Admin", f"PwC_GP_{PRODUCTION_ACCOUNT}_Product_Admin"},
    "nadia": {f"PwC_GP_{TARGET_ACCOUNT}_Network", f"PwC_GP_{PRODUCTION_ACCOUNT}_Network"},
    "carol": {f"PwC_GP_{TARGET_ACCOUNT}_Container_Admin", f"PwC_GP_{PRODUCTION_ACCOUNT}_Container_Admin"},
    "mallory": set(),
    "dave": {f"PwC_GP_{TARGET_ACCOUNT}_Product_Admin", f"PwC_GP_{PRODUCTION_ACCOUNT}_Product_Admin"},
    "erin": {f"PwC_GP_{TARGET_ACCOUNT}_Product_Admin"},
}


def test_everybody_is_there_and_in_their_groups(aws: Aws, tmp_path: Path) -> None:
    file = tmp_path / "personas.json"
    file.write_text(json.dumps(PERSONAS))
    seed.seed(aws, file)
    store = aws.root("identitystore", HUB_ACCOUNT)
    here = {"IdentityStoreId": IDENTITY_STORE_ID}
    groups = {group["GroupId"]: group["DisplayName"] for group in store.list_groups(**here)["Groups"]}
    assert len(groups) == 6

    def found(login: str) -> Any:
        email = {"UniqueAttribute": {"AttributePath": "emails.value", "AttributeValue": f"{login}@example.com"}}
        user = store.get_user_id(**here, AlternateIdentifier=email)["UserId"]
        return store.describe_user(**here, UserId=user)

    for login, expected in EXPECTED.items():
        user = found(login)
        listed = store.list_group_memberships_for_member(**here, MemberId={"UserId": user["UserId"]})
        assert {groups[each["GroupId"]] for each in listed["GroupMemberships"]} == expected
        assert user["UserStatus"] == ("DISABLED" if login == "dave" else "ENABLED")
        assert user["UserName"] == user["Emails"][0]["Value"] == f"{login}@example.com"
        assert user["Emails"][0]["Primary"] is True
        assert user["ProfileUrl"] == f"https://github.com/{login}"
        assert user["DisplayName"]
