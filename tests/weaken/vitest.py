"""Tests of the CDK app and of the action."""

import json
import re
from pathlib import Path
from typing import Any

from weaken.process import run
from weaken.test import Answers, NoAnswerError, Test


def ask(tree: Path, tests: set[Test]) -> Answers:
    """Run tests in `tree`. Raises NoAnswerError."""
    answers: Answers = {}
    for file in {test.file for test in tests}:
        named = {test for test in tests if test.file == file}
        pattern = "|".join(_titles(test) for test in named)
        vitest = ["node_modules/.bin/vitest", "run", "--reporter=json", "-t", pattern]
        folder, _, path = file.partition("/")
        ran = run([*vitest, path], tree / folder)
        try:
            [results] = json.loads(ran.stdout)["testResults"]
        except ValueError as error:
            raise NoAnswerError(f"no tests ran:\n{ran.stdout}{ran.stderr}") from error
        answers |= {test: _answer(results, test) for test in named}
    return answers


def _titles(test: Test) -> str:
    """Return a regular expression for the titles that a test has, one for each of its cases."""
    return re.sub(r"%[ijs]", ".*", re.escape(test.name))


def _answer(results: dict[str, Any], test: Test) -> str | None:
    cases = [case for case in results["assertionResults"] if re.fullmatch(_titles(test), case["title"])]
    if not cases or any(case["status"] not in {"failed", "passed"} for case in cases):
        raise NoAnswerError(f"{test.name} did not run: {results['message']}")
    complaints = [case["failureMessages"][0] for case in cases if case["status"] == "failed"]
    said = [complaint for complaint in complaints if complaint.startswith("AssertionError")]
    if complaints and not said:
        raise NoAnswerError(f"it crashed: {complaints[0]}")
    return said[0] if said else None
