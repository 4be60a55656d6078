"""`python -m weaken [--check] [WORD…]`: every control, or those with one of the words in their name."""

import argparse
import fcntl
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from weaken import rust, vitest
from weaken.controls import Control, read
from weaken.replica import bring_up_to_date, seed
from weaken.test import Answers, NoAnswerError, Test

REPOSITORY: Final = Path(__file__).resolve().parents[2]
WORK: Final = REPOSITORY / ".local/weaken"
TREE: Final = WORK / "tree"
TARGET: Final = WORK / "target"


def main() -> int:
    """Return 1 when a control can be weakened without a test that notices, or the table is wrong."""
    parser = argparse.ArgumentParser(prog="weaken", description=__doc__)
    parser.add_argument("--check", action="store_true", help="see whether the table is right, and weaken nothing")
    parser.add_argument("--said", action="store_true", help="show what each test says")
    parser.add_argument("words", nargs="*", metavar="WORD")
    arguments = parser.parse_args()

    controls = read()
    wrong = list(problems(controls))
    chosen = [it for it in controls if not arguments.words or any(word in it.name for word in arguments.words)]
    if not chosen:
        wrong.append("no control has such a word in its name")
    for problem in wrong:
        print(problem, file=sys.stderr)
    if wrong or arguments.check:
        return 1 if wrong else 0

    # A polite request to end ends what was started as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        bring_up_to_date(REPOSITORY, TREE)
        seed(REPOSITORY / "target", TARGET)
        return 0 if passes(chosen) and weaken(chosen, said=arguments.said) else 1


def problems(controls: list[Control]) -> Iterator[str]:
    """Say what is wrong with the table, without running anything."""
    names = [control.name for control in controls]
    yield from (f"two controls have the name {name}" for name in sorted({it for it in names if names.count(it) > 1}))
    for control in controls:
        yield from (f"{control.name}: {problem}" for problem in control.problems(REPOSITORY))


def passes(controls: list[Control]) -> bool:
    """Return whether every test passes while nothing is weakened; say which does not."""
    started = time.monotonic()
    try:
        answers = ask(control.test for control in controls)
    except (NoAnswerError, TimeoutError) as error:
        print(f"nothing weakened, and the tests cannot be asked: {error}", file=sys.stderr)
        return False
    failed = {test: complaint for test, complaint in answers.items() if complaint is not None}
    for test, complaint in failed.items():
        print(f"nothing weakened, and {test} fails: {complaint}", file=sys.stderr)
    if not failed:
        print(f"nothing weakened: all {len(answers)} tests pass ({time.monotonic() - started:.0f} s)\n", flush=True)
    return not failed


def weaken(controls: list[Control], *, said: bool) -> bool:
    """Weaken one after the other, say which test has caught it, and return whether each was caught."""
    rows = [(control.name, control.file, str(control.test)) for control in controls]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    caught = 0
    for control, row in zip(controls, rows, strict=True):
        started = time.monotonic()
        try:
            with control.weakened(TREE):
                complaint = ask([control.test])[control.test]
            reason = "the test passes"
        except (NoAnswerError, TimeoutError) as error:
            complaint, reason = None, str(error)
        caught += complaint is not None
        verdict = f"NOT CAUGHT: {reason}" if complaint is None else "caught"
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(f"{cells}  {time.monotonic() - started:3.0f} s  {verdict}", flush=True)
        if said and complaint:
            print(f"    {complaint.splitlines()[0][:160]}", flush=True)
    print(f"\nweakened {len(controls)}, caught {caught}")
    return caught == len(controls)


def ask(tests: Iterable[Test]) -> Answers:
    """Run tests in the copy. Raises NoAnswerError when one of them has no say."""
    tests = set(tests)
    of_crates = {test for test in tests if test.is_rust}
    return rust.ask(TREE, TARGET, of_crates) | vitest.ask(TREE, tests - of_crates)


sys.exit(main())
