"""The issuers of identity tokens are as real ones are: discovery, keys, signatures, rotation."""

import json
import urllib.error
import urllib.parse
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


def job_token(aws: Aws, query: str, **headers: str) -> Any:
    """Ask as a job of GitHub Actions does."""
    request = urllib.request.Request(f"{aws.url}/_daypass/issuers/github/token?{query}", headers=headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def test_a_job_gets_its_token_as_from_github(aws: Aws) -> None:
    published = keys(f"{aws.url}/_daypass/issuers/github")
    answer = job_token(aws, "api-version=2.0&audience=daypass-local", Authorization="bearer any")
    assert answer["count"] == len(answer["value"])
    claims = jwt.decode(answer["value"], published).claims
    assert (claims["aud"], claims["actor"], claims["run_id"]) == ("daypass-local", "alex", "42")
    assert jwt.decode(job_token(aws, "", Authorization="Bearer any")["value"], published).claims["aud"] == (
        "https://github.com/example"
    )


def test_a_job_can_be_any_run(aws: Aws) -> None:
    query = urllib.parse.urlencode({"claims": json.dumps({"actor": "erin", "environment": None}), "audience": "x"})
    claims = jwt.decode(
        job_token(aws, query, Authorization="bearer any")["value"], keys(f"{aws.url}/_daypass/issuers/github")
    ).claims
    assert (claims["actor"], claims["aud"], "environment" in claims) == ("erin", "x", False)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "bearer "}, {"Authorization": "basic x"}])
def test_a_job_needs_its_bearer_token(aws: Aws, headers: dict[str, str]) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        job_token(aws, "audience=x", **headers)


def test_claims_are_an_object_and_only_github_gives_tokens_so(aws: Aws) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        job_token(aws, "claims=[]", Authorization="bearer any")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(f"{aws.url}/_daypass/issuers/gitlab/token")
