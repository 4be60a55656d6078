"""One engine for the whole suite, on a free port; what a test needs to play with it."""

import io
import json
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from daypass_local import process
from daypass_local.aws import Aws, Credentials
from daypass_local.names import HUB_ACCOUNT, TARGET_ACCOUNT


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with process.running(tmp_path_factory.mktemp("engine")) as engine:
        yield engine.aws


@pytest.fixture(autouse=True)
def settings(aws: Aws) -> Iterator[None]:
    before = aws.control("/_daypass/settings")
    yield
    aws.control("/_daypass/settings", before)
    aws.control("/_daypass/faults/reset", {})
    aws.control("/_ministack/config", {"stepfunctions._SFN_WAIT_SCALE": 1})


@pytest.fixture
def unique() -> str:
    return uuid.uuid4().hex[:12]


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def trust(principal: str, action: str | list[str] = "sts:AssumeRole", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": action, **more}


def service_trust(service: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}


def role_arn(account: str, name: str, path: str = "/") -> str:
    return f"arn:aws:iam::{account}:role{path}{name}"


EVERYTHING = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]


class Accounts:
    """The hub and the target account, and short ways to make and to assume roles in them."""

    def __init__(self, aws: Aws, suffix: str) -> None:
        self.aws, self.suffix = aws, suffix
        self.hub = HUB_ACCOUNT
        self.target = TARGET_ACCOUNT

    def role(
        self,
        account: str,
        name: str,
        *,
        trusts: list[dict[str, Any]] | None = None,
        policies: list[dict[str, Any]] | None = None,
        **more: Any,
    ) -> str:
        """Make a role (trusting the account's root by default) and return its ARN."""
        iam = self.aws.root("iam", account)
        document = policy(*(trusts or [trust(f"arn:aws:iam::{account}:root", EVERYTHING)]))
        name = f"{name}-{self.suffix}"
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document, **more)["Role"]["Arn"]
        if policies:
            iam.put_role_policy(RoleName=name, PolicyName="given", PolicyDocument=policy(*policies))
        return str(made)

    def session(self, arn: str, credentials: Credentials | None = None, **request: Any) -> Credentials:
        """Assume a role, as its account's root unless other credentials are given."""
        caller = credentials or Credentials.root(arn.split(":")[4])
        request = {"RoleSessionName": "test"} | request
        return Credentials.from_sts(self.aws.client("sts", caller).assume_role(RoleArn=arn, **request)["Credentials"])


@pytest.fixture
def accounts(aws: Aws, unique: str) -> Accounts:
    return Accounts(aws, unique)


def refused(call: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """Return the error code of a call that has to fail."""
    with pytest.raises(ClientError) as caught:
        call(*args, **kwargs)
    return str(caught.value.response["Error"]["Code"])


def package(script: str) -> bytes:
    """Return a function's deployment package whose `bootstrap` is a Python script."""
    import sys

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, f"#!{sys.executable}\n{script}")
    return content.getvalue()


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).resolve().parents[2]
