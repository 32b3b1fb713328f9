"""Where files are kept, and writing them so that they are whole or absent, and never over their own input."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from headroom.errors import UsageError

STDOUT = Path("-")


def data_folder() -> Path:
    """Where what the user measured and calibrated is kept on this system, whether or not it is there yet."""
    home = Path.home()
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        folder = home / "Library" / "Application Support"
    else:
        folder = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return folder / "headroom"


def refuse_overwriting(sources: Iterable[str | os.PathLike[str]], outputs: Mapping[str, Path]) -> None:
    """Check, before any work is done, that no output is an input or another output.

    Raises:
        UsageError: it names the option, as ``outputs`` calls it, and the path.
    """
    inputs = {os.path.realpath(source) for source in sources}
    taken: dict[str, str] = {}
    for name, path in outputs.items():
        place = str(STDOUT) if path == STDOUT else os.path.realpath(path)
        if place in inputs:
            raise UsageError(f"--{name} {path} is the input itself; choose another path")
        if place in taken:
            raise UsageError(f"--{name} and --{taken[place]} both write to {path}; choose another path for one")
        taken[place] = name


def write_to(path: Path, chunks: str | Iterable[str]) -> None:
    """Write text to ``path`` as :func:`write_whole` does, or to standard output where it is ``-``.

    Raises:
        UsageError: the place cannot be written, or standard output is closed.
    """
    if path != STDOUT:
        write_whole(path, chunks)
        return
    if sys.stdout is None:
        raise UsageError("standard output is closed, so that - cannot be written; name a file")
    try:
        _write_stdout((chunks,) if isinstance(chunks, str) else chunks)
    except BrokenPipeError:
        forget_stdout()


def _write_stdout(texts: Iterable[str]) -> None:
    sys.stdout.flush()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # The bytes of the file, whatever the locale: JSON is UTF-8, and a "?" is not what was answered.
        sys.stdout.buffer.writelines(text.encode() for text in texts)
    else:
        sys.stdout.writelines(texts)


def flush_stdout() -> None:
    """Hand the last lines on while an exit code can still tell that it failed; a reader that has gone is no failure.

    Raises:
        OSError: they cannot be written, and somebody is still reading.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        forget_stdout()


def forget_stdout() -> None:
    """Send whatever is still to be printed nowhere: without this the interpreter's own flush at exit fails too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def write_whole(path: str | os.PathLike[str], chunks: str | bytes | Iterable[str]) -> Path:
    """Write text or bytes to ``path`` through a temporary file, fsync and replace; return the path.

    Whatever goes wrong, the old file is still there in full and no temporary file is left. What is no file but a device
    or a pipe (``/dev/null``) is written into: replaced, it would be gone for every program on the machine.

    Raises:
        UsageError: the place cannot be written.
    """
    target = Path(path)
    if target.exists() and not target.is_file() and not target.is_dir():
        return _write_into(target, chunks)
    temporary: str | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            temporary = file.name
            file.writelines(_as_bytes(chunks))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(target)
        temporary = None
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"cannot write {target}: {reason}; choose another path or free it") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    return target


def _as_bytes(chunks: str | bytes | Iterable[str]) -> Iterable[bytes]:
    if isinstance(chunks, bytes):
        return (chunks,)
    return (chunk.encode() for chunk in ((chunks,) if isinstance(chunks, str) else chunks))


def _write_into(target: Path, chunks: str | bytes | Iterable[str]) -> Path:
    try:
        with target.open("wb") as stream:
            stream.writelines(_as_bytes(chunks))
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror or error}; choose another path or free it") from error
    return target


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
