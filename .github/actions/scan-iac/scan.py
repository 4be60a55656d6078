"""Runs checkov (the first argument), shows what it finds, and fails for what is grave, or if nothing was scanned."""

import fnmatch
import html
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

FRAMEWORKS = ("cloudformation", "terraform", "secrets")

# checkov asks its vendor how grave a finding is, for customers only. So it is said here; SCAN_FAIL_ON says otherwise.
GRAVE = (
    # open to everybody: databases, buckets, security groups, repositories, keys, brokers, servers
    *("CKV_AWS_17", "CKV_AWS_20", "CKV_AWS_24", "CKV_AWS_25", "CKV_AWS_32", "CKV_AWS_33", "CKV_AWS_57", "CKV_AWS_69"),
    *("CKV_AWS_87", "CKV_AWS_89", "CKV_AWS_100", "CKV_AWS_164", "CKV_AWS_277"),
    # rights without a limit: roles that anybody assumes, policies that allow all, or more than they seem to
    *("CKV_AWS_60", "CKV_AWS_61", "CKV_AWS_62", "CKV_AWS_63", "CKV_AWS_107", "CKV_AWS_110"),
    *("CKV_AWS_286", "CKV_AWS_287"),
    # secrets in the code
    *("CKV_AWS_41", "CKV_AWS_45", "CKV_AWS_46", "CKV_AWS_384", "CKV_SECRET_*"),
)


def results(checkov: str, path: str) -> list[dict[str, Any]]:
    """What checkov says of the path, for each framework that it has found something of."""
    where = ["--directory", path] if Path(path).is_dir() else ["--file", path]
    command = [checkov, *where, "--framework", *FRAMEWORKS, "--skip-download", "--soft-fail", "--output", "json"]
    answer = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    # One framework is an object, several are a list, none is an object without results.
    return [found for found in (answer if isinstance(answer, list) else [answer]) if "results" in found]


def message(text: str) -> str:
    """Text for the message of a command of the workflow."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def parameter(text: str) -> str:
    """Text for a parameter of a command of the workflow."""
    return message(text).replace(":", "%3A").replace(",", "%2C")


def cell_of(text: str) -> str:
    """Text for a cell of a table of the job's summary."""
    return html.escape(" ".join(text.split())).replace("|", "&#124;")


def main(checkov: str, path: str, fail_on: tuple[str, ...]) -> int:
    """Scans; 1 if something grave was found, or if there was nothing to scan."""
    root = Path(path)
    if not root.exists():
        print(f"::error::there is nothing at {message(path)} to scan")
        return 1
    frameworks = results(checkov, path)
    if not any(found["summary"]["passed"] + found["summary"]["failed"] for found in frameworks):
        print(f"::error::{message(path)} has neither CloudFormation nor Terraform in it: is it the right path?")
        return 1
    grave = 0
    rows = []
    for finding in (finding for found in frameworks for finding in found["results"]["failed_checks"]):
        is_grave = any(fnmatch.fnmatchcase(finding["check_id"], pattern) for pattern in fail_on)
        grave += is_grave
        file = root / finding["file_path"].lstrip("/") if root.is_dir() else root
        line = finding["file_line_range"][0]
        text = f"{finding['check_id']}: {finding['check_name']} ({finding['resource']})"
        level = "error" if is_grave else "warning"
        print(f"::{level} file={parameter(str(file))},line={line}::{message(text)}")
        cells = (finding["check_id"], finding["check_name"], f"{file}:{line}")
        rows.append((not is_grave, "**grave**" if is_grave else "", *(cell_of(cell) for cell in cells)))
    table = [f"| {' | '.join(cells)} |" for _, *cells in sorted(rows)]
    heading = ["| | check | finding | where |", "|---|---|---|---|"] if table else []
    said = f"{len(rows)} findings, {grave} of them grave"
    with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("a", encoding="utf-8") as summary:
        print(f"### Scan of {cell_of(path)}: {said}", "", *heading, *table, "", sep="\n", file=summary)
    print(said)
    return 1 if grave else 0


if __name__ == "__main__":
    given = tuple(word.strip() for word in os.environ["SCAN_FAIL_ON"].split(",") if word.strip())
    sys.exit(main(sys.argv[1], os.environ["SCAN_PATH"], given or GRAVE))
