"""A test, and what it says."""

import re
from dataclasses import dataclass
from pathlib import Path


class NoAnswerError(Exception):
    """A test could not be asked: the code does not build, or something else than the test failed."""


@dataclass(frozen=True)
class Test:
    """A test by its file and its name there; written `file::name`."""

    file: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "Test":
        """Read the notation of the table."""
        file, name = text.split("::", maxsplit=1)
        return cls(file, name)

    @property
    def is_rust(self) -> bool:
        """Whether it is one of a crate; else it is the CDK app's, or the action's."""
        return self.file.endswith(".rs")

    def is_in(self, tree: Path) -> bool:
        """Return whether the file has such a test."""
        file = tree / self.file
        pattern = rf"\bfn {self.name}\(" if self.is_rust else rf"(['\"`]){re.escape(self.name)}\1"
        return file.is_file() and re.search(pattern, file.read_text()) is not None

    def __str__(self) -> str:
        return f"{self.file}::{self.name}"


Answers = dict[Test, str | None]
"""What each test complains of; nothing when it passes."""
