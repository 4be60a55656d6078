"""The scan of the central workflow, with a stand-in for checkov that answers as checkov 3 does."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from daypass_local.names import REPOSITORY

SCAN = REPOSITORY / ".github/actions/scan-iac/scan.py"
NOTHING: Any = {"passed": 0, "failed": 0, "skipped": 0, "parsing_errors": 0, "resource_count": 0}


def finding(check: str, name: str = "Ensure that it is right") -> dict[str, Any]:
    return {
        "check_id": check,
        "check_name": name,
        "resource": "AWS::S3::Bucket.Receipts",
        "file_path": "/app/template.yaml",
        "file_line_range": [4, 9],
    }


def framework(*failed: dict[str, Any], passed: int = 3) -> dict[str, Any]:
    summary = {"passed": passed, "failed": len(failed), "skipped": 0, "parsing_errors": 0, "resource_count": 1}
    return {"check_type": "cloudformation", "results": {"failed_checks": list(failed)}, "summary": summary}


def scan(folder: Path, answer: Any, fail_on: str = "") -> tuple[int, str, str]:
    """Scan `folder`; return the exit code, what was printed, and the job's summary."""
    checkov, summary = folder / "checkov", folder / "summary"
    checkov.write_text(f"#!/bin/sh\ncat <<'ANSWER'\n{json.dumps(answer)}\nANSWER\n")
    checkov.chmod(0o755)
    done = subprocess.run(
        [sys.executable, SCAN, checkov],
        env={"SCAN_PATH": str(folder), "SCAN_FAIL_ON": fail_on, "GITHUB_STEP_SUMMARY": str(summary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout, summary.read_text() if summary.exists() else ""


def test_what_is_grave_fails_and_what_is_not_is_shown(tmp_path: Path) -> None:
    status, printed, summary = scan(tmp_path, framework(finding("CKV_AWS_21"), finding("CKV_AWS_20")))
    assert status == 1
    where = f"file={tmp_path}/app/template.yaml,line=4::"
    assert f"::warning {where}CKV_AWS_21: Ensure" in printed
    assert f"::error {where}CKV_AWS_20: Ensure" in printed
    assert "2 findings, 1 of them grave" in summary
    rows = [row for row in summary.splitlines() if "CKV" in row]
    assert [row.startswith("| **grave** |") for row in rows] == [True, False]


def test_what_is_not_grave_does_not_fail(tmp_path: Path) -> None:
    assert scan(tmp_path, framework(finding("CKV_AWS_21")))[0] == 0
    assert scan(tmp_path, framework())[0] == 0


@pytest.mark.parametrize("answer", [NOTHING, framework(passed=0), [framework(passed=0), framework(passed=0)]])
def test_nothing_to_scan_fails(tmp_path: Path, answer: Any) -> None:
    status, printed, _ = scan(tmp_path, answer)
    assert status == 1
    assert "has neither CloudFormation nor Terraform" in printed


def test_every_framework_counts(tmp_path: Path) -> None:
    assert scan(tmp_path, [framework(), framework(finding("CKV_SECRET_6"))])[0] == 1


@pytest.mark.parametrize(("fail_on", "status"), [("CKV_AWS_21", 1), ("CKV_AWS_*, other", 1), ("CKV_AWS_2", 0)])
def test_what_is_grave_can_be_said(tmp_path: Path, fail_on: str, status: int) -> None:
    assert scan(tmp_path, framework(finding("CKV_AWS_21")), fail_on)[0] == status


def test_names_bring_no_markup_and_no_commands(tmp_path: Path) -> None:
    evil = "a|b <img src=x>\n::add-path::/evil"
    _, printed, summary = scan(tmp_path, framework(finding("CKV_AWS_21", evil)))
    assert "\n::add-path" not in printed
    assert "<img" not in summary
    assert len([row for row in summary.splitlines() if row.startswith("|")]) == 3
