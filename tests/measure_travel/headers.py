"""The vendors' headers to compile against: a few hundred kilobytes out of wheels of half a gigabyte.

Headers alone are read, through the ranges of HTTP that a zip file allows, with pip's own settings for index, proxy and
certificates. They are kept in the user's cache and never in the repository. A network that hangs, or that sends a byte
now and then, costs a minute and no more: a process of its own fetches, and is ended.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

#: Versions are those that the measurements in the package were taken with.
WHEELS = {"nvidia-cudnn-cu13": "9.19.0.56", "nvidia-cublas": "13.1.0.3", "nvidia-cuda-crt": "13.0.88"}

#: For all wheels together, in seconds; a few are usual.
PATIENCE_S = 60.0

_INSTALLED = ("nvidia-cuda-runtime", "nvidia-cuda-nvrtc")

#: One retry and ten seconds of silence, where pip has five and fifteen.
_PIP = ["--retries", "1", "--timeout", "10"]


def include_folders(patience_s: float = PATIENCE_S) -> list[Path]:
    """Folders to search for headers, in order.

    Raises:
        OSError: a registry does not give them in time; the text says which and why.
    """
    return [*_fetched(patience_s), *_installed(), _frontend()]


def _frontend() -> Path:
    """The folder with the frontend's headers."""
    folders = [folder for folder in _folders_of("nvidia-cudnn-frontend") if folder.name == "include"]
    if not folders:
        raise OSError("no headers of nvidia-cudnn-frontend: it has none as it is installed")
    return folders[0]


def _installed() -> list[Path]:
    return sorted({folder for name in _INSTALLED for folder in _folders_of(name) if folder.name == "include"})


def _folders_of(package: str) -> set[Path]:
    try:
        files = metadata.distribution(package).files or ()
    except metadata.PackageNotFoundError as error:
        raise OSError(f"{package} is not installed") from error
    return {Path(str(file.locate())).resolve().parent for file in files if file.suffix == ".h"}


def _fetched(patience_s: float) -> list[Path]:
    """Folders of the cache, filled by whoever comes first; others wait for it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headroom-tests"
    folders = [cache / f"{name}-{version}" for name, version in WHEELS.items()]
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(folder.exists() for folder in folders):
            _fetch(cache, patience_s)
    return folders


def _fetch(cache: Path, patience_s: float) -> None:
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        environment = {**os.environ, "TMPDIR": temporary}
        try:
            done = subprocess.run(
                [sys.executable, __file__, temporary],
                env=environment, capture_output=True, text=True, check=False, timeout=patience_s,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise OSError(f"they did not come within {patience_s:g} s") from error
        if done.returncode != 0:
            raise OSError((done.stderr.splitlines() or ["the process that fetches them was ended"])[-1][:300])
        for name, version in WHEELS.items():
            folder = cache / f"{name}-{version}"
            if not folder.exists():
                (Path(temporary) / name).rename(folder)


def _read_all(into: Path) -> None:
    """What the process that fetches does: the headers of each wheel in a folder of its name."""
    for name, version in WHEELS.items():
        try:
            _read_headers(name, version, into / name)
        except Exception as error:  # pip's own classes, which change with its versions
            raise OSError(
                " ".join(f"no headers of {name} {version}: {type(error).__name__}: {error}".split())
            ) from error


def _read_headers(name: str, version: str, into: Path) -> None:
    with _open_wheel(name, version) as wheel:
        for member in wheel.namelist():
            _, found, inside = member.partition("/include/")
            if found and inside and not member.endswith("/"):
                (into / inside).parent.mkdir(parents=True, exist_ok=True)
                (into / inside).write_bytes(wheel.read(member))
    if not into.exists():
        raise OSError("the wheel has none")


def _open_wheel(name: str, version: str) -> zipfile.ZipFile:
    from pip._internal.commands import create_command
    from pip._internal.network.lazy_wheel import LazyZipOverHTTP
    from pip._vendor.packaging.specifiers import SpecifierSet

    command: Any = create_command("download")
    options, _ = command.parser.parse_args(_PIP)
    session = command._build_session(options)
    finder = command._build_package_finder(options, session)
    best = finder.find_best_candidate(name, SpecifierSet(f"=={version}")).best_candidate
    if best is None:
        raise OSError(f"the package index lists no such wheel for Python {sys.version_info.major}")
    link = best.link
    return zipfile.ZipFile(link.file_path if link.is_file else LazyZipOverHTTP(link.url_without_fragment, session))


if __name__ == "__main__":
    _read_all(Path(sys.argv[1]))
