"""Holds bills of material to the schema of CycloneDX, and to what they are about. Takes their files."""

import json
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

# What each bill has to name, and what it must not: the AWS service of its task, and what only tests need.
NEEDED = {
    "action": "esbuild",
    "authn": "aws-sdk-identitystore",
    "authz": "aws-sdk-identitystore",
    "cdk": "aws-cdk-lib",
    "create-role": "aws-sdk-iam",
    "daypass": "clap",
    "delete-role": "aws-sdk-iam",
    "issue-creds": "age",
    "prove": "aws-sdk-kms",
    "record": "aws-sdk-dynamodb",
    "validate": "age",
}
FOR_TESTS = {"insta", "proptest", "regex"}
# npm's bills name what only building and testing need, too, and mark it so.
OF_NPM = {"action", "cdk"}


def problems(path: Path) -> list[str]:
    """What is wrong with the bill in the file."""
    text = path.read_text(encoding="utf-8")
    invalid = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    if invalid is not None:
        return [f"is no CycloneDX 1.5: {invalid}"]
    names = {component["name"] for component in json.loads(text)["components"]}
    name = path.name.removesuffix(".cdx.json")
    found = []
    if NEEDED.get(name) not in names:
        found.append(f"does not name {NEEDED.get(name)}")
    if name not in OF_NPM and names & FOR_TESTS:
        found.append(f"names what only tests need: {', '.join(sorted(names & FOR_TESTS))}")
    return found


def main(files: list[str]) -> int:
    """Prints what is wrong; 1 if anything is."""
    paths = [Path(file) for file in files]
    missing = NEEDED.keys() - {path.name.removesuffix(".cdx.json") for path in paths}
    lines = [f"{path}: {problem}" for path in paths for problem in problems(path)]
    lines += [f"there is no bill of {name}" for name in sorted(missing)]
    print("\n".join(lines) or f"{len(paths)} bills of material are right")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
