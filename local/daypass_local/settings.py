"""What a test may change while the engine runs (`POST /_daypass/settings`)."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

MissingRole = Literal["no-such-entity", "access-denied"]


@dataclass
class Settings:
    """Live settings of one engine."""

    missing_role: MissingRole = "no-such-entity"
    """What a caller that may only act below a path gets for a role that is not there (see `iam.missing_roles`)."""

    minimum_session_seconds: int = 900
    """The shortest DurationSeconds of AssumeRole; AWS's is 900. Lower it to see a session expire."""

    iam_calls_per_second: float | None = None
    """How many calls IAM takes of an account in a second, and as many at once; more are answered `Throttling`."""

    identity_store_key: str | None = None
    """The ARN of the customer managed key that the Identity Store encrypts its data with, if it does."""

    most_attempts: int | None = None
    """How often a state tries again at most, where its Retry allows more: a day of attempts takes moments then."""

    schedules: bool = True
    """Whether schedules fire. A test that counts every call, or lets some fail, switches them off."""

    def update(self, changes: dict[str, Any]) -> None:
        """Apply `changes`, all or none. Raises ValueError for an unknown name or a value that does not fit."""
        unknown = changes.keys() - vars(self).keys()
        if unknown:
            raise ValueError(f"unknown settings: {', '.join(sorted(unknown))}")
        if changes.get("missing_role", self.missing_role) not in get_args(MissingRole):
            raise ValueError(f"missing_role is one of {', '.join(get_args(MissingRole))}")
        if not isinstance(changes.get("minimum_session_seconds", 1), int):
            raise ValueError("minimum_session_seconds is a whole number")
        if not isinstance(changes.get("iam_calls_per_second", 1), int | float | None):
            raise ValueError("iam_calls_per_second is a number, or null")
        if not isinstance(changes.get("identity_store_key", ""), str | None):
            raise ValueError("identity_store_key is an ARN, or null")
        if not isinstance(changes.get("most_attempts", 1), int | None):
            raise ValueError("most_attempts is a whole number, or null")
        if not isinstance(changes.get("schedules", True), bool):
            raise ValueError("schedules is true or false")
        for name, value in changes.items():
            setattr(self, name, value)


SETTINGS = Settings()
"""The settings of this process's engine."""
