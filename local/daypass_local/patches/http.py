"""Patches of the server itself."""

import socketserver
from collections.abc import Callable
from typing import Final

from daypass_local.patches.tools import replace


def disable_nagle() -> None:
    """The Lambda runtime API answers at once.

    Nagle's algorithm together with delayed acknowledgements costs 40 ms for each invocation on loopback.
    Unnecessary when ministack's runtime API server sets TCP_NODELAY.
    """
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True


def loopback_is_secure() -> None:
    """Plain HTTP on loopback counts as TLS.

    CDK's bootstrap bucket denies everything that `aws:SecureTransport` says is not TLS, and so do our own policies; the
    engine listens on 127.0.0.1 only, where nobody can listen in.
    Unnecessary when the engine serves TLS with a certificate that the CDK, the SDKs and the functions all trust.
    """
    import ministack.app

    def pin_request_origin(source_ip: str, _secure_transport: bool) -> None:
        original(source_ip, True)

    original = replace(ministack.app, "pin_request_origin", pin_request_origin)


PATCHES: Final[tuple[Callable[[], None], ...]] = (disable_nagle, loopback_is_secure)
