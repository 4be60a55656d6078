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
from upgrade.world import World

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

    def open_all(name: str, *, attacked: bool = False) -> None:
        started = time.monotonic()
        sets[name] = world.open_all() + (world.open_attacked() if attacked else [])
        timeline.done(f"open {name}: {len(sets[name])} transactions", time.monotonic() - started)

    def end_all(name: str) -> None:
        started = time.monotonic()
        world.end_all(sets[name])
        timeline.done(f"end {name}: each as its kind says, and its lease", time.monotonic() - started)

    sets = {}
    open_all("A", attacked=True)
    open_all("B", attacked=True)
    timeline.section("The present version in the hub; the targets are of the version before")
    deploy(new, (HUB,))
    end_all("A")
    open_all("C")
    timeline.section("The present version in the targets as well")
    deploy(new, TARGETS)
    end_all("B")
    open_all("D")
    open_all("E")
    timeline.section("The hub goes back to the version before")
    deploy(old, (HUB,))
    end_all("C")
    end_all("D")
    open_all("F", attacked=True)
    timeline.section("And forward again")
    deploy(new, (HUB,))
    end_all("E")
    end_all("F")
    timeline.section("What has become of it all")
    timeline.step("judge", world.judge)


sys.exit(main())
