"""`python -m upgrade`: returns 0 when everything is as promised, whichever version began it and whichever ended it."""

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Final

from botocore.exceptions import ClientError

from daypass_local import process, seed
from daypass_local.demo import BrokenPromiseError, Timeline, promise
from daypass_local.deploy import HUB, TARGETS, DeployError
from daypass_local.names import REPOSITORY, STATE
from daypass_local.process import EngineError
from daypass_local.stack import ending_on_signals
from upgrade.fixtures import record
from upgrade.versions import Version, VersionError, before, present
from upgrade.world import Transaction, World

LOGS: Final = STATE / "upgrade"


def main() -> int:
    """Play, and return the exit code."""
    parser = argparse.ArgumentParser(prog="upgrade", description=__doc__)
    parser.add_argument("--record", type=Path, metavar="FOLDER", help="only record items of the version before there")
    options = parser.parse_args()
    timeline = Timeline()
    shutil.rmtree(LOGS, ignore_errors=True)
    try:
        with ending_on_signals():
            old = before(timeline.done)
            with process.running(LOGS) as engine:
                timeline.section(f"An engine on {engine.aws.url}, and the version before on it")
                seed.seed(engine.aws, REPOSITORY / "personas.json")
                old.deploy(engine.aws, LOGS, (HUB, *TARGETS), timeline.done)
                world = World(engine.aws)
                if options.record:
                    timeline.step("record", lambda: record(world, options.record))
                else:
                    play(timeline, world, old, present())
    except (BrokenPromiseError, ClientError, DeployError, EngineError, VersionError) as error:
        print(f"\n✗ not as promised: {error}\n  logs: {LOGS}", flush=True)
        return 1
    print(f"\n✓ everything as promised, in {timeline.seconds:.1f} s; everything that was started is stopped")
    return 0


def play(timeline: Timeline, world: World, old: Version, new: Version) -> None:
    """Upgrade the hub, then the targets; go back with the hub, and forward again. Something is always open."""

    def deploy(version: Version, stacks: tuple[tuple[str, str], ...]) -> None:
        before = world.functions()
        version.deploy(world.aws, LOGS, stacks, timeline.done)
        promise(HUB not in stacks or world.functions() != before, "both versions have the same functions")
        world.look_up()

    def in_between(definitions: dict[str, str], proven: Transaction, *, rolled_back: bool = False) -> None:
        """What a deployment leaves undone for some seconds: the functions are new, the definitions are not yet."""
        started, broken = time.monotonic(), len(world.broken)
        own = world.definitions()
        world.put_definitions(definitions)
        opened = world.open_in_between(proven, rolled_back=rolled_back)
        world.put_definitions(own)
        world.end_in_between(opened, rolled_back=rolled_back)
        said = f"ask in the middle of the deployment: {len(opened)} transactions"
        timeline.done(said, time.monotonic() - started, kept=len(world.broken) == broken)

    def open_all(name: str, *, attacked: bool = False) -> None:
        started = time.monotonic()
        sets[name] = world.open_all() + (world.open_attacked() if attacked else [])
        timeline.done(f"open {name}: {len(sets[name])} transactions", time.monotonic() - started)

    def proven(name: str) -> Transaction:
        return next(it for it in sets[name] if it.kind == "proven")

    def end_all(name: str, *, rolled_back: bool = False) -> None:
        started, broken = time.monotonic(), len(world.broken)
        world.end_all(sets[name], rolled_back=rolled_back)
        said = f"end {name}: each as its kind says, and its lease"
        timeline.done(said, time.monotonic() - started, kept=len(world.broken) == broken)

    sets: dict[str, list[Transaction]] = {}
    open_all("A", attacked=True)
    open_all("B", attacked=True)
    gone = world.open_gone()
    timeline.section("The present version in the hub; the targets are of the version before")
    definitions = world.definitions()
    deploy(new, (HUB,))
    in_between(definitions, proven("A"))
    end_all("A")
    timeline.step("release what nobody can see to be gone", lambda: world.release_unseen(gone))
    open_all("C")
    timeline.section("The present version in the targets as well")
    deploy(new, TARGETS)
    end_all("B")
    timeline.step("release it again", lambda: world.release_seen(gone))
    open_all("D")
    open_all("E")
    timeline.section("The hub goes back to the version before")
    definitions = world.definitions()
    deploy(old, (HUB,))
    in_between(definitions, proven("D"), rolled_back=True)
    end_all("C", rolled_back=True)
    end_all("D", rolled_back=True)
    open_all("F", attacked=True)
    timeline.section("And forward again")
    deploy(new, (HUB,))
    end_all("E")
    end_all("F")
    timeline.section("What has become of it all")
    timeline.done(world.judge(), 0)


sys.exit(main())
