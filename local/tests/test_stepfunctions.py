"""Starting, naming, retrying and logging executions; what a state machine's role may do."""

import json
import time
import uuid
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from conftest import Accounts, allow, package, policy, refused, service_trust

from daypass_local.aws import Aws

FUNCTION = """
import json, os, threading, urllib.request
api = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime"
while True:
    with urllib.request.urlopen(f"{api}/invocation/next") as asked:
        request, event = asked.headers["Lambda-Runtime-Aws-Request-Id"], json.loads(asked.read())
    if "fail" in event:
        error = {"errorType": event["fail"], "errorMessage": "as asked"}
        outcome, answer = "error", error
    elif "print" in event:
        print(event["print"], flush=True)
        outcome, answer = "response", event
    elif "late" in event:
        outcome, answer = "response", event
        threading.Timer(event["after"], lambda: print(event["late"], flush=True)).start()
    elif "environment" in event:
        outcome, answer = "response", dict(os.environ)
    else:
        outcome, answer = "response", event
    urllib.request.urlopen(urllib.request.Request(
        f"{api}/invocation/{request}/{outcome}", json.dumps(answer).encode())).read()
"""


class Machines:
    """State machines in the hub account, with a role of their own and one function."""

    def __init__(self, accounts: Accounts) -> None:
        self.aws, self.hub, self.suffix = accounts.aws, accounts.hub, accounts.suffix
        self.sfn = accounts.aws.root("stepfunctions", accounts.hub)
        self.logs = accounts.aws.root("logs", accounts.hub)
        self.function = f"arn:aws:lambda:us-east-1:{accounts.hub}:function:echo-{accounts.suffix}"
        self.scope = f"arn:aws:states:us-east-1:{accounts.hub}"
        self.role = accounts.role(
            accounts.hub,
            "machine",
            trusts=[service_trust("states.amazonaws.com")],
            policies=[
                allow("lambda:InvokeFunction", self.function),
                allow("states:StartExecution", f"{self.scope}:stateMachine:child-{accounts.suffix}"),
            ],
        )
        self.function_role = accounts.role(
            accounts.hub, "function", trusts=[service_trust("lambda.amazonaws.com")], policies=[allow("sqs:ListQueues")]
        )

    def deploy_function(self) -> None:
        self.aws.root("lambda", self.hub).create_function(
            FunctionName=self.function.rsplit(":", 1)[-1],
            Runtime="provided.al2023",
            Handler="bootstrap",
            Role=self.function_role,
            Code={"ZipFile": package(FUNCTION)},
            Environment={"Variables": {"CONFIGURED": "yes"}},
        )

    def make(self, states: dict[str, Any], kind: str = "EXPRESS", name: str = "machine", **more: Any) -> str:
        definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}
        return str(
            self.sfn.create_state_machine(
                name=f"{name}-{self.suffix}",
                type=kind,
                roleArn=self.role,
                definition=json.dumps(definition),
                **more,
            )["stateMachineArn"]
        )

    def task(self, payload: Any, **more: Any) -> dict[str, Any]:
        arguments = {"FunctionName": self.function, "Payload": payload}
        task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": arguments}
        return task | {"Output": "{% $states.result.Payload %}", "End": True} | more

    def run(self, machine: str, value: Any = None, **more: Any) -> Any:
        return self.sfn.start_sync_execution(stateMachineArn=machine, input=json.dumps(value or {}), **more)

    def wait(self, execution: str, status: str) -> Any:
        deadline = time.monotonic() + 20
        while (found := self.sfn.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert found["status"] == status
        return found

    def end_delay(self, execution: str) -> None:
        deadline = time.monotonic() + 20
        while not self.aws.control("/_daypass/executions/end-delay", {"execution_arn": execution})["ended"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def history(self, execution: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.sfn.get_execution_history(executionArn=execution)["events"]
        return events


@pytest.fixture
def machines(accounts: Accounts) -> Machines:
    return Machines(accounts)


WAIT = {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}
WAIT_FIRST = {"Wait": {"Type": "Wait", "Seconds": 60, "Next": "Call"}}
CONTEXT = {
    "Look": {
        "Type": "Pass",
        "Output": "{% $merge([$states.context.Execution, {'RetryCount': $states.context.State.RetryCount}]) %}",
        "End": True,
    }
}


def test_a_start_with_the_same_name_and_input_answers_the_running_execution(machines: Machines) -> None:
    machine = machines.make(WAIT, "STANDARD")
    start = {"stateMachineArn": machine, "name": "once", "input": '{"a":1}'}
    first = machines.sfn.start_execution(**start)
    second = machines.sfn.start_execution(**start)
    assert (first["executionArn"], first["startDate"]) == (second["executionArn"], second["startDate"])
    assert len(machines.sfn.list_executions(stateMachineArn=machine)["executions"]) == 1
    assert refused(machines.sfn.start_execution, **start | {"input": '{"a":2}'}) == "ExecutionAlreadyExists"
    machines.sfn.stop_execution(executionArn=first["executionArn"])
    machines.wait(first["executionArn"], "ABORTED")
    assert refused(machines.sfn.start_execution, **start) == "ExecutionAlreadyExists"


@pytest.mark.parametrize(
    ("request_part", "code"),
    [
        ({"name": "with space"}, "InvalidName"),
        ({"input": "{"}, "InvalidExecutionInput"),
        ({"input": json.dumps("x" * 262_143)}, "ValidationException"),
    ],
)
def test_malformed_starts(machines: Machines, request_part: dict[str, str], code: str) -> None:
    standard = machines.make({"Done": {"Type": "Succeed"}}, "STANDARD")
    express = machines.make({"Done": {"Type": "Succeed"}}, name="express")
    assert refused(machines.sfn.start_execution, stateMachineArn=standard, **request_part) == code
    assert refused(machines.sfn.start_sync_execution, stateMachineArn=express, **request_part) == code
    assert refused(machines.sfn.start_sync_execution, stateMachineArn=standard) == "StateMachineTypeNotSupported"


def test_executions_of_one_name_are_different_executions(machines: Machines) -> None:
    machine = machines.make(CONTEXT)
    first, second = (machines.run(machine, {"number": number}, name="same") for number in (1, 2))
    assert first["executionArn"] != second["executionArn"]
    assert first["executionArn"].startswith(f"{machines.scope}:express:machine-{machines.suffix}:same:")
    context = json.loads(first["output"])
    assert context["Id"] == first["executionArn"]
    assert context["Name"] == first["name"] == "same"
    assert context["RetryCount"] == 0
    assert context["StartTime"].endswith("Z")
    assert context["Input"] == {"number": 1}
    started = machines.history(first["executionArn"])[0]["executionStartedEventDetails"]
    assert json.loads(started["input"]) == {"number": 1}


def test_a_failed_sync_execution_has_error_and_cause(machines: Machines) -> None:
    machine = machines.make({"No": {"Type": "Fail", "Error": "Daypass.NotAMember", "Cause": "{% $states.input.why %}"}})
    answer = machines.run(machine, {"why": "because"})
    assert (answer["status"], answer["error"], answer["cause"]) == ("FAILED", "Daypass.NotAMember", "because")
    assert "output" not in answer


def test_error_names_retries_and_catch(machines: Machines) -> None:
    machines.deploy_function()
    retry = [{"ErrorEquals": ["Daypass.Throttled"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 1}]
    catch = [{"ErrorEquals": ["Daypass.Throttled"], "Next": "Caught", "Output": "{% $states.errorOutput %}"}]
    machine = machines.make(
        {
            "Call": machines.task({"fail": "{% $states.input.error %}"}, Retry=retry, Catch=catch),
            "Caught": {"Type": "Pass", "Output": {"error": "{% $states.input.Error %}"}, "End": True},
        }
    )
    machines.aws.control("/_ministack/config", {"stepfunctions._SFN_WAIT_SCALE": 0.01})
    caught = machines.run(machine, {"error": "Daypass.Throttled"})
    assert json.loads(caught["output"]) == {"error": "Daypass.Throttled"}
    assert sum(event["type"] == "TaskFailed" for event in machines.history(caught["executionArn"])) == 3
    other = machines.run(machine, {"error": "Daypass.InvalidRequest"})
    assert (other["status"], other["error"]) == ("FAILED", "Daypass.InvalidRequest")
    assert json.loads(other["cause"])["errorMessage"] == "as asked"


def test_the_longest_delay_of_a_retry(machines: Machines) -> None:
    machines.deploy_function()
    retry = [{"ErrorEquals": ["E"], "IntervalSeconds": 1, "MaxAttempts": 12, "BackoffRate": 2, "MaxDelaySeconds": 2}]
    machine = machines.make({"Call": machines.task({"fail": "E"}, Retry=retry)})
    machines.aws.control("/_ministack/config", {"stepfunctions._SFN_WAIT_SCALE": 0.05})
    started = time.monotonic()
    machines.run(machine)
    # 1 + 11 * 2 s at a twentieth, and 13 invocations; without the limit 0.05 * (1 + 2 + … + 60 + 60 …) = 21 s.
    assert time.monotonic() - started < 20


def test_tasks_may_do_what_the_role_may_do(machines: Machines) -> None:
    machines.deploy_function()
    iam = machines.aws.root("iam", machines.hub)
    machine = machines.make({"Call": machines.task({"hello": "you"})})
    assert json.loads(machines.run(machine)["output"]) == {"hello": "you"}
    iam.delete_role_policy(RoleName=machines.role.split("/")[-1], PolicyName="given")
    assert machines.run(machine)["error"] == "Lambda.AccessDeniedException"


def test_a_nested_start_is_fire_and_forget_and_idempotent(machines: Machines) -> None:
    child = machines.make(WAIT, "STANDARD", "child")
    start = {
        "Start": {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution",
            "Arguments": {
                "StateMachineArn": child,
                "Name": "{% $states.context.Execution.Name %}",
                "Input": "{% $states.input %}",
            },
            "End": True,
        }
    }
    machine = machines.make(start)
    first = machines.run(machine, {"a": 1}, name="t1")
    execution = json.loads(first["output"])["ExecutionArn"]
    assert execution == f"{machines.scope}:execution:child-{machines.suffix}:t1"
    assert machines.run(machine, {"a": 1}, name="t1")["status"] == "SUCCEEDED"
    assert machines.run(machine, {"a": 2}, name="t1")["error"] == "StepFunctions.ExecutionAlreadyExistsException"
    machines.sfn.stop_execution(executionArn=execution)
    machines.wait(execution, "ABORTED")
    assert machines.run(machine, {"a": 1}, name="t1")["error"] == "StepFunctions.ExecutionAlreadyExistsException"
    other = machines.make(start | {}, name="elsewhere")
    machines.aws.root("iam", machines.hub).delete_role_policy(RoleName=machines.role.split("/")[-1], PolicyName="given")
    assert machines.run(other, {"a": 1}, name="t2")["error"] == "StepFunctions.AccessDeniedException"


def test_wait_until_a_timestamp(machines: Machines) -> None:
    until = {
        "Wait": {"Type": "Wait", "Timestamp": "{% $fromMillis($millis() + 400) %}", "Next": "Done"},
        "Done": {"Type": "Succeed"},
    }
    execution = machines.sfn.start_execution(stateMachineArn=machines.make(until, "STANDARD"))["executionArn"]
    ended = machines.wait(execution, "SUCCEEDED")
    assert (ended["stopDate"] - ended["startDate"]).total_seconds() >= 0.3


def test_a_delay_ends_when_it_is_asked_to(machines: Machines) -> None:
    machines.deploy_function()
    retry = [{"ErrorEquals": ["E"], "IntervalSeconds": 60, "MaxAttempts": 2}]
    task = machines.task({"fail": "E"}, Retry=retry)
    machine = machines.make(WAIT_FIRST | {"Call": task}, "STANDARD")
    first, other = (machines.sfn.start_execution(stateMachineArn=machine)["executionArn"] for _ in range(2))
    for _ in range(3):  # the Wait state, and each pause before another attempt
        machines.end_delay(first)
    machines.wait(first, "FAILED")
    assert machines.sfn.describe_execution(executionArn=other)["status"] == "RUNNING"
    ask = {"execution_arn": first}
    assert machines.aws.control("/_daypass/executions/end-delay", ask) == {"ended": False}
    machines.sfn.stop_execution(executionArn=other)


def test_a_running_execution_keeps_its_definition_and_its_role(machines: Machines, accounts: Accounts) -> None:
    """AWS: "Running executions will continue to use the previous definition and roleArn" (UpdateStateMachine)."""
    machines.deploy_function()
    machine = machines.make(WAIT_FIRST | {"Call": machines.task({"version": 1})}, "STANDARD")
    running = machines.sfn.start_execution(stateMachineArn=machine)["executionArn"]
    after = {"QueryLanguage": "JSONata", "StartAt": "Call", "States": {"Call": machines.task({"version": 2})}}
    powerless = accounts.role(accounts.hub, "powerless", trusts=[service_trust("states.amazonaws.com")])
    machines.sfn.update_state_machine(stateMachineArn=machine, definition=json.dumps(after), roleArn=powerless)
    machines.end_delay(running)
    assert json.loads(machines.wait(running, "SUCCEEDED")["output"]) == {"version": 1}
    later = machines.sfn.start_execution(stateMachineArn=machine)["executionArn"]
    assert machines.wait(later, "FAILED")["error"] == "Lambda.AccessDeniedException"


@pytest.mark.parametrize(("with_data", "kind"), [(True, "EXPRESS"), (False, "EXPRESS"), (True, "STANDARD")])
def test_executions_are_logged(machines: Machines, with_data: bool, kind: str) -> None:
    group = f"/aws/vendedlogs/states/{machines.suffix}"
    machines.logs.create_log_group(logGroupName=group)
    machine = machines.make(
        {"Done": {"Type": "Pass", "End": True}},
        kind,
        loggingConfiguration={
            "level": "ALL",
            "includeExecutionData": with_data,
            "destinations": [
                {
                    "cloudWatchLogsLogGroup": {
                        "logGroupArn": f"arn:aws:logs:us-east-1:{machines.hub}:log-group:{group}:*"
                    }
                }
            ],
        },
    )
    if kind == "EXPRESS":
        execution = machines.run(machine, {"find": "me"})["executionArn"]
    else:
        started = machines.sfn.start_execution(stateMachineArn=machine, input='{"find": "me"}')
        execution = started["executionArn"]
        machines.wait(execution, "SUCCEEDED")
    messages = [event["message"] for event in machines.logs.filter_log_events(logGroupName=group)["events"]]
    events = [json.loads(message) for message in messages]
    states = ["PassStateEntered", "PassStateExited"]
    assert [event["type"] for event in events] == ["ExecutionStarted", *states, "ExecutionSucceeded"]
    assert {event["execution_arn"] for event in events} == {execution}
    assert any("find" in message for message in messages) == with_data


def test_a_function_has_its_role_and_its_own_environment(machines: Machines, aws: Aws) -> None:
    machines.deploy_function()
    machine = machines.make({"Call": machines.task({"environment": True})})
    found = json.loads(machines.run(machine)["output"])
    assert found["CONFIGURED"] == "yes"
    assert found["AWS_REGION"] == "us-east-1"
    assert found["AWS_ENDPOINT_URL"] == aws.url
    assert {"AUTH", "GATEWAY_PORT", "TMPDIR", "MINISTACK_ACCOUNT_ID", "HOME", "PYTHONPATH"}.isdisjoint(found)
    from daypass_local.aws import Credentials

    own = Credentials(found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"], found["AWS_SESSION_TOKEN"])
    arn = aws.client("sts", own).get_caller_identity()["Arn"]
    assert arn.startswith(f"arn:aws:sts::{machines.hub}:assumed-role/{machines.function_role.split('/')[-1]}/")
    aws.client("sqs", own).list_queues()
    assert refused(aws.client("dynamodb", own).list_tables) == "AccessDeniedException"


def test_a_function_that_is_called_again_is_warm(machines: Machines) -> None:
    machines.deploy_function()
    machine = machines.make({"Call": machines.task({"environment": True})})
    streams = {json.loads(machines.run(machine)["output"])["AWS_LAMBDA_LOG_STREAM_NAME"] for _ in range(3)}
    assert len(streams) == 1


@pytest.mark.parametrize(
    "order",
    [{"print": "a line"}, {"late": "a line", "after": 0.05}, {"late": "a line", "after": 0.5}],
    ids=["at-once", "late", "later"],
)
def test_what_a_function_prints_is_logged(machines: Machines, order: dict[str, Any]) -> None:
    machines.deploy_function()
    machines.run(machines.make({"Call": machines.task(order)}))
    group = f"/aws/lambda/echo-{machines.suffix}"
    deadline = time.monotonic() + 10
    while True:
        events = machines.logs.filter_log_events(logGroupName=group)["events"]
        if "a line" in [event["message"] for event in events]:
            break
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_invocation_does_not_wait_for_its_log(machines: Machines) -> None:
    machines.deploy_function()
    states = {f"S{number}": machines.task({}, Next=f"S{number + 1}") for number in range(20)}
    for state in states.values():
        del state["End"]
    execution = machines.run(machines.make(states | {"S20": {"Type": "Succeed"}}))["executionArn"]
    durations = [
        after["timestamp"] - before["timestamp"]
        for before, after in pairwise(machines.history(execution))
        if after["type"] == "TaskSucceeded"
    ]
    assert len(durations) > 10
    # Each would wait for 50 ms. How long the others take, and why, does not matter.
    assert min(durations) < timedelta(milliseconds=50)


def test_tags_are_judged_by_the_machine_that_has_them(machines: Machines, accounts: Accounts, aws: Aws) -> None:
    machine, other = (machines.make({"S": {"Type": "Succeed"}}, name=name) for name in ("one", "other"))
    machines.sfn.tag_resource(resourceArn=machine, tags=[{"key": "daypass:contract", "value": "1"}])
    reader = accounts.role(accounts.hub, "reader", policies=[allow("states:ListTagsForResource", machine)])
    states = aws.client("stepfunctions", accounts.session(reader))
    assert states.list_tags_for_resource(resourceArn=machine)["tags"] == [{"key": "daypass:contract", "value": "1"}]
    assert refused(states.list_tags_for_resource, resourceArn=other) == "AccessDeniedException"
    nobody = f"{machine}-that-is-not-there"
    assert refused(machines.sfn.list_tags_for_resource, resourceArn=nobody) == "ResourceNotFound"


def test_a_query_is_judged_by_its_index_and_by_what_it_reads(machines: Machines) -> None:
    table = f"table-{machines.suffix}"
    dynamodb = machines.aws.root("dynamodb", machines.hub)
    dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "open", "until")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "open-ones",
                "KeySchema": [
                    {"AttributeName": "open", "KeyType": "HASH"},
                    {"AttributeName": "until", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(3):
        item = {"id": f"i{number}", "open": "yes", "until": f"t{number}", "secret": "s"}
        dynamodb.put_item(TableName=table, Item={name: {"S": value} for name, value in item.items()})
    index = f"arn:aws:dynamodb:us-east-1:{machines.hub}:table/{table}/index/open-ones"
    condition = {
        "ForAllValues:StringEquals": {"dynamodb:Attributes": ["id", "open", "until"]},
        "StringEquals": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
    }
    machines.aws.root("iam", machines.hub).put_role_policy(
        RoleName=machines.role.rsplit("/", 1)[-1],
        PolicyName="query",
        PolicyDocument=policy(allow("dynamodb:Query", index, Condition=condition)),
    )

    def find(**more: Any) -> str:
        arguments = {
            "TableName": table,
            "IndexName": "open-ones",
            "KeyConditionExpression": "#open = :yes AND #until < :end",
            "ExpressionAttributeNames": {"#open": "open", "#until": "until"},
            "ExpressionAttributeValues": {":yes": {"S": "yes"}, ":end": {"S": "t9"}},
            "Select": "SPECIFIC_ATTRIBUTES",
            "ProjectionExpression": "id",
            "ExclusiveStartKey": "{% $states.input.page %}",
            "Limit": 2,
        } | more
        output = {
            "ids": "{% [$states.result.Items.id.S] %}",
            "page": "{% $exists($states.result.LastEvaluatedKey) ? $states.result.LastEvaluatedKey : null %}",
        }
        task = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:dynamodb:query", "Output": output, "End": True}
        task["Arguments"] = {name: value for name, value in arguments.items() if value is not None}
        return machines.make({"Find": task}, name=f"find-{uuid.uuid4()}")

    # Without a page the key is null, which is as good as none.
    pages = find()
    answer = machines.run(pages, {"page": None})
    assert answer["status"] == "SUCCEEDED", answer
    first = json.loads(answer["output"])
    second = json.loads(machines.run(pages, {"page": first["page"]})["output"])
    assert (first["ids"], second) == (["i0", "i1"], {"ids": ["i2"], "page": None})

    everything = find(Select="ALL_ATTRIBUTES", ProjectionExpression=None)
    for greedy in (everything, find(ProjectionExpression="id, secret"), find(IndexName=None)):
        answer = machines.run(greedy, {"page": None})
        assert (answer["status"], answer["error"]) == ("FAILED", "DynamoDb.AccessDeniedException")
