"""The state machines, with functions that do as they are told: where each error leads and what the caller learns.

What can be seen in the definitions is held by `statemachine/tests/state_machines/`; here their JSONata is evaluated.
"""

import json
import os
import re
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import Accounts, allow, package, service_trust

from daypass_local.aws import Aws

MACHINES = Path(__file__).resolve().parents[2] / "statemachine"
TASKS = ("validate", "record", "prove", "authn", "authz", "create-role", "issue-creds", "delete-role")
ATTEMPTS = 3
"""How often deprovision tries here, instead of for a day."""

STAND_IN = """
import json, os, time, urllib.request
api = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime"
task, folder = os.environ["TASK"], os.environ["FOLDER"]
while True:
    with urllib.request.urlopen(f"{api}/invocation/next") as asked:
        request, event = asked.headers["Lambda-Runtime-Aws-Request-Id"], json.loads(asked.read())
    key = f"record.{next(iter(event['operation']))}" if task == "record" else task
    with open(f"{folder}/calls", "a") as calls:
        print(json.dumps([key, event]), file=calls)
    with open(f"{folder}/script") as file:
        script = json.load(file)
    outcomes = script["outcomes"].get(key)
    outcome = outcomes.pop(0) if outcomes else {"answer": script["answers"].get(key, {})}
    with open(f"{folder}/script", "w") as file:
        json.dump(script, file)
    time.sleep(outcome.pop("sleep", 0))
    kind, answer = ("response", outcome["answer"]) if "answer" in outcome else ("error", outcome)
    urllib.request.urlopen(urllib.request.Request(
        f"{api}/invocation/{request}/{kind}", json.dumps(answer).encode())).read()
"""

Outcomes = dict[str, list[dict[str, Any]]]
"""What the functions do instead of answering, call after call: by task, for record by operation."""


def error(name: str, message: str = "this is why", times: int = 1) -> list[dict[str, Any]]:
    return [{"errorType": name, "errorMessage": message}] * times


BROKEN = error("Runtime.ExitError", "it broke")
TIMED_OUT = error("Sandbox.Timedout", "it took too long")
"""How Lambda ends a function that hangs. When it does not, Step Functions gives the function up: States.Timeout."""
ROLE_ARN = "arn:aws:iam::222222222222:role/daypass/daypass-t"
PERSON = {"user_id": "u-1", "user_name": "alex"}
AUTHORIZATION = {"group_id": "g-1", "reason": "alex is in the group"}
ROLE = {"role_arn": ROLE_ARN, "role_id": "AROAEXAMPLE", "created_at": "2026-11-23T09:00:01Z"}
SESSION = {"source_identity": "alex@example.com", "credentials_expire_at": "2026-11-23T09:30:00Z"}
DELETED = {"existed": True, "detached_policies": [], "deleted_inline_policies": [], "left_instance_profiles": []}


class World:
    """The machines in the hub, the functions that they call, and what those are told to do."""

    def __init__(self, aws: Aws, folder: Path) -> None:
        accounts = Accounts(aws, uuid.uuid4().hex[:12])
        self.folder, self.suffix = folder, accounts.suffix
        self.sfn = aws.root("stepfunctions", accounts.hub)
        may = allow(["lambda:InvokeFunction", "states:StartExecution", "dynamodb:PutItem", "sns:Publish"])
        self.role = accounts.role(
            accounts.hub, "machine", trusts=[service_trust("states.amazonaws.com")], policies=[may]
        )
        function_role = accounts.role(accounts.hub, "function", trusts=[service_trust("lambda.amazonaws.com")])
        self.arns = {}
        for task in TASKS:
            function = aws.root("lambda", accounts.hub).create_function(
                FunctionName=f"{task}-{self.suffix}",
                Runtime="provided.al2023",
                Handler="bootstrap",
                Role=function_role,
                Code={"ZipFile": package(STAND_IN)},
                Environment={"Variables": {"TASK": task, "FOLDER": str(folder)}},
            )
            self.arns[task.replace("-", "_")] = function["FunctionArn"]
        self.arns["used_tokens"] = f"used-tokens-{self.suffix}"
        aws.root("dynamodb", accounts.hub).create_table(
            TableName=self.arns["used_tokens"],
            KeySchema=[{"AttributeName": "token_id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "token_id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.arns["alarms"] = aws.root("sns", accounts.hub).create_topic(Name=f"alarms-{self.suffix}")["TopicArn"]
        self.logs = aws.root("logs", accounts.hub)
        self.log_group = f"/aws/vendedlogs/states/{self.suffix}"
        self.logs.create_log_group(logGroupName=self.log_group)
        lease = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}}
        self.lease = self.arns["deprovision"] = self.make("lease", "STANDARD", json.dumps(lease))
        self.provision = self.make("provision", "EXPRESS", self.without_time("provision"))
        self.renew = self.make("renew", "EXPRESS", self.without_time("renew"))
        self.deprovision = self.make("deprovision", "STANDARD", self.definition("deprovision"))

    def definition(self, name: str) -> str:
        text = (MACHINES / f"{name}.asl.json").read_text()
        for key, arn in self.arns.items():
            text = text.replace(f"${{{key}}}", arn)
        return re.sub('"MaxAttempts": (220|300)', f'"MaxAttempts": {ATTEMPTS - 1}', text)

    def without_time(self, name: str) -> str:
        """Return a definition whose limit of time for throttles is over when one is met again and again."""
        document: dict[str, Any] = json.loads(self.definition(name))
        for state, it in document["States"].items():
            if state.startswith("IsThereTimeTo"):
                it["Choices"][0]["Condition"] = "{% true %}"
        return json.dumps(document)

    def make(self, name: str, kind: str, definition: str) -> str:
        name = f"{name}-{self.suffix}"
        group = f"arn:aws:logs:us-east-1:{self.role.split(':')[4]}:log-group:{self.log_group}:*"
        made = self.sfn.create_state_machine(
            name=name,
            type=kind,
            roleArn=self.role,
            definition=definition,
            loggingConfiguration={
                "level": "ALL",
                "includeExecutionData": True,
                "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": group}}],
            },
        )
        return str(made["stateMachineArn"])

    def script(self, outcomes: Outcomes, answers: dict[str, Any]) -> None:
        (self.folder / "calls").write_text("")
        (self.folder / "script").write_text(json.dumps({"outcomes": outcomes, "answers": answers}))

    @property
    def calls(self) -> list[tuple[str, Any]]:
        """What the functions were called with since the last script, in order."""
        return [tuple(json.loads(line)) for line in (self.folder / "calls").read_text().splitlines()]

    def payload(self, key: str) -> Any:
        return next(payload for called, payload in self.calls if called == key)

    def times(self, key: str) -> int:
        """How often a function was called since the last script."""
        return sum(called == key for called, _ in self.calls)

    def clean_ups(self, transaction_id: str) -> list[tuple[str, Any]]:
        """The executions of deprovision that provision has started beside the lease: names and inputs."""
        pages = self.sfn.get_paginator("list_executions").paginate(stateMachineArn=self.lease)
        found = [(it["name"], it["executionArn"]) for page in pages for it in page["executions"]]
        others = [(name, arn) for name, arn in found if name.startswith(transaction_id) and name != transaction_id]
        return [
            (name, json.loads(self.sfn.describe_execution(executionArn=arn)["input"])) for name, arn in sorted(others)
        ]

    def impatient(self, name: str, kind: str, *states: str) -> str:
        """Make a machine that gives these states' functions up after a second.

        Not those of others: on a busy machine a function that does not hang may take a second, too.
        """
        impatient = json.loads(self.definition(name))
        for state in states:
            impatient["States"][state]["TimeoutSeconds"] = 1
        return self.make(f"{name}-{uuid.uuid4().hex[:8]}", kind, json.dumps(impatient))

    def states(self, execution: str) -> str:
        events = self.sfn.get_execution_history(executionArn=execution, maxResults=1000)["events"]
        return " ".join(
            event["stateEnteredEventDetails"]["name"] for event in events if "StateEntered" in event["type"]
        )

    def entered(self, execution: str, state: str) -> datetime:
        events = self.sfn.get_execution_history(executionArn=execution, maxResults=1000)["events"]
        entered = (
            event["timestamp"] for event in events if event.get("stateEnteredEventDetails", {}).get("name") == state
        )
        when: datetime = next(entered)
        return when

    def telling(self) -> str:
        """Make a deprovision machine whose messages go to a function (`record.told`), where they can be read."""
        telling = json.loads(self.definition("deprovision"))
        state = telling["States"]["TellOperators"]
        told = {"operation": {"told": state["Arguments"]}}
        state["Resource"] = "arn:aws:states:::lambda:invoke"
        state["Arguments"] = {"FunctionName": self.arns["record"], "Payload": told}
        return self.make(f"telling-{uuid.uuid4().hex[:8]}", "STANDARD", json.dumps(telling))

    def logged(self, execution: str) -> list[dict[str, Any]]:
        """The events of an execution in the log, without what it worked on."""
        streams = self.logs.get_paginator("describe_log_streams").paginate(logGroupName=self.log_group)
        names = [stream["logStreamName"] for page in streams for stream in page["logStreams"]]
        [stream] = [name for name in names if name.endswith(f"/{execution.rsplit(':', 1)[-1]}")]
        found = self.logs.filter_log_events(logGroupName=self.log_group, logStreamNames=[stream])
        events = [json.loads(event["message"]) for event in found["events"]]
        kept = ("name", "error", "cause")
        return [
            {"id": event["id"], "type": event["type"]}
            | {"details": {key: event["details"][key] for key in kept if key in event["details"]}}
            for event in events
        ]

    def fault(self, aws: Aws, action: str, error: str, **more: Any) -> None:
        aws.control("/_daypass/faults", {"action": action, "error": error, "caller": self.role} | more)


@pytest.fixture(scope="module")
def shared_world(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(aws, tmp_path_factory.mktemp("stand-ins"))


@pytest.fixture
def world(shared_world: World, aws: Aws) -> Iterator[World]:
    """Waits for nothing: a lease ends at once and a retry follows immediately."""
    aws.control("/_ministack/config", {"stepfunctions._SFN_WAIT_SCALE": 0})
    return shared_world


# Provision


class Provisioning:
    """One execution of the provision machine, after its end."""

    def __init__(
        self,
        world: World,
        outcomes: Outcomes | None = None,
        machine: str = "",
        name: str = "",
        proof: dict[str, Any] | None = None,
        refusal: str | None = None,
        recipient: str = "age1",
    ) -> None:
        self.id = name or str(uuid.uuid4())
        self.lease = f"{world.lease.replace(':stateMachine:', ':execution:')}:{self.id}"
        self.transaction = {"transaction_id": self.id, "recipient": recipient, "role_arn": ROLE_ARN}
        self.transaction |= {"expires_at": "2026-11-23T10:00:00Z", "target_aws_account_id": "222222222222"}
        answers = {
            "validate": self.transaction,
            "prove": {"proof": proof, "refusal": refusal},
            "authn": PERSON,
            "authz": AUTHORIZATION,
            "create-role": ROLE,
            "issue-creds": SESSION | {"sealed_credentials": "SEALED"},
            "record.provisioned": {"transaction_id": self.id, "status": "provisioned"},
            "delete-role": DELETED,
        }
        world.script(outcomes or {}, answers)
        ended = world.sfn.start_sync_execution(
            stateMachineArn=machine or world.provision, name=self.id, input='{"email": "alex@example.com"}'
        )
        self.execution, self.status, self.error = ended["executionArn"], ended["status"], ended.get("error")
        self.output, self.cause = (json.loads(ended.get(key, "null")) for key in ("output", "cause"))
        self.path = world.states(self.execution)


def test_a_request_is_granted(world: World) -> None:
    run = Provisioning(world)
    assert run.output == {"transaction_id": run.id, "status": "provisioned", "sealed_credentials": "SEALED"}
    assert run.path == PROVISIONED
    by, transaction = {"execution_arn": run.execution}, {"transaction": run.transaction}
    leasing = {"transaction_id": run.id, "target_aws_account_id": "222222222222"}
    leasing |= {"person": PERSON, "authorization": AUTHORIZATION}
    execution = {"transaction_id": run.id, "requested_at": world.payload("validate")["requested_at"]}
    recorded = transaction | SESSION | {"person": PERSON, "authorization": AUTHORIZATION, "role": ROLE}
    assert world.calls == [
        ("validate", execution | {"request": {"email": "alex@example.com"}}),
        ("record.requested", by | {"operation": {"requested": run.transaction}}),
        ("prove", transaction | {"identity_token": None, "answers_refusal": True}),
        ("authn", transaction | {"proof": None}),
        ("authz", transaction | {"person": PERSON}),
        ("record.leasing", by | {"operation": {"leasing": leasing}}),
        ("create-role", transaction),
        ("issue-creds", transaction | {"person": PERSON}),
        ("record.provisioned", by | {"operation": {"provisioned": recorded | {"lease_execution_arn": run.lease}}}),
    ]
    lease = json.loads(world.sfn.describe_execution(executionArn=run.lease)["input"])
    assert lease == {"schema": 1, "transaction_id": run.id, "expires_at": run.transaction["expires_at"]}


PROVEN = "Validate RecordProcessing Prove"
AUTHENTICATED = f"{PROVEN} IsRunAccepted Authenticate"
AUTHORIZED = f"{AUTHENTICATED} IsThereProof Authorize"
LEASED = f"{AUTHORIZED} IsThereTimeForRole RecordLease"
CREATED = f"{LEASED} StartLease CreateRole"
ISSUED = f"{CREATED} IssueCredentials"
PROVISIONED = f"{ISSUED} RecordProvisioned"
DENIED = "RecordDenied Denied"
FAILED = "RecordFailed WasItOvertaken Failed"
OVERTAKEN = "RecordFailed WasItOvertaken Overtaken"
UNDONE = f"DeleteRole {FAILED}"
HANDED_OVER = "RecordFailing StartCleanUp Failed"
PASSING = "Throttled AwsUnavailable"
AGAIN = "CreateRoleAgain"

PROOF = {"token_id": "5f" * 32, "token_ends_at": 1_795_424_730}


def test_a_token_is_used_up_by_one_transaction(world: World, aws: Aws) -> None:
    proof = PROOF | {"token_id": uuid.uuid4().hex}
    first = Provisioning(world, proof=proof)
    assert first.path.startswith(f"{AUTHENTICATED} IsThereProof UseToken Authorize")
    again = Provisioning(world, proof=proof)
    assert (again.path, again.error) == (
        f"{AUTHENTICATED} IsThereProof UseToken {DENIED}",
        "Daypass.IdentityNotProven",
    )
    assert "used before" in again.cause["reason"]
    assert world.payload("record.denied")["operation"]["denied"]["proof"] == proof
    # Where a job gets one token, it counts for what this job asks for: as long as the answers are for the same key.
    gitlab = PROOF | {"token_id": uuid.uuid4().hex, "provider": "gitlab", "job_id": "7"}
    assert Provisioning(world, proof=gitlab).status == Provisioning(world, proof=gitlab).status == "SUCCEEDED"
    assert Provisioning(world, proof=gitlab, recipient="age1other").error == "Daypass.IdentityNotProven"
    # The answer is lost: the same transaction may use it again.
    fault = {"action": "dynamodb:PutItem", "error": "InternalServerError", "execute": True, "status": 500}
    world.fault(aws, **fault)
    lost = Provisioning(world, proof=proof | {"token_id": uuid.uuid4().hex})
    assert lost.status == "SUCCEEDED"


def test_a_token_that_cannot_be_used_up_fails_the_request(world: World, aws: Aws) -> None:
    proof = PROOF | {"token_id": uuid.uuid4().hex}
    world.fault(aws, "dynamodb:PutItem", "AccessDeniedException", message="no", times=3)
    assert Provisioning(world, proof=proof).status == "SUCCEEDED"
    world.fault(aws, "dynamodb:PutItem", "AccessDeniedException", message="no", times=4)
    run = Provisioning(world, proof=proof)
    assert (run.path, run.error) == (f"{AUTHENTICATED} IsThereProof UseToken {FAILED}", "Daypass.HubRefused")
    reason = "UseToken did not succeed (DynamoDB.AccessDeniedException: no); tell the operators"
    assert run.cause["reason"] == reason
    failed = world.payload("record.failed")["operation"]["failed"]
    assert (failed["error"], failed["reason"]) == ("Daypass.HubRefused", reason)
    assert world.payload("record.failed")["operation"]["failed"]["proof"] == proof


def test_a_run_that_is_not_accepted_is_denied_with_whose_it_was(world: World) -> None:
    refusal = 'it is the run of {"errorMessage": "somebody else"}'
    run = Provisioning(world, proof=PROOF, refusal=refusal)
    assert (run.path, run.error) == (f"{PROVEN} IsRunAccepted {DENIED}", "Daypass.IdentityNotProven")
    assert run.cause == {"transaction_id": run.id, "status": "denied", "reason": refusal}
    denied = {"transaction_id": run.id, "error": "Daypass.IdentityNotProven", "reason": refusal, "proof": PROOF}
    denied |= {"person": None, "authorization": None}
    by = {"execution_arn": run.execution}
    assert world.calls[-1] == ("record.denied", by | {"operation": {"denied": denied}})
    assert [called for called, _ in world.calls] == ["validate", "record.requested", "prove", "record.denied"]


@pytest.mark.parametrize(
    ("task", "name", "status"),
    [
        ("authn", "UserNotFound", "denied"),
        ("authn", "InvalidRequest", "failed"),
        ("authz", "NotAMember", "denied"),
        ("record.leasing", "TransactionConflict", "failed"),
        ("create-role", "RoleConflict", "failed"),
    ],
)
def test_what_is_proven_is_recorded_however_it_ends(world: World, task: str, name: str, status: str) -> None:
    proof = PROOF | {"token_id": uuid.uuid4().hex}
    Provisioning(world, {task: error(f"Daypass.{name}")}, proof=proof)
    assert world.payload(f"record.{status}")["operation"][status]["proof"] == proof


LIMITS = {
    "authn": ("Authenticate", "Authenticate IsThereTimeToAuthenticate"),
    "authz": ("Authorize", "Authorize IsThereTimeToAuthorize"),
    "create-role": (AGAIN, f"{AGAIN} IsThereTimeToCreate"),
    "issue-creds": ("IssueCredentials", "IssueCredentials IsThereTimeToIssue"),
    "record.provisioned": ("RecordProvisioned", "RecordProvisioned IsThereTimeToRecord"),
}
"""Where a throttle that goes on leads to, by the task that meets it."""

BROKEN_RECORD = "TransactionMismatch RecordBroken"
ERRORS = [
    ("validate", "InvalidRequest", "Validate Denied"),
    ("validate", PASSING, "Validate Failed"),
    ("record.requested", "TransactionConflict", "Validate RecordProcessing Denied"),
    ("record.requested", f"InvalidRequest RecordBroken {PASSING}", f"Validate RecordProcessing {FAILED}"),
    ("prove", "IdentityNotProven", f"{PROVEN} {DENIED}"),
    ("prove", f"InvalidRequest HubRefused {PASSING}", f"{PROVEN} {FAILED}"),
    ("authn", "UserNotFound UserDisabled IdentityNotProven", f"{AUTHENTICATED} {DENIED}"),
    ("authn", f"InvalidRequest HubRefused {PASSING}", f"{AUTHENTICATED} {FAILED}"),
    ("authz", "NotAMember AccountNotAllowed BranchNotAllowed IdentityNotProven", f"{AUTHORIZED} {DENIED}"),
    ("authz", f"InvalidRequest HubRefused {PASSING}", f"{AUTHORIZED} {FAILED}"),
    ("record.leasing", "InvalidRequest TransactionNotFound", f"{LEASED} {FAILED}"),
    ("record.leasing", "TransactionConflict", f"{LEASED} {OVERTAKEN}"),
    ("record.leasing", f"{BROKEN_RECORD} {PASSING}", f"{LEASED} {FAILED}"),
    ("record.leasing", "QuotaExceeded", f"{LEASED} {DENIED}"),
    ("create-role", "InvalidRequest RoleConflict", f"{CREATED} {FAILED}"),
    ("create-role", "TargetAccountNotOnboarded TargetAccountRefused", f"{CREATED} {FAILED}"),
    ("create-role", f"QuotaExceeded RoleNotVisibleYet {PASSING}", f"{CREATED} {AGAIN} {UNDONE}"),
    ("issue-creds", f"InvalidRequest HubRefused {PASSING}", f"{ISSUED} {UNDONE}"),
    ("record.provisioned", "InvalidRequest TransactionNotFound", f"{PROVISIONED} {UNDONE}"),
    ("record.provisioned", "TransactionConflict", f"{PROVISIONED} DeleteRole {OVERTAKEN}"),
    ("record.provisioned", f"{BROKEN_RECORD} {PASSING}", f"{PROVISIONED} {UNDONE}"),
]


@pytest.mark.parametrize(
    ("task", "name", "path"), [(task, name, path) for task, names, path in ERRORS for name in names.split()]
)
def test_an_error_of_a_task_is_told_and_recorded(world: World, task: str, name: str, path: str) -> None:
    attempts = 5 if AGAIN in path else 4 if name in PASSING.split() else 1
    if name == "Throttled" and task in ("record.requested", "prove", "authn", "authz"):
        attempts = 5
    if (name == "Throttled" and task in LIMITS) or (task, name) == ("create-role", "RoleNotVisibleYet"):
        path = path.replace(*LIMITS[task])
    name = f"Daypass.{name}"
    run = Provisioning(world, {task: error(name, times=10)})
    status = "denied" if path.endswith("Denied") else "failed"
    assert (run.status, run.path, run.error) == ("FAILED", path, name)
    assert run.cause == {"transaction_id": run.id, "status": status, "reason": "this is why"}
    assert world.times(task) == attempts
    if path.endswith((DENIED, FAILED, OVERTAKEN)):
        known = {"proof": None, "person": PERSON if "Authorize" in path else None}
        known |= {"authorization": AUTHORIZATION if "RecordLease" in path else None}
        recorded = known | {"transaction_id": run.id, "error": name, "reason": "this is why"}
        operation = {"execution_arn": run.execution, "operation": {status: recorded}}
        assert world.payload(f"record.{status}") == operation
    # What is on record needs no clean-up, and the lease finds that it has ended.
    assert world.clean_ups(run.id) == []


@pytest.mark.parametrize(
    ("outcome", "attempts"),
    [(BROKEN, 4), (TIMED_OUT, 2), (error("States.Timeout", "it took too long"), 2)],
    ids=["crash", "ended", "given-up"],
)
@pytest.mark.parametrize(
    ("task", "state", "path"),
    [
        ("validate", "Validate", "Validate Failed"),
        ("record.requested", "RecordProcessing", f"Validate RecordProcessing {FAILED}"),
        ("prove", "Prove", f"{PROVEN} {FAILED}"),
        ("authn", "Authenticate", f"{AUTHENTICATED} {FAILED}"),
        ("authz", "Authorize", f"{AUTHORIZED} {FAILED}"),
        ("record.leasing", "RecordLease", f"{LEASED} {FAILED}"),
        ("create-role", AGAIN, f"{CREATED} {AGAIN} {UNDONE}"),
        ("issue-creds", "IssueCredentials", f"{ISSUED} {UNDONE}"),
        ("record.provisioned", "RecordProvisioned", f"{PROVISIONED} {UNDONE}"),
    ],
)
def test_any_other_error_is_told_as_one_of_ours(
    world: World, task: str, state: str, path: str, outcome: list[dict[str, Any]], attempts: int
) -> None:
    run = Provisioning(world, {task: outcome * 10})
    name, message = outcome[0]["errorType"], outcome[0]["errorMessage"]
    reason = f"{state} did not succeed ({name}: {message}); "
    reason += "try again, and tell the operators when that does not help"
    assert (run.status, run.path, run.error) == ("FAILED", path, "Daypass.AwsUnavailable")
    assert run.cause == {"transaction_id": run.id, "status": "failed", "reason": reason}
    assert world.times(task) == (5 if outcome == BROKEN and state == AGAIN else attempts)
    if path.endswith(FAILED):
        recorded = world.payload("record.failed")["operation"]["failed"]
        assert (recorded["error"], recorded["reason"]) == ("Daypass.AwsUnavailable", reason)


@pytest.mark.parametrize("cause", ["no JSON", "{", '{"errorMessage"', '{"error": "no message"}', ""])
def test_a_cause_that_no_function_wrote(world: World, aws: Aws, cause: str) -> None:
    world.fault(aws, "lambda:InvokeFunction", "Unknown", message=cause, skip=3, times=4)
    run = Provisioning(world)
    assert (run.path, run.error) == (f"{AUTHENTICATED} {FAILED}", "Daypass.AwsUnavailable")
    assert run.cause["reason"].startswith(f"Authenticate did not succeed (Lambda.Unknown: {cause}); ")


def test_a_function_that_hangs(world: World) -> None:
    machine = world.impatient("provision", "EXPRESS", "CreateRole", AGAIN)
    run = Provisioning(world, {"create-role": [{"sleep": 3}, {"sleep": 3}]}, machine)
    assert (run.path, run.error) == (f"{CREATED} {AGAIN} {UNDONE}", "Daypass.AwsUnavailable")
    assert run.cause["reason"].startswith("CreateRoleAgain did not succeed (States.Timeout: ")


def test_a_function_that_hangs_once_is_asked_again(world: World) -> None:
    machine = world.impatient("provision", "EXPRESS", "CreateRole")
    run = Provisioning(world, {"create-role": [{"sleep": 3}]}, machine)
    assert (run.status, run.path) == ("SUCCEEDED", PROVISIONED.replace("CreateRole", f"CreateRole {AGAIN}"))
    assert world.times("create-role") == 2


@pytest.mark.parametrize("name", ["TargetAccountRefused", "TargetAccountNotOnboarded"])
def test_a_role_that_was_made_and_is_refused_its_policies_is_deleted(world: World, name: str) -> None:
    refused = error("Daypass.AwsUnavailable") + error(f"Daypass.{name}", times=5)
    run = Provisioning(world, {"create-role": refused})
    assert (run.path, run.error) == (f"{CREATED} {AGAIN} {UNDONE}", f"Daypass.{name}")
    assert (world.times("create-role"), world.times("delete-role")) == (2, 1)


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        *(
            (f"Lambda.{name}Exception", "Daypass.HubRefused")
            for name in ("AccessDenied", "ResourceNotFound", "KMSDisabled", "KMSAccessDenied", "KMSInvalidState")
        ),
        ("Lambda.ServiceException", "Daypass.AwsUnavailable"),
        ("Lambda.TooManyRequestsException", "Daypass.AwsUnavailable"),
    ],
)
def test_what_aws_refuses_the_machine_is_told_as_a_refusal(world: World, aws: Aws, refused: str, told: str) -> None:
    is_throttle = refused == "Lambda.TooManyRequestsException"
    times = 5 if is_throttle else 4
    world.fault(aws, "lambda:InvokeFunction", refused.removeprefix("Lambda."), message="no", skip=3, times=times)
    run = Provisioning(world)
    path = LIMITS["authn"][1] if is_throttle else "Authenticate"
    assert (run.path, run.error) == (f"{AUTHENTICATED} {FAILED}".replace("Authenticate", path), told)
    advice = "try again, and tell the operators when that does not help"
    advice = "tell the operators" if told == "Daypass.HubRefused" else advice
    assert run.cause["reason"] == f"Authenticate did not succeed ({refused}: no); {advice}"


def test_what_passes_is_tried_again(world: World) -> None:
    quick = error("Daypass.Throttled") + TIMED_OUT + BROKEN + error("Daypass.AwsUnavailable")
    slow = TIMED_OUT + error("Daypass.QuotaExceeded") + BROKEN + error("Daypass.RoleNotVisibleYet")
    tasks = ("validate", "prove", "authn", "authz", "issue-creds")
    tasks += ("record.requested", "record.leasing", "record.provisioned")
    run = Provisioning(world, dict.fromkeys(tasks, quick) | {"create-role": slow})
    assert (run.status, len(world.calls)) == ("SUCCEEDED", 8 * 5 + 5)
    assert run.path == PROVISIONED.replace("CreateRole", f"CreateRole {AGAIN}")


@pytest.mark.parametrize(
    ("task", "rounds"), [("authn", 5), ("authz", 5), ("create-role", 4), ("issue-creds", 4), ("record.provisioned", 4)]
)
def test_a_throttle_is_waited_out_in_rounds(world: World, task: str, rounds: int) -> None:
    machine = world.make(f"patient-{uuid.uuid4().hex[:8]}", "EXPRESS", world.definition("provision"))
    times = 2 * rounds + (1 if task == "create-role" else 0)
    run = Provisioning(world, {task: error("Daypass.Throttled", times=times)}, machine)
    assert (run.status, world.times(task)) == ("SUCCEEDED", times + 1)
    assert run.path.split().count(LIMITS[task][1].split()[1]) == 2


@pytest.mark.parametrize("task", ["authn", "authz"])
def test_a_throttle_of_a_renewal_is_waited_out_in_rounds(world: World, task: str) -> None:
    machine = world.make(f"patient-{uuid.uuid4().hex[:8]}", "EXPRESS", world.definition("renew"))
    run = Renewing(world, {task: error("Daypass.Throttled", times=10)}, machine=machine)
    assert (run.status, world.times(task)) == ("SUCCEEDED", 11)


@pytest.mark.parametrize("state", ["IsRunAccepted", "IsThereProof", "IsThereTimeForRole"])
def test_what_has_waited_for_too_long_makes_no_role(world: World, state: str) -> None:
    document = json.loads(world.definition("provision"))
    (rule,) = (it for it in document["States"][state]["Choices"] if it["Comment"] == "the time is up")
    rule["Condition"] = rule["Condition"].replace("103000", "1")
    run = Provisioning(world, machine=world.make(f"late-{state}", "EXPRESS", json.dumps(document)))
    assert (run.path.split()[-4:], run.error) == ([state, *FAILED.split()], "Daypass.Throttled")
    assert run.cause["reason"].endswith("too little time is left for the rest; try again")
    assert world.times("create-role") == world.times("record.leasing") == 0


@pytest.mark.parametrize("operation", ["denied", "failed"])
def test_an_end_that_passes_is_tried_again(world: World, operation: str) -> None:
    quick = error("Daypass.Throttled") + TIMED_OUT + BROKEN + error("Daypass.AwsUnavailable")
    name = "Daypass.NotAMember" if operation == "denied" else "Daypass.InvalidRequest"
    run = Provisioning(world, {"authz": error(name), f"record.{operation}": quick})
    assert (run.path, run.error) == (f"{AUTHORIZED} {DENIED if operation == 'denied' else FAILED}", name)
    assert world.times(f"record.{operation}") == 5


@pytest.mark.parametrize("lost", ["Service", "AWSLambda", "SdkClient", "TooManyRequests"])
def test_a_lost_invocation_is_repeated(world: World, aws: Aws, lost: str) -> None:
    world.fault(aws, "lambda:InvokeFunction", f"{lost}Exception", times=3)
    world.fault(aws, "lambda:InvokeFunction", f"{lost}Exception", times=3, skip=1, execute=True)
    assert Provisioning(world).status == "SUCCEEDED"


def test_a_lost_start_of_the_lease_is_repeated(world: World, aws: Aws) -> None:
    for lost in ("ExecutionLimitExceeded", "ThrottlingException", "SdkClientException"):
        world.fault(aws, "states:StartExecution", lost)
    assert Provisioning(world).status == "SUCCEEDED"


def test_a_release_that_came_first_cancels(world: World) -> None:
    released = "released before it was provisioned"
    run = Provisioning(world, {"record.leasing": error("Daypass.TransactionConflict", released)})
    assert (run.path, run.error) == (f"{LEASED} {OVERTAKEN}", "Daypass.TransactionConflict")
    assert run.cause == {"transaction_id": run.id, "status": "failed", "reason": released}
    known = {"proof": None, "person": PERSON, "authorization": AUTHORIZATION}
    failed = known | {"transaction_id": run.id, "error": "Daypass.TransactionConflict", "reason": released}
    assert world.payload("record.failed")["operation"] == {"failed": failed}
    assert not {"create-role", "delete-role"} & {called for called, _ in world.calls}
    with pytest.raises(ClientError, match="ExecutionDoesNotExist"):
        world.sfn.describe_execution(executionArn=run.lease)


def test_without_a_lease_there_is_no_role(world: World, aws: Aws) -> None:
    world.fault(aws, "states:StartExecution", "AccessDeniedException", message="no", times=4)
    run = Provisioning(world)
    assert (run.path, run.error) == (f"{LEASED} StartLease {FAILED}", "Daypass.HubRefused")
    assert run.cause["reason"].startswith("StartLease did not succeed (StepFunctions.AccessDeniedException: no); ")
    assert not {"create-role", "delete-role"} & {called for called, _ in world.calls}


def test_an_execution_that_somebody_else_named_so_is_no_lease(world: World) -> None:
    name = str(uuid.uuid4())
    world.sfn.start_execution(stateMachineArn=world.lease, name=name, input='{"expires_at": "2099-01-01T00:00:00Z"}')
    run = Provisioning(world, name=name)
    assert (run.path, run.error) == (f"{LEASED} StartLease {OVERTAKEN}", "Daypass.TransactionConflict")
    assert run.cause["status"] == "failed"
    assert "under a new name" in run.cause["reason"]


@pytest.mark.parametrize(
    ("second", "told", "reason"),
    [
        (error("Daypass.Throttled", "busy", times=4), "Daypass.Throttled", "busy"),
        (error("Daypass.TransactionConflict", "moved on"), "Daypass.TransactionConflict", "moved on"),
        (error("Daypass.RecordBroken", "broken"), "Daypass.RecordBroken", "broken"),
        (error("Daypass.InvalidRequest", "unread"), "Daypass.InvalidRequest", "unread"),
        (BROKEN * 4, "Daypass.AwsUnavailable", "RecordDenied did not succeed (Runtime.ExitError: it broke); "),
        (
            TIMED_OUT * 2,
            "Daypass.AwsUnavailable",
            "RecordDenied did not succeed (Sandbox.Timedout: it took too long); ",
        ),
    ],
)
def test_a_denial_that_cannot_be_recorded_is_not_told(
    world: World, second: list[dict[str, Any]], told: str, reason: str
) -> None:
    run = Provisioning(world, {"authz": error("Daypass.NotAMember"), "record.denied": second})
    assert (run.path, run.error) == (f"{AUTHORIZED} RecordDenied {HANDED_OVER}", told)
    if told == "Daypass.AwsUnavailable":
        reason += "try again, and tell the operators when that does not help"
    assert run.cause == {"transaction_id": run.id, "status": "failed", "reason": reason}
    assert world.times("record.denied") == len(second)
    # Whoever closes the transaction records what was told. Nothing was called in the target account.
    failing = {"transaction_id": run.id, "error": told, "reason": reason}
    failing |= {"proof": None, "person": PERSON, "authorization": None}
    assert world.calls[-1] == ("record.failing", {"execution_arn": run.execution, "operation": {"failing": failing}})
    assert len(world.clean_ups(run.id)) == 1


@pytest.mark.parametrize("name", ["Daypass.TransactionNotFound", "Daypass.TransactionMismatch"])
@pytest.mark.parametrize("of", ["own", "failing"])
@pytest.mark.parametrize(
    ("first", "operation", "path"),
    [
        ("Daypass.NotAMember", "record.denied", f"{AUTHORIZED} RecordDenied"),
        ("Daypass.InvalidRequest", "record.failed", f"{AUTHORIZED} RecordFailed"),
    ],
)
def test_what_is_not_of_this_execution_is_not_cleaned_up(
    world: World, first: str, operation: str, path: str, of: str, name: str
) -> None:
    """It would end somebody else's transaction."""
    absent = error(name, "no such")
    busy = error("Daypass.Throttled", "busy", times=4)
    ends = {operation: absent} if of == "own" else {operation: busy, "record.failing": absent}
    run = Provisioning(world, {"authz": error(first, "the first")} | ends)
    assert run.path == (f"{path} Failed" if of == "own" else f"{path} RecordFailing Failed")
    denied = (name, "no such") if of == "own" else ("Daypass.Throttled", "busy")
    told, reason = denied if operation == "record.denied" else (first, "the first")
    assert (run.error, run.cause) == (told, {"transaction_id": run.id, "status": "failed", "reason": reason})
    assert world.times("record.failing") == (0 if of == "own" else 1)
    assert world.clean_ups(run.id) == []


@pytest.mark.parametrize(
    "second",
    [error("Daypass.AwsUnavailable", times=6), BROKEN * 6, TIMED_OUT * 6, error("Daypass.RecordBroken", times=6)],
    ids=["ours", "other", "time-out", "broken"],
)
@pytest.mark.parametrize(
    ("task", "path"),
    [("delete-role", f"DeleteRole {HANDED_OVER}"), ("record.failed", f"DeleteRole RecordFailed {HANDED_OVER}")],
)
def test_of_two_errors_the_first_is_told(world: World, task: str, path: str, second: list[dict[str, Any]]) -> None:
    first = {"issue-creds": error("Daypass.InvalidRequest", "the first")}
    run = Provisioning(world, first | {task: second})
    assert (run.path, run.error) == (f"{ISSUED} {path}", "Daypass.InvalidRequest")
    assert run.cause == {"transaction_id": run.id, "status": "failed", "reason": "the first"}
    failing = {"transaction_id": run.id, "error": "Daypass.InvalidRequest", "reason": "the first"}
    failing |= {"proof": None, "person": PERSON, "authorization": AUTHORIZATION}
    assert world.payload("record.failing") == {"execution_arn": run.execution, "operation": {"failing": failing}}

    # Also when that cannot be noted: the clean-up is started all the same.
    run = Provisioning(world, first | {task: second, "record.failing": second})
    assert (run.path, run.error, run.cause["reason"]) == (f"{ISSUED} {path}", "Daypass.InvalidRequest", "the first")
    assert world.times("record.failing") == (1 if second[0] in TIMED_OUT + error("Daypass.RecordBroken") else 3)
    assert len(world.clean_ups(run.id)) == 1


@pytest.mark.parametrize(
    ("outcome", "attempts"),
    [
        *((error("Daypass.AwsUnavailable"), 3), (BROKEN, 3), (error("Daypass.RoleNotVisibleYet"), 3)),
        *((TIMED_OUT, 1), (error("Daypass.InvalidRequest"), 1), (error("Daypass.TargetAccountNotOnboarded"), 1)),
    ],
)
def test_taking_back_is_tried_again_within_the_time_of_the_caller(
    world: World, outcome: list[dict[str, Any]], attempts: int
) -> None:
    run = Provisioning(world, {"issue-creds": BROKEN * 4, "delete-role": outcome * 10})
    assert (run.path, world.times("delete-role")) == (f"{ISSUED} DeleteRole {HANDED_OVER}", attempts)
    run = Provisioning(world, {"issue-creds": BROKEN * 4, "delete-role": outcome * (attempts - 1)})
    assert run.path == f"{ISSUED} {UNDONE}"


def test_what_cannot_be_deleted_at_once_is_handed_over(world: World, aws: Aws) -> None:
    undeletable = {"issue-creds": BROKEN * 4, "delete-role": error("Daypass.RoleNotVisibleYet", times=6)}
    run = Provisioning(world, undeletable)
    assert run.path == f"{ISSUED} DeleteRole {HANDED_OVER}"
    assert world.times("record.failed") == 0
    [(name, clean_up)] = world.clean_ups(run.id)
    assert re.fullmatch(f"{run.id}-cleanup-[0-9a-f]{{8}}", name)
    assert clean_up == {"schema": 1, "transaction_id": run.id}

    world.fault(aws, "states:StartExecution", "ThrottlingException", skip=1, times=2)
    run = Provisioning(world, undeletable)
    assert [clean_up for _, clean_up in world.clean_ups(run.id)] == [{"schema": 1, "transaction_id": run.id}]

    world.fault(aws, "states:StartExecution", "AccessDeniedException", skip=1, times=3)
    run = Provisioning(world, undeletable)
    assert run.path == f"{ISSUED} DeleteRole {HANDED_OVER}"
    assert run.cause["reason"].startswith("IssueCredentials did not succeed ")
    assert world.clean_ups(run.id) == []


def test_the_age_of_a_role_is_told_when_it_is_known(world: World) -> None:
    run = Provisioning(world, {"issue-creds": BROKEN * 4})
    role = {"transaction_id": run.id, "role_arn": ROLE_ARN}
    assert world.payload("delete-role") == role | {"role_created_at": ROLE["created_at"]}
    run = Provisioning(world, {"create-role": BROKEN * 6})
    assert world.payload("delete-role") == role | {"transaction_id": run.id}


@pytest.mark.parametrize("before", [error("Daypass.Throttled"), BROKEN, TIMED_OUT], ids=["ours", "crash", "time-out"])
@pytest.mark.parametrize("name", ["Daypass.TargetAccountNotOnboarded", "Daypass.InvalidRequest"])
def test_an_earlier_attempt_may_have_made_a_role(world: World, name: str, before: list[dict[str, Any]]) -> None:
    run = Provisioning(world, {"create-role": before + error(name, times=10)})
    assert (run.path, run.error) == (f"{CREATED} {AGAIN} {UNDONE}", name)
    assert (run.cause["reason"], world.times("create-role")) == ("this is why", 2)


@pytest.mark.parametrize(
    "before", [error("Daypass.Throttled"), BROKEN * 3, TIMED_OUT], ids=["ours", "crash", "time-out"]
)
def test_a_role_that_was_read_and_is_not_ours_is_left_alone(world: World, before: list[dict[str, Any]]) -> None:
    run = Provisioning(world, {"create-role": before + error("Daypass.RoleConflict", times=10)})
    assert (run.path, run.error) == (f"{CREATED} {AGAIN} {FAILED}", "Daypass.RoleConflict")
    assert (run.cause["reason"], world.times("create-role")) == ("this is why", len(before) + 1)
    assert world.times("delete-role") == 0


# Renew

RENEWAL = {"transaction_id": "t-1", "recipient": "age1new"}
RENEWED_TRANSACTION = RENEWAL | {"role_arn": ROLE_ARN}
RENEWED = {"transaction_id": "t-1", "status": "provisioned"}


class Renewing:
    """One execution of the renew machine, after its end."""

    def __init__(
        self,
        world: World,
        outcomes: Outcomes | None = None,
        proof: dict[str, Any] | None = None,
        asked: Any = RENEWAL,
        transaction: dict[str, Any] = RENEWED_TRANSACTION,
        refusal: str | None = None,
        machine: str = "",
    ) -> None:
        answers = {
            "validate": {key: transaction[key] for key in ("transaction_id", "recipient")},
            "record.renewing": {"transaction": transaction, "proof": proof},
            "prove": {"proof": proof, "refusal": refusal},
            "authn": PERSON,
            "authz": AUTHORIZATION,
            "issue-creds": SESSION | {"sealed_credentials": "SEALED"},
            "record.renewed": RENEWED,
        }
        world.script(outcomes or {}, answers)
        ended = world.sfn.start_sync_execution(stateMachineArn=machine or world.renew, input=json.dumps(asked))
        self.execution, self.status, self.error = ended["executionArn"], ended["status"], ended.get("error")
        self.output, self.cause = (json.loads(ended.get(key, "null")) for key in ("output", "cause"))
        self.path = world.states(self.execution)


LOOKED_FOR = "Validate LookUp"
KNOWN = f"{LOOKED_FOR} Prove IsRunAccepted Authenticate"
ALLOWED = f"{KNOWN} IsThereProof Authorize"
RENEWED_PATH = f"{ALLOWED} IssueCredentials RecordRenewed"
REFUSED = "RecordRefused Denied"


def test_credentials_are_renewed(world: World) -> None:
    run = Renewing(world, asked=RENEWAL | {"identity_token": "a.b.c.d.e"})
    assert (run.output, run.path) == (RENEWED | {"sealed_credentials": "SEALED"}, RENEWED_PATH)
    by, transaction = {"execution_arn": run.execution}, {"transaction": RENEWED_TRANSACTION}
    recorded = transaction | {"proof": None, "authorization": AUTHORIZATION}
    recorded["credentials_expire_at"] = SESSION["credentials_expire_at"]
    sent = {"identity_token": "a.b.c.d.e", "proof_of_request": None, "answers_refusal": True}
    assert world.calls == [
        ("validate", {"renewal": RENEWAL | {"identity_token": "a.b.c.d.e"}}),
        ("record.renewing", by | {"operation": {"renewing": RENEWAL}}),
        ("prove", transaction | sent),
        ("authn", transaction | {"proof": None}),
        ("authz", transaction | {"person": PERSON}),
        ("issue-creds", transaction | {"person": PERSON}),
        ("record.renewed", by | {"operation": {"renewed": recorded}}),
    ]


def test_a_token_counts_for_one_transaction_and_one_recipient(world: World) -> None:
    proof = PROOF | {"token_id": uuid.uuid4().hex}
    first = Provisioning(world, proof=proof)
    same = RENEWED_TRANSACTION | {"transaction_id": first.id, "recipient": first.transaction["recipient"]}
    again = Renewing(world, proof=proof, transaction=same)
    assert (again.status, "UseToken" in again.path) == ("SUCCEEDED", True)
    assert world.payload("prove")["proof_of_request"] == proof
    for other in ({"recipient": "age1other"}, {"transaction_id": "t-2"}):
        run = Renewing(world, proof=proof, transaction=same | other)
        assert (run.path, run.error) == (f"{KNOWN} IsThereProof UseToken {REFUSED}", "Daypass.IdentityNotProven")
        refused = world.payload("record.renewal_refused")["operation"]["renewal_refused"]
        assert (refused["proof"], "used before" in refused["reason"]) == (proof, True)


RENEWAL_ERRORS = [
    ("validate", "InvalidRequest", "Validate Denied"),
    ("record.renewing", "TransactionNotFound", f"{LOOKED_FOR} Denied"),
    ("record.renewing", "TransactionConflict", f"{LOOKED_FOR} {REFUSED}"),
    ("record.renewing", f"InvalidRequest RecordBroken {PASSING}", f"{LOOKED_FOR} Failed"),
    ("prove", "IdentityNotProven", f"{LOOKED_FOR} Prove {REFUSED}"),
    ("prove", f"InvalidRequest HubRefused {PASSING}", f"{LOOKED_FOR} Prove Failed"),
    ("authn", "UserNotFound UserDisabled IdentityNotProven", f"{KNOWN} {REFUSED}"),
    ("authn", f"InvalidRequest HubRefused {PASSING}", f"{KNOWN} Failed"),
    ("authz", "NotAMember AccountNotAllowed BranchNotAllowed IdentityNotProven", f"{ALLOWED} {REFUSED}"),
    ("authz", f"InvalidRequest HubRefused {PASSING}", f"{ALLOWED} Failed"),
    ("issue-creds", f"InvalidRequest HubRefused {PASSING}", f"{ALLOWED} IssueCredentials Failed"),
    ("record.renewed", "TransactionConflict", f"{RENEWED_PATH} {REFUSED}"),
    ("record.renewed", "InvalidRequest TransactionNotFound RecordBroken", f"{RENEWED_PATH} Failed"),
    ("record.renewed", PASSING, f"{RENEWED_PATH} Failed"),
]


@pytest.mark.parametrize(
    ("task", "name", "path"), [(task, name, path) for task, names, path in RENEWAL_ERRORS for name in names.split()]
)
def test_an_error_of_a_renewal_is_told_and_a_refusal_recorded(world: World, task: str, name: str, path: str) -> None:
    attempts = 4 if name in PASSING.split() else 1
    if name == "Throttled" and task in ("record.renewing", "prove", "authn", "authz"):
        attempts = 5
    if name == "Throttled" and task in ("authn", "authz"):
        path = path.replace(*LIMITS[task])
    name = f"Daypass.{name}"
    run = Renewing(world, {task: error(name, times=10)})
    status = "denied" if path.endswith("Denied") else "failed"
    assert (run.status, run.path, run.error) == ("FAILED", path, name)
    assert run.cause == {"transaction_id": "t-1", "status": status, "reason": "this is why"}
    recorded = [payload["operation"] for called, payload in world.calls if called == "record.renewal_refused"]
    refused = {"renewal": RENEWAL, "proof": None, "error": name, "reason": "this is why"}
    assert recorded == ([{"renewal_refused": refused}] if path.endswith(REFUSED) else [])
    assert world.times(task) == attempts


def test_a_run_that_is_not_accepted_is_refused_a_renewal_with_whose_it_was(world: World) -> None:
    run = Renewing(world, proof=PROOF, refusal="it is another run than the request's")
    assert (run.path, run.error) == (f"{LOOKED_FOR} Prove IsRunAccepted {REFUSED}", "Daypass.IdentityNotProven")
    told = {"transaction_id": "t-1", "status": "denied", "reason": "it is another run than the request's"}
    assert run.cause == told
    refused = {"renewal": RENEWAL, "proof": PROOF, "error": "Daypass.IdentityNotProven", "reason": told["reason"]}
    by = {"execution_arn": run.execution}
    assert world.calls[-1] == ("record.renewal_refused", by | {"operation": {"renewal_refused": refused}})
    looked_at = ["validate", "record.renewing", "prove", "record.renewal_refused"]
    assert [called for called, _ in world.calls] == looked_at


def test_what_passes_in_a_renewal_is_tried_again(world: World) -> None:
    quick = error("Daypass.Throttled") + TIMED_OUT + BROKEN + error("Daypass.AwsUnavailable")
    tasks = ("validate", "record.renewing", "prove", "authn", "authz", "issue-creds", "record.renewed")
    run = Renewing(world, dict.fromkeys(tasks, quick))
    assert (run.status, run.path, len(world.calls)) == ("SUCCEEDED", RENEWED_PATH, 7 * 5)
    run = Renewing(world, {"authz": error("Daypass.NotAMember"), "record.renewal_refused": quick})
    assert (run.path, world.times("record.renewal_refused")) == (f"{ALLOWED} {REFUSED}", 5)


@pytest.mark.parametrize(
    "second",
    [error("Daypass.Throttled", times=4), error("Daypass.RecordBroken"), BROKEN * 4, TIMED_OUT * 2],
    ids=["ours", "broken", "other", "time-out"],
)
def test_a_refusal_is_told_even_when_it_cannot_be_recorded(world: World, second: list[dict[str, Any]]) -> None:
    run = Renewing(world, {"authz": error("Daypass.NotAMember", "the first"), "record.renewal_refused": second})
    assert (run.path, run.error) == (f"{ALLOWED} {REFUSED}", "Daypass.NotAMember")
    assert run.cause == {"transaction_id": "t-1", "status": "denied", "reason": "the first"}
    assert world.times("record.renewal_refused") == len(second)


@pytest.mark.parametrize(
    ("outcome", "attempts"),
    [(BROKEN, 4), (TIMED_OUT, 2), (error("States.Timeout", "it took too long"), 2)],
    ids=["crash", "ended", "given-up"],
)
def test_any_other_error_of_a_renewal_is_told_as_one_of_ours(
    world: World, outcome: list[dict[str, Any]], attempts: int
) -> None:
    name, message = outcome[0]["errorType"], outcome[0]["errorMessage"]
    for task, state in (("validate", "Validate"), ("record.renewing", "LookUp"), ("record.renewed", "RecordRenewed")):
        run = Renewing(world, {task: outcome * 10})
        assert (run.error, run.cause["status"]) == ("Daypass.AwsUnavailable", "failed")
        assert run.cause["transaction_id"] == "t-1"
        assert run.cause["reason"].startswith(f"{state} did not succeed ({name}: {message}); ")
        assert world.times(task) == attempts


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        *((None, ""), (1, ""), ([], ""), ({}, ""), ({"transaction_id": 1}, ""), ({"transaction_id": None}, "")),
        ({"transaction_id": "x" * 65}, "x" * 64),
        ({"transaction_id": 'a"\\\n\u202eb'}, 'a"\\??b'),
    ],
)
def test_of_an_unreadable_renewal_the_id_is_told_as_far_as_it_can_be_shown(world: World, asked: Any, told: str) -> None:
    run = Renewing(world, {"validate": error("Daypass.InvalidRequest")}, asked=asked)
    assert (run.path, run.error) == ("Validate Denied", "Daypass.InvalidRequest")
    assert run.cause == {"transaction_id": told, "status": "denied", "reason": "this is why"}


# Deprovision

RELEASE = {"transaction_id": "t-1", "target_aws_account": "dev"}
LEASE = {"schema": 1, "transaction_id": "t-1", "expires_at": "2099-11-23T10:00:00Z"}
ENDED = {"deprovisioning_transaction_id": "t-1#end", "original_transaction_id": "t-1", "status": "deprovisioned"}
ROLE_TO_DELETE = {"role_arn": ROLE_ARN, "role_created_at": "2026-11-23T09:00:01Z"}
OPEN = ENDED | ROLE_TO_DELETE | {"already_ended": False, "role_may_exist": True, "expires_at": LEASE["expires_at"]}
GONE = DELETED | {"existed": False}
CANCELLED = ENDED | {"deprovisioning_transaction_id": None, "status": "failed"}
LOOKED_UP = "LeaseOrRelease RecordDeprovisioning"
WAITING = "LeaseOrRelease LookUpLease IsThereTimeLeft WaitForExpiry"
DELETING = f"{LOOKED_UP} HasItEnded DeleteRole"
DELETED_PATH = f"{DELETING} RecordDeprovisioned Deprovisioned"
UNRECORDED = f"{LOOKED_UP} LookUpRole"
DELETED_FIRST = f"{UNRECORDED} IsThereARole DeleteUnrecorded RecordDeprovisioningLate"
UNRECORDED_PATH = f"{DELETED_FIRST} HasItEnded DeleteRole RecordDeprovisioned Deprovisioned"
CANCELLING = f"{LOOKED_UP} HasItEnded RecordCancelled"
NOT_BEGUN = error("Daypass.AwsUnavailable", "the record is away", times=4)
"""For as long as RecordDeprovisioning has patience."""
NO_ROLE = {"role_may_exist": False, "deprovisioning_transaction_id": None, "status": "processing"}


class Ending:
    """One execution of the deprovision machine, after its end."""

    def __init__(
        self,
        world: World,
        asked: Any,
        outcomes: Outcomes | None = None,
        *,
        machine: str = "",
        without: str = "",
        **found: Any,
    ) -> None:
        looked_up = OPEN | {"status": "provisioned"} | found
        ending = OPEN | {"status": "deprovisioning"} | found
        ending.pop(without, None)
        answers = {
            "record.waiting": looked_up,
            "record.look_up": looked_up,
            "record.deprovisioning": ending,
            "delete-role": DELETED,
            "record.deprovisioned": ENDED,
            "record.cancelled": CANCELLED,
        }
        world.script(outcomes or {}, answers)
        started = world.sfn.start_execution(stateMachineArn=machine or world.deprovision, input=json.dumps(asked))
        self.execution = started["executionArn"]
        deadline = time.monotonic() + 60
        while (ended := world.sfn.describe_execution(executionArn=self.execution))["status"] == "RUNNING":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self.status, self.error = ended["status"], ended.get("error")
        self.output = json.loads(ended["output"]) if self.status == "SUCCEEDED" else None
        self.cause = json.loads(ended["cause"]) if str(self.error).startswith("Daypass.") else None
        self.path = world.states(self.execution)


@pytest.mark.parametrize(("asked", "start"), [(RELEASE, "LeaseOrRelease"), (LEASE, WAITING)])
def test_a_transaction_is_ended(world: World, asked: dict[str, Any], start: str) -> None:
    run = Ending(world, asked)
    assert run.output == ENDED
    assert run.path == f"{start} RecordDeprovisioning HasItEnded DeleteRole RecordDeprovisioned Deprovisioned"
    by, ended = {"execution_arn": run.execution}, {"transaction_id": "t-1", "deleted": DELETED}
    looked_up = [("record.waiting", by | {"operation": {"waiting": asked}})] if asked is LEASE else []
    assert world.calls == [
        *looked_up,
        ("record.deprovisioning", by | {"operation": {"deprovisioning": asked}}),
        ("delete-role", ROLE_TO_DELETE | {"transaction_id": "t-1"}),
        ("record.deprovisioned", by | {"operation": {"deprovisioned": ended}}),
    ]


@pytest.mark.parametrize("ended", [ENDED, ENDED | {"deprovisioning_transaction_id": None, "status": "failed"}])
def test_what_has_ended_is_left_alone(world: World, ended: dict[str, Any]) -> None:
    run = Ending(world, RELEASE, already_ended=True, **ended)
    assert (run.path, run.output) == (f"{LOOKED_UP} HasItEnded AlreadyDeprovisioned", ended)
    assert world.times("delete-role") == 0


DENIED_BEFORE = {"deprovisioning_transaction_id": None, "original_transaction_id": "t-1", "status": "denied"}


@pytest.mark.parametrize("ended", [ENDED, CANCELLED, DENIED_BEFORE])
@pytest.mark.parametrize("role_may_exist", [True, False])
def test_the_lease_of_what_has_ended_waits_for_nothing(
    world: World, ended: dict[str, Any], role_may_exist: bool
) -> None:
    run = Ending(world, LEASE, already_ended=True, role_may_exist=role_may_exist, **ended)
    assert (run.path, run.output) == ("LeaseOrRelease LookUpLease IsThereTimeLeft AlreadyDeprovisioned", ended)
    assert [called for called, _ in world.calls] == ["record.waiting"]


def test_a_lease_waits_until_the_recorded_expiry(world: World, aws: Aws) -> None:
    aws.control("/_ministack/config", {"stepfunctions._SFN_WAIT_SCALE": 1})
    for asked in (LEASE, LEASE | {"expires_at": "2000-01-01T00:00:00Z"}):
        expiry = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
        run = Ending(world, asked, expires_at=expiry.strftime("%Y-%m-%dT%H:%M:%SZ"))
        assert (run.status, run.path) == ("SUCCEEDED", DELETED_PATH.replace("LeaseOrRelease", WAITING))
        assert world.entered(run.execution, "RecordDeprovisioning") >= expiry


@pytest.mark.parametrize("name", ["InvalidRequest", "TransactionNotFound", "TransactionMismatch"])
def test_an_input_that_can_never_be_right_is_refused_at_once(world: World, name: str) -> None:
    refused = {"transaction_id": "t-1", "status": "failed", "reason": "this is why"}
    for asked, outcomes, path in (
        (RELEASE, {"record.deprovisioning": error(f"Daypass.{name}", times=10)}, f"{LOOKED_UP} Refused"),
        (LEASE, {"record.waiting": error(f"Daypass.{name}", times=10)}, "LeaseOrRelease LookUpLease Refused"),
        (LEASE, {"record.deprovisioning": error(f"Daypass.{name}")}, f"{WAITING} RecordDeprovisioning Refused"),
    ):
        run = Ending(world, asked, outcomes)
        assert (run.path, run.error, run.cause) == (path, f"Daypass.{name}", refused)
        assert len(world.calls) == (2 if "WaitForExpiry" in path else 1)
    run = Ending(
        world, RELEASE, {"record.deprovisioning": NOT_BEGUN, "record.look_up": error(f"Daypass.{name}", times=9)}
    )
    assert (world.times("record.look_up"), world.times("delete-role")) == (1, 0 if name != "InvalidRequest" else 1)
    if name == "InvalidRequest":
        # A record of the version before does not know the operation: the record comes first, with its patience.
        assert (run.status, run.path.split()[3]) == ("SUCCEEDED", "RecordDeprovisioningLate")
    else:
        assert (run.path, run.error, run.cause) == (f"{UNRECORDED} Refused", f"Daypass.{name}", refused)


def test_what_is_no_lease_is_refused_within_no_wait(world: World, aws: Aws) -> None:
    aws.control("/_ministack/config", {"stepfunctions._SFN_WAIT_SCALE": 1})
    for name in ("InvalidRequest", "TransactionNotFound", "TransactionMismatch"):
        run = Ending(world, LEASE, {"record.waiting": error(f"Daypass.{name}")})
        assert (run.path, run.error) == ("LeaseOrRelease LookUpLease Refused", f"Daypass.{name}")


@pytest.mark.parametrize(
    "expiry",
    [
        *("", "tomorrow", "2026-11-23", "2026-13-01T00:00:00Z", "2026-11-23T24:00:00Z", " 2026-11-23T10:00:00Z"),
        *("2026-11-23T10:00:00+01:00", "2026-02-30T10:00:00Z", 1, None, True, ["2026-11-23T10:00:00Z"], [], {}),
    ],
)
def test_a_malformed_expiry_is_refused(world: World, expiry: Any) -> None:
    """By the function, which reads it as it came: whatever it is, it makes the input that of a lease."""
    asked = LEASE | {"expires_at": expiry}
    run = Ending(world, asked, {"record.waiting": error("Daypass.InvalidRequest", "`expires_at` is no time")})
    assert (run.path, run.error) == ("LeaseOrRelease LookUpLease Refused", "Daypass.InvalidRequest")
    assert run.cause == {"transaction_id": "t-1", "status": "failed", "reason": "`expires_at` is no time"}
    assert world.calls == [("record.waiting", {"execution_arn": run.execution, "operation": {"waiting": asked}})]


def test_a_day_that_the_calendar_does_not_have_fails_the_wait(world: World) -> None:
    run = Ending(world, LEASE, expires_at="2026-02-30T10:00:00Z")
    assert (run.status, run.path) == ("FAILED", WAITING)


@pytest.mark.parametrize("asked", [None, 1, "rubbish", [], {}, [LEASE, LEASE]])
def test_rubbish_is_refused(world: World, asked: Any) -> None:
    unread = error("Daypass.InvalidRequest")
    run = Ending(world, asked, {"record.waiting": unread, "record.deprovisioning": unread})
    lease = asked == [LEASE, LEASE]
    assert run.path == ("LeaseOrRelease LookUpLease Refused" if lease else f"{LOOKED_UP} Refused")
    assert [next(iter(payload["operation"].values())) for _, payload in world.calls] == [asked]
    assert (run.error, run.cause["status"]) == ("Daypass.InvalidRequest", "failed")


@pytest.mark.parametrize(
    "name",
    ["Daypass.Throttled", "Daypass.AwsUnavailable", "Runtime.ExitError", "Sandbox.Timedout", "States.Timeout"],
)
@pytest.mark.parametrize(
    ("task", "state", "path"),
    [
        ("record.waiting", "LookUpLease", "LeaseOrRelease LookUpLease TellOperators DeprovisionFailed"),
        ("record.deprovisioning", "RecordDeprovisioningLate", f"{DELETED_FIRST} TellOperators DeprovisionFailed"),
        ("record.look_up", "LookUpRole", f"{UNRECORDED} TellOperators DeprovisionFailed"),
        ("record.cancelled", "RecordCancelled", f"{CANCELLING} TellOperators DeprovisionFailed"),
        ("delete-role", "DeleteRole", f"{DELETING} RecordDeprovisionFailed TellOperators DeprovisionFailed"),
        (
            "record.deprovisioned",
            "RecordDeprovisioned",
            f"{DELETING} RecordDeprovisioned TellOperators DeprovisionFailed",
        ),
    ],
)
def test_all_the_rest_is_tried_for_long(world: World, task: str, state: str, path: str, name: str) -> None:
    asked = LEASE if task == "record.waiting" else RELEASE
    found = NO_ROLE if task == "record.cancelled" else {}
    before: Outcomes = {"record.deprovisioning": NOT_BEGUN} if "LookUpRole" in path else {}

    def failing(times: int) -> Ending:
        outcomes = before | {task: before.get(task, []) + error(name, times=times)}
        return Ending(world, asked, outcomes, **found)

    assert failing(ATTEMPTS - 1).status == "SUCCEEDED"
    run = failing(ATTEMPTS)
    told, reason = name, "this is why"
    if not name.startswith("Daypass."):
        told = "Daypass.AwsUnavailable"
        reason = (
            f"{state} did not succeed ({name}: this is why); release the transaction again when the cause is mended"
        )
    assert (run.path, run.error) == (path, told)
    assert run.cause == {"transaction_id": "t-1", "status": "failed", "reason": reason}
    if "RecordDeprovisionFailed" in path:
        recorded = world.payload("record.deprovision_failed")["operation"]["deprovision_failed"]
        assert recorded == {"transaction_id": "t-1", "error": told, "reason": reason}


@pytest.mark.parametrize(
    ("task", "name", "path"),
    [
        ("delete-role", "InvalidRequest", f"{DELETING} RecordDeprovisionFailed TellOperators DeprovisionFailed"),
        ("record.deprovisioned", "InvalidRequest", f"{DELETING} RecordDeprovisioned TellOperators DeprovisionFailed"),
        (
            "record.deprovisioned",
            "TransactionNotFound",
            f"{DELETING} RecordDeprovisioned TellOperators DeprovisionFailed",
        ),
        ("record.deprovisioned", "RecordBroken", f"{DELETING} RecordDeprovisioned TellOperators DeprovisionFailed"),
        ("record.cancelled", "InvalidRequest", f"{CANCELLING} TellOperators DeprovisionFailed"),
        ("record.cancelled", "TransactionNotFound", f"{CANCELLING} TellOperators DeprovisionFailed"),
        ("record.cancelled", "RecordBroken", f"{CANCELLING} TellOperators DeprovisionFailed"),
        ("record.waiting", "RecordBroken", "LeaseOrRelease LookUpLease TellOperators DeprovisionFailed"),
        ("record.look_up", "RecordBroken", f"{UNRECORDED} TellOperators DeprovisionFailed"),
        *(
            ("record.deprovisioning", name, f"{DELETED_FIRST} TellOperators DeprovisionFailed")
            for name in ("InvalidRequest", "TransactionNotFound", "TransactionMismatch", "RecordBroken")
        ),
    ],
)
def test_what_time_does_not_mend_is_not_tried_again(world: World, task: str, name: str, path: str) -> None:
    before: Outcomes = {"record.deprovisioning": NOT_BEGUN} if "LookUpRole" in path else {}
    outcomes = before | {task: before.get(task, []) + error(f"Daypass.{name}", times=10)}
    run = Ending(
        world,
        LEASE if task == "record.waiting" else RELEASE,
        outcomes,
        **(NO_ROLE if task == "record.cancelled" else {}),
    )
    assert (run.path, run.error) == (path, f"Daypass.{name}")
    assert run.cause == {"transaction_id": "t-1", "status": "failed", "reason": "this is why"}
    assert world.times(task) == len(before.get(task, [])) + 1


@pytest.mark.parametrize(
    "second",
    [error("Daypass.TransactionNotFound"), error("Daypass.RecordBroken"), BROKEN * ATTEMPTS, TIMED_OUT * ATTEMPTS],
    ids=["ours", "broken", "other", "time-out"],
)
def test_a_failed_deletion_is_told_even_when_it_cannot_be_recorded(world: World, second: list[dict[str, Any]]) -> None:
    first = error("Daypass.TargetAccountNotOnboarded", "the first", times=ATTEMPTS)
    run = Ending(world, RELEASE, {"delete-role": first, "record.deprovision_failed": second})
    assert run.error == "Daypass.TargetAccountNotOnboarded"
    assert run.cause == {"transaction_id": "t-1", "status": "failed", "reason": "the first"}
    assert world.times("record.deprovision_failed") == len(second)


NOT_WRITTEN = [
    (NOT_BEGUN, 4),
    (error("Daypass.TransactionConflict", times=4), 4),
    (BROKEN * 4, 4),
    (TIMED_OUT * 4, 4),
    (error("Daypass.RecordBroken"), 1),
]


@pytest.mark.parametrize(("asked", "start"), [(RELEASE, "LeaseOrRelease"), (LEASE, WAITING)])
@pytest.mark.parametrize(("outcomes", "attempts"), NOT_WRITTEN, ids=["ours", "conflict", "crash", "time-out", "broken"])
def test_the_role_goes_before_its_end_can_be_recorded(
    world: World, outcomes: list[dict[str, Any]], attempts: int, asked: dict[str, Any], start: str
) -> None:
    run = Ending(
        world, asked, {"record.deprovisioning": outcomes, "delete-role": [{"answer": DELETED}, {"answer": GONE}]}
    )
    assert (run.path, run.output) == (UNRECORDED_PATH.replace("LeaseOrRelease", start), ENDED)
    # What the first pass has deleted is on record, although the second one has found nothing.
    by, ended = {"execution_arn": run.execution}, {"transaction_id": "t-1", "deleted": DELETED}
    begin = ("record.deprovisioning", by | {"operation": {"deprovisioning": asked}})
    delete = ("delete-role", ROLE_TO_DELETE | {"transaction_id": "t-1"})
    looked_up = [("record.waiting", by | {"operation": {"waiting": asked}})] if asked is LEASE else []
    assert world.calls == [
        *looked_up,
        *[begin] * attempts,
        ("record.look_up", by | {"operation": {"look_up": asked}}),
        *(delete, begin, delete),
        ("record.deprovisioned", by | {"operation": {"deprovisioned": ended}}),
    ]


SECOND = DELETED | {"detached_policies": ["arn:aws:iam::aws:policy/ReadOnlyAccess"]}


@pytest.mark.parametrize(
    ("first", "second", "recorded"),
    [
        ([{"answer": GONE}], SECOND, SECOND),
        ([{"answer": GONE}], GONE, GONE),
        (error("Daypass.AwsUnavailable", times=6), SECOND, SECOND),
        (BROKEN * 6, SECOND, SECOND),
        (TIMED_OUT * 6, SECOND, SECOND),
        (error("Daypass.InvalidRequest"), SECOND, SECOND),
        (error("Daypass.RoleNotVisibleYet"), SECOND, SECOND),
    ],
)
def test_what_the_second_pass_deletes_is_recorded_when_the_first_has_not(
    world: World, first: list[dict[str, Any]], second: dict[str, Any], recorded: dict[str, Any]
) -> None:
    outcomes = {"record.deprovisioning": NOT_BEGUN, "delete-role": [*first, {"answer": second}]}
    run = Ending(world, RELEASE, outcomes)
    assert (run.path, run.output) == (UNRECORDED_PATH, ENDED)
    assert world.times("delete-role") == len(first) + 1
    assert world.payload("record.deprovisioned")["operation"]["deprovisioned"]["deleted"] == recorded


def test_what_has_ended_is_not_deleted_before_it_is_recorded(world: World) -> None:
    for ended in (ENDED, CANCELLED, DENIED_BEFORE):
        run = Ending(world, RELEASE, {"record.deprovisioning": NOT_BEGUN}, already_ended=True, **ended)
        assert (run.path, run.output) == (f"{UNRECORDED} IsThereARole AlreadyDeprovisioned", ended)
        assert world.times("delete-role") == 0


def test_what_ends_meanwhile_has_ended(world: World) -> None:
    ended = [{"answer": OPEN | ENDED | {"already_ended": True}}]
    run = Ending(world, RELEASE, {"record.deprovisioning": NOT_BEGUN + ended})
    assert (run.path, run.output) == (f"{DELETED_FIRST} HasItEnded AlreadyDeprovisioned", ENDED)


@pytest.mark.parametrize("ended", [CANCELLED, DENIED_BEFORE])
def test_where_no_role_can_exist_none_is_looked_for(world: World, ended: dict[str, Any]) -> None:
    closed = {"record.cancelled": [{"answer": ended}]}
    run = Ending(world, RELEASE, closed, **NO_ROLE)
    assert (run.path, run.output) == (f"{CANCELLING} Cancelled", ended)
    by = {"execution_arn": run.execution}
    assert world.calls == [
        ("record.deprovisioning", by | {"operation": {"deprovisioning": RELEASE}}),
        ("record.cancelled", by | {"operation": {"cancelled": {"transaction_id": "t-1"}}}),
    ]
    # Provision decides, which may take as long as it runs.
    undecided = {"record.cancelled": error("Daypass.TransactionConflict", times=ATTEMPTS - 1)}
    assert Ending(world, RELEASE, undecided, **NO_ROLE).path == f"{CANCELLING} Cancelled"

    run = Ending(world, RELEASE, closed | {"record.deprovisioning": NOT_BEGUN}, **NO_ROLE)
    path = f"{UNRECORDED} IsThereARole RecordDeprovisioningLate HasItEnded RecordCancelled Cancelled"
    assert (run.path, run.output, world.times("delete-role")) == (path, ended, 0)


def test_a_record_of_the_version_before_does_not_say_whether_a_role_may_exist(world: World) -> None:
    run = Ending(world, RELEASE, without="role_may_exist")
    assert (run.path, run.output) == (DELETED_PATH, ENDED)
    run = Ending(world, LEASE, without="role_may_exist")
    assert (run.path, run.output) == (DELETED_PATH.replace("LeaseOrRelease", WAITING), ENDED)


def test_a_role_that_is_not_visible_yet_is_waited_for(world: World) -> None:
    run = Ending(world, RELEASE, {"delete-role": error("Daypass.RoleNotVisibleYet", times=2)})
    again = "WaitForIam RecordDeprovisioning HasItEnded DeleteRole"
    assert run.path == f"{DELETING} {again} {again} RecordDeprovisioned Deprovisioned"
    assert (run.output, world.times("delete-role"), world.times("record.deprovisioning")) == (ENDED, 3, 3)

    # Provision may have recorded meanwhile that nothing is left.
    meanwhile = [
        {"answer": OPEN | {"status": "deprovisioning"}},
        {"answer": OPEN | CANCELLED | {"already_ended": True}},
    ]
    outcomes = {"delete-role": error("Daypass.RoleNotVisibleYet"), "record.deprovisioning": meanwhile}
    run = Ending(world, RELEASE, outcomes)
    path = f"{DELETING} WaitForIam RecordDeprovisioning HasItEnded AlreadyDeprovisioned"
    assert (run.path, run.output, world.times("delete-role")) == (path, CANCELLED, 1)


@pytest.mark.parametrize("unwritten_again", [[], NOT_BEGUN], ids=["written", "unwritten"])
def test_what_is_waited_for_keeps_what_was_deleted_first(world: World, unwritten_again: list[dict[str, Any]]) -> None:
    """The role was deleted before its end could be recorded, so young that IAM's "no such role" proves nothing yet."""
    late = [{"answer": OPEN | {"status": "deprovisioning"}}]
    deleting = [{"answer": DELETED}, *error("Daypass.RoleNotVisibleYet")]
    outcomes = {
        "record.deprovisioning": NOT_BEGUN + late + unwritten_again,
        "delete-role": [*deleting, {"answer": GONE}, {"answer": GONE}],
    }
    run = Ending(world, RELEASE, outcomes)
    assert run.output == ENDED
    assert world.payload("record.deprovisioned")["operation"]["deprovisioned"]["deleted"] == DELETED


def test_a_function_that_hangs_does_not_keep_a_role(world: World) -> None:
    machine = world.impatient("deprovision", "STANDARD", "DeleteUnrecorded")
    hanging: Outcomes = {"record.deprovisioning": NOT_BEGUN, "delete-role": [{"sleep": 3}] * 6}
    run = Ending(world, RELEASE, hanging, machine=machine)
    assert (run.path, run.output) == (UNRECORDED_PATH, ENDED)
    assert world.times("delete-role") == 7


# Who hears of it


def test_each_end_that_fails_is_told(world: World) -> None:
    outcomes: Outcomes = {"delete-role": error("Daypass.AwsUnavailable", times=ATTEMPTS)}
    assert Ending(world, RELEASE, outcomes).path.endswith("RecordDeprovisionFailed TellOperators DeprovisionFailed")
    run = Ending(world, RELEASE, outcomes, machine=world.telling())
    assert world.times("record.told") == 1
    told = world.payload("record.told")["operation"]["told"]
    assert (told["TopicArn"], told["Subject"]) == (
        world.arns["alarms"],
        "Daypass: a deploy role could not be deleted",
    )
    assert told["Message"].splitlines() == [
        "The end of transaction t-1 has failed for good, in the state DeleteRole. "
        "A deploy role may still exist; IAM refuses it from its expiry on.",
        "",
        "Daypass.AwsUnavailable: this is why",
        "",
        "What to do: https://github.com/daypass/daypass/blob/main/docs/runbook.md#daypass-deprovision-failed",
        f"Execution: {run.execution}",
    ]


def test_an_end_that_nobody_can_be_told_of_fails_all_the_same(world: World, aws: Aws) -> None:
    world.fault(aws, "sns:Publish", "AuthorizationErrorException", times=6)
    run = Ending(world, RELEASE, {"delete-role": error("Daypass.AwsUnavailable", "the first", times=ATTEMPTS)})
    assert (run.error, run.cause["reason"]) == ("Daypass.AwsUnavailable", "the first")
    assert run.path.endswith("TellOperators DeprovisionFailed")


@pytest.mark.parametrize("asked", ["t\u2028-1\n::error::", "x" * 100, 7, None, ["t-1"]])
def test_of_an_unreadable_id_the_operators_are_told_what_can_be_shown(world: World, asked: Any) -> None:
    unread = error("Daypass.AwsUnavailable", times=ATTEMPTS)
    Ending(world, LEASE | {"transaction_id": asked}, {"record.waiting": unread}, machine=world.telling())
    message = world.payload("record.told")["operation"]["told"]["Message"]
    assert re.match(r"The end of transaction [ -~]{1,64} has failed for good", message), message


EVENTS = Path(__file__).resolve().parents[2] / "cdk/test/fixtures/executions.json"
"""Log events of executions of each kind: the tests of the CDK app judge the filters of the alarms by them."""


def recorded_events(world: World, aws: Aws) -> dict[str, list[dict[str, Any]]]:
    def asking(outcomes: Outcomes) -> str:
        return Provisioning(world, outcomes).execution

    def ending(asked: Any, outcomes: Outcomes, **found: Any) -> str:
        return Ending(world, asked, outcomes, **found).execution

    def renewing(outcomes: Outcomes) -> str:
        return Renewing(world, outcomes).execution

    def aborted() -> str:
        aws.control("/_ministack/config", {"stepfunctions._SFN_WAIT_SCALE": 1})
        world.script({}, {"record.waiting": OPEN | {"expires_at": "2099-01-01T00:00:00Z"}})
        started = world.sfn.start_execution(stateMachineArn=world.deprovision, input=json.dumps(LEASE))
        execution = str(started["executionArn"])
        while "WaitForExpiry" not in world.states(execution):
            time.sleep(0.01)
        world.sfn.stop_execution(executionArn=execution)
        aws.control("/_ministack/config", {"stepfunctions._SFN_WAIT_SCALE": 0})
        return execution

    unavailable = error("Daypass.AwsUnavailable", times=10)
    executions = {
        "provision: granted": asking({}),
        "provision: a request that cannot be read": asking({"validate": error("Daypass.InvalidRequest")}),
        "provision: denied": asking({"authz": error("Daypass.NotAMember")}),
        "provision: released while it was provisioned": asking(
            {"record.leasing": error("Daypass.TransactionConflict")}
        ),
        "provision: refused by AWS": asking({"create-role": error("Daypass.TargetAccountRefused")}),
        "provision: failed": asking({"authz": unavailable}),
        "renew: renewed": renewing({}),
        "renew: denied": renewing({"authz": error("Daypass.NotAMember")}),
        "renew: failed": renewing({"authz": unavailable}),
        "deprovision: released": ending(RELEASE, {}),
        "deprovision: a lease": ending(LEASE, {}),
        "deprovision: a lease after the release": ending(LEASE, {}, already_ended=True, status="deprovisioned"),
        "deprovision: cancelled": ending(RELEASE, {}, **NO_ROLE),
        "deprovision: a mistyped id": ending(RELEASE, {"record.deprovisioning": error("Daypass.TransactionNotFound")}),
        "deprovision: of another one": ending(RELEASE, {"record.deprovisioning": error("Daypass.TransactionMismatch")}),
        "deprovision: rubbish": ending([], {"record.deprovisioning": error("Daypass.InvalidRequest")}),
        "deprovision: failed for good": ending(RELEASE, {"delete-role": unavailable}),
        "deprovision: its item has gone": ending(
            RELEASE, {"record.deprovisioned": error("Daypass.TransactionNotFound")}
        ),
        "deprovision: stopped": aborted(),
    }
    return {kind: world.logged(execution) for kind, execution in executions.items()}


def test_the_recorded_events_are_those_of_the_machines(world: World, aws: Aws) -> None:
    events = recorded_events(world, aws)
    # A line for each event.
    text = json.dumps(events).replace('}}, {"id"', '}},\n{"id"')
    text = text.replace('": [{"id"', '": [\n{"id"').replace("}}]", "}}\n]")
    for execution in re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", text):
        text = text.replace(execution, "6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11")
    if os.environ.get("UPDATE_EVENTS"):
        EVENTS.write_text(text + "\n")
    assert json.loads(EVENTS.read_text()) == json.loads(text), "run this test again with UPDATE_EVENTS=1"
