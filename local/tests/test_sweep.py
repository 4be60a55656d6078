"""The sweep machine, on a table with items of every kind and a machine in the place of deprovision.

What can be seen in the definition is held by `statemachine/tests/state_machines/`; here its JSONata is evaluated.
"""

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Accounts, allow, service_trust

from daypass_local.aws import Aws

DEFINITION = Path(__file__).resolve().parents[2] / "statemachine/sweep.asl.json"
PAGE = 3
"""Items that DynamoDB looks at for a page here, instead of a hundred."""


def minutes(from_now: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=from_now)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Swept:
    """A table, and an execution of the sweep when it is asked for."""

    def __init__(self, accounts: Accounts) -> None:
        self.aws, self.suffix = accounts.aws, accounts.suffix
        self.sfn = accounts.aws.root("stepfunctions", accounts.hub)
        self.dynamodb = accounts.aws.root("dynamodb", accounts.hub)
        self.table = f"transactions-{self.suffix}"
        self.dynamodb.create_table(
            TableName=self.table,
            KeySchema=[{"AttributeName": "transaction_id", "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("transaction_id", "open_lease", "expires_at")
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "open-leases",
                    "KeySchema": [
                        {"AttributeName": "open_lease", "KeyType": "HASH"},
                        {"AttributeName": "expires_at", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        may = allow(["states:StartExecution", "dynamodb:Query"])
        trusts = [service_trust("states.amazonaws.com")]
        self.role = accounts.role(accounts.hub, "sweep", trusts=trusts, policies=[may])
        self.deprovision = self.make("deprovision", '{"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}')
        text = DEFINITION.read_text().replace('"Limit": 100', f'"Limit": {PAGE}')
        text = text.replace("${transactions}", self.table).replace("${deprovision}", self.deprovision)
        self.definition = text

    def make(self, name: str, definition: str) -> str:
        name = f"{name}-{self.suffix}"
        made = self.sfn.create_state_machine(name=name, type="STANDARD", roleArn=self.role, definition=definition)
        return str(made["stateMachineArn"])

    def put(self, transaction: str, status: str, asked: float, expires: float, **more: str | bool) -> None:
        """Put an item that was asked for and expires so many minutes from now."""
        item = {
            "transaction_id": transaction,
            "status": status,
            "requested_at": minutes(asked),
            "expires_at": minutes(expires),
            "open_lease": "open",
        } | more
        typed = {name: {"BOOL" if isinstance(value, bool) else "S": value} for name, value in item.items()}
        self.dynamodb.put_item(TableName=self.table, Item=typed)

    def sweep(self, definition: str = "") -> Any:
        machine = self.make(f"sweep-{time.monotonic_ns()}", definition or self.definition)
        execution = self.sfn.start_execution(stateMachineArn=machine)["executionArn"]
        deadline = time.monotonic() + 30
        while (found := self.sfn.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return found

    def states(self, execution: str) -> list[str]:
        events = self.sfn.get_execution_history(executionArn=execution, maxResults=1000)["events"]
        return [event["stateEnteredEventDetails"]["name"] for event in events if "StateEntered" in event["type"]]

    @property
    def started(self) -> list[str]:
        """The transactions whose end was started, each as often as it was."""
        found = []
        for execution in self.sfn.list_executions(stateMachineArn=self.deprovision)["executions"]:
            named = re.fullmatch(r"(.+)-sweep-[0-9a-f]{8}", execution["name"])
            described = self.sfn.describe_execution(executionArn=execution["executionArn"])
            assert named
            assert json.loads(described["input"]) == {"schema": 1, "transaction_id": named[1]}
            found.append(named[1])
        return sorted(found)

    def fault(self, action: str, error: str, **more: Any) -> None:
        self.aws.control("/_daypass/faults", {"action": action, "error": error, "caller": self.role} | more)


@pytest.fixture
def swept(accounts: Accounts, aws: Aws) -> Swept:
    aws.control("/_ministack/config", {"stepfunctions._SFN_WAIT_SCALE": 0})
    return Swept(accounts)


EMPTY = ["Begin", "FindOverdue", "Release", "IsThereMore", "FindDead", "Release", "IsThereMore", "Swept"]


def test_nothing_to_do(swept: Swept) -> None:
    ended = swept.sweep()
    assert (ended["status"], swept.states(ended["executionArn"])) == ("SUCCEEDED", EMPTY)
    assert swept.started == []


def test_what_nobody_ends_is_ended_and_nothing_else(swept: Swept) -> None:
    swept.put("died", "processing", -6.1, 60)
    swept.put("died-long-ago", "processing", -100, -20)
    swept.put("overdue", "provisioned", -60, -15.1)
    # Whoever began their end was refused, or stopped, and no lease goes on with it.
    swept.put("left", "processing", -60, 60, ending_since=minutes(-6.1), role_may_exist=False)
    swept.put("left-long-ago", "processing", -90, -20, ending_since=minutes(-80), role_may_exist=False)

    swept.put("at-work", "processing", -5.8, 60)
    swept.put("leased", "provisioned", -60, 60)
    swept.put("expired", "provisioned", -60, -14.8)
    swept.put("ending", "deprovisioning", -60, -30, ending_since=minutes(-29))
    swept.put("ending-by-the-version-before", "deprovisioning", -60, -30, deprovisioning_transaction_id="x")
    swept.put("released-in-time", "processing", -7, 60, ending_since=minutes(-1))
    swept.put("released-before-a-role", "processing", -7, 60, ending_since=minutes(-5.8), role_may_exist=False)
    swept.put("ending-with-a-role", "processing", -60, 60, ending_since=minutes(-50), role_may_exist=True)
    swept.put("gave-up", "deprovision_failed", -9000, -8000, ending_since=minutes(-7999))
    assert swept.sweep()["status"] == "SUCCEEDED"
    assert swept.started == ["died", "died-long-ago", "left", "left-long-ago", "overdue"]


def test_the_moments_are_whole_seconds(swept: Swept) -> None:
    # A time of the same second is not before: as text with a fraction the limit would come before it, with or without.
    only = json.loads(swept.definition)
    moments = {name: only["States"]["Begin"]["Assign"][name] for name in ("overdue", "died")}
    begin = {"Type": "Pass", "Output": moments | {"began": "{% $states.context.Execution.StartTime %}"}, "End": True}
    ended = swept.sweep(json.dumps({"QueryLanguage": "JSONata", "StartAt": "Begin", "States": {"Begin": begin}}))
    found = {name: datetime.fromisoformat(at) for name, at in json.loads(ended["output"]).items()}
    began = found["began"].replace(microsecond=0)
    assert found["overdue"] == began - timedelta(minutes=15)
    assert found["died"] == began - timedelta(minutes=6)
    texts = json.loads(ended["output"])
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", texts[name]) for name in moments)


def test_every_page_of_both_searches_is_looked_at(swept: Swept) -> None:
    for number in range(4):
        swept.put(f"overdue-{number}", "provisioned", -60, -30 + number)
        swept.put(f"ending-{number}", "provisioned", -60, -40 + number, ending_since=minutes(-1))
        swept.put(f"leased-{number}", "provisioned", -60, 10 + number)
        swept.put(f"died-{number}", "processing", -60, 20 + number)
    ended = swept.sweep()
    assert ended["status"] == "SUCCEEDED"
    assert swept.started == [f"{kind}-{number}" for kind in ("died", "overdue") for number in range(4)]
    states = swept.states(ended["executionArn"])
    assert states.count("FindOverdue") >= 8 // PAGE + 1
    assert states.count("FindDead") >= 8 // PAGE + 1


def test_an_execution_starts_so_many_and_leaves_the_rest_to_the_next(swept: Swept) -> None:
    for number in range(9):
        swept.put(f"overdue-{number}", "provisioned", -60, -30 + number)
    few = swept.definition.replace("$started < 500", "$started < 5")
    ended = swept.sweep(few)
    assert (ended["status"], len(swept.started)) == ("SUCCEEDED", 2 * PAGE)
    assert "FindDead" not in swept.states(ended["executionArn"])


def test_one_that_cannot_be_started_is_told_and_keeps_no_other(swept: Swept) -> None:
    for number in range(5):
        swept.put(f"died-{number}", "processing", -60, 20 + number)
    # It has a name that no execution can have, whatever is tried; another meets a passing fault.
    swept.put("not a name", "processing", -60, 20)
    swept.fault("states:StartExecution", "ThrottlingException", times=2)
    ended = swept.sweep()
    assert swept.started == [f"died-{number}" for number in range(5)]
    assert (ended["status"], ended["error"]) == ("FAILED", "Daypass.AwsUnavailable")
    cause = json.loads(ended["cause"])
    assert cause["status"] == "failed"
    assert cause["reason"].startswith("1 of 6 ends could not be started, and the next sweep tries again: not a name (")
    assert "InvalidName" in cause["reason"]


def test_a_start_whose_answer_is_lost_may_be_repeated(swept: Swept) -> None:
    swept.put("died", "processing", -60, 20)
    swept.fault("states:StartExecution", "SdkClientException", execute=True)
    assert swept.sweep()["status"] == "SUCCEEDED"
    assert swept.started == ["died", "died"]


@pytest.mark.parametrize("error", ["ThrottlingException", "InternalServerErrorException", "Unforeseen"])
def test_a_search_is_tried_again(swept: Swept, error: str) -> None:
    swept.put("died", "processing", -60, 20)
    swept.fault("dynamodb:Query", error)
    assert swept.sweep()["status"] == "SUCCEEDED"
    assert swept.started == ["died"]


def test_a_search_that_stays_impossible_is_told(swept: Swept) -> None:
    swept.fault("dynamodb:Query", "ThrottlingException", times=100, message="too fast")
    ended = swept.sweep()
    assert (ended["status"], ended["error"]) == ("FAILED", "Daypass.AwsUnavailable")
    reason = "FindOverdue did not succeed (DynamoDb.ThrottlingException: too fast); the next sweep looks again"
    assert json.loads(ended["cause"]) == {"status": "failed", "reason": reason}
