"""Packs a release of the command: archive.py BINARY NAME FOLDER writes FOLDER/NAME.tar.gz.

The same input gives the same bytes. Inside is NAME/ with the binary, its manual pages, its completions and the licence.
"""

import gzip
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
COMPLETIONS = {"bash": "daypass.bash", "zsh": "_daypass", "fish": "daypass.fish"}


def contents(binary: Path, pages: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of the archive, with its mode."""
    subprocess.run([binary, "man", pages], check=True)
    files = {
        "daypass": (binary.read_bytes(), 0o755),
        "LICENSE": ((REPOSITORY / "LICENSE").read_bytes(), 0o644),
    }
    for page in pages.iterdir():
        files[f"man/{page.name}"] = (page.read_bytes(), 0o644)
    for shell, name in COMPLETIONS.items():
        script = subprocess.run([binary, "completions", shell], check=True, stdout=subprocess.PIPE).stdout
        files[f"completions/{name}"] = (script, 0o644)
    return files


def pack(name: str, files: dict[str, tuple[bytes, int]]) -> bytes:
    """A tar.gz of the files below `name`/, in order, without times, owners or anything else of this machine."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for path, (data, mode) in sorted(files.items()):
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size, member.mode = len(data), mode
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def main(binary: Path, name: str, folder: Path) -> None:
    """Writes the archive."""
    with tempfile.TemporaryDirectory() as pages:
        files = contents(binary.resolve(), Path(pages))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.tar.gz").write_bytes(pack(name, files))
    print(folder / f"{name}.tar.gz")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
