"""Holds docs/threat-model.md to its form, and every test that it names to the tests that there are.

Every check is tried on a document that is broken in that way first: a check that cannot fail proves nothing.
"""

import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
DOCUMENT = REPOSITORY / "docs/threat-model.md"
PROMISES = range(1, 11)

# `file::test`, as the document names a test.
NAMED = re.compile(r"`([\w./-]+\.(?:rs|py|ts))::([^`]+)`")
ATTRIBUTES = r"((?:\s*#\[[^\n]*\])*)"
RUST = re.compile(rf"#\[(?:tokio::)?test(?:\([^)\n]*\))?\]{ATTRIBUTES}\s*(?:async )?fn (\w+)\(")
PYTHON = re.compile(r"^(?:async )?def (test_\w+)\(", re.MULTILINE)
# `test('name', () =>` or the end of a table, `])('name', (row) =>`.
VITEST = re.compile(r"(?:^\s*test|\))\('((?:[^'\\\n]|\\.)+)',\s*(?:async )?\(", re.MULTILINE)


@cache
def tests_of(path: Path) -> frozenset[str]:
    """The names of the tests in the file that are run; a line that is commented out holds none."""
    text = re.sub(r"^\s*(//|#(?!\[)).*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    match path.suffix:
        case ".rs":
            return frozenset(test[2] for test in RUST.finditer(text) if "#[ignore" not in test[1])
        case ".py":
            return frozenset(PYTHON.findall(text))
        case _:
            return frozenset(VITEST.findall(text))


def unknown_tests(text: str) -> Iterator[str]:
    """Tests that are named and do not exist."""
    for file, test in NAMED.findall(text):
        path = REPOSITORY / file
        if not path.is_file():
            yield f"{file}::{test}: there is no such file"
        elif test not in tests_of(path):
            yield f"{file}::{test}: there is no such test in the file"


def promises(text: str) -> Iterator[str]:
    """Promises without a row that names a test."""
    rows = {int(number): row for number, row in re.findall(r"^\| (\d+) \|(.*)$", text, re.MULTILINE)}
    for number in PROMISES:
        if not NAMED.search(rows.get(number, "")):
            yield f"promise {number}: no row of the table names a test of it"


def threats(text: str) -> Iterator[str]:
    """Threats that nothing proves a control of and nobody accepts, and numbers that are not in order."""
    sections = re.findall(r"^### (\d+)\. ([^\n]+)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    if [int(number) for number, _, _ in sections] != list(range(1, len(sections) + 1)) or not sections:
        yield "the threats are not numbered from 1 on"
    for number, title, section in sections:
        if not NAMED.search(section) and "\n- Accepted: " not in section:
            yield f"threat {number} ({title}): it has neither a test nor a line that begins with `- Accepted: `"


def links(text: str) -> Iterator[str]:
    """Links into the repository that lead nowhere."""
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        if not (DOCUMENT.parent / target).exists():
            yield f"the link {target} leads nowhere"


CHECKS: tuple[Callable[[str], Iterator[str]], ...] = (unknown_tests, promises, threats, links)

# Breaks of the document: a pattern, what is written in the place of its first match, and what has to be said about it.
BREAKS = (
    (r"\.rs::\w+`", ".rs::nobody_wrote_this`", "there is no such test"),
    (r"\.py::\w+`", ".py::test_nobody_wrote_this`", "there is no such test"),
    (r"\.ts::[^`]+`", ".ts::nobody wrote this`", "there is no such test"),
    (r"`[\w./-]+\.rs::", "`tests/nowhere.rs::", "there is no such file"),
    (r"(?m)^\| 7 \|.*\n", "", "promise 7:"),
    (r"(?m)^\| 10 \|.*$", "| 10 | of course | it holds |", "promise 10:"),
    (r"(?m)^### 2\. ", "### 3. ", "not numbered"),
    (r"\Z", "\n### 999. Nobody looks\n\n- Control: hope\n", "threat 999 (Nobody looks)"),
    (r"\]\(\.\./", "](../nowhere/", "leads nowhere"),
)


def problems_of(text: str) -> set[str]:
    """All that is wrong with the document."""
    return {problem for check in CHECKS for problem in check(text)}


def breaks_that_go_unnoticed(text: str) -> Iterator[str]:
    """Breaks of the document that nothing is said about."""
    known = problems_of(text)
    for pattern, instead, says in BREAKS:
        broken = re.sub(pattern, lambda _, instead=instead: instead, text, count=1)
        if not any(says in problem for problem in problems_of(broken) - known):
            yield f"nobody notices that {pattern} has become {instead!r}"


def main() -> int:
    """Prints what is wrong; 1 if anything is."""
    text = DOCUMENT.read_text(encoding="utf-8")
    problems = [*sorted(problems_of(text)), *breaks_that_go_unnoticed(text)]
    for problem in problems:
        print(f"docs/threat-model.md: {problem}")
    if not problems:
        print(f"docs/threat-model.md: the {len(set(NAMED.findall(text)))} tests that it names exist")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
