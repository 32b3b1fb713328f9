"""A folder of benchmarks: runtime, tables, the frontend's headers, and a page that says how to build and run them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from headroom._version import __version__
from headroom.errors import UsageError
from headroom.files import write_whole
from headroom.measure.travel.case import Benchmark
from headroom.measure.travel.tables import table_files

_RUNTIME = Path(__file__).with_name("runtime")

#: The package whose headers the graph API is compiled with; they may be copied (MIT licence).
_FRONTEND = "nvidia-cudnn-frontend"

#: What this program writes, by which it knows a folder of its own again.
_MARK = "headroom-benchmarks.json"


@dataclass(frozen=True)
class Exported:
    """What a folder holds: how many benchmarks, and whether the frontend's headers are there."""

    folder: Path
    benchmarks: int
    has_frontend: bool


def export(benchmarks: Sequence[Benchmark], folder: Path, title: str) -> Exported:
    """Write the folder, over an earlier export if there is one. Equal benchmarks give equal bytes.

    Raises:
        UsageError: the folder holds something else, or cannot be written.
    """
    _refuse_foreign(folder)
    mark = json.dumps({"benchmarks": len(benchmarks), "headroom_version": __version__}, indent=1) + "\n"
    files = {"README.md": _page(title, len(benchmarks)), **_runtime_files()}
    files |= {f"tables/{name}": text for name, text in table_files(benchmarks).items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # First, so that what is left of an export that was cut off can be exported over.
        write_whole(folder / _MARK, mark)
        for part in ("runtime", "tables"):
            shutil.rmtree(folder / part, ignore_errors=True)
            (folder / part).mkdir()
        for name, text in files.items():
            write_whole(folder / name, text)
        has_frontend = _copy_frontend(folder / "cudnn_frontend" / "include")
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}; choose another --out") from error
    return Exported(folder, len(benchmarks), has_frontend)


def _refuse_foreign(folder: Path) -> None:
    """Nothing of somebody else's is written over or left between our files."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder} is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _MARK).is_file():
        raise UsageError(f"--out {folder} holds other files; name an empty folder, or one of an earlier export")


def _runtime_files() -> Mapping[str, str]:
    names = sorted(path.name for path in _RUNTIME.iterdir() if path.suffix in (".cpp", ".hpp"))
    files = {f"runtime/{name}": (_RUNTIME / name).read_text("utf-8") for name in names}
    style = (_RUNTIME / "clang-format.yaml").read_text("utf-8")
    return {
        **files,
        "CMakeLists.txt": (_RUNTIME / "CMakeLists.txt").read_text("utf-8"),
        ".clang-format": style,
        # A tensor is a line, however long: tables are read column by column.
        "tables/.clang-format": style.replace("ColumnLimit: 120", "ColumnLimit: 0"),
    }


def _copy_frontend(folder: Path) -> bool:
    """The frontend's headers from the installed package, in a folder of the name by which they find each other.

    Returns whether they are there.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for source, name in _frontend_headers():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / name)
    return (folder / "cudnn_frontend.h").is_file()


def _frontend_headers() -> Iterable[tuple[Path, str]]:
    try:
        package = metadata.distribution(_FRONTEND)
    except metadata.PackageNotFoundError:
        return
    for file in package.files or ():
        _, found, name = str(file).partition("include/")
        if found and file.suffix in (".h", ".hpp"):
            yield Path(str(package.locate_file(file))), name


def _page(title: str, count: int) -> str:
    return f"""# Benchmarks of {title}

{count} layers and fused chains, written by headroom {__version__}. They need a C++17 compiler, CMake, CUDA and cuDNN.

    cmake -B build -DCMAKE_BUILD_TYPE=Release
    cmake --build build --parallel
    build/headroom_benchmarks >rows.jsonl

Then, where Headroom is installed:

    headroom db import rows.jsonl

`runtime/` is the program, the same for every model; `tables/` the layers of this one.
"""
