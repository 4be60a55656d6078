"""Issuers of identity tokens, as CI systems have them: real keys, a real JWKS endpoint, rotation.

    GET  /_daypass/issuers/NAME/.well-known/openid-configuration
    GET  /_daypass/issuers/NAME/jwks
    POST /_daypass/issuers/NAME/tokens   Order → {"token": …}: signed
    POST /_daypass/issuers/NAME/rotate   new tokens are signed with a new key; the one before stays published
    GET  /_daypass/issuers/NAME/fetches  {"jwks": how often the keys were fetched}
    GET  /_daypass/issuers/github/token  {"value": a token, "count": …}: ACTIONS_ID_TOKEN_REQUEST_URL of a job

NAME is `github` or `gitlab`. An Order is {"claims": {…}}, which come on top of what one job of a run of alex's would
have (null takes a claim away): on the protected branch `main` of `example/payments`, in the environment `production`.
Another `check_run_id` (GitHub) or `job_id` (GitLab) is another job. For forgeries there is {"key": "stranger"}: signed
with a key that nobody publishes, under the id of the real one.

A job asks for its token with `?audience=…`, and with whatever there is in ACTIONS_ID_TOKEN_REQUEST_TOKEN for a bearer
token. To act as another run than the one above, have `?claims=` with a JSON object in the URL, as in an Order.
"""

import json
import time
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import RSAKey

PATH: Final = "issuers/"
AUDIENCE: Final = "daypass-local"
LIFETIME_SECONDS: Final = 300
KEY_BITS: Final = 2048


class Issuer:
    """One issuer: its keys, the newest last, and what its tokens say."""

    def __init__(self, url: str, claims: dict[str, Any]) -> None:
        self.url, self._claims = url, claims
        self._keys = [_new_key()]
        self._stranger: RSAKey | None = None
        self.fetches = 0

    def description(self) -> dict[str, Any]:
        """Return the issuer's description of itself."""
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks",
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
        }

    def key_set(self) -> dict[str, Any]:
        """Return the public keys, and count that somebody asked."""
        self.fetches += 1
        return {"keys": [key.as_dict(private=False) for key in self._keys]}

    def rotate(self) -> None:
        """Sign with a new key from now on; the one before stays published."""
        self._keys = [self._keys[-1], _new_key()]

    def token(self, claims: dict[str, Any], key: str = "own") -> str:
        """Return a signed token. Raises ValueError for an unknown kind of key."""
        if key not in ("own", "stranger"):
            raise ValueError("key is `own` or `stranger`")
        now = int(time.time())
        standard = {
            "iss": self.url,
            "aud": AUDIENCE,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME_SECONDS,
        }
        payload = {name: value for name, value in (standard | self._claims | claims).items() if value is not None}
        signing = self._keys[-1]
        header = {"alg": "RS256", "typ": "JWT", "kid": signing.kid}
        if key == "stranger":
            self._stranger = signing = self._stranger or _new_key()
        return jwt.encode(header, payload, signing)


def _new_key() -> RSAKey:
    return RSAKey.generate_key(KEY_BITS, {"kid": str(uuid.uuid4()), "use": "sig", "alg": "RS256"})


GITHUB_CLAIMS: Final[dict[str, Any]] = {
    "sub": "repo:example@1234567/payments@7654321:ref:refs/heads/main",
    "actor": "alex",
    "actor_id": "4711",
    "repository": "example/payments",
    "repository_id": "7654321",
    "repository_owner": "example",
    "repository_owner_id": "1234567",
    "ref": "refs/heads/main",
    "ref_type": "branch",
    "ref_protected": "true",
    "environment": "production",
    "event_name": "push",
    "run_id": "42",
    "run_attempt": "1",
    "check_run_id": "1001",
    "runner_environment": "github-hosted",
    "job_workflow_ref": "example/daypass/.github/workflows/deploy.yml@refs/tags/v1.0.0",
}
GITLAB_CLAIMS: Final[dict[str, Any]] = {
    "sub": "project_path:example/payments:ref_type:branch:ref:main",
    "user_email": "alex@example.com",
    "user_id": "42",
    "user_login": "alex",
    "namespace_id": "11",
    "namespace_path": "example",
    "project_id": "28",
    "project_path": "example/payments",
    "pipeline_id": "455",
    "pipeline_source": "push",
    "job_id": "1123",
    "ref": "main",
    "ref_type": "branch",
    "ref_protected": "true",
    "environment": "production",
    "runner_environment": "gitlab-hosted",
    "ci_config_ref_uri": "gitlab.example.com/example/payments//.gitlab-ci.yml@refs/heads/main",
}


def configuration(engine: str) -> list[dict[str, Any]]:
    """Return the issuers as the CDK configuration has them, for an engine at this URL."""
    return [
        {
            "provider": "github",
            "url": f"{engine}/_daypass/issuers/github",
            "server": "https://github.com",
            "claims": {
                "repository_owner_id": ["1234567"],
                "job_workflow_ref": ["example/daypass/.github/workflows/deploy.yml@refs/tags/v1.*"],
                "runner_environment": ["github-hosted"],
            },
        },
        {
            "provider": "gitlab",
            "url": f"{engine}/_daypass/issuers/gitlab",
            "server": "https://gitlab.example.com",
            "claims": {"namespace_id": ["11"]},
        },
    ]


class Issuers:
    """The issuers of one engine. They come into being with the first request, which says where they are."""

    def __init__(self) -> None:
        self._issuers: dict[str, Issuer] = {}

    def answer(
        self,
        method: str,
        path: str,
        body: dict[str, Any],
        engine: str,
        query: Mapping[str, str] = MappingProxyType({}),
        authorization: str = "",
    ) -> dict[str, Any]:
        """Carry out one request to `path`, which is below `/_daypass/`, of the engine at the URL `engine`.

        Raises LookupError for an unknown one, ValueError or TypeError for one that does not fit, and PermissionError
        for one that has to have a bearer token.
        """
        if not self._issuers:
            base = f"{engine}/_daypass/{PATH}"
            self._issuers = {
                "github": Issuer(base + "github", GITHUB_CLAIMS),
                "gitlab": Issuer(base + "gitlab", GITLAB_CLAIMS),
            }
        name, _, what = path.removeprefix(PATH).partition("/")
        issuer = self._issuers.get(name)
        if issuer is None:
            raise LookupError(f"there is no issuer {name}; there are {', '.join(self._issuers)}")
        match method, what:
            case "GET", ".well-known/openid-configuration":
                return issuer.description()
            case "GET", "jwks":
                return issuer.key_set()
            case "GET", "fetches":
                return {"jwks": issuer.fetches}
            case "GET", "token" if name == "github":
                token = issuer.token(_claims_of_job(query, authorization))
                return {"value": token, "count": len(token)}
            case "POST", "tokens":
                return {"token": issuer.token(**({"claims": {}} | body))}
            case "POST", "rotate":
                issuer.rotate()
                return {}
        raise LookupError(f"{method} {path} is not known; see daypass_local/issuer.py")


def _claims_of_job(query: Mapping[str, str], authorization: str) -> dict[str, Any]:
    """Return the claims of the token that a job asks GitHub for."""
    scheme, _, bearer = authorization.partition(" ")
    if scheme.lower() != "bearer" or not bearer:
        raise PermissionError("a job asks with its ACTIONS_ID_TOKEN_REQUEST_TOKEN as bearer token")
    claims = json.loads(query.get("claims", "{}"))
    if not isinstance(claims, dict):
        raise ValueError("claims is a JSON object")
    # Whoever names no audience gets GitHub's default.
    return claims | {"aud": query.get("audience", f"https://github.com/{GITHUB_CLAIMS['repository_owner']}")}


ISSUERS: Final = Issuers()
"""The issuers of this process's engine."""
