"""The central workflow, called by that of examples/github: what the scan has passed is deployed, and nothing else."""

from pathlib import Path

import pytest
from conftest import REQUEST_TOKEN, Job, until

from daypass_local.names import REPOSITORY, TARGET_ACCOUNT

DEVELOPERS = REPOSITORY / "examples/github/.github/workflows/deploy.yml"
CARELESS = Path(__file__).with_name("central.yml")


def test_what_the_scan_has_passed_is_deployed(job: Job, invoker_role_arn: str) -> None:
    job.start(DEVELOPERS, only="development", invoker_role_arn=invoker_role_arn)
    assert job.wait() == 0, job.log
    stack = job.aws.root("cloudformation", TARGET_ACCOUNT).describe_stacks(StackName="receipts")["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    (role,) = job.created()
    until(f"{role} is gone", lambda: job.is_gone(role))
    assert [what for what, secret in job.secrets().items() if secret in job.log] == []


def test_what_the_scan_refuses_is_not_even_asked_for(job: Job) -> None:
    job.start(DEVELOPERS, only="development", scan="echo something grave; exit 1")
    assert job.wait() == 1
    assert "something grave" in job.log
    assert [call for call in job.aws.calls() if call["action"].startswith("states:")] == []


@pytest.mark.parametrize(("only", "hours", "has_tokens"), [("plain", 0.75, False), ("keeping", 1.5, True)])
def test_the_deployment_has_no_more_than_it_needs(
    job: Job, invoker_role_arn: str, only: str, hours: float, has_tokens: bool
) -> None:
    job.start(CARELESS, only=only, invoker_role_arn=invoker_role_arn)
    assert job.wait() == 0, job.log
    (role,) = job.created()
    assert float(job.recorded(role)["role_ttl_hours"]["N"]) == hours
    # A profile that renews proves anew whose run it is, as a child of the deployment.
    assert (REQUEST_TOKEN in (job.outside / "env").read_text()) == has_tokens
    until(f"{role} is gone", lambda: job.is_gone(role))
