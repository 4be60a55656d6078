"""The engine's process: ministack and moto with our patches, on 127.0.0.1.

`python -m daypass_local.engine --port 4566 --state DIRECTORY [--door 3] [--lifeline]` runs in the foreground until
SIGTERM or SIGINT. With `--door` it takes over a socket that listens on the port already. With `--lifeline` it also ends
when its standard input closes, that is when the process that started it is gone, however that ended. Everything that it
writes lies below the state directory.
"""

import argparse
import asyncio
import os
import signal
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Final

from daypass_local.names import HUB_ACCOUNT, REGION

VERSIONS: Final = {"ministack": "1.5.33", "moto": "5.2.5"}
GRACE_SECONDS: Final = 5.0


def check_versions() -> None:
    """Exit with an explanation unless ministack and moto are exactly those that the patches were written for."""
    for package, wanted in VERSIONS.items():
        found = version(package)
        if found != wanted:
            raise SystemExit(
                f"{package} {found} is installed, but daypass_local patches private functions of {wanted}. Install "
                "local/requirements.txt, or check every patch (and run local/tests) before changing VERSIONS."
            )


def environment(port: int, state: Path) -> dict[str, str]:
    """Return the engine's whole environment; nothing is taken over from the process that starts it but PATH."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "TMPDIR": str(state / "tmp"),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "AUTH": "true",
        "MINISTACK_ACCOUNT_ID": HUB_ACCOUNT,
        "MINISTACK_REGION": REGION,
        "MINISTACK_AUTOCREATE_AWS_MANAGED": "0",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{state}/no-docker.sock",
        "S3_DATA_DIR": str(state / "s3"),
        "STATE_DIR": str(state / "persisted"),
        # Each environment of a function asks ten times a second whether there is work: those that are idle go.
        "LAMBDA_WARM_TTL_SECONDS": "45",
        # Lambda's runtime for Node.js brings the AWS SDK, which functions of CDK ask for: the one that empties buckets.
        "NODE_PATH": str(Path(__file__).resolve().parents[2] / "cdk" / "node_modules"),
        # Functions call back to this engine.
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }


async def serve(bind: str) -> None:
    """Serve there, in hypercorn's words, until SIGTERM or SIGINT."""
    import ministack.app
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config

    from daypass_local import control, invocations, waits

    control.record_calls()
    control.record_grants()
    waits.install()
    invocations.install()
    config = Config()
    config.bind = [bind]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    stop = asyncio.Event()

    def stopping() -> None:
        stop.set()
        # A thread that waits for a function must not keep the process alive.
        timer = threading.Timer(GRACE_SECONDS, end, [0])
        timer.daemon = True
        timer.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping)
    await hypercorn_serve(control.serve_control(ministack.app.app), config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]


def end(status: int) -> None:
    """End this process and every function that it started; they share its process group."""
    if os.getpgrp() == os.getpid():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(os.getpgrp(), signal.SIGTERM)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def watch_lifeline() -> None:
    """End when standard input closes."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True, name="lifeline").start()


def main() -> None:
    """Run the engine."""
    parser = argparse.ArgumentParser(prog="daypass_local.engine", description="the local AWS engine")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--state", type=Path, required=True, help="directory for everything that the engine writes")
    parser.add_argument("--door", type=int, help="file descriptor of a socket that listens there already")
    parser.add_argument("--lifeline", action="store_true", help="end when standard input closes")
    options = parser.parse_args()
    check_versions()
    state: Path = options.state.resolve()
    (state / "tmp").mkdir(parents=True, exist_ok=True)
    settings = environment(options.port, state)
    os.environ.clear()
    os.environ.update(settings)
    if options.lifeline:
        watch_lifeline()

    # ministack reads its settings when it is imported, and the patches import it.
    from daypass_local import patches

    patches.apply_all()
    asyncio.run(serve(f"127.0.0.1:{options.port}" if options.door is None else f"fd://{options.door}"))
    end(0)


if __name__ == "__main__":
    main()
