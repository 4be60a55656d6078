"""A step after the action that wants the role to stay: the post step releases it, or says that it could not."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import DAYPASS, Job, until

WORKFLOW = Path(__file__).with_name("deploy.yml")
MACHINE = "arn:aws:states:us-east-1:111111111111:stateMachine"

# Whatever this step can set, it sets to what the fake endpoint answers. `$FAKE` is its address.
SET_VARIABLES = f"""
for name in AWS_ENDPOINT_URL AWS_ENDPOINT_URL_SFN AWS_ENDPOINT_URL_STS AWS_ENDPOINT_URL_KMS \\
  HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy ACTIONS_ID_TOKEN_REQUEST_URL; do
  echo "$name=$FAKE" >> "$GITHUB_ENV"
done
for name in PROVISION DEPROVISION RENEW; do echo "DAYPASS_${{name}}_ARN={MACHINE}:evil" >> "$GITHUB_ENV"; done
echo "DAYPASS_INVOKER_ROLE_ARN=arn:aws:iam::111111111111:role/evil" >> "$GITHUB_ENV"
echo "DAYPASS_CONFIG_FILE=$OUTSIDE/evil.toml" >> "$GITHUB_ENV"
echo "AWS_CONFIG_FILE=$OUTSIDE/evil" >> "$GITHUB_ENV"
echo "AWS_CA_BUNDLE=$OUTSIDE/evil" >> "$GITHUB_ENV"
echo "AWS_ACCESS_KEY_ID=evil" >> "$GITHUB_ENV"
echo "HOME=$OUTSIDE" >> "$GITHUB_ENV"
echo "STATE_transaction=evil" >> "$GITHUB_ENV"
echo "STATE_phase=refused" >> "$GITHUB_ENV"
mkdir "$OUTSIDE/bin"
printf '#!/bin/sh\\necho %s\\n' "'{{\\"status\\":\\"deprovisioned\\"}}'" > "$OUTSIDE/bin/daypass"
chmod +x "$OUTSIDE/bin/daypass"
echo "$OUTSIDE/bin" >> "$GITHUB_PATH"
"""

# The files that the command reads: AWS's, its own, the session that it has left; and the profiles of the job.
SET_FILES = f"""
mkdir -p ~/.aws ~/.config/daypass
printf '[default]\\nregion = us-east-1\\nendpoint_url = %s\\n' "$FAKE" | tee ~/.aws/config > ~/.aws/credentials
echo 'deprovision_arn = "{MACHINE}:evil"' > ~/.config/daypass/config.toml
session="$DAYPASS_STATE_DIR/$DAYPASS_TRANSACTION_ID.json"
sed -i 's/stateMachine:daypass-deprovision/stateMachine:evil/' "$session"
grep -q stateMachine:evil "$session"
profiles="${{AWS_CONFIG_FILE:-$OUTSIDE/none}}"
printf '[profile payments-dev]\\nendpoint_url = %s\\n' "$FAKE" >> "$profiles"
"""

EXCHANGE_COMMAND = """
find "$RUNNER_TEMP/daypass" -path '*/command-*/daypass' | while read -r command; do
  rm "$command"
  printf '#!/bin/sh\\necho %s\\n' "'{\\"status\\":\\"deprovisioned\\"}'" > "$command"
  chmod +x "$command"
  touch "$OUTSIDE/exchanged"
done
"""


@pytest.fixture
def fake() -> Iterator[tuple[str, list[str]]]:
    """An endpoint that says that every release has succeeded, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append(f"{self.path} {self.headers.get('X-Amz-Target')}")
            self._answer(_answer_of_states(self.headers.get("X-Amz-Target", ""), body))

        def do_GET(self) -> None:
            asked.append(self.path)
            self._answer({"value": "token"})

        def do_CONNECT(self) -> None:
            asked.append(self.path)
            self.send_error(502)

        def _answer(self, answer: Any) -> None:
            text = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def _answer_of_states(target: str, body: bytes) -> Any:
    """What Step Functions says of a release that has succeeded."""
    if target.endswith("StartExecution"):
        return {"executionArn": f"{MACHINE}:evil:x", "startDate": 1767225600}
    name = json.loads(body or b"{}").get("executionArn", "").rpartition(":")[2]
    original = name.partition("-release-")[0]
    output = {"deprovisioning_transaction_id": None, "original_transaction_id": original, "status": "deprovisioned"}
    return {"status": "SUCCEEDED", "startDate": 1767225600, "stopDate": 1767225601, "output": json.dumps(output)}


@pytest.mark.parametrize("becomes_invoker", [False, True])
@pytest.mark.parametrize("attack", [SET_VARIABLES, SET_FILES], ids=["variables", "files"])
def test_a_later_step_does_not_talk_the_post_step_out_of_the_release(
    job: Job, fake: tuple[str, list[str]], invoker_role_arn: str, attack: str, becomes_invoker: bool
) -> None:
    address, asked = fake
    inputs = {"invoker_role_arn": invoker_role_arn, "credentials": "process"} if becomes_invoker else {}
    job.start(WORKFLOW, deploy=f'FAKE="{address}"\n{attack}\ntouch "$OUTSIDE/attacked"', **inputs)
    status = job.wait()
    assert (job.outside / "attacked").exists(), job.log
    assert status == 0, job.log
    assert asked == []
    (role,) = job.created()
    assert "was given back" in job.log
    until(f"{role} is gone", lambda: job.is_gone(role))


def test_a_command_that_was_exchanged_is_not_run(job: Job) -> None:
    job.start(WORKFLOW, deploy=EXCHANGE_COMMAND)
    assert job.wait() == 1
    assert (job.outside / "exchanged").exists(), job.log
    (role,) = job.created()
    assert "The role could not be given back" in job.log
    assert "is not the program that requested the role" in job.log
    assert "was given back" not in job.log
    assert not job.is_gone(role)
    # From outside of the job, as docs/github-actions.md says.
    subprocess.run([DAYPASS, "release", role.removeprefix("daypass-")], env=os.environ, check=True)
    until(f"{role} is gone", lambda: job.is_gone(role))
