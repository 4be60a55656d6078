"""Clients of the engine: boto3 with an endpoint and credentials, and the engine's own interface."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Final

import boto3
from botocore.config import Config

from daypass_local.names import REGION

CONFIG: Final = Config(
    region_name=REGION,
    retries={"total_max_attempts": 1, "mode": "standard"},
    inject_host_prefix=False,  # StartSyncExecution would go to `sync-127.0.0.1`
    s3={"addressing_style": "path"},
    max_pool_connections=64,
)


@dataclass(frozen=True)
class Credentials:
    """AWS credentials. Their repr shows no secret."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.access_key_id})"

    @classmethod
    def root(cls, account: str) -> "Credentials":
        """Return an account's root: the engine takes an account id as the root's access key, with any secret."""
        return cls(account, "local")

    @classmethod
    def from_sts(cls, issued: dict[str, Any]) -> "Credentials":
        """Return the credentials of an STS answer."""
        return cls(issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"])


@dataclass(frozen=True)
class Aws:
    """The engine at `url`."""

    url: str

    def client(self, service: str, credentials: Credentials, **settings: Any) -> Any:
        """Return a boto3 client that calls the engine once for each call: it does not retry.

        `settings` are further ones of botocore's Config.
        """
        return _session().client(
            service,
            endpoint_url=self.url,
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            aws_session_token=credentials.session_token,
            config=CONFIG.merge(Config(**settings)),
        )

    def root(self, service: str, account: str) -> Any:
        """Return a client with the credentials of an account's root."""
        return self.client(service, Credentials.root(account))

    def control(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call the engine's own interface: GET without a body, POST with one. Raises ValueError with its error text."""
        request = urllib.request.Request(
            f"{self.url}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                found: dict[str, Any] = json.loads(answer.read())
                return found
        except urllib.error.HTTPError as error:
            raise ValueError(json.loads(error.read()).get("error")) from error

    def calls(self) -> list[dict[str, Any]]:
        """Return every AWS call since the last reset (`recorder.Call`)."""
        found: list[dict[str, Any]] = self.control("/_daypass/calls")["calls"]
        return found


_shared: list[boto3.Session] = []


def _session() -> boto3.Session:
    # One session: it reads each service's model once.
    if not _shared:
        _shared.append(boto3.Session())
    return _shared[0]
