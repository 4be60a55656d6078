"""The script of the GitLab component, as a job of GitLab runs it, with the token of a real issuer."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from conftest import DAYPASS, Job, until
from ruamel.yaml import YAML

from check_gitlab import COMPONENT, filled


def test_the_component_deploys_and_gives_the_role_back(job: Job, tmp_path: Path) -> None:
    who = '"$PYTHON" -m awscli sts get-caller-identity > "$OUTSIDE/identity"; env > "$OUTSIDE/env"; env'
    header, template = YAML(typ="safe").load_all(COMPONENT)
    inputs = {name: str(spec.get("default", "")) for name, spec in header["spec"]["inputs"].items()}
    (component,) = filled(template, inputs | {"account": "payments-dev", "deploy": who}).values()

    token = job.aws.control("/_daypass/issuers/gitlab/tokens", {"claims": {}})["token"]
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/daypass").symlink_to(DAYPASS)
    stack = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "DAYPASS_"))}
    script = "\n".join(component["script"])
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        env={
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "PYTHON": sys.executable,
            "OUTSIDE": str(tmp_path),
            **stack,
            **variables(component["variables"]),
            "GITLAB_CI": "true",
            "GITLAB_USER_EMAIL": "alex@example.com",
            "CI_COMMIT_BRANCH": "main",
            "CI_COMMIT_REF_NAME": "main",
            "CI_PROJECT_PATH": "example/payments",
            "CI_JOB_URL": "https://gitlab.example.com/example/payments/-/jobs/1123",
            "CI_JOB_TIMEOUT": "5400",
            "DAYPASS_IDENTITY_TOKEN": token,
            "DAYPASS_AWS_TOKEN": "another token",
            "DAYPASS_AWS_ROLE_ARN": "",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    (role,) = job.created()
    identity = json.loads((tmp_path / "identity").read_text())
    assert identity["Arn"].startswith(f"arn:aws:sts::222222222222:assumed-role/{role}/")
    assert float(job.recorded(role)["role_ttl_hours"]["N"]) == 1.5, "as long as the job may run"
    until(f"{role} is gone", lambda: job.is_gone(role))
    # The deployment has printed its environment: there is nothing in it that opens anything when the job is over.
    assert token not in printed
    assert [what for what, secret in job.secrets().items() if secret in printed] == []


def variables(said: dict[str, Any]) -> dict[str, str]:
    """A job's variables, of which some are said at length."""
    return {name: value["value"] if isinstance(value, dict) else str(value) for name, value in said.items()}
