"""A copy of the working tree, where weakened code cannot get into anybody's build."""

import filecmp
import os
import shutil
import subprocess
from pathlib import Path

# Cargo reads `.cargo` of the folders around the copy as well; a second one would double every flag.
LEFT_OUT = (".cargo/",)
LINKED = ("action/node_modules", "cdk/node_modules")


def bring_up_to_date(repository: Path, tree: Path) -> None:
    """Make `tree` a copy of what git tracks, or would. What has not changed is left alone, and not built again."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=repository, capture_output=True, text=True, check=True).stdout.split("\0")
    wanted = {Path(name) for name in names if name and not name.startswith(LEFT_OUT)}
    wanted = {name for name in wanted if (repository / name).is_file()}
    # First, so that nothing below looks through a link, or takes away what is behind it.
    for name in LINKED:
        (tree / name).unlink(missing_ok=True)
    there = {path.relative_to(tree) for path in tree.rglob("*") if path.is_file()}
    for name in there - wanted:
        (tree / name).unlink()
    for name in wanted:
        if name not in there or not filecmp.cmp(repository / name, tree / name, shallow=False):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repository / name, tree / name)
    for name in LINKED:
        (tree / name).symlink_to(repository / name)


def seed(repository_target: Path, target: Path) -> None:
    """Give a first build in `target` the dependencies that have been built before.

    A folder of its own, because in one that is shared cargo takes weakened code for the repository's: it knows a crate
    by its place in the workspace. What is not found here, cargo builds.
    """
    built, new = repository_target / "debug", target / "debug"
    if new.exists() or not built.exists():
        return
    for name in ("build", ".fingerprint"):
        own = shutil.ignore_patterns("daypass*")
        shutil.copytree(built / name, new / name, ignore=own, symlinks=True)
    (new / "deps").mkdir()
    for library in (built / "deps").iterdir():
        if library.suffix in {".rlib", ".rmeta", ".so"} and not library.name.startswith("libdaypass"):
            os.link(library, new / "deps" / library.name)
