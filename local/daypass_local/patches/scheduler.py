"""Patches of EventBridge Scheduler: when a schedule fires, and with whose rights."""

from collections.abc import Callable
from typing import Any, Final

from daypass_local import recorder
from daypass_local.patches.stepfunctions import may
from daypass_local.patches.tools import Response, replace
from daypass_local.settings import SETTINGS

LOOK_SECONDS: Final = 0.25
SHORTEST_RATE_SECONDS: Final = 1.0


def rates() -> None:
    """A schedule with a rate and without a start date fires at once, then at its rate.

    ministack lets the first interval pass, and looks every ten seconds. Here the pace of executions
    (`stepfunctions._SFN_WAIT_SCALE`) is also that of rates, so that a test need not wait for five minutes; none is
    faster than once a second, whatever the pace. While a test has switched `schedules` off nothing fires.
    Unnecessary when ministack's `_tick_schedules` knows the first, and a pace of its own.
    """
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import eventbridge, scheduler, stepfunctions

    def parse_rate_seconds(expression: str) -> float | None:
        seconds: int | None = original_rate(expression)
        return None if seconds is None else max(seconds * stepfunctions._SFN_WAIT_SCALE, SHORTEST_RATE_SECONDS)

    def create_schedule(name: str, body: dict[str, Any]) -> Response:
        answer: Response = original_create(name, body)
        rate = original_rate(body.get("ScheduleExpression", "")) is not None
        if answer[0] == 200 and rate and body.get("StartDate") is None:
            key = get_account_id(), get_region(), f"{body.get('GroupName', 'default')}/{name}"
            scheduler._schedule_last_fired[key] = 0
        return answer

    def tick_schedules() -> None:
        if SETTINGS.schedules:
            original_tick()

    original_rate = replace(eventbridge, "_parse_rate_seconds", parse_rate_seconds)
    original_create = replace(scheduler, "_create_schedule", create_schedule)
    original_tick = replace(scheduler, "_tick_schedules", tick_schedules)
    replace(scheduler, "_SCHEDULE_TICK_INTERVAL", LOOK_SECONDS)


def target_roles() -> None:
    """A schedule may start what its role may start; the start is recorded, and faults apply to it.

    ministack starts it as the account's root and ignores the role. AWS tries a start that fails again for as long as
    the schedule says; here the next interval does.
    Unnecessary when ministack evaluates the role of a schedule's target.
    """
    import ministack.app
    from ministack.services import eventbridge

    def invoke_target(target: dict[str, Any], event: Any, rule: Any, view: Any = None) -> None:
        role_arn, arn = target.get("RoleArn", ""), target.get("Arn", "")
        if not ministack.app.AUTH or not role_arn or ":stateMachine:" not in arn:
            original(target, event, rule, view)
            return
        action = "states:StartExecution"
        call = recorder.Call(caller=role_arn, account=role_arn.split(":")[4], action=action, resource=arn)
        fault = recorder.RECORDER.take_fault(call)
        with recorder.judging(call):
            allowed = may(role_arn, action, arn)
        if not allowed:
            call.status, call.error = 400, "AccessDeniedException"
        elif fault:
            call.status, call.error = fault.status, fault.error
        if allowed and (fault is None or fault.execute):
            original(target, event, rule, view)
        recorder.RECORDER.record(call, fault)

    original = replace(eventbridge, "_invoke_target", invoke_target)


PATCHES: Final[tuple[Callable[[], None], ...]] = (rates, target_roles)
