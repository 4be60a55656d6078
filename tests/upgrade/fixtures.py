"""Items and leases of the version before, as files that the tests of record read."""

import json
from pathlib import Path
from typing import Any

from upgrade.versions import BEFORE
from upgrade.world import World, place_of_end


def record(world: World, folder: Path) -> str:
    """Write what a transaction of each kind has left to `folder`, one file for each; return what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.json"):
        file.unlink()
    for it in world.open_all() + world.open_attacked():
        items = {key: world.item_of(key) for key in (it.id, place_of_end(it.id))}
        lease = world.lease_of(it)
        recorded: dict[str, Any] = {
            "version": BEFORE,
            "transaction_id": it.id,
            "items": {key: item for key, item in items.items() if item is not None},
            "lease": lease and world.input_of(lease),
        }
        name = it.kind.partition(",")[0].replace(" ", "-").replace("_", "-")
        (folder / f"{name}.json").write_text(_lines(recorded) + "\n")
    return f"{len(list(folder.iterdir()))} files in {folder}"


def _lines(value: Any, depth: int = 0) -> str:
    """Return JSON with a line for each attribute of an item, and not for each of its brackets."""
    if depth > 2 or not isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    margin = "  " * depth
    lines = [f"{margin}  {json.dumps(key)}: {_lines(inner, depth + 1)}" for key, inner in sorted(value.items())]
    return "{\n" + ",\n".join(lines) + f"\n{margin}}}"
