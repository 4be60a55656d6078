"""The recorder, the faults and the settings that tests of Daypass use."""

import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from conftest import Accounts, allow, package, policy, refused, service_trust, trust

from daypass_local.aws import Aws
from daypass_local.recorder import Call, Fault, Recorder


def of(aws: Aws, accounts: Accounts) -> list[dict[str, Any]]:
    return [call for call in aws.calls() if accounts.suffix in json.dumps(call)]


def test_calls_say_who_did_what_where(accounts: Accounts, aws: Aws) -> None:
    hub = accounts.role(accounts.hub, "hub", policies=[allow("sts:AssumeRole")])
    target = accounts.role(accounts.target, "target", trusts=[trust(hub)], policies=[allow("iam:GetRole")])
    session = accounts.session(hub)
    aws.control("/_daypass/calls/reset", {})
    iam = aws.client("iam", accounts.session(target, session, RoleSessionName="daypass-1"))
    iam.get_role(RoleName=target.split("/")[-1])
    assert refused(iam.delete_role, RoleName=target.split("/")[-1]) == "AccessDenied"
    assume, get, delete = of(aws, accounts)
    hub_session = f"arn:aws:sts::{accounts.hub}:assumed-role/{hub.split('/')[-1]}/test"
    assert (assume["action"], assume["caller"], assume["account"]) == ("sts:AssumeRole", hub_session, accounts.hub)
    assert assume["parameters"] == {"RoleArn": target, "RoleSessionName": "daypass-1"}
    assert assume["accounts"] == [accounts.hub, accounts.target]
    assert (get["action"], get["status"], get["error"]) == ("iam:GetRole", 200, None)
    assert get["parameters"] == {"RoleName": target.split("/")[-1]}
    assert get["accounts"] == [accounts.target]
    assert (delete["action"], delete["status"], delete["error"]) == ("iam:DeleteRole", 403, "AccessDenied")
    assert "SecretAccessKey" not in json.dumps([assume, get, delete])


def test_calls_say_on_whose_behalf(accounts: Accounts, aws: Aws) -> None:
    role = accounts.role(accounts.target, "deploy", policies=[allow("iam:ListRoles")])
    session = accounts.session(role, SourceIdentity="alex", Tags=[{"Key": "team:name", "Value": "payments"}])
    aws.client("iam", session).list_roles()
    assume, listing = [call for call in of(aws, accounts) if call["action"] in ("sts:AssumeRole", "iam:ListRoles")]
    assert assume["parameters"]["SourceIdentity"] == "alex"
    assert assume["parameters"]["Tag:team:name"] == "payments"
    assert (assume["source_identity"], listing["source_identity"]) == (None, "alex")


def used(aws: Aws, accounts: Accounts) -> list[dict[str, Any]]:
    return [use for use in aws.control("/_daypass/uses")["uses"] if accounts.suffix in json.dumps(use)]


def test_uses_say_which_statement_gave_what_a_call_needed(accounts: Accounts, aws: Aws) -> None:
    assuming = allow(["sts:AssumeRole", "sts:TagSession"]) | {"Sid": "Assuming"}
    hub = accounts.role(accounts.hub, "hub", policies=[assuming])
    trusting = trust(hub, ["sts:AssumeRole", "sts:TagSession"]) | {"Sid": "Trusting"}
    reading = allow("iam:GetRole", "arn:aws:iam::*:role/target-*") | {"Sid": "Reading"}
    target = accounts.role(accounts.target, "target", trusts=[trusting], policies=[reading])
    tags = [{"Key": "team", "Value": "payments"}]
    session = accounts.session(target, accounts.session(hub), Tags=tags)
    iam = aws.client("iam", session)
    for _ in range(2):
        iam.get_role(RoleName=target.split("/")[-1])
    aws.client("sts", session).get_caller_identity()
    assert refused(iam.delete_role, RoleName=target.split("/")[-1]) == "AccessDenied"
    aws.control("/_daypass/faults", {"action": "iam:GetRole", "error": "AccessDenied", "status": 403})
    assert refused(iam.get_role, RoleName=target.split("/")[-1]) == "AccessDenied"

    aws.control("/_daypass/calls/reset", {})
    found = used(aws, accounts)
    by_hub = [use["grant"] for use in found if use["principal"] == hub and use["call"] == "sts:AssumeRole"]
    assert [(grant["policy"], grant["action"], grant["statement"]) for grant in by_hub] == [
        ("identity", "sts:AssumeRole", "Assuming"),
        ("resource", "sts:AssumeRole", "Trusting"),
        ("identity", "sts:TagSession", "Assuming"),
        ("resource", "sts:TagSession", "Trusting"),
    ]
    by_target = [use for use in found if use["principal"] == target]
    assert {use["via"] for use in by_target} == {f"{hub} as test"}
    got = {"policy": "identity", "action": "iam:GetRole", "resource": target, "statement": "Reading"}
    assert [(use["call"], use["grant"], use["count"]) for use in by_target] == [
        ("iam:GetRole", got, 2),
        ("sts:GetCallerIdentity", None, 1),
    ]
    refusals = [it for it in aws.control("/_daypass/uses")["refusals"] if it["principal"] == target]
    refused_call = {"principal": target, "via": f"{hub} as test", "call": "iam:DeleteRole", "resource": target}
    assert refusals == [refused_call | {"count": 1}]


def test_sessions_are_those_that_were_issued(accounts: Accounts, aws: Aws) -> None:
    role = accounts.role(accounts.hub, "hub")
    session = accounts.session(role)
    arn = f"arn:aws:sts::{accounts.hub}:assumed-role/{role.split('/')[-1]}/test"
    [found] = [it for it in aws.control("/_daypass/sessions")["sessions"] if it["arn"] == arn]
    assert found == {
        "arn": arn,
        "via": f"arn:aws:iam::{accounts.hub}:root",
        "access_key_id": session.access_key_id,
        "secret_access_key": session.secret_access_key,
        "session_token": session.session_token,
    }


def test_tasks_of_a_state_machine_are_recorded(accounts: Accounts, aws: Aws) -> None:
    sfn = aws.root("stepfunctions", accounts.hub)
    made = {"roleArn": accounts.role(accounts.hub, "machine", trusts=[service_trust("states.amazonaws.com")])}
    child = sfn.create_state_machine(
        name=f"child-{accounts.suffix}",
        definition=json.dumps({"StartAt": "D", "States": {"D": {"Type": "Succeed"}}}),
        **made,
    )["stateMachineArn"]
    start = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution",
        "Arguments": {"StateMachineArn": child},
        "End": True,
    }
    definition = {"QueryLanguage": "JSONata", "StartAt": "S", "States": {"S": start}}
    parent = sfn.create_state_machine(
        name=f"parent-{accounts.suffix}", type="EXPRESS", definition=json.dumps(definition), **made
    )["stateMachineArn"]
    aws.root("iam", accounts.hub).put_role_policy(
        RoleName=made["roleArn"].split("/")[-1],
        PolicyName="p",
        PolicyDocument=policy(allow("states:StartExecution", child)),
    )
    fault = {"action": "states:StartExecution", "error": "ServiceUnavailable"}
    for execute, children in ((False, 0), (True, 1)):
        aws.control("/_daypass/faults", fault | {"execute": execute})
        failed = sfn.start_sync_execution(stateMachineArn=parent)
        assert failed["error"] == "StepFunctions.ServiceUnavailable"
        assert len(sfn.list_executions(stateMachineArn=child)["executions"]) == children
    assert sfn.start_sync_execution(stateMachineArn=parent)["status"] == "SUCCEEDED"
    nested = [call for call in of(aws, accounts) if call["caller"] == made["roleArn"]]
    assert [call["error"] for call in nested] == ["StepFunctions.ServiceUnavailable"] * 2 + [None]
    assert {(call["action"], call["resource"]) for call in nested} == {("states:StartExecution", child)}
    needed = [(use["call"], use["grant"]["resource"], use["count"]) for use in used(aws, accounts)]
    assert ("states:StartExecution", child, 2) in needed, "not the call that a fault kept from being made"


def test_faults_come_as_often_as_asked_and_only_to_those_meant(accounts: Accounts, aws: Aws) -> None:
    iam = aws.root("iam", accounts.target)
    fault = {"action": "iam:ListRoles", "error": "Throttling", "status": 400, "times": 2, "skip": 1}
    aws.control("/_daypass/faults", fault | {"account": accounts.target})
    aws.root("iam", accounts.hub).list_roles()
    iam.list_roles()
    assert [refused(iam.list_roles), refused(iam.list_roles)] == ["Throttling", "Throttling"]
    iam.list_roles()
    assert aws.control("/_daypass/faults") == {"faults": []}


def test_faults_can_be_about_one_resource(accounts: Accounts, aws: Aws) -> None:
    iam = aws.root("iam", accounts.target)
    mine, other = (accounts.role(accounts.target, name).split("/")[-1] for name in ("mine", "other"))
    aws.control("/_daypass/faults", {"action": "iam:GetRole", "resource": f"role/{mine}"})
    iam.get_role(RoleName=other)
    assert refused(iam.get_role, RoleName=mine) == "ServiceUnavailable"


def test_a_lost_answer(accounts: Accounts, aws: Aws) -> None:
    iam = aws.root("iam", accounts.target)
    document = policy(trust(f"arn:aws:iam::{accounts.target}:root"))
    aws.control("/_daypass/faults", {"action": "iam:CreateRole", "error": "ServiceFailure", "execute": True})
    role = {"RoleName": f"lost-{accounts.suffix}", "AssumeRolePolicyDocument": document}
    assert refused(iam.create_role, **role) == "ServiceFailure"
    assert iam.get_role(RoleName=role["RoleName"])


def test_an_answer_that_is_cut(accounts: Accounts, aws: Aws) -> None:
    role = accounts.role(accounts.hub, "hub")
    aws.control("/_daypass/faults", {"action": "sts:AssumeRole", "execute": True, "cut_after": "<SecretAccessKey"})
    with pytest.raises(ResponseParserError, match=r"<AccessKeyId>.*<SecretAccessKey'"):
        accounts.session(role)
    accounts.session(role)


def test_json_services_get_their_error_names(accounts: Accounts, aws: Aws) -> None:
    aws.control("/_daypass/faults", {"action": "dynamodb:ListTables", "error": "InternalServerError", "status": 500})
    assert refused(aws.root("dynamodb", accounts.hub).list_tables) == "InternalServerError"


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/_daypass/nothing", None, "not known"),
        ("/_daypass/faults", {"error": "x"}, "action"),
        ("/_daypass/faults", {"action": "x", "colour": "red"}, "colour"),
        ("/_daypass/settings", {"colour": "red"}, "colour"),
        ("/_daypass/settings", {"missing_role": "maybe"}, "missing_role"),
        ("/_daypass/settings", {"minimum_session_seconds": "1"}, "minimum_session_seconds"),
        ("/_daypass/settings", {"most_attempts": "1"}, "most_attempts"),
        ("/_daypass/settings", {"iam_calls_per_second": "1"}, "iam_calls_per_second"),
        ("/_daypass/faults", {"action": "x", "instead": "fire"}, "instead"),
        ("/_daypass/executions", None, "transaction"),
        ("/_daypass/executions/end-delay", {}, "execution_arn"),
        ("/_daypass/identity/user-status", {"user_id": "u", "status": "ASLEEP"}, "DISABLED"),
    ],
)
def test_requests_that_do_not_fit_are_explained(aws: Aws, path: str, body: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        aws.control(path, body)


def machine_with(accounts: Accounts, aws: Aws, task: dict[str, Any], *statements: dict[str, Any]) -> str:
    """Make a machine of one task, whose role may do what the statements say."""
    role = accounts.role(
        accounts.hub, "tasks", trusts=[service_trust("states.amazonaws.com")], policies=list(statements)
    )
    definition = {
        "QueryLanguage": "JSONata",
        "StartAt": "Only",
        "States": {"Only": {"Type": "Task", "End": True} | task},
    }
    made = aws.root("stepfunctions", accounts.hub).create_state_machine(
        name=f"tasks-{accounts.suffix}", type="EXPRESS", definition=json.dumps(definition), roleArn=role
    )
    return str(made["stateMachineArn"])


def new_transaction() -> str:
    return str(uuid.uuid4())


# What a function in these tests does: it asks STS who it is, twice, and answers how that went.
ASKING = """
import json, os, urllib.request
sys_path = {path!r}
import sys
sys.path[:0] = sys_path
import botocore.session, botocore.config
if os.path.exists({broken!r}):
    sys.exit(3)
runtime = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
config = botocore.config.Config(retries={{"total_max_attempts": 1}}, read_timeout=1)
sts = botocore.session.get_session().create_client("sts", config=config)
while True:
    with urllib.request.urlopen(runtime + "next") as answer:
        request, event = answer.headers["Lambda-Runtime-Aws-Request-Id"], json.load(answer)
    said = []
    for _ in range(2):
        try:
            said.append(sts.get_caller_identity()["Arn"].rsplit("/", 1)[-1])
        except Exception as error:
            said.append(type(error).__name__)
    urllib.request.urlopen(runtime + request + "/response", json.dumps(said).encode()).close()
"""


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Return the file that keeps the function of these tests from starting while it is there."""
    return tmp_path / "broken"


@pytest.fixture
def asking(accounts: Accounts, aws: Aws, broken: Path) -> Iterator[Callable[..., Any]]:
    """Return what lets a machine call a function that calls STS, for a transaction, and returns what came of it."""
    role = accounts.role(accounts.hub, "function", trusts=[service_trust("lambda.amazonaws.com")])
    name = f"asking-{accounts.suffix}"
    functions = aws.root("lambda", accounts.hub)
    code = {"ZipFile": package(ASKING.format(path=sys.path, broken=str(broken)))}
    made = {"Runtime": "provided.al2023", "Handler": "bootstrap", "Timeout": 20}
    arn = functions.create_function(FunctionName=name, Role=role, Code=code, **made)["FunctionArn"]
    machine = machine_with(
        accounts,
        aws,
        {
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {"FunctionName": arn, "Payload": "{% $states.input %}"},
            "Output": "{% $states.result.Payload %}",
        },
        allow("lambda:InvokeFunction", arn),
    )
    states = aws.root("stepfunctions", accounts.hub)

    def ask(transaction: str) -> Any:
        ended = states.start_sync_execution(stateMachineArn=machine, input=json.dumps({"id": transaction}))
        return json.loads(ended["output"]) if ended["status"] == "SUCCEEDED" else ended["error"]

    yield ask
    functions.delete_function(FunctionName=name)


def test_a_call_of_a_function_is_of_the_transaction_and_the_state_that_it_works_for(
    aws: Aws, asking: Callable[..., Any]
) -> None:
    mine, other = new_transaction(), new_transaction()
    asking(mine)
    asking(other)
    calls = aws.control(f"/_daypass/calls?transaction={mine}")["calls"]
    own = [call for call in calls if call["action"] != "states:StartSyncExecution"]
    assert [call["action"] for call in own] == ["sts:GetCallerIdentity"] * 2 + ["lambda:InvokeFunction"]
    assert {call["state"] for call in own} == {"Only"}
    assert len({call["execution"] for call in own}) == 1
    aws.control("/_daypass/calls/reset", {"transaction": mine})
    assert aws.control(f"/_daypass/calls?transaction={mine}")["calls"] == []
    assert len(aws.control(f"/_daypass/calls?transaction={other}")["calls"]) == 4


@pytest.mark.parametrize(
    ("fault", "first"),
    [
        ({"instead": "reset"}, "ConnectionClosedError"),
        ({"instead": "reset", "execute": True}, "ConnectionClosedError"),
        ({"instead": "silence"}, "ReadTimeoutError"),
        ({"execute": True, "cut_half": True}, "ResponseParserError"),
        ({"error": "Throttling", "status": 400, "late": 0.1}, "ClientError"),
        ({"twice": True}, None),
        ({"slow": 0.2}, None),
    ],
)
def test_a_call_of_a_function_meets_a_fault(
    aws: Aws, asking: Callable[..., Any], fault: Any, first: str | None
) -> None:
    mine, other = new_transaction(), new_transaction()
    aws.control("/_daypass/faults", {"action": "sts:GetCallerIdentity", "transaction": mine, "state": "Only"} | fault)
    assert asking(other) == [asking(other)[1]] * 2, "of another transaction"
    said = asking(mine)
    assert said == [first or said[1], said[1]]
    assert aws.control(f"/_daypass/faults?transaction={mine}") == {"faults": []}
    time.sleep(0.2 if "late" in fault else 0)
    calls = aws.control(f"/_daypass/calls?transaction={mine}")["calls"]
    met = [call["fault"] for call in calls if call["action"] == "sts:GetCallerIdentity"]
    if "late" in fault:
        assert sorted(filter(None, met)) == ["call", "late"]
    else:
        passes = "twice" if "twice" in fault else "slow" if "slow" in fault else None
        assert met == [passes or ("answer" if fault.get("execute") else "call"), None]


def test_a_fault_spreads_from_its_first_hit() -> None:
    recorder = Recorder()
    recorder.add_fault(Fault("dynamodb:UpdateItem", state="First", times=9, spreads=True))

    def met(state: str, table: str = "table/one") -> bool:
        execution = "arn:aws:states:::execution:daypass-provision:one" if state else ""
        call = Call("caller", "111111111111", "dynamodb:UpdateItem", f"arn:aws:dynamodb:::{table}")
        return recorder.take_fault(replace(call, execution=execution, state=state)) is not None

    assert [met("Second"), met("First"), met("Second")] == [False, True, True]
    assert [met("Second", "table/two"), met("")] == [False, False], "another resource, and a client"


def test_a_function_dies_at_a_call(aws: Aws, asking: Callable[..., Any]) -> None:
    mine = new_transaction()
    for execute in (False, True):
        fault = {"action": "sts:GetCallerIdentity", "transaction": mine, "instead": "death", "execute": execute}
        aws.control("/_daypass/faults", fault | {"skip": 1})
        assert asking(mine) == "Runtime.ExitError"
        assert len(asking(mine)) == 2, "the next invocation has another environment"


def test_an_environment_that_cannot_start_takes_no_other_one_with_it(
    aws: Aws, asking: Callable[..., Any], broken: Path
) -> None:
    asking(new_transaction())
    at_work = new_transaction()
    slow = {"action": "sts:GetCallerIdentity", "transaction": at_work, "slow": 0.8, "times": 2}
    aws.control("/_daypass/faults", slow)
    with ThreadPoolExecutor() as pool:
        working = pool.submit(asking, at_work)
        time.sleep(0.3)
        broken.touch()
        assert asking(new_transaction()) == "Runtime.Unknown"
        assert len(working.result()) == 2
    broken.unlink()
    assert len(asking(new_transaction())) == 2


@pytest.mark.parametrize(
    ("fault", "error", "children"),
    [
        ({"instead": "reset"}, "StepFunctions.SdkClientException", 0),
        ({"instead": "reset", "execute": True}, "StepFunctions.SdkClientException", 1),
        ({"instead": "death"}, "Runtime.ExitError", 0),
        ({"late": 0.2}, "StepFunctions.ServiceUnavailable", 1),
        ({"twice": True}, None, 2),
        ({"slow": 0.1}, None, 1),
        ({"instead": "silence"}, "States.Timeout", 0),
        ({"instead": "silence", "execute": True}, "States.Timeout", 1),
    ],
)
def test_a_task_meets_a_fault(accounts: Accounts, aws: Aws, fault: Any, error: str | None, children: int) -> None:
    sfn = aws.root("stepfunctions", accounts.hub)
    role = accounts.role(accounts.hub, "machine", trusts=[service_trust("states.amazonaws.com")])
    nothing = json.dumps({"StartAt": "D", "States": {"D": {"Type": "Succeed"}}})
    child = sfn.create_state_machine(name=f"child-{accounts.suffix}", definition=nothing, roleArn=role)[
        "stateMachineArn"
    ]
    start = {
        "Resource": "arn:aws:states:::states:startExecution",
        "Arguments": {"StateMachineArn": child, "Input": "{% $states.input %}"},
        "TimeoutSeconds": 1,
    }
    parent = machine_with(accounts, aws, start, allow("states:StartExecution", child))
    mine = new_transaction()
    of_it = {"action": "states:StartExecution", "transaction": mine, "state": "Only"}
    aws.control("/_daypass/faults", of_it | fault)
    ended = sfn.start_sync_execution(stateMachineArn=parent, input=json.dumps({"id": mine}))
    assert ended.get("error") == error
    time.sleep(0.4 if "late" in fault else 0)
    assert len(sfn.list_executions(stateMachineArn=child)["executions"]) == children


def test_executions_of_a_transaction_and_their_delays(accounts: Accounts, aws: Aws) -> None:
    sfn = aws.root("stepfunctions", accounts.hub)
    role = accounts.role(accounts.hub, "machine", trusts=[service_trust("states.amazonaws.com")])
    waiting = json.dumps({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 600, "End": True}}})
    machine = sfn.create_state_machine(name=f"waits-{accounts.suffix}", definition=waiting, roleArn=role)
    mine, other = new_transaction(), new_transaction()
    for name in (mine, f"{mine}-release-1", other):
        sfn.start_execution(stateMachineArn=machine["stateMachineArn"], name=name)

    def statuses(of: str) -> list[str]:
        return list(aws.control(f"/_daypass/executions?transaction={of}")["executions"].values())

    eventually(lambda: statuses(mine) == ["WAITING", "WAITING"])
    assert aws.control("/_daypass/executions/end-delays", {"transaction": mine}) == {"ended": 2}
    eventually(lambda: statuses(mine) == ["SUCCEEDED", "SUCCEEDED"])
    assert statuses(other) == ["WAITING"]
    aws.control("/_daypass/executions/end-delays", {"transaction": other})


def test_attempts_can_be_fewer(accounts: Accounts, aws: Aws) -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 300}]
    start = {
        "Resource": "arn:aws:states:::states:startExecution",
        "Arguments": {"StateMachineArn": "arn:aws:states:us-east-1:111111111111:stateMachine:none"},
        "Retry": retry,
    }
    machine = machine_with(accounts, aws, start, allow("states:StartExecution"))
    aws.control("/_daypass/settings", {"most_attempts": 2})
    aws.control("/_ministack/config", {"stepfunctions._SFN_WAIT_SCALE": 0})
    aws.control("/_daypass/calls/reset", {})
    sfn = aws.root("stepfunctions", accounts.hub)
    assert sfn.start_sync_execution(stateMachineArn=machine)["status"] == "FAILED"
    assert len([call for call in of(aws, accounts) if call["action"] == "states:StartExecution"]) == 3


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_iam_takes_so_many_calls_of_an_account(accounts: Accounts, aws: Aws) -> None:
    role = accounts.role(accounts.target, "caller", policies=[allow("iam:ListRoles")])
    iam = aws.client("iam", accounts.session(role))
    aws.control("/_daypass/settings", {"iam_calls_per_second": 2})
    answers = [refused_or_not(iam.list_roles) for _ in range(6)]
    assert answers[:2] == [None, None]
    assert "Throttling" in answers
    aws.control("/_daypass/settings", {"iam_calls_per_second": None})
    assert refused_or_not(iam.list_roles) is None


def refused_or_not(call: Callable[..., Any]) -> str | None:
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None
