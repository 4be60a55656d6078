"""Tests of the workspace's crates."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from weaken.process import run
from weaken.test import Answers, NoAnswerError, Test

# All of the workspace, as in the Makefile: with one set of features, dependencies are built once.
BUILD: Final = ("cargo", "test", "--workspace", "--locked", "--no-run", "--message-format=json-render-diagnostics")

# The one crate that has no library.
COMMAND: Final = Path("cli/src/main.rs")


def ask(tree: Path, target: Path, tests: set[Test]) -> Answers:
    """Build tests in `tree` to `target`, and run them. Raises NoAnswerError."""
    if not tests:
        return {}
    selected = sorted({_selection(Path(_root(test))) for test in tests})
    built = run([*BUILD, *selected], tree, CARGO_TARGET_DIR=str(target))
    if built.returncode != 0:
        raise NoAnswerError(f"it does not build:\n{built.stderr}")
    binaries = dict(_binaries(tree, built.stdout))
    return {test: _answer(tree, binaries[_root(test)], test) for test in tests}


def _root(test: Test) -> str:
    """Return the file that the test's binary is built from."""
    package, unit_test, _ = test.file.partition("/src/")
    if package == COMMAND.parts[0] and unit_test:
        return str(COMMAND)
    return f"{package}/src/lib.rs" if unit_test else test.file


def _selection(root: Path) -> str:
    if root == COMMAND:
        return "--bin=daypass"
    if root.name == "lib.rs":
        return "--lib"
    return f"--test={root.parent.name if root.name == 'main.rs' else root.stem}"


def _binaries(tree: Path, messages: str) -> Iterator[tuple[str, str]]:
    for line in messages.splitlines():
        message: dict[str, Any] = json.loads(line)
        # The command itself is built as well, for the tests that run it.
        if message["reason"] == "compiler-artifact" and message["executable"] and message["profile"]["test"]:
            # A target may be outside of its package: `tests/../statemachine/…`.
            yield os.path.relpath(message["target"]["src_path"], tree), message["executable"]


def _answer(tree: Path, binary: str, test: Test) -> str | None:
    listed = run([binary, "--list", "--format=terse"], tree).stdout
    names = re.findall(rf"^((?:.*::)?{test.name}): test$", listed, re.MULTILINE)
    if len(names) != 1:
        raise NoAnswerError(f"{len(names)} tests have the name {test.name}")
    ran = run([binary, "--exact", names[0]], tree, INSTA_UPDATE="no", RUST_BACKTRACE="0")
    if ran.returncode == 0 and "1 passed" in ran.stdout:
        return None
    panic = re.search(r"panicked at (.+):\d+:\d+:\n(.*)", ran.stdout)
    if panic is None:
        raise NoAnswerError(f"the test did not end:\n{ran.stdout}{ran.stderr}")
    place, said = os.path.normpath(panic[1]), panic[2]
    # The test itself, its helpers, or the snapshots that it compares with. Elsewhere, the weakened code has crashed.
    helpers = (f"{test.file.removesuffix('.rs')}/", "testing/src/samples/")
    if place == test.file or place.startswith(helpers) or "/insta-" in place:
        return said
    raise NoAnswerError(f"it crashed at {place}: {said}")
