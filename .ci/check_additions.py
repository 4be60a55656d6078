"""Hold the table of CONTRIBUTING.md that says which files one more field, error name, command or persona takes.

Each row names one that exists. The files of the row have to be those that name it, among what is written by hand and is
not a test: a place that is not listed is found, and so is a file that is listed without need.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[1]
HEADING: Final = "## What one more of a kind costs"
MOST: Final = {"request field": 5, "error name": 6, "command": 3, "persona": 1}
SOURCES: Final = (
    "*/src/*.rs",
    "tasks/*/src/*.rs",
    "action/src",
    "action.yml",
    "cdk/lib",
    "personas.json",
    "statemachine/*.asl.json",
    "docs/cli.md",
    "docs/errors.md",
)
TESTS: Final = re.compile(r"/tests?(/|\.rs$)|/properties\.rs$|^(testing|tests)/")


def without_tests(path: Path) -> str:
    """Return the text of a source file up to its unit tests."""
    return path.read_text().split("#[cfg(test)]\nmod tests {", 1)[0]


def naming(name: str) -> set[str]:
    """Return the source files that name it."""
    listed = subprocess.run(
        ["git", "ls-files", "--", *SOURCES], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
    files = [file for file in listed.stdout.split() if not TESTS.search(file)]
    word = re.compile(rf"\b{re.escape(name)}\b")
    return {file for file in files if word.search(without_tests(REPOSITORY / file))}


def rows(text: str) -> list[tuple[str, str, set[str]]]:
    """Return the rows of the table: the kind, the one that exists, and the files."""
    section = text.split(HEADING, 1)[1].split("\n## ", 1)[0]
    cells = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    code = re.compile(r"`([^`]+)`")
    return [(kind, code.findall(name)[0], set(code.findall(files))) for kind, name, files in cells[1:]]


def problems(kind: str, name: str, files: set[str]) -> list[str]:
    """Return what is wrong with a row."""
    found = naming(name)
    said = [f"{file} names it, and is not listed" for file in sorted(found - files)]
    said += [f"{file} is listed, and does not name it" for file in sorted(files - found)]
    said += [f"{len(files)} files are more than {MOST[kind]}"] if len(files) > MOST[kind] else []
    return [f"CONTRIBUTING.md: {kind} `{name}`: {line}" for line in said]


def main() -> int:
    """Print what is not as the table says; return whether anything is not."""
    table = rows((REPOSITORY / "CONTRIBUTING.md").read_text())
    if [kind for kind, _, _ in table] != list(MOST):
        print(f"CONTRIBUTING.md: the rows of {HEADING!r} have to be {', '.join(MOST)}")
        return 1
    wrong = [problem for row in table for problem in problems(*row)]
    # A check that cannot fail proves nothing: a row that lacks a file, or has one too many, is wrong.
    wrong += [
        f"{kind} `{name}`: a wrong row is not noticed"
        for kind, name, files in table
        for broken in (files - {min(files)}, files | {"Makefile"})
        if not problems(kind, name, broken)
    ]
    for problem in wrong:
        print(problem)
    if not wrong:
        print("CONTRIBUTING.md: " + ", ".join(f"one more {kind}: {len(files)}" for kind, _, files in table) + " files")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
