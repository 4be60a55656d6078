"""Holds personas.schema.json to the cases that the parser is tested with.

Run with a Python that has jsonschema (it comes with check-jsonschema). Exits with 1 and a line for each case that the
schema judges otherwise than cases.json says.
"""

import copy
import json
import sys
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

HERE = Path(__file__).parent
ROOT = HERE.parents[3]


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def patched(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The base file with the value at each JSON pointer set, or removed when it is null."""
    file = copy.deepcopy(base)
    for pointer, value in sorted(values.items()):
        *parents, key = pointer.removeprefix("/").split("/")
        target: Any = file
        for step in parents:
            target = target[int(step) if isinstance(target, list) else step]
        if isinstance(target, list):
            target[int(key)] = value
        elif value is None:
            del target[key]
        else:
            target[key] = value
    return file


def main() -> int:
    schema = load(ROOT / "personas.schema.json")
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    base, cases = load(HERE / "base.json"), load(HERE / "cases.json")
    files = [(case["rule"], patched(base, case["set"]), case["schema"]) for case in cases]
    files.append(("personas.json", load(ROOT / "personas.json"), "accepts"))
    wrong = 0
    for rule, file, expected in files:
        errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(file)]
        if expected != ("refuses" if errors else "accepts"):
            wrong += 1
            print(f"{rule}: the schema should be one that {expected} it; it finds {errors}", file=sys.stderr)
    print(f"personas.schema.json: {len(files)} files, {wrong} judged otherwise than they should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
