"""Patches of Step Functions: starting, names, roles, retries and logs of executions."""

import contextlib
import contextvars
import json
import re
import threading
import time
import types
import uuid
from collections.abc import Callable
from typing import Any, Final

from daypass_local import invocations, recorder
from daypass_local.patches.tools import Call, Response, judge_by, replace
from daypass_local.settings import SETTINGS

INPUT_BYTES: Final = 262_144
NAME_PATTERN: Final = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")
START_DELAY_SECONDS: Final = 0.15
SILENCE_SECONDS: Final = 45.0
"""Longer than any state waits."""

ERROR_PREFIXES: Final = {
    "dynamodb": "DynamoDB",
    "events": "EventBridge",
    "lambda": "Lambda",
    "sns": "SNS",
    "sqs": "SQS",
    "states": "StepFunctions",
}
SDK_ERROR_PREFIXES: Final = {"dynamodb": "DynamoDb"}
"""Of `aws-sdk:` integrations, which are named after the SDK's classes."""


def no_start_delay() -> None:
    """An execution starts at once.

    ministack sleeps 150 ms before each one.
    Unnecessary when `_run_execution` does not sleep.
    """
    from ministack.services import stepfunctions

    class Clock(types.SimpleNamespace):
        """Stands in for the module `time` in ministack's module alone."""

        def __getattr__(self, name: str) -> Any:
            return getattr(time, name)

        @staticmethod
        def sleep(seconds: float) -> None:
            if seconds != START_DELAY_SECONDS:
                time.sleep(seconds)

    replace(stepfunctions, "time", Clock())


def _invalid_start(request: dict[str, Any]) -> Response | None:
    from ministack.core.responses import error_response_json

    answer: Response | None = None
    name, text = request.get("name"), request.get("input", "{}")
    if name is not None and not NAME_PATTERN.fullmatch(name):
        answer = error_response_json("InvalidName", f"Invalid Name: '{name}'", 400)
    elif len(text.encode()) > INPUT_BYTES:
        message = (
            "1 validation error detected: Value at 'input' failed to satisfy constraint: "
            f"Member must have length less than or equal to {INPUT_BYTES}"
        )
        answer = error_response_json("ValidationException", message, 400)
    else:
        try:
            json.loads(text)
        except ValueError as error:
            message = f"Invalid State Machine Execution Input: {error}"
            answer = error_response_json("InvalidExecutionInput", message, 400)
    return answer


def start_execution() -> None:
    """StartExecution of a STANDARD machine is idempotent while the execution runs.

    The same name with the same input answers the running execution; a different input or a closed execution answers
    ExecutionAlreadyExists. Names, sizes (256 KiB) and JSON of the input are checked. ministack refuses every second
    start and checks nothing.
    Unnecessary when ministack's `_start_execution` does so.
    """
    from ministack.core.responses import get_account_id, get_region, json_response
    from ministack.services import stepfunctions

    def start(request: dict[str, Any]) -> Response:
        invalid = _invalid_start(request)
        if invalid:
            return invalid
        machine_name = request.get("stateMachineArn", "").rsplit(":", 1)[-1]
        arn = f"arn:aws:states:{get_region()}:{get_account_id()}:execution:{machine_name}:{request.get('name')}"
        running = stepfunctions._executions.get(arn)
        if running and running["status"] == "RUNNING" and running["input"] == request.get("input", "{}"):
            same: Response = json_response({"executionArn": arn, "startDate": running["startDate"]})
            return same
        answer: Response = original(request)
        return answer

    original = replace(stepfunctions, "_start_execution", start)


def start_sync_execution() -> None:
    """StartSyncExecution makes an execution of its own each time, whatever its name.

    AWS does not deduplicate the names of EXPRESS executions and ends their ARN with an id
    (`…:express:machine:name:id`); the answer of a failed one has `error` and `cause` and no `output`. Only EXPRESS
    machines can be started so. With ministack a second execution of the same name overwrites the first.
    Unnecessary when ministack's `_start_sync_execution` does so.
    """
    from ministack.core.responses import error_response_json, get_account_id, get_region, json_response, now_iso
    from ministack.services import stepfunctions

    def start(request: dict[str, Any]) -> Response:
        answer: Response
        machine = stepfunctions._state_machines.get(request.get("stateMachineArn", ""))
        if machine is None:
            message = f"State Machine Does Not Exist: '{request.get('stateMachineArn')}'"
            answer = error_response_json("StateMachineDoesNotExist", message, 400)
            return answer
        if machine["type"] != "EXPRESS":
            message = "This operation is not supported by this type of state machine"
            answer = error_response_json("StateMachineTypeNotSupported", message, 400)
            return answer
        invalid = _invalid_start(request)
        if invalid:
            return invalid
        name, text, started = request.get("name") or str(uuid.uuid4()), request.get("input", "{}"), now_iso()
        scope = f"arn:aws:states:{get_region()}:{get_account_id()}"
        arn = f"{scope}:express:{machine['name']}:{name}:{uuid.uuid4()}"
        stepfunctions._executions[arn] = execution = {
            "executionArn": arn,
            "stateMachineArn": machine["stateMachineArn"],
            "name": name,
            "status": "RUNNING",
            "startDate": started,
            "stopDate": None,
            "input": text,
            "inputDetails": {"included": True},
            "output": None,
            "outputDetails": {"included": True},
            "testCase": "",
            "mockAttempts": {},
            "events": [
                {
                    "id": 1,
                    "type": "ExecutionStarted",
                    "timestamp": started,
                    "executionStartedEventDetails": {"input": text, "roleArn": machine["roleArn"]},
                }
            ],
            "sync": True,
        }
        stepfunctions._run_execution(arn)
        kept = {"executionArn", "stateMachineArn", "name", "startDate", "stopDate", "status", "input", "inputDetails"}
        if execution["status"] == "SUCCEEDED":
            kept |= {"output", "outputDetails"}
        else:
            kept |= {"error", "cause"}
        answer = json_response({key: execution[key] for key in sorted(kept)})
        return answer

    replace(stepfunctions, "_start_sync_execution", start)


_execution_role: contextvars.ContextVar[str] = contextvars.ContextVar("execution_role", default="")


def _called(resource: str, arguments: dict[str, Any]) -> tuple[str, str]:
    """Return the IAM action and the resource ARN of a task."""
    from ministack.core.responses import get_account_id, get_region

    account, region = get_account_id(), get_region()
    call = resource.split(":::", 1)[-1].split(".", maxsplit=1)[0]
    if call == "lambda:invoke":
        function = arguments.get("FunctionName", "")
        if not function.startswith("arn:"):
            function = f"arn:aws:lambda:{region}:{account}:function:{function}"
        return "lambda:InvokeFunction", function
    if call == "states:startExecution":
        return "states:StartExecution", arguments.get("StateMachineArn", "*")
    if call == "sns:publish":
        return "sns:Publish", arguments.get("TopicArn", "*")
    if call == "events:putEvents":
        bus = (arguments.get("Entries") or [{}])[0].get("EventBusName", "default")
        return "events:PutEvents", f"arn:aws:events:{region}:{account}:event-bus/{bus}"
    service, _, operation = call.removeprefix("aws-sdk:").partition(":")
    action = f"{service}:{operation[:1].upper()}{operation[1:]}"
    if service == "dynamodb":
        table = arguments.get("TableName", "*").rsplit("/", 1)[-1]
        index = f"/index/{arguments['IndexName']}" if arguments.get("IndexName") else ""
        return action, f"arn:aws:dynamodb:{region}:{account}:table/{table}{index}"
    return action, "*"


def may(role_arn: str, action: str, resource: str, keys: dict[str, Any] | None = None) -> bool:
    """Return whether a service that has put on a role may do something; `keys` are condition keys of the request."""
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_region
    from ministack.services import iam

    account, name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{name}/execution",
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=get_region(),
        service_context={key.lower(): value for key, value in (keys or {}).items()},
    )
    policies = iam_evaluator._gather_role_policies(name, account)
    limits = iam_evaluator._permissions_boundary(iam._roles, name, account)
    return bool(iam_evaluator.evaluate(context, policies, *limits).decision == "Allow")


def _in_vain(call: Callable[[Any, Any], Any], resource: Any, arguments: Any) -> None:
    """Call something whose answer nobody hears."""
    from ministack.services import stepfunctions

    with contextlib.suppress(stepfunctions._ExecutionError):
        call(resource, arguments)


def _instead_of_an_answer(fault: recorder.Fault, prefix: str) -> tuple[str, str]:
    """Return the error of a task whose call meets a fault, and its cause."""
    match fault.instead:
        case "reset" | "silence":
            return f"{prefix}.SdkClientException", fault.message
        case "death":
            exited = {"errorType": "Runtime.ExitError", "errorMessage": "Runtime exited before returning a response"}
            return exited["errorType"], json.dumps(exited)
        case _:
            return f"{prefix}.{fault.error}", fault.message


def execution_role() -> None:
    """A task may do what the state machine's role may do; it is recorded, and faults apply to it.

    It is the role that the machine had when the execution started; UpdateStateMachine is for the executions to come.
    ministack runs tasks as the account's root and ignores the role.
    Unnecessary when ministack evaluates the state machine's role for each task.
    """
    import ministack.app
    from ministack.core import iam_actions
    from ministack.services import stepfunctions

    def execute_task(state: Any, state_input: Any, execution: dict[str, Any], context: Any) -> Any:
        token = _execution_role.set(execution["events"][0]["executionStartedEventDetails"]["roleArn"])
        task = invocations.TASK.set((execution["executionArn"], context["State"]["Name"]))
        try:
            return original_task(state, state_input, execution, context)
        finally:
            invocations.TASK.reset(task)
            _execution_role.reset(token)

    def invoke_resource(resource: str, arguments: Any) -> Any:
        role_arn = _execution_role.get()
        if not ministack.app.AUTH or not role_arn or ":::" not in resource:
            return original_invoke(resource, arguments)
        action, arn = _called(resource, arguments if isinstance(arguments, dict) else {})
        service = action.split(":")[0]
        prefix = ERROR_PREFIXES.get(service, service.capitalize())
        if ":::aws-sdk:" in resource:
            prefix = SDK_ERROR_PREFIXES.get(service, prefix)
        keys = iam_actions.dynamodb_service_context(json.dumps(arguments).encode()) if service == "dynamodb" else None
        execution, state = invocations.TASK.get()
        call = recorder.Call(
            execution=execution,
            state=state,
            caller=role_arn,
            account=role_arn.split(":")[4],
            action=action,
            resource=arn,
            parameters={"Name": arguments["Name"]} if action == "states:StartExecution" and "Name" in arguments else {},
            transactions=recorder.transactions_in(json.dumps(arguments)),
        )
        fault = recorder.RECORDER.take_fault(call)
        try:
            with recorder.judging(call):
                allowed = may(role_arn, action, arn, keys)
            if not allowed:
                message = f"User: {role_arn} is not authorized to perform: {action} on resource: {arn}"
                raise stepfunctions._ExecutionError(f"{prefix}.AccessDeniedException", message)
            if fault and fault.late is not None:
                # The account and the region of the task go along.
                carry_out = contextvars.copy_context().run
                threading.Timer(fault.late, carry_out, [_in_vain, original_invoke, resource, arguments]).start()
            if fault is None or fault.execute or fault.passes:
                result = original_invoke(resource, arguments)
            if fault and fault.passes:
                if fault.twice:
                    _in_vain(original_invoke, resource, arguments)
                time.sleep(fault.slow or 0)
            elif fault:
                raise stepfunctions._ExecutionError(*_instead_of_an_answer(fault, prefix))
        except stepfunctions._ExecutionError as error:
            call.error = error.error
            raise
        finally:
            recorder.RECORDER.record(call, fault)
            if fault and fault.instead == "silence" and not fault.passes:
                time.sleep(SILENCE_SECONDS)
        return result

    original_task = replace(stepfunctions, "_execute_task", execute_task)
    original_invoke = replace(stepfunctions, "_invoke_resource", invoke_resource)


def nested_error_names() -> None:
    """A nested start that meets a used name fails with `StepFunctions.ExecutionAlreadyExistsException`.

    ministack names the error `ExecutionAlreadyExists`.
    Unnecessary when ministack prefixes the errors of `states:startExecution`.
    """
    from ministack.services import stepfunctions

    def nested_start(resource: str, arguments: Any) -> Any:
        try:
            return original(resource, arguments)
        except stepfunctions._ExecutionError as error:
            if "." not in error.error:
                error.error = f"StepFunctions.{error.error.removesuffix('Exception')}Exception"
            raise

    original = replace(stepfunctions, "_invoke_nested_start_execution", nested_start)


def retry_delays() -> None:
    """`MaxDelaySeconds` caps the delay between two attempts.

    Without it a machine that retries for a day would back off to the engine's own cap. That cap stays: locally no delay
    is longer than 60 s times the wait scale. `JitterStrategy` is ignored: every delay is the longest one jitter allows.
    With the setting `most_attempts` a state tries again no more often than that.
    Unnecessary when ministack's `_execute_task` reads MaxDelaySeconds.
    """
    from ministack.services import stepfunctions

    def find_matching_retrier(retriers: list[dict[str, Any]], error: str, counts: dict[int, int]) -> tuple[Any, int]:
        most = SETTINGS.most_attempts
        if most is not None:
            retriers = [it | {"MaxAttempts": min(it.get("MaxAttempts", 3), most)} for it in retriers]
        retrier, index = original(retriers, error, counts)
        if retrier is None:
            return None, index
        limit = float(retrier.get("MaxDelaySeconds", 31_622_400))
        delay, rate = float(retrier.get("IntervalSeconds", 1)), float(retrier.get("BackoffRate", 2.0))
        for _ in range(counts.get(index, 0)):
            delay = min(delay * rate, limit)
        return retrier | {"IntervalSeconds": min(delay, limit), "BackoffRate": 1.0}, index

    original = replace(stepfunctions, "_find_matching_retrier", find_matching_retrier)


def execution_logs() -> None:
    """Executions are logged as the state machine's logging configuration says.

    One JSON event per history event, in CloudWatch Logs' format for Step Functions, into the configured log group; with
    `includeExecutionData` the inputs and outputs as well. This is the only history that an EXPRESS execution has on
    AWS, and the place where a secret would show. ministack stores the configuration and writes nothing.
    Unnecessary when ministack delivers execution logs.
    """
    from ministack.services import cloudwatch_logs, stepfunctions

    def configuration(machine: dict[str, Any]) -> tuple[str, bool, list[str]]:
        # Created by CloudFormation the keys are in Pascal case, created by the API in camel case.
        settings = {key.lower(): value for key, value in (machine.get("loggingConfiguration") or {}).items()}
        groups = [
            next(iter({key.lower(): value for key, value in inner.items()}.values())).split(":log-group:", 1)[-1]
            for destination in settings.get("destinations") or []
            for inner in destination.values()
        ]
        with_data = str(settings.get("includeexecutiondata", False)).lower() == "true"
        return str(settings.get("level", "OFF")).upper(), with_data, [group.removesuffix(":*") for group in groups]

    def deliver(execution: dict[str, Any], event: dict[str, Any]) -> None:
        machine = stepfunctions._state_machines.get(execution["stateMachineArn"]) or {}
        level, with_data, groups = configuration(machine)
        failure = event["type"].endswith(("Failed", "Aborted", "TimedOut"))
        if level == "OFF" or (level in ("ERROR", "FATAL") and not failure):
            return
        details: dict[str, Any] = next((value for key, value in event.items() if key.endswith("EventDetails")), {})
        if not with_data:
            details = {key: value for key, value in details.items() if key not in ("input", "output")}
        timestamp = int(time.time() * 1000)
        message = json.dumps(
            {
                "id": str(event["id"]),
                "type": event["type"],
                "details": details,
                "previous_event_id": str(event["id"] - 1),
                "event_timestamp": str(timestamp),
                "execution_arn": execution["executionArn"],
            }
        )
        execution_id = execution["executionArn"].rsplit(":", 1)[-1]
        stream = f"states/{machine['name']}/{execution['startDate'][:10]}/{execution_id}"
        for group in groups:
            cloudwatch_logs._create_log_stream({"logGroupName": group, "logStreamName": stream})
            cloudwatch_logs._put_log_events(
                {
                    "logGroupName": group,
                    "logStreamName": stream,
                    "logEvents": [{"timestamp": timestamp, "message": message}],
                }
            )

    def add_event(execution: dict[str, Any], event_type: str, details: dict[str, Any] | None = None) -> Any:
        event = original_add(execution, event_type, details)
        deliver(execution, event)
        return event

    def run_execution(arn: str) -> None:
        execution = stepfunctions._executions.get(arn)
        if execution:
            deliver(execution, execution["events"][0])
        original_run(arn)

    original_add = replace(stepfunctions, "_add_event", add_event)
    original_run = replace(stepfunctions, "_run_execution", run_execution)


def tags() -> None:
    """A machine's tags are judged by the machine's ARN, and a machine that is not there has none to list.

    Unnecessary when ministack reads `resourceArn` for IAM, and answers ResourceNotFound.
    """
    from ministack.core import iam_actions
    from ministack.core.responses import error_response_json
    from ministack.services import stepfunctions

    def resource_of(call: Call) -> str | None:
        return iam_actions._safe_json_field(call.body, "resourceArn") or None

    def list_tags(data: dict[str, Any]) -> Any:
        arn = str(data.get("resourceArn"))
        if ":stateMachine:" in arn and stepfunctions._state_machines.get(arn) is None:
            return error_response_json("ResourceNotFound", f"Resource not found: '{arn}'", 400)
        return original_list(data)

    judge_by("states", resource_of)
    original_list = replace(stepfunctions, "_list_tags_for_resource", list_tags)


PATCHES: Final[tuple[Callable[[], None], ...]] = (
    no_start_delay,
    start_execution,
    start_sync_execution,
    execution_role,
    nested_error_names,
    retry_delays,
    execution_logs,
    tags,
)
