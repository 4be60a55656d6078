"""The table of controls: how each can be weakened, and which test has to notice."""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from weaken.test import Test

TABLE: Final = Path(__file__).with_name("controls.toml")


@dataclass(frozen=True)
class Control:
    """One deliberate weakening: in `file`, `text` is replaced."""

    name: str
    file: str
    text: str
    instead: str
    test: Test

    def problems(self, tree: Path) -> Iterator[str]:
        """Say what keeps the row from meaning anything in `tree`."""
        file = tree / self.file
        times = file.read_text().count(self.text) if file.is_file() else 0
        if times != 1:
            yield f"its text has to be in {self.file} once, and is there {times} times"
        if self.text == self.instead:
            yield "it weakens nothing"
        if not self.test.is_in(tree):
            yield f"there is no test {self.test}"

    @contextmanager
    def weakened(self, tree: Path) -> Iterator[None]:
        """Do without the control in `tree` for the length of a `with` block."""
        file = tree / self.file
        whole = file.read_text()
        file.write_text(whole.replace(self.text, self.instead))
        try:
            yield
        finally:
            file.write_text(whole)


def read() -> list[Control]:
    """Return the rows of the table, in its order."""
    rows = tomllib.loads(TABLE.read_text())["control"]
    return [Control(**{**row, "test": Test.parse(row["test"])}) for row in rows]
