"""Transactions of every kind: how each is opened, what still ends it, and what must be so in the end."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import pyrage

from daypass_local.aws import Aws, Credentials
from daypass_local.demo import BrokenPromiseError, Pipeline, promise, refusal, until
from daypass_local.names import HUB_ACCOUNT, PRODUCTION_ACCOUNT, TARGET_ACCOUNT

TERMINAL: Final = frozenset({"denied", "failed", "deprovisioned"})
INVOKER_ROLE: Final = f"arn:aws:iam::{HUB_ACCOUNT}:role/daypass-invoker"
BRISK: Final = 0.05
"""The pace of retries while a task fails for good. A lease of a day that starts meanwhile still waits for an hour."""

ALWAYS: Final = {"caller": ":role/daypass-provision", "times": 1000}
AFTER_CREATE_ROLE: Final = (
    {"action": "lambda:InvokeFunction", "resource": "daypass-issue-creds", **ALWAYS},
    {"action": "lambda:InvokeFunction", "resource": "daypass-delete-role", **ALWAYS},
    {"action": "states:StartExecution", "skip": 1, **ALWAYS},  # the first one is the lease
)
"""Provisioning dies after CreateRole: every task that would come after it fails, and so does its clean-up."""


@dataclass
class Transaction:
    """A request that was sent, and what must have become of it in the end."""

    kind: str
    id: str
    ends_as: str
    """The terminal status that it must have, or those that it may have: `failed or deprovisioned`."""

    role_arn: str | None = None
    sessions: list[Credentials] = field(default_factory=list)
    """All that was issued for it: none of it may work in the end."""

    release: str | None = None
    """A release of it that is still running."""

    job: str = ""
    """The job of CI that proved whose run it is."""

    @property
    def role_name(self) -> str:
        """The name of its role, should there be one."""
        return f"daypass-{self.id}"


class World:
    """The pipeline and the administrators, whichever version is deployed."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.transactions: list[Transaction] = []
        self.may_fail: set[str] = set()
        """The executions that were made to fail, or that a way back leaves no other end."""

        self.broken: list[str] = []
        """The promises that were not kept. The others are looked at all the same."""

        self._table = aws.root("dynamodb", HUB_ACCOUNT)
        self._hub = aws.root("stepfunctions", HUB_ACCOUNT)
        self.look_up()

    def look_up(self) -> None:
        """Look the deployed names up, and get fresh credentials of the invoker: after each deployment."""
        stack = self.aws.root("cloudformation", HUB_ACCOUNT).describe_stacks(StackName="DaypassHub")["Stacks"][0]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        issued = self.aws.root("sts", HUB_ACCOUNT).assume_role(RoleArn=INVOKER_ROLE, RoleSessionName="pipeline")
        self.names = outputs
        self._pipeline = Pipeline(
            self.aws,
            {
                "AWS_ACCESS_KEY_ID": issued["Credentials"]["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": issued["Credentials"]["SecretAccessKey"],
                "AWS_SESSION_TOKEN": issued["Credentials"]["SessionToken"],
                "DAYPASS_PROVISION_ARN": outputs["ProvisionArn"],
                "DAYPASS_DEPROVISION_ARN": outputs["DeprovisionArn"],
                "DAYPASS_IDENTITY_TOKEN_KEY_ARN": outputs["IdentityTokenKeyArn"],
            },
        )

    def functions(self) -> str:
        """Return what tells the functions of one version from those of another."""
        found = self.aws.root("lambda", HUB_ACCOUNT).get_function_configuration(FunctionName="daypass-record")
        return str(found["CodeSha256"])

    # What is opened.

    def open_all(self) -> list[Transaction]:
        """Open a transaction of each kind."""
        kinds = [
            lambda: self._provisioned("released"),
            lambda: self._provisioned("left to its lease"),
            self._released_early,
            self._renewed,
            self._proven,
            lambda: self._died("died, and released"),
            lambda: self._died("died, and left to its lease"),
            self._ending,
            self._deprovision_failed,
            self._denied,
            self._failed,
        ]
        return [open_one() for open_one in kinds]

    def open_attacked(self) -> list[Transaction]:
        """Open transactions that somebody makes unreleasable, where the id of an end can be the name of a request."""
        released, left, ending = (self._provisioned(kind) for kind in ("released", "left to its lease", "being ended"))
        for victim in (released, left, ending):
            self._denied(place_of_end(victim.id))
            victim.kind = f"attacked, {victim.kind}"
        ending.release = self._start_release(ending)
        until(lambda: self._has_failed_once(ending.release), "the attack does not hinder a release")
        return [released, left, ending]

    def _provisioned(self, kind: str, **more: Any) -> Transaction:
        it = self._add(kind, "deprovisioned")
        key = pyrage.x25519.Identity.generate()
        answer = self._ask("Provision", it.id, request(str(key.to_public()), **more))
        promise(answer["status"] == "SUCCEEDED", f"{kind}: {answer.get('error')}: {answer.get('cause')}")
        self._take(it, json.loads(answer["output"]), key)
        return it

    def _released_early(self) -> Transaction:
        it = self._provisioned("released early")
        self._release(it)
        return it

    def _renewed(self) -> Transaction:
        it = self._provisioned("renewed")
        self._renew(it)
        return it

    def _proven(self) -> Transaction:
        # Of a job of its own: one job has one open role in an account.
        job = str(uuid.uuid4().int)
        token = self._pipeline.identity_token(check_run_id=job)
        it = self._provisioned("proven", branch="main", identity_token=token)
        it.job = job
        return it

    def _died(self, kind: str) -> Transaction:
        it = self._add(kind, "failed")
        with self._faults(*AFTER_CREATE_ROLE):
            answer = self._ask("Provision", it.id, request(role_ttl_hours=24))
        promise(answer["status"] == "FAILED", "provisioning lived")
        promise(self._status(it) == "processing", f"{kind}: it is {self._status(it)}")
        promise(self._role_is_there(it), f"{kind}: there is no role")
        return it

    def _ending(self) -> Transaction:
        it = self._provisioned("being ended")
        self._refuse_to_delete(it)
        it.release = self._start_release(it)
        until(lambda: self._has_failed_once(it.release), "IAM did not refuse")
        promise(self._status(it) == "deprovisioning", f"{it.kind}: it is {self._status(it)}")
        return it

    def _deprovision_failed(self) -> Transaction:
        it = self._provisioned("deprovision_failed")
        fault = self._refuse_to_delete(it)
        release = self._start_release(it)
        self.may_fail.add(release)
        self._hurry(release)
        promise(self._execution(release)["status"] == "FAILED", "it succeeded though IAM refused")
        promise(self._status(it) == "deprovision_failed", f"{it.kind}: it is {self._status(it)}")
        self._drop(fault)
        return it

    def _denied(self, name: str | None = None) -> Transaction:
        it = self._add("denied", "denied", name)
        token = self._pipeline.identity_token(actor="mallory")
        asked = request(email="mallory@example.com", branch="main", identity_token=token)
        answer = self._ask("Provision", it.id, asked)
        promise(answer.get("error") == "Daypass.NotAMember", f"{it.kind}: {answer}")
        return it

    def _failed(self) -> Transaction:
        it = self._add("failed", "failed")
        with self._faults({"action": "lambda:InvokeFunction", "resource": "daypass-authz", **ALWAYS}):
            answer = self._ask("Provision", it.id, request())
        promise(answer.get("error") == "Daypass.AwsUnavailable", f"{it.kind}: {answer}")
        return it

    # What an older target does not let anybody see.

    def open_gone(self) -> Transaction:
        """Open a transaction whose role somebody deletes by hand."""
        it = self._provisioned("gone by hand")
        iam = self.aws.root("iam", TARGET_ACCOUNT)
        for policy in iam.list_attached_role_policies(RoleName=it.role_name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=it.role_name, PolicyArn=policy["PolicyArn"])
        for name in iam.list_role_policies(RoleName=it.role_name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=it.role_name, PolicyName=name)
        iam.delete_role(RoleName=it.role_name)
        self._is_an_hour_old(it)
        return it

    def release_unseen(self, it: Transaction) -> str:
        """The older target's IAM shows nobody that the role is gone: no success. Return what is said of it."""
        with self._nothing_shown():
            release = self._start_release(it)
            self.may_fail.add(release)
            self._hurry(release)
        ended = self._execution(release)
        promise(ended["status"] == "FAILED", f"{it.kind}: {release} is {ended['status']}")
        promise(self._status(it) == "deprovision_failed", f"{it.kind}: it is {self._status(it)}")
        reason = str(json.loads(ended["cause"])["reason"])
        promise("DaypassTarget" in reason and TARGET_ACCOUNT in reason, f"it does not say what to do: {reason}")
        return reason

    def release_seen(self, it: Transaction) -> str:
        """The present target's IAM shows it. Return what is said of it."""
        with self._nothing_shown():
            self._release(it)
        self._end_lease(it)
        return f"the one that was gone by hand is {self._status(it)}"

    @contextmanager
    def _nothing_shown(self) -> Iterator[None]:
        """As AWS may answer who asks for a role that is not there, and may only ask for those below a path."""
        self.aws.control("/_daypass/settings", {"missing_role": "access-denied"})
        try:
            yield
        finally:
            self.aws.control("/_daypass/settings", {"missing_role": "no-such-entity"})

    # What happens in the middle of a deployment.

    def definitions(self) -> dict[str, str]:
        """Return the definitions of the machines that a deployment replaces after their functions."""
        machines = [self.names[f"{machine}Arn"] for machine in ("Provision", "Renew")]
        return {arn: self._hub.describe_state_machine(stateMachineArn=arn)["definition"] for arn in machines}

    def put_definitions(self, definitions: dict[str, str]) -> None:
        """Give machines the definitions of the other version, or their own again."""
        for arn, definition in definitions.items():
            self._hub.update_state_machine(stateMachineArn=arn, definition=definition)

    def open_in_between(self, proven: Transaction, *, rolled_back: bool) -> list[Transaction]:
        """Ask while functions and definitions are of two versions. It may fail, and nothing may come of that.

        On the way back, a request that was denied may be recorded as one that failed: the older functions do not
        understand what they are told. `proven` is a transaction that has to be renewed by its own run.
        """
        nothing = "failed or deprovisioned" if rolled_back else "failed"
        asked = self._add("asked in between", "deprovisioned or failed")
        key = pyrage.x25519.Identity.generate()
        answer = self._ask("Provision", asked.id, request(str(key.to_public())))
        if answer["status"] == "SUCCEEDED":
            self._take(asked, json.loads(answer["output"]), key)

        died = self._add("died in between", nothing)
        with self._faults(*AFTER_CREATE_ROLE):
            answer = self._ask("Provision", died.id, request(role_ttl_hours=24))
        promise(answer["status"] == "FAILED", "provisioning lived")

        strange = self._add("strange in between", f"denied or {nothing}")
        token = self._pipeline.identity_token(repository="example/other", repository_id="7")
        answer = self._ask("Provision", strange.id, request(branch="main", identity_token=token))
        touched = any(
            call["action"] == "iam:CreateRole" and strange.role_name in call["resource"] for call in self.aws.calls()
        )
        with self._noting():
            promise(answer["status"] == "FAILED", "in between, a run of another repository got a role")
            promise(not touched, "in between, a role was made for a run of another repository")
        token = self._pipeline.identity_token(run_id="666")
        recipient = str(pyrage.x25519.Identity.generate().to_public())
        renewal = {"transaction_id": proven.id, "recipient": recipient, "identity_token": token}
        with self._noting():
            promise(self._ask("Renew", None, renewal)["status"] == "FAILED", "in between, another run can renew")

        denied = self._add("denied in between", f"denied or {nothing}")
        answer = self._ask("Provision", denied.id, request(email="mallory@example.com"))
        promise(answer["status"] == "FAILED", "mallory got a role")
        return [it for it in (asked, died, strange, denied) if self._is_on_record(it)]

    def end_in_between(self, transactions: list[Transaction], *, rolled_back: bool) -> None:
        """End them as if an hour had passed: then even what is not there is believed to be gone."""
        for it in transactions:
            self._is_an_hour_old(it)
            for clean_up in self._executions(it, statusFilter="RUNNING") - {self.lease_of(it)}:
                if rolled_back:
                    # It has learnt the age of the role before that hour.
                    self._hub.stop_execution(executionArn=clean_up, cause="nobody waits for it")
                    self.may_fail.add(clean_up)
                else:
                    self._hurry(clean_up)
            with self._noting():
                self._release(it)
            with self._noting():
                self._end_lease(it)

    def _is_on_record(self, it: Transaction) -> bool:
        """Whether it got that far; what did not is forgotten, and whoever was started to end it finds nothing."""
        if self.item_of(it.id) is None:
            self.transactions.remove(it)
            self.may_fail |= self._executions(it)
            return False
        return True

    def _is_an_hour_old(self, it: Transaction) -> None:
        item = self._item(it.id)
        for name in {"requested_at", "role_created_at"} & item.keys():
            earlier = datetime.fromisoformat(item[name]["S"]) - timedelta(hours=1)
            self._table.update_item(
                TableName=self.names["TableName"],
                Key={"transaction_id": {"S": it.id}},
                UpdateExpression=f"SET {name} = :earlier",
                ExpressionAttributeValues={":earlier": {"S": earlier.strftime("%Y-%m-%dT%H:%M:%SZ")}},
            )

    def _executions(self, it: Transaction, **of: str) -> set[str]:
        """Return the executions that wait for its end, or end it: all of them, or those that `of` says."""
        pages = self._hub.get_paginator("list_executions").paginate(stateMachineArn=self.names["DeprovisionArn"], **of)
        return {one["executionArn"] for page in pages for one in page["executions"] if one["name"].startswith(it.id)}

    # What ends it.

    def end_all(self, transactions: list[Transaction], *, rolled_back: bool = False) -> None:
        """End each in the way that its kind says, and then its lease.

        An end that a newer version is in the middle of, an older one does not understand: it fails, and another release
        ends what there is.
        """
        for it in transactions:
            if rolled_back and it.kind == "being ended":
                self._allow_to_delete(it)
                self._hurry(it.release)
                self.may_fail.add(str(it.release))
                self._is_an_hour_old(it)
                it.release = self._start_release(it)
            if it.kind.startswith("died"):
                # Who was making its role can do nothing any more.
                self._is_an_hour_old(it)
            with self._noting():
                self._end(it)
            with self._noting():
                self._end_lease(it)

    def _end(self, it: Transaction) -> None:
        match it.kind.removeprefix("attacked, "):
            case "left to its lease" | "died, and left to its lease" | "released early":
                pass
            case "being ended":
                self._allow_to_delete(it)
                self._hurry(it.release)
                self._has_ended_well(it, it.release)
            case "renewed":
                self._renew(it)
                self._release(it)
            case "proven":
                self._renew_with_proof(it)
                self._release(it)
            case _:
                self._release(it)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Note what a `with` block finds broken, and go on."""
        try:
            yield
        except BrokenPromiseError as error:
            self.broken.append(str(error))

    def _release(self, it: Transaction) -> None:
        self._has_ended_well(it, self._start_release(it))

    def _has_ended_well(self, it: Transaction, execution: str) -> None:
        """The execution succeeds, and says where the end is on record."""
        until(lambda: self._execution(execution)["status"] != "RUNNING", f"{it.kind}: {execution} did not end")
        ended = self._execution(execution)
        promise(ended["status"] == "SUCCEEDED", f"{it.kind}: {execution}: {ended.get('error')}: {ended.get('cause')}")
        output = json.loads(ended["output"])
        promise(output["status"] in it.ends_as, f"{it.kind}: {execution} answers {output['status']}")
        end = output["deprovisioning_transaction_id"]
        if end is not None:
            recorded = self._item(end).get("original_transaction_id", {}).get("S")
            promise(recorded == it.id, f"{it.kind}: {end} is not the end of {it.id}")

    def _end_lease(self, it: Transaction) -> None:
        """What comes of waiting until the role's expiry, now. A release may have been before."""
        lease = self.lease_of(it)
        if lease is not None:
            self._hurry(lease)
            self._has_ended_well(it, lease)

    def _renew(self, it: Transaction, token: str | None = None) -> None:
        key = pyrage.x25519.Identity.generate()
        asked = {"transaction_id": it.id, "recipient": str(key.to_public())}
        answer = self._ask("Renew", None, asked | ({"identity_token": token} if token else {}))
        promise(answer["status"] == "SUCCEEDED", f"{it.kind}: {answer.get('error')}: {answer.get('cause')}")
        self._take(it, json.loads(answer["output"]), key)

    def _renew_with_proof(self, it: Transaction) -> None:
        recipient = str(pyrage.x25519.Identity.generate().to_public())
        foreign = self._pipeline.identity_token(run_id="666")
        asked = {"transaction_id": it.id, "recipient": recipient, "identity_token": foreign}
        answer = self._ask("Renew", None, asked)
        promise(answer.get("error") == "Daypass.IdentityNotProven", f"another run renews: {answer}")
        self._renew(it, self._pipeline.identity_token(check_run_id=it.job))

    # What must be so.

    def judge(self) -> str:
        """Hold everything that ever was against what was promised; return what was looked at."""
        calls = [json.dumps(call) for call in self.aws.calls()]
        for it in self.transactions:
            with self._noting():
                self._judge(it)
            with self._noting():
                touched = self._status(it) == "denied" and any(it.role_name in call for call in calls)
                promise(not touched, f"{it.kind} {it.id} was touched")
        for account in (TARGET_ACCOUNT, PRODUCTION_ACCOUNT):
            left = self.aws.root("iam", account).list_roles(PathPrefix="/daypass/")["Roles"]
            names = ", ".join(role["RoleName"] for role in left)
            with self._noting():
                promise(not left, f"left in {account}: {names}")
        pages = self._hub.get_paginator("list_executions").paginate(stateMachineArn=self.names["DeprovisionArn"])
        executions = [execution for page in pages for execution in page["executions"]]
        for execution in executions:
            well = execution["status"] == "SUCCEEDED" or execution["executionArn"] in self.may_fail
            with self._noting():
                promise(well and execution["status"] != "RUNNING", self._ended_badly(execution))
        promise(not self.broken, "\n".join(["", *dict.fromkeys(self.broken)]))
        sessions = sum(len(it.sessions) for it in self.transactions)
        return (
            f"{len(self.transactions)} transactions have one terminal status each, the right one\n"
            f"no role is left; none of {sessions} sessions works; what was denied was never touched\n"
            f"{len(executions)} executions of deprovision have ended, {len(self.may_fail)} of them may have failed"
        )

    def _ended_badly(self, execution: dict[str, Any]) -> str:
        kinds = [it.kind for it in self.transactions if execution["name"].startswith(it.id)]
        ended = self._execution(execution["executionArn"])
        why = f"{ended['status']}: {ended.get('error')}: {ended.get('cause')}"
        return f"{', '.join(kinds)}: {execution['name']} is {why}"

    def _judge(self, it: Transaction) -> None:
        item = self._item(it.id)
        had = [change["M"]["status"]["S"] for change in item["status_changes"]["L"]]
        status = item["status"]["S"]
        promise(status in TERMINAL and status in it.ends_as, f"{it.kind} {it.id} is {status}")
        promise([other for other in had if other in TERMINAL] == [status], f"{it.kind} {it.id} was {had}")
        for session in it.sessions:
            dead = refusal(self.aws.client("s3", session).list_buckets) is not None
            promise(dead, f"{it.kind} {it.id}: a session of its role still works")
            again = refusal(self._assume, session=session, role_arn=it.role_arn)
            promise(again is not None, f"{it.kind} {it.id}: a session can still assume its role")

    # What it is all made of.

    def lease_of(self, it: Transaction) -> str | None:
        """Return the execution that waits for the transaction's expiry, if it ever had one."""
        arn = f"{self.names['DeprovisionArn'].replace(':stateMachine:', ':execution:')}:{it.id}"
        try:
            self._execution(arn)
        except self._hub.exceptions.ExecutionDoesNotExist:
            return None
        return arn

    def input_of(self, execution: str) -> Any:
        """Return what an execution was started with."""
        return json.loads(self._execution(execution)["input"])

    def item_of(self, key: str) -> dict[str, Any] | None:
        """Return an item of the table, in DynamoDB's notation."""
        found = self._table.get_item(
            TableName=self.names["TableName"], Key={"transaction_id": {"S": key}}, ConsistentRead=True
        )
        item: dict[str, Any] | None = found.get("Item")
        return item

    def _item(self, key: str) -> dict[str, Any]:
        item = self.item_of(key)
        promise(item is not None, f"there is no item {key}")
        return item or {}

    def _status(self, it: Transaction) -> str:
        return str(self._item(it.id)["status"]["S"])

    def _add(self, kind: str, ends_as: str, name: str | None = None) -> Transaction:
        it = Transaction(kind, name or str(uuid.uuid4()), ends_as)
        self.transactions.append(it)
        return it

    def _ask(self, machine: str, name: str | None, body: dict[str, Any]) -> Any:
        named = {"name": name} if name else {}
        machine_arn = self.names[f"{machine}Arn"]
        return self._pipeline.states.start_sync_execution(stateMachineArn=machine_arn, input=json.dumps(body), **named)

    def _take(self, it: Transaction, output: dict[str, Any], key: pyrage.x25519.Identity) -> None:
        """Open the credentials, and use them: the role works."""
        inside = json.loads(pyrage.decrypt(output["sealed_credentials"].encode(), [key]))
        session = Credentials(inside["access_key_id"], inside["secret_access_key"], inside["session_token"])
        it.role_arn = str(output["iam_role_arn"])
        role = Credentials.from_sts(self._assume(session=session, role_arn=it.role_arn)["Credentials"])
        self.aws.client("s3", role).list_buckets()
        it.sessions += [session, role]

    def _assume(self, session: Credentials, role_arn: str) -> Any:
        return self.aws.client("sts", session).assume_role(RoleArn=role_arn, RoleSessionName="deployment")

    def _start_release(self, it: Transaction) -> str:
        started = self._pipeline.states.start_execution(
            stateMachineArn=self.names["DeprovisionArn"],
            name=f"{it.id}-release-{uuid.uuid4().hex[:8]}",
            input=json.dumps({"transaction_id": it.id}),
        )
        return str(started["executionArn"])

    def _execution(self, arn: str) -> Any:
        return self._hub.describe_execution(executionArn=arn)

    def _has_failed_once(self, arn: str | None) -> bool:
        events = self._hub.get_execution_history(executionArn=arn)["events"]
        return any(event["type"] == "TaskFailed" for event in events)

    def _hurry(self, arn: str | None) -> None:
        """End an execution's delays, of which there may be hundreds, until it has ended."""

        def has_ended() -> bool:
            return bool(self._execution(str(arn))["status"] != "RUNNING")

        def goes_on() -> bool:
            return (
                bool(self.aws.control("/_daypass/executions/end-delay", {"execution_arn": arn})["ended"]) or has_ended()
            )

        while not has_ended():
            until(goes_on, f"{arn} neither waits nor ends")

    def _role_is_there(self, it: Transaction) -> bool:
        iam = self.aws.root("iam", TARGET_ACCOUNT)
        try:
            iam.get_role(RoleName=it.role_name)
        except iam.exceptions.NoSuchEntityException:
            return False
        return True

    def _refuse_to_delete(self, it: Transaction) -> dict[str, Any]:
        fault = {"action": "iam:DeleteRole", "error": "DeleteConflict", "status": 409, "times": 1_000_000}
        fault["resource"] = it.role_name
        self.aws.control("/_daypass/faults", fault)
        return fault

    def _allow_to_delete(self, it: Transaction) -> None:
        self._drop({"resource": it.role_name})

    def _drop(self, fault: dict[str, Any]) -> None:
        """Cancel the armed faults of this action, resource and caller, and leave the others armed."""
        armed = self.aws.control("/_daypass/faults")["faults"]
        self.aws.control("/_daypass/faults/reset", {})
        for other in armed:
            if any(other[name] != fault[name] for name in {"action", "resource", "caller"} & fault.keys()):
                self.aws.control("/_daypass/faults", other)

    @contextmanager
    def _faults(self, *faults: dict[str, Any]) -> Iterator[None]:
        """Let calls fail for the length of a `with` block, and let who retries them not be slow about it."""
        for fault in faults:
            self.aws.control("/_daypass/faults", fault)
        self.aws.control("/_ministack/config", {"stepfunctions._SFN_WAIT_SCALE": BRISK})
        try:
            yield
        finally:
            self.aws.control("/_ministack/config", {"stepfunctions._SFN_WAIT_SCALE": 1})
            for fault in faults:
                self._drop(fault)


def place_of_end(transaction_id: str) -> str:
    """Return the id that the version before gives to the end of a transaction."""
    return str(uuid.uuid5(uuid.UUID(transaction_id), "deprovisioning"))


def request(recipient: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a request of alex's for payments-dev, or of whoever `more` says."""
    return {
        "email": "alex@example.com",
        "branch": "feature/receipts",
        "target_aws_account": "payments-dev",
        "target_aws_account_id": TARGET_ACCOUNT,
        "repository": "example/payments",
        "recipient": recipient or str(pyrage.x25519.Identity.generate().to_public()),
    } | more
