"""The vendors' headers to compile against: a few hundred kilobytes out of wheels of half a gigabyte.

Headers alone are read, through the ranges of HTTP that a zip file allows, with pip's own settings for index, proxy and
certificates. They are kept in the user's cache and never in the repository.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

#: Versions are those that the measurements in the package were taken with.
WHEELS = {"nvidia-cudnn-cu13": "9.19.0.56", "nvidia-cublas": "13.1.0.3", "nvidia-cuda-crt": "13.0.88"}

_INSTALLED = ("nvidia-cuda-runtime", "nvidia-cuda-nvrtc")


def include_folders() -> list[Path]:
    """Folders to search for headers, in order.

    Raises:
        OSError: a registry does not give them; the text says which and why.
    """
    return [*(_fetched(name, version) for name, version in WHEELS.items()), *_installed()]


def frontend_folder() -> Path:
    """The folder with the frontend's headers."""
    return next(folder for folder in _folders_of("nvidia-cudnn-frontend") if folder.name == "include")


def _installed() -> list[Path]:
    return sorted({folder for name in _INSTALLED for folder in _folders_of(name) if folder.name == "include"})


def _folders_of(package: str) -> set[Path]:
    files = metadata.distribution(package).files or ()
    return {Path(str(file.locate())).resolve().parent for file in files if file.suffix == ".h"}


def _fetched(name: str, version: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headroom-tests"
    folder = cache / f"{name}-{version}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as temporary:
            _read_headers(name, version, Path(temporary) / "include")
            # Another process may have been first, and its headers are as good.
            if not folder.exists():
                shutil.move(Path(temporary) / "include", folder)
    return folder


def _read_headers(name: str, version: str, into: Path) -> None:
    try:
        with _open_wheel(name, version) as wheel:
            for member in wheel.namelist():
                _, found, inside = member.partition("/include/")
                if found and inside:
                    (into / inside).parent.mkdir(parents=True, exist_ok=True)
                    (into / inside).write_bytes(wheel.read(member))
    except Exception as error:  # pip's own classes, which change with its versions
        raise OSError(f"no headers of {name} {version}: {type(error).__name__}: {error}"[:300]) from error
    if not into.exists():
        raise OSError(f"no headers of {name} {version}: the wheel has none")


def _open_wheel(name: str, version: str) -> zipfile.ZipFile:
    from pip._internal.commands import create_command
    from pip._internal.network.lazy_wheel import LazyZipOverHTTP
    from pip._vendor.packaging.specifiers import SpecifierSet

    command: Any = create_command("download")
    options, _ = command.parser.parse_args([])
    session = command._build_session(options)
    session.timeout = 20
    finder = command._build_package_finder(options, session)
    best = finder.find_best_candidate(name, SpecifierSet(f"=={version}")).best_candidate
    if best is None:
        raise OSError(f"the package index lists no such wheel for Python {sys.version_info.major}")
    link = best.link
    return zipfile.ZipFile(link.file_path if link.is_file else LazyZipOverHTTP(link.url_without_fragment, session))
