"""The demo says what is not as promised, and its exit code does too."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Accounts

from daypass_local import demo, stack
from daypass_local.deploy import DeployError


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A stack that is already there and a play that does nothing."""

    @contextmanager
    def temporary(_report: Any) -> Iterator[Any]:
        yield SimpleNamespace(aws=None, state=tmp_path, environment=dict)

    monkeypatch.setattr(stack, "temporary", temporary)
    monkeypatch.setattr(demo.Demo, "play", lambda _self: None)
    return tmp_path


def test_everything_as_promised(stage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.play() == 0
    assert "✓ everything as promised" in capsys.readouterr().out
    assert stage.exists()


def test_a_broken_promise(stage: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def play(self: demo.Demo) -> None:
        self._timeline.step("use the credentials", lambda: str(demo.promise(False, "they still work")))

    monkeypatch.setattr(demo.Demo, "play", play)
    assert demo.play() == 1
    said = capsys.readouterr().out
    assert "✗  use the credentials: they still work" in said
    assert f"logs: {stage}" in said


def test_a_set_up_that_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def temporary(_report: Any) -> Any:
        raise DeployError("`synthesize` failed")

    monkeypatch.setattr(stack, "temporary", temporary)
    assert demo.play() == 1
    assert "`synthesize` failed" in capsys.readouterr().out


def test_a_refusal_is_told_from_success_and_from_other_errors(accounts: Accounts) -> None:
    role = accounts.role(accounts.target, "powerless")
    iam = accounts.aws.client("iam", accounts.session(role))
    assert demo.refusal(iam.list_users) == "AccessDenied"
    root = accounts.aws.root("iam", accounts.target)
    assert demo.refusal(root.list_users) is None
    with pytest.raises(root.exceptions.NoSuchEntityException):
        demo.refusal(root.get_role, RoleName="not-there")


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "PATIENCE_SECONDS", 0.1)
    with pytest.raises(demo.BrokenPromiseError, match="it never came"):
        demo.until(lambda: False, "it never came")
