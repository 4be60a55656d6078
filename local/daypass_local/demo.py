"""The main job, played end to end: a pipeline gets a role, deploys with it, and loses it.

The pipeline has the invoker's credentials and nothing else. Three looks need more and say so in the timeline: the hub's
administrator stops a lease, the target's administrator looks whether a role is still there, and the engine's recorder
lists which AWS calls were made.
"""

import base64
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pyrage
from botocore.exceptions import ClientError
from joserfc import jwe
from joserfc.jwk import RSAKey

from daypass_local import stack
from daypass_local.aws import Aws, Credentials
from daypass_local.deploy import DeployError
from daypass_local.names import HUB_ACCOUNT, TARGET_ACCOUNT
from daypass_local.process import EngineError

LEASE_SECONDS: Final = 8
PATIENCE_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.05
REFUSALS: Final = frozenset({"AccessDenied", "AccessDeniedException", "InvalidClientTokenId", "InvalidAccessKeyId"})

TEMPLATE: Final = {
    "Description": "What the pipeline deploys: one private bucket",
    "Resources": {
        "Artifacts": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "BucketName": "payments-artifacts",
                "PublicAccessBlockConfiguration": {
                    "BlockPublicAcls": True,
                    "BlockPublicPolicy": True,
                    "IgnorePublicAcls": True,
                    "RestrictPublicBuckets": True,
                },
            },
        }
    },
}


class BrokenPromiseError(Exception):
    """Something is not as promised; the text says what."""


def promise(kept: bool, otherwise: str) -> None:
    """Raise BrokenPromiseError with `otherwise` unless `kept`."""
    if not kept:
        raise BrokenPromiseError(otherwise)


class Timeline:
    """Prints each step when it has been done, with the time it took."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._started

    def section(self, title: str) -> None:
        """Begin a chapter."""
        print(f"\n{title}", flush=True)

    def done(self, text: str, seconds: float, *, kept: bool = True) -> None:
        """Print a step: when it was done, how long it took, whether it was as promised."""
        mark, margin = ("✓" if kept else "✗"), " " * 26
        said = text.replace("\n", f"\n{margin}")
        print(f"{self.seconds:7.1f} s {seconds * 1000:10,.0f} ms  {mark}  {said}", flush=True)

    def step(self, doing: str, action: Callable[[], str]) -> None:
        """Do a step. `action` returns what is to be said about it; what it raises is printed under `doing`."""
        started = time.monotonic()
        try:
            said = action()
        except Exception as error:
            self.done(f"{doing}: {_explain(error)}", time.monotonic() - started, kept=False)
            raise
        self.done(said, time.monotonic() - started)


def _explain(error: BaseException) -> str:
    return str(error) or type(error).__name__


def refusal(call: Callable[..., Any], **request: Any) -> str | None:
    """Return the error code with which AWS refuses a call, or None when it does not."""
    try:
        call(**request)
    except ClientError as error:
        code = str(error.response["Error"]["Code"])
        if code in REFUSALS:
            return code
        raise
    return None


def until(wanted: Callable[[], bool], otherwise: str) -> None:
    """Poll until `wanted`. Raises BrokenPromiseError with `otherwise` when it takes longer than a minute."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not wanted():
        promise(time.monotonic() < deadline, otherwise)
        time.sleep(POLL_SECONDS)


def _pem(key: bytes) -> str:
    text = base64.encodebytes(key).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{text}-----END PUBLIC KEY-----\n"


@dataclass(frozen=True)
class Access:
    """What a provisioned transaction gives the pipeline."""

    transaction_id: str
    role_arn: str
    expires_at: datetime
    session: Credentials
    """Can do nothing but assume the deploy role."""


@dataclass(frozen=True)
class Pipeline:
    """A CI/CD pipeline: the invoker's credentials and the names it was configured with."""

    aws: Aws
    environment: dict[str, str]

    @property
    def states(self) -> Any:
        """Step Functions, as the invoker."""
        return self._client("stepfunctions")

    def _client(self, service: str) -> Any:
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return self.aws.client(service, Credentials(*(self.environment[name] for name in names)))

    def identity_token(self, **claims: str) -> str:
        """Return the identity token of this run (or, with other claims, of another), encrypted to Daypass."""
        token = self.aws.control("/_daypass/issuers/github/tokens", {"claims": claims})["token"]
        public = self._client("kms").get_public_key(KeyId=self.environment["DAYPASS_IDENTITY_TOKEN_KEY_ARN"])
        key = RSAKey.import_key(_pem(public["PublicKey"]))
        algorithms = {"alg": "RSA-OAEP-256", "enc": "A256GCM"}
        return jwe.encrypt_compact(algorithms, token, key, algorithms=list(algorithms.values()))

    def ask(self, email: str, recipient: str, **more: Any) -> Any:
        """Ask for a role in the target account on behalf of a person; return StartSyncExecution's answer."""
        request = {
            "email": email,
            "branch": "feature/receipts",
            "target_aws_account": "payments-dev",
            "target_aws_account_id": self.environment["DAYPASS_TARGET_ACCOUNT_ID"],
            "group_type": "Product-Deployers",
            "repository": "example/payments",
            "recipient": recipient,
        }
        return self.states.start_sync_execution(
            stateMachineArn=self.environment["DAYPASS_PROVISION_ARN"],
            name=str(uuid.uuid4()),
            input=json.dumps(request | more),
        )

    def provision(self, email: str, **more: Any) -> Access:
        """Ask for a role and unseal the credentials."""
        key = pyrage.x25519.Identity.generate()
        answer = self.ask(email, str(key.to_public()), **more)
        promise(answer["status"] == "SUCCEEDED", f"{answer.get('error')}: {answer.get('cause')}")
        output = json.loads(answer["output"])
        promise(output["status"] == "provisioned", f"the status is {output['status']}")
        inside = json.loads(pyrage.decrypt(output["sealed_credentials"].encode(), [key]))
        return Access(
            transaction_id=output["transaction_id"],
            role_arn=output["iam_role_arn"],
            expires_at=datetime.fromisoformat(output["expires_at"]),
            session=Credentials(inside["access_key_id"], inside["secret_access_key"], inside["session_token"]),
        )

    def assume(self, access: Access) -> Credentials:
        """Assume the deploy role. AWS takes some seconds until a new role can be assumed, so it is tried again."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self.try_assume(access)
            except ClientError as error:
                if time.monotonic() > deadline or error.response["Error"]["Code"] not in REFUSALS:
                    raise
                time.sleep(POLL_SECONDS)

    def try_assume(self, access: Access) -> Credentials:
        """Assume the deploy role, once."""
        sts = self.aws.client("sts", access.session)
        issued = sts.assume_role(RoleArn=access.role_arn, RoleSessionName="payments-pipeline", DurationSeconds=900)
        return Credentials.from_sts(issued["Credentials"])

    def release(self, access: Access) -> str:
        """Give the role back; return the ARN of the execution that takes it away."""
        started = self.states.start_execution(
            stateMachineArn=self.environment["DAYPASS_DEPROVISION_ARN"],
            name=f"{access.transaction_id}-release-{uuid.uuid4().hex[:8]}",
            input=json.dumps({"transaction_id": access.transaction_id}),
        )
        return str(started["executionArn"])

    def lease(self, access: Access) -> str:
        """Return the ARN of the execution that waits for the role's expiry."""
        machine = self.environment["DAYPASS_DEPROVISION_ARN"].replace(":stateMachine:", ":execution:")
        return f"{machine}:{access.transaction_id}"

    def status(self, execution: str) -> str:
        """Return the status of an execution of the deprovisioning machine."""
        return str(self.states.describe_execution(executionArn=execution)["status"])

    def succeeded(self, execution: str) -> bool:
        """Return whether it has succeeded. Raises BrokenPromiseError when it ended in another way."""
        status = self.status(execution)
        promise(status in ("RUNNING", "SUCCEEDED"), f"{execution} is {status}")
        return status == "SUCCEEDED"


class Demo:
    """The scenes."""

    def __init__(self, timeline: Timeline, pipeline: Pipeline) -> None:
        self._timeline, self._pipeline, self._aws = timeline, pipeline, pipeline.aws

    def play(self) -> None:
        """Play every scene. Raises at the first broken promise."""
        self.deployment()
        self.leases()
        self.identity()
        self.denials()

    def deployment(self) -> None:
        """A pipeline gets a role, deploys with it, and gives it back."""
        timeline, pipeline, aws = self._timeline, self._pipeline, self._aws
        timeline.section("A pipeline deploys for alex, with a role of its own")
        found: dict[str, Any] = {}

        def ask() -> str:
            found["access"] = access = pipeline.provision("alex@example.com")
            return f"asked for a role and unsealed the credentials: {access.role_arn}"

        def only_one_role() -> str:
            code = refusal(aws.client("s3", found["access"].session).list_buckets)
            promise(code is not None, "the pipeline's session can do more than assume its one role")
            return f"the pipeline's own session can do nothing else: s3:ListBuckets is refused ({code})"

        def assume() -> str:
            found["role"] = pipeline.assume(found["access"])
            return f"assumed it: {aws.client('sts', found['role']).get_caller_identity()['Arn']}"

        def deploy() -> str:
            cloudformation = aws.client("cloudformation", found["role"])
            cloudformation.create_stack(StackName="payments", TemplateBody=json.dumps(TEMPLATE))
            until(
                lambda: self._stack_status(cloudformation) == "CREATE_COMPLETE",
                f"the stack is {self._stack_status(cloudformation)}",
            )
            aws.client("s3", found["role"]).head_bucket(Bucket="payments-artifacts")
            return f"deployed the stack `payments` into {TARGET_ACCOUNT}: s3://payments-artifacts is there"

        def forbidden() -> str:
            code = refusal(aws.client("iam", found["role"]).create_user, UserName="backdoor")
            promise(code is not None, "the deploy role could make an IAM user")
            return f"what alex may not do, the role may not do: iam:CreateUser is refused ({code})"

        def release() -> str:
            execution = pipeline.release(found["access"])
            until(lambda: pipeline.succeeded(execution), "the release did not end")
            return f"gave it back: {execution.rsplit(':', 1)[-1]} has succeeded"

        def dead_role() -> str:
            code = refusal(aws.client("s3", found["role"]).list_buckets)
            promise(code is not None, "the released role's credentials still work")
            return f"the role's credentials no longer work: s3:ListBuckets is refused ({code})"

        def dead_session() -> str:
            code = refusal(lambda: pipeline.try_assume(found["access"]))
            promise(code is not None, "the released role can still be assumed")
            return f"and it cannot be assumed any more: sts:AssumeRole is refused ({code})"

        timeline.step("ask for a role", ask)
        timeline.step("try something else with the session", only_one_role)
        timeline.step("assume the role", assume)
        timeline.step("deploy with it", deploy)
        timeline.step("do what is forbidden", forbidden)
        timeline.step("release it", release)
        timeline.step("use the role's credentials", dead_role)
        timeline.step("assume it again", dead_session)

    def leases(self) -> None:
        """A lease ends by itself, and the access ends even when the lease does not."""
        timeline, pipeline, aws = self._timeline, self._pipeline, self._aws
        timeline.section(f"Two leases of {LEASE_SECONDS} seconds without a release")
        found: dict[str, Any] = {}

        def ask(name: str, told: str) -> str:
            access = pipeline.provision("alex@example.com", role_ttl_hours=LEASE_SECONDS / 3600)
            found[name], found[f"{name} role"] = access, pipeline.assume(access)
            aws.client("s3", found[f"{name} role"]).list_buckets()
            return f"{told}: {access.role_arn.rsplit('/', 1)[-1]} works, until {access.expires_at:%H:%M:%S} UTC"

        def stop() -> str:
            execution = pipeline.lease(found["second"])
            aws.root("stepfunctions", HUB_ACCOUNT).stop_execution(executionArn=execution, cause="the demo")
            promise(pipeline.status(execution) == "ABORTED", "the lease was not stopped")
            return "the hub's administrator stops the second one's lease: nothing will delete that role"

        def ended() -> str:
            access = found["first"]
            until(lambda: pipeline.succeeded(pipeline.lease(access)), "the lease did not end")
            promise(datetime.now(UTC) >= access.expires_at, "the lease ended before the role's expiry")
            promise(not self._exists(access), "the role is still there")
            return "the first lease ended by itself: the role is gone"

        def first_dead() -> str:
            code = refusal(aws.client("s3", found["first role"]).list_buckets)
            promise(code is not None, "the credentials still work")
            return f"its credentials no longer work: s3:ListBuckets is refused ({code})"

        def refused_by_iam() -> str:
            s3 = aws.client("s3", found["second role"])
            until(lambda: refusal(s3.list_buckets) is not None, "the credentials still work after the expiry")
            promise(datetime.now(UTC) >= found["second"].expires_at, "access ended before the role's expiry")
            promise(self._exists(found["second"]), "the role was deleted")
            return "the second role is still there (the target's administrator looks), but IAM refuses its credentials"

        def not_assumable() -> str:
            code = refusal(lambda: pipeline.try_assume(found["second"]))
            promise(code is not None, "the role can still be assumed after its expiry")
            return f"and refuses to let anyone assume it: sts:AssumeRole is refused ({code})"

        def clean() -> str:
            execution = pipeline.release(found["second"])
            until(lambda: pipeline.succeeded(execution), "the release did not end")
            promise(not self._exists(found["second"]), "the role is still there")
            return "a release, late as it is, takes it away"

        timeline.step("ask for a short lease", lambda: ask("first", "the first"))
        timeline.step("ask for a short lease", lambda: ask("second", "the second"))
        timeline.step("stop the second lease", stop)
        timeline.step("wait for the first lease", ended)
        timeline.step("use the first role's credentials", first_dead)
        timeline.step("wait for the second role's expiry", refused_by_iam)
        timeline.step("assume the second role", not_assumable)
        timeline.step("release the second role", clean)

    def identity(self) -> None:
        """Whoever asks can prove that it is the person's own run that asks."""
        timeline, pipeline = self._timeline, self._pipeline
        timeline.section("The run proves who it is, with the identity token that CI gave to it")
        used = pipeline.identity_token()

        def proven() -> str:
            access = pipeline.provision("alex@example.com", branch="main", identity_token=used)
            execution = pipeline.release(access)
            until(lambda: pipeline.succeeded(execution), "the release did not end")
            return "alex's own run gets a role: the token is of this repository and branch, and of alex"

        timeline.step("ask with proof", proven)
        replay = {"branch": "main", "identity_token": used}
        timeline.step("use the token again", lambda: self._denied("alex", "Daypass.IdentityNotProven", **replay))
        foreign = {"branch": "main", "identity_token": pipeline.identity_token(actor="mallory")}
        timeline.step("name another person", lambda: self._denied("alex", "Daypass.IdentityNotProven", **foreign))

    def denials(self) -> None:
        """Who is not entitled gets a reason, and the target account is not touched."""
        timeline = self._timeline
        timeline.section("People who may not")
        timeline.step("ask for mallory", lambda: self._denied("mallory", "Daypass.NotAMember"))
        timeline.step("ask for dave", lambda: self._denied("dave", "Daypass.UserDisabled"))

    def _denied(self, login: str, error: str, **more: Any) -> str:
        self._aws.control("/_daypass/calls/reset", {})
        answer = self._pipeline.ask(f"{login}@example.com", str(pyrage.x25519.Identity.generate().to_public()), **more)
        promise(answer["status"] == "FAILED", f"{login} got a role")
        promise(answer["error"] == error, f"it failed as {answer['error']}: {answer.get('cause')}")
        cause = json.loads(answer["cause"])
        promise(cause["status"] == "denied", f"the status is {cause['status']}")
        calls = self._aws.calls()
        touched = [call["action"] for call in calls if TARGET_ACCOUNT in call["accounts"]]
        promise(not touched, f"the target account was touched: {', '.join(touched)}")
        return (
            f"{login} is denied ({error}): {cause['reason']}\n"
            f"{len(calls)} AWS calls, none of them to {TARGET_ACCOUNT} (says the recorder)"
        )

    def _exists(self, access: Access) -> bool:
        try:
            self._aws.root("iam", TARGET_ACCOUNT).get_role(RoleName=access.role_arn.rsplit("/", 1)[-1])
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchEntity":
                return False
            raise
        return True

    @staticmethod
    def _stack_status(cloudformation: Any) -> str:
        return str(cloudformation.describe_stacks(StackName="payments")["Stacks"][0]["StackStatus"])


def play() -> int:
    """Play on a stack of its own and return the exit code: 0 when everything is as promised."""
    timeline = Timeline()
    logs = stack.STACKS
    print("Daypass, end to end, on a local AWS: the real templates, state machines and functions")
    timeline.section("Set up (the engine, then the CDK CLI)")
    try:
        with stack.temporary(timeline.done) as deployed:
            logs = deployed.state
            Demo(timeline, Pipeline(deployed.aws, deployed.environment())).play()
    except Exception as error:
        print(f"\n✗ not as promised: {_explain(error)}\n  logs: {logs}", flush=True)
        if not isinstance(error, (BrokenPromiseError, ClientError, DeployError, EngineError, stack.StackError)):
            raise
        return 1
    print(f"\n✓ everything as promised, in {timeline.seconds:.1f} s; everything that was started is stopped")
    return 0
