"""Write the catalogue of AWS-managed policies from the pinned moto; with --check, say whether it is up to date.

AWS publishes its managed policies through its API only, which takes an account to ask. moto asks it for every release
(`scripts/update_managed_policies.py` there) and ships the answers; `local/requirements.txt` pins which.

One policy is one line, sorted by ARN: an update shows in a diff as the policies that AWS has changed, git stores the
difference only, and a reader needs to parse no more than the line it looks for. Policies of service-linked roles stand
there without their documents: IAM attaches them to no other role.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from moto.iam.aws_managed_policies import aws_managed_policies_data

CATALOGUE: Final = Path(__file__).with_name("policies.jsonl")
SERVICE_LINKED: Final = "/aws-service-role/"


def document(original: dict[str, Any]) -> dict[str, Any]:
    """Return the same policy with one spelling of what IAM's language allows several of.

    Statements are a list, and values of conditions text. Statement ids are left out: nothing reads them.
    """
    statements = original["Statement"]
    return {
        "Version": original["Version"],
        "Statement": [
            {
                key: conditions(value) if key == "Condition" else value
                for key, value in statement.items()
                if key != "Sid"
            }
            for statement in (statements if isinstance(statements, list) else [statements])
        ],
    }


def conditions(original: dict[str, Any]) -> dict[str, Any]:
    """Return the same conditions with true and false as text."""

    def text(value: Any) -> Any:
        if isinstance(value, list):
            return [text(item) for item in value]
        return str(value).lower() if isinstance(value, bool) else str(value)

    return {operator: {key: text(value) for key, value in keys.items()} for operator, keys in original.items()}


def catalogue() -> str:
    """Return what the catalogue should be."""
    entries = []
    for name, policy in json.loads(aws_managed_policies_data).items():
        entry: dict[str, Any] = {"arn": f"arn:aws:iam::aws:policy{policy['Path']}{name}"}
        if policy["Path"] != SERVICE_LINKED:
            entry["document"] = document(policy["Document"])
        entries.append(entry)
    entries.sort(key=lambda entry: entry["arn"])
    return "".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in entries)


def main() -> int:
    """Write the catalogue, or check it."""
    expected = catalogue()
    if "--check" not in sys.argv[1:]:
        CATALOGUE.write_text(expected)
    elif not CATALOGUE.exists() or CATALOGUE.read_text() != expected:
        print(f"{CATALOGUE.name} is not what the pinned moto says; run `make aws-managed-policies`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
