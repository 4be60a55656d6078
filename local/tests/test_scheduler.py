"""When schedules fire, and with whose rights."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Accounts, allow, service_trust
from test_stepfunctions import Machines

RATE = "rate(1 minute)"
PACE = "stepfunctions._SFN_WAIT_SCALE"


class Scheduled:
    """A machine that does nothing, and a schedule that starts it."""

    def __init__(self, machines: Machines, accounts: Accounts) -> None:
        self.aws, self.hub, self.sfn = machines.aws, machines.hub, machines.sfn
        self.scheduler = machines.aws.root("scheduler", machines.hub)
        self.machine = machines.make({"Done": {"Type": "Succeed"}}, "STANDARD", name="scheduled")
        trusts = [service_trust("scheduler.amazonaws.com")]
        may = [allow("states:StartExecution", self.machine)]
        self.role = accounts.role(self.hub, "schedule", trusts=trusts, policies=may)
        self.powerless = accounts.role(self.hub, "powerless", trusts=trusts)
        self.name = f"test-{machines.suffix}"

    def create(self, role: str | None = None, **more: Any) -> None:
        self.scheduler.create_schedule(
            Name=self.name,
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": self.machine, "RoleArn": role or self.role, "Input": '{"by": "schedule"}'},
            **{"ScheduleExpression": RATE} | more,
        )

    @property
    def executions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.sfn.list_executions(stateMachineArn=self.machine)["executions"]
        return found

    @property
    def calls(self) -> list[dict[str, Any]]:
        calls = self.aws.control("/_daypass/calls")["calls"]
        return [
            call for call in calls if call["action"] == "states:StartExecution" and call["resource"] == self.machine
        ]

    def wait(self, executions: int, seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while len(self.executions) < executions:
            assert time.monotonic() < deadline, f"{len(self.executions)} executions"
            time.sleep(0.02)


@pytest.fixture
def scheduled(accounts: Accounts) -> Iterator[Scheduled]:
    scheduled = Scheduled(Machines(accounts), accounts)
    yield scheduled
    scheduled.scheduler.delete_schedule(Name=scheduled.name)


def test_a_rate_begins_at_once_and_has_the_pace_of_executions(scheduled: Scheduled) -> None:
    scheduled.create()
    scheduled.wait(1)
    time.sleep(1)
    assert len(scheduled.executions) == 1, "the next one is due in a minute"
    scheduled.aws.control("/_ministack/config", {PACE: 0.02})
    scheduled.wait(3)
    described = scheduled.sfn.describe_execution(executionArn=scheduled.executions[0]["executionArn"])
    assert described["input"] == '{"by": "schedule"}'


def test_no_pace_makes_a_rate_a_busy_loop(scheduled: Scheduled) -> None:
    scheduled.aws.control("/_ministack/config", {PACE: 0})
    scheduled.create()
    time.sleep(3)
    assert 2 <= len(scheduled.executions) <= 4


def test_a_start_date_is_waited_for(scheduled: Scheduled) -> None:
    scheduled.create(StartDate=time.time() + 3600)
    time.sleep(1)
    assert scheduled.executions == []


def test_a_schedule_starts_what_its_role_may(scheduled: Scheduled) -> None:
    scheduled.create(role=scheduled.powerless)
    deadline = time.monotonic() + 10
    while not scheduled.calls:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    [call] = scheduled.calls
    assert (call["caller"], call["error"]) == (scheduled.powerless, "AccessDeniedException")
    assert scheduled.executions == []


def test_a_start_is_recorded_and_can_meet_a_fault(scheduled: Scheduled) -> None:
    scheduled.aws.control("/_ministack/config", {PACE: 0.02})
    fault = {"action": "states:StartExecution", "resource": scheduled.machine, "error": "ThrottlingException"}
    scheduled.aws.control("/_daypass/faults", fault)
    scheduled.create()
    scheduled.wait(1)
    first, second = scheduled.calls[:2]
    assert (first["caller"], first["error"]) == (scheduled.role, "ThrottlingException")
    assert (second["caller"], second["error"]) == (scheduled.role, None)
    assert second["grants"][0]["action"] == "states:StartExecution"


def test_schedules_can_be_switched_off(scheduled: Scheduled) -> None:
    scheduled.aws.control("/_daypass/settings", {"schedules": False})
    scheduled.aws.control("/_ministack/config", {PACE: 0})
    scheduled.create()
    time.sleep(1.5)
    assert scheduled.executions == []
    scheduled.aws.control("/_daypass/settings", {"schedules": True})
    scheduled.wait(1)
