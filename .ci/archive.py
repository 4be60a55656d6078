"""Packs a release, as FOLDER/NAME.tar.gz.

    archive.py command BINARY NAME FOLDER     the binary, its manual pages and its completions
    archive.py functions BUILT NAME FOLDER    the bootstrap of each function: what a deployment takes as `assets_dir`

Inside is NAME/, with the licence. The same input gives the same bytes.
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


Files = dict[str, tuple[bytes, int]]
"""Every file of an archive, with its mode."""


def functions(built: Path) -> Files:
    """What a deployment needs of the functions that were built there."""
    return {str(path.relative_to(built)): (path.read_bytes(), 0o755) for path in built.glob("*/bootstrap")}


def command(binary: Path, pages: Path) -> Files:
    """What is installed of the command."""
    subprocess.run([binary, "man", pages], check=True)
    files = {"daypass": (binary.read_bytes(), 0o755)}
    for page in pages.iterdir():
        files[f"man/{page.name}"] = (page.read_bytes(), 0o644)
    for shell, name in COMPLETIONS.items():
        script = subprocess.run([binary, "completions", shell], check=True, stdout=subprocess.PIPE).stdout
        files[f"completions/{name}"] = (script, 0o644)
    return files


def pack(name: str, files: Files) -> bytes:
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


def main(kind: str, source: Path, name: str, folder: Path) -> None:
    """Writes the archive."""
    if kind == "functions":
        files = functions(source)
    else:
        with tempfile.TemporaryDirectory() as pages:
            files = command(source.resolve(), Path(pages))
    files["LICENSE"] = ((REPOSITORY / "LICENSE").read_bytes(), 0o644)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.tar.gz").write_bytes(pack(name, files))
    print(folder / f"{name}.tar.gz")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
