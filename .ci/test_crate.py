"""Runs the tests of one crate: test_crate.py FOLDER COMMAND ….

COMMAND is cargo's command for the tests of the whole workspace. `cargo test --package` would select other features of
the dependencies, and build most of them once more.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

# `testing` depends on them, so what they test with it is beside `src`.
TESTED_FROM_OUTSIDE = ("aws", "core")


def main(crate: str, command: list[str]) -> int:
    """Build everything, run the crate's executables in its folder; 1 if one fails or there is none."""
    folder = next(
        (path for path in (REPOSITORY / "tasks" / crate, REPOSITORY / crate) if (path / "Cargo.toml").exists()),
        None,
    )
    if not crate or folder is None:
        print(
            "say which: CRATE=core, cli, the folder of another library, or the name of one in tasks/",
            file=sys.stderr,
        )
        return 2
    files = folder.glob("tests/*.rs") if crate in TESTED_FROM_OUTSIDE else ()
    outside = [f"--test={file.stem}" for file in sorted(files)]
    built = subprocess.run(
        [*command, *outside, "--no-run", "--message-format=json"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if built.returncode != 0:
        return built.returncode
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    tests = [it["executable"] for it in messages if it.get("executable") and Path(it["manifest_path"]).parent == folder]
    # As cargo sets it, from .cargo/config.toml.
    seed = {
        "PROPTEST_RNG_SEED": os.environ.get("PROPTEST_RNG_SEED", "1"),
        "CARGO_MANIFEST_DIR": str(folder),
    }
    codes = [subprocess.run([test], cwd=folder, env={**os.environ, **seed}, check=False).returncode for test in tests]
    return 0 if codes and not any(codes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
