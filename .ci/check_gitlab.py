"""Holds the GitLab component to its inputs and, with values for them, to GitLab's schema; and the example to both."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

REPOSITORY = Path(__file__).resolve().parent.parent
COMPONENT = REPOSITORY / "templates/deploy/template.yml"
EXAMPLE = REPOSITORY / "examples/gitlab/.gitlab-ci.yml"
INPUT = re.compile(r"\$\[\[ inputs\.([\w-]+) \]\]")


def filled(node: Any, values: dict[str, str]) -> Any:
    """The component with values for its inputs, as GitLab puts them: into the texts of the parsed file."""
    match node:
        case dict():
            return {filled(key, values): filled(value, values) for key, value in node.items()}
        case list():
            return [filled(value, values) for value in node]
        case str():
            return INPUT.sub(lambda found: values[found[1]], node)
        case _:
            return node


def schema_problems(name: str, pipeline: Any) -> list[str]:
    """What GitLab's schema says against a pipeline."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(pipeline, file)
        file.flush()
        check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", file.name]
        answer = subprocess.run(check, capture_output=True, text=True, check=False)
    return [] if answer.returncode == 0 else [f"{name}: {answer.stdout}{answer.stderr}"]


def problems() -> list[str]:
    """All that is wrong."""
    text = COMPONENT.read_text(encoding="utf-8")
    header, template = YAML(typ="safe").load_all(text)
    inputs: dict[str, Any] = header["spec"]["inputs"]
    used = set(INPUT.findall(text.split("\n---\n", 1)[1]))
    found = [f"input {name} is used and not declared" for name in sorted(used - inputs.keys())]
    found += [f"input {name} is declared and not used" for name in sorted(inputs.keys() - used)]
    found += [f"input {name} has no description" for name, spec in inputs.items() if not spec.get("description")]
    if found:
        return found
    found += schema_problems("the component's header", header)
    defaults = {name: str(spec["default"]) for name, spec in inputs.items() if "default" in spec}
    required = inputs.keys() - defaults.keys()

    example = YAML(typ="safe").load(EXAMPLE)
    jobs: dict[str, Any] = {}
    for include in example["include"]:
        given: dict[str, str] = include["inputs"]
        found += [f"the example gives {name}, which is no input" for name in sorted(given.keys() - inputs.keys())]
        found += [f"the example does not give {name}" for name in sorted(required - given.keys())]
        if not found:
            jobs |= filled(template, defaults | given)
    # GitLab lays what the file itself says of a job over what is included.
    merged = {name: jobs.get(name, {}) | value if isinstance(value, dict) else value for name, value in example.items()}
    found += [f"the example extends the job {name}, which is not included" for name in extended(example) - jobs.keys()]
    return found + schema_problems("the example", example) + schema_problems("the pipeline", jobs | merged)


def extended(pipeline: dict[str, Any]) -> set[str]:
    """Jobs that do nothing by themselves: they only say more of an included one."""
    return {name for name, job in pipeline.items() if isinstance(job, dict) and "script" not in job}


if __name__ == "__main__":
    lines = problems()
    print("\n".join(lines) or "the GitLab component and its example are right")
    sys.exit(1 if lines else 0)
