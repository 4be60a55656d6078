"""The action in jobs that end in every way: what they get, that the role is gone then, and that nothing secret is said.

Each runs `action.yml` and the committed bundle with act, and the real `daypass`.
"""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest
from conftest import Job, until

from daypass_local.names import PRODUCTION_ACCOUNT, TARGET_ACCOUNT

WORKFLOW: Final = Path(__file__).parent / "deploy.yml"
WHO_AM_I: Final = '"$PYTHON" -m awscli sts get-caller-identity > "$OUTSIDE/identity"'
# Prints every variable, as a careless deployment does, and keeps them where the test can read them.
CARELESS: Final = 'env | tee "$OUTSIDE/env"; cat "$GITHUB_ENV" 2> /dev/null; touch "$OUTSIDE/started"'


def assert_nothing_secret_is_said(job: Job) -> None:
    """Searches the log, with the job's summary in it, for every secret that there is or could be."""
    log = job.log
    secrets = job.secrets()
    assert len(secrets) > 10, "the engine knows of no sessions: nothing would be searched for"
    assert [what for what, secret in secrets.items() if secret in log] == []
    assert re.findall(r"AGE-SECRET-KEY-|-----BEGIN|\beyJ[\w-]{20,}", log) == []


def assert_released(job: Job) -> None:
    """The one role that was made is gone, and the job says so."""
    (role,) = job.created()
    assert "was given back" in job.log
    until(f"{role} is gone", lambda: job.is_gone(role))


def test_a_job_has_the_role_while_it_runs(job: Job) -> None:
    job.start(WORKFLOW, deploy=f"{CARELESS}; {WHO_AM_I}")
    assert job.wait() == 0, job.log
    (role,) = job.created()
    identity = json.loads((job.outside / "identity").read_text())
    assert identity["Arn"].startswith(f"arn:aws:sts::222222222222:assumed-role/{role}/")
    name, expires_at, persona, account = (job.outside / "outputs").read_text().split()
    assert (name, persona, account) == (role, "Product_Admin", "222222222222")
    assert datetime.fromisoformat(expires_at).tzinfo
    assert "Daypass: role granted" in job.log
    assert "(30 min after the request)" in job.log
    # What the deployment has printed was masked: it had the credentials.
    assert "AWS_SECRET_ACCESS_KEY=***" in job.log
    assert "AWS_SECRET_ACCESS_KEY=***" not in (job.outside / "env").read_text()
    assert_released(job)
    assert_nothing_secret_is_said(job)


def test_a_denial_says_why_and_what_to_do(job: Job) -> None:
    job.start(WORKFLOW, group_type="Network-Deployers", deploy='touch "$OUTSIDE/started"')
    assert job.wait() == 1
    assert "Daypass: access denied" in job.log
    assert "Daypass.NotAMember" in job.log
    assert "What to do" in job.log
    assert "errors.md#daypassnotamember" in job.log
    assert not (job.outside / "started").exists()
    assert job.created() == []
    assert [call for call in job.aws.calls() if call["action"] == "states:StartExecution"] == []
    assert_nothing_secret_is_said(job)


def test_a_deployment_that_fails_keeps_nothing(job: Job) -> None:
    job.start(WORKFLOW, deploy=f"{CARELESS}; exit 3")
    assert job.wait() == 1
    assert "exit status 3" in job.log or "exitcode '3'" in job.log
    assert_released(job)
    assert_nothing_secret_is_said(job)


def test_a_job_that_is_cancelled_while_it_deploys_keeps_nothing(job: Job) -> None:
    job.start(WORKFLOW, deploy=f"{CARELESS}; exec sleep 600")
    until("the deployment has started", (job.outside / "started").exists)
    job.cancel()
    assert job.wait() == 1
    assert "this step has been cancelled" in job.log
    assert_released(job)
    assert_nothing_secret_is_said(job)


def test_a_job_that_is_cancelled_while_it_asks_keeps_nothing(job: Job) -> None:
    # The first attempts to make the role fail, which keeps the request going for seconds: long enough to be cancelled.
    job.aws.control("/_daypass/faults", {"action": "iam:CreateRole", "times": 4})
    job.start(WORKFLOW, deploy='touch "$OUTSIDE/started"')
    attempts = lambda: [call for call in job.aws.calls() if call["action"] == "iam:CreateRole"]  # noqa: E731
    until("the request is on its way", attempts)
    job.cancel()
    assert job.wait() == 1
    assert not (job.outside / "started").exists()
    assert "Daypass: role granted" not in job.log
    (role,) = {call["parameters"]["RoleName"] for call in attempts()}
    # The release comes while the role is being made. That it is missing is not believed before it would be five minutes
    # old: the end has begun, and is open for so long.
    begun = {"ending_since", "deprovisioning_transaction_id"}
    ended = ("deprovisioned", "failed")
    item = lambda: job.recorded(role)  # noqa: E731
    until("the end has begun", lambda: item()["status"]["S"] in ended or begun & item().keys())
    until("the role is gone", lambda: job.is_gone(role))
    assert_nothing_secret_is_said(job)


def test_a_profile_gives_what_a_long_job_needs(job: Job, invoker_role_arn: str) -> None:
    deploy = f'{CARELESS}; [ -z "${{AWS_ACCESS_KEY_ID:-}}" ]; [ "$AWS_PROFILE" = payments-dev ]; {WHO_AM_I}'
    job.start(WORKFLOW, credentials="process", invoker_role_arn=invoker_role_arn, deploy=deploy)
    assert job.wait() == 0, job.log
    (role,) = job.created()
    assert f"assumed-role/{role}/" in (job.outside / "identity").read_text()
    assert_released(job)
    assert_nothing_secret_is_said(job)


def test_the_job_proves_whose_run_it_is(job: Job, invoker_role_arn: str) -> None:
    job.start(WORKFLOW, invoker_role_arn=invoker_role_arn)
    assert job.wait() == 0, job.log
    (role,) = job.created()
    proof = job.recorded(role)["proof"]["M"]
    assert (proof["repository"]["S"], proof["run_id"]["S"]) == ("example/payments", "42")
    assert_released(job)
    assert_nothing_secret_is_said(job)


@pytest.mark.parametrize("credentials", ["environment", "process"])
def test_a_job_can_have_a_role_in_each_of_two_accounts(job: Job, invoker_role_arn: str, credentials: str) -> None:
    who = '"$PYTHON" -m awscli sts get-caller-identity --query Account --output text'
    both = f"{who} --profile payments-dev; {who} --profile payments-prod; {who}"
    job.start(
        WORKFLOW.with_name("two-accounts.yml"),
        credentials=credentials,
        invoker_role_arn=invoker_role_arn,
        first=f'({who}) > "$OUTSIDE/first"',
        deploy=f'({both if credentials == "process" else who}) > "$OUTSIDE/second"',
    )
    assert job.wait() == 0, job.log
    assert (job.outside / "first").read_text().split() == [TARGET_ACCOUNT]
    profiles = [TARGET_ACCOUNT, PRODUCTION_ACCOUNT] if credentials == "process" else []
    assert (job.outside / "second").read_text().split() == [*profiles, PRODUCTION_ACCOUNT]
    for role, account in zip(job.created(), (TARGET_ACCOUNT, PRODUCTION_ACCOUNT), strict=True):
        until(f"{role} is gone", lambda role=role, account=account: job.is_gone(role, account))
    assert_nothing_secret_is_said(job)


def test_a_job_can_ask_again_for_the_account_that_it_has_given_back(job: Job, invoker_role_arn: str) -> None:
    who = '"$PYTHON" -m awscli sts get-caller-identity --query Arn --output text'
    release = 'DAYPASS_INVOKER_ROLE_ARN="$INVOKER_ROLE_ARN" daypass release'
    job.start(
        WORKFLOW.with_name("again.yml"),
        invoker_role_arn=invoker_role_arn,
        first=f'({who}) > "$OUTSIDE/first"; {release}',
        deploy=f'({who}; {who} --profile payments-dev; {who} --profile "$PROFILE") > "$OUTSIDE/second"',
    )
    assert job.wait() == 0, job.log
    first, second = job.created()
    roles = [[arn.split("/")[1] for arn in (job.outside / name).read_text().split()] for name in ("first", "second")]
    assert roles == [[first], [second] * 3]
    for role in (first, second):
        until(f"{role} is gone", lambda role=role: job.is_gone(role))
    assert_nothing_secret_is_said(job)
