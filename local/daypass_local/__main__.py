"""The commands: `python -m daypass_local up | down | run | status | demo | patches`."""

import argparse
import sys
from pathlib import Path

from daypass_local import stack
from daypass_local.deploy import DeployError
from daypass_local.names import REPOSITORY
from daypass_local.process import EngineError


def report(step: str, seconds: float) -> None:
    """Print a finished step."""
    print(f"{seconds:6.1f} s  {step}", file=sys.stderr, flush=True)


def port(text: str) -> int:
    """Read a port number. Raises ValueError, which argparse explains."""
    number = int(text)
    if number not in range(1, 65_536):
        raise ValueError(text)
    return number


def up(port: int | None) -> int:
    """Bring a stack up and leave it running."""
    stack.forget_dead()
    known = next((found for found in stack.live() if found.engine.port == port), None)
    if known:
        print(f"the stack on port {port} is up already; its credentials were renewed", file=sys.stderr)
    started = known or stack.up(port, report, temporary=False)
    try:
        file = started.write_environment()
    except BaseException:
        if not known:
            stack.down(started)
        raise
    print(f"Daypass is up on {started.aws.url}. The invoker's credentials and all names:")
    print(f"  . {file.relative_to(REPOSITORY)}    # also {stack.LATEST.relative_to(REPOSITORY)}")
    return 0


def down(port: int | None) -> int:
    """End one stack, or all of this checkout."""
    chosen = [found for found in stack.live() if found.engine.port == port or (port is None and not found.temporary)]
    for found in chosen:
        stack.down(found)
        print(f"ended the stack on port {found.engine.port}")
    stack.forget_dead()
    if port is not None and not chosen:
        print(f"no stack of this checkout is up on port {port}", file=sys.stderr)
        return 1
    if not chosen:
        print("no stack of this checkout is up")
    return 0


def status() -> int:
    """List the live stacks."""
    stacks = stack.live()
    for found in stacks:
        kind = "  temporary" if found.temporary else ""
        latest = " (.local/env)" if stack.LATEST.resolve().parent == found.state else ""
        print(f"{found.aws.url}  pid {found.engine.pid}  {found.state.relative_to(REPOSITORY)}{latest}{kind}")
    if not stacks:
        print("no stack of this checkout is up")
    return 0


def patches() -> int:
    """Print what the engine corrects, and why."""
    from daypass_local.patches import ALL, describe

    print("\n\n".join(describe(patch) for patch in ALL))
    return 0


def demo() -> int:
    """Play the main job."""
    from daypass_local.demo import play

    return play()


def main() -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="daypass_local", description="Daypass on a local AWS")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("up", "start an engine, seed it, deploy Daypass to it"),
        ("down", "end a stack, or all that `up` started"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--port", type=port, help="port on 127.0.0.1 (up: default a free one; down: default all)")
    running = commands.add_parser("run", help="run a command with a stack of its own, which ends with it")
    running.add_argument("--uses", type=Path, metavar="FILE", help="write here what all calls needed: /_daypass/uses")
    running.add_argument("--three-accounts", action="store_true", help="with a third target account")
    running.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND …", help="the command")
    commands.add_parser("status", help="list the live stacks of this checkout")
    commands.add_parser("demo", help="play the main job end to end on a stack of its own")
    commands.add_parser("patches", help="print what the engine corrects in ministack and moto, and why")
    options = parser.parse_args()
    try:
        with stack.ending_on_signals():
            match options.command:
                case "up":
                    return up(options.port)
                case "down":
                    return down(options.port)
                case "status":
                    return status()
                case "patches":
                    return patches()
                case "demo":
                    return demo()
                case _:
                    argv = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
                    if not argv:
                        running.error("needs a command: run -- COMMAND …")
                    stack.run(argv, report, uses=options.uses, three_accounts=options.three_accounts)
                    return 0
    except stack.CommandError as error:
        print(error, file=sys.stderr)
        return error.status
    except (DeployError, EngineError, stack.StackError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; everything that was started is stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
