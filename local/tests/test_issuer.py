"""The issuers of identity tokens are as real ones are: discovery, keys, signatures, rotation."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError
from joserfc.jwk import KeySet

from daypass_local.aws import Aws


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


@pytest.fixture(params=["github", "gitlab"])
def issuer(aws: Aws, request: pytest.FixtureRequest) -> str:
    return f"{aws.url}/_daypass/issuers/{request.param}"


def order(aws: Aws, issuer: str, **changes: Any) -> str:
    token = aws.control(issuer.removeprefix(aws.url) + "/tokens", changes)["token"]
    assert isinstance(token, str)
    return token


def keys(issuer: str) -> KeySet:
    description = get(f"{issuer}/.well-known/openid-configuration")
    assert description["issuer"] == issuer
    return KeySet.import_key_set(get(description["jwks_uri"]))


def test_a_token_verifies_with_the_published_keys_and_says_what_was_ordered(aws: Aws, issuer: str) -> None:
    token = jwt.decode(order(aws, issuer, claims={"ref": "x", "sub": None}), keys(issuer))
    assert token.header["alg"] == "RS256"
    assert (token.claims["iss"], token.claims["ref"], "sub" in token.claims) == (issuer, "x", False)


def test_only_public_halves_are_published(issuer: str) -> None:
    assert all({"n", "e"} <= key.keys() and not {"d", "p", "q"} & key.keys() for key in get(f"{issuer}/jwks")["keys"])


def test_a_stranger_signs_with_a_key_that_nobody_publishes(aws: Aws, issuer: str) -> None:
    with pytest.raises(BadSignatureError):
        jwt.decode(order(aws, issuer, key="stranger"), keys(issuer))


def test_after_a_rotation_both_keys_count_and_after_another_only_the_newer_one(aws: Aws, issuer: str) -> None:
    old = order(aws, issuer)
    rotate = issuer.removeprefix(aws.url) + "/rotate"
    aws.control(rotate, {})
    for token in (old, order(aws, issuer)):
        jwt.decode(token, keys(issuer))
    aws.control(rotate, {})
    with pytest.raises(InvalidKeyIdError):
        jwt.decode(old, keys(issuer))


def test_what_is_unknown_is_refused(aws: Aws) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(f"{aws.url}/_daypass/issuers/nobody/jwks")
