"""Which calibration answers for a GPU: the user's own where there is one for this very sheet, else the shipped one."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from headroom.errors import UsageError
from headroom.files import data_folder, write_whole
from headroom.gpu.spec import GpuSpec
from headroom.predict.calibration import Calibration, load_calibration
from headroom.predict.own.record import OwnCalibration, from_json, to_json


def own_file(gpu: GpuSpec) -> Path:
    """Where the user's own calibration of ``gpu`` is, whether or not there is one."""
    name = re.sub(r"[^\w.-]", "_", gpu.id)
    return data_folder() / "calibrations" / f"{name}.json"


def own_calibration(gpu: GpuSpec) -> OwnCalibration | None:
    """The user's own calibration of ``gpu``, if it was made for this sheet and these shared constants.

    Raises:
        UsageError: the file is damaged.
    """
    own = _kept(own_file(gpu))
    return own if own is not None and own.fits(gpu) else None


def calibration_note(gpu: GpuSpec) -> str | None:
    """What the user's own calibration changes, in a sentence, or why the one that is there changes nothing; ``None``
    where there is none: the shipped one is no news.

    Raises:
        UsageError: the file is damaged.
    """
    own = _kept(own_file(gpu))
    if own is None:
        return None
    if own.fits(gpu):
        return f"Predicted times are made with {own.title} (headroom calibrate)."
    return (
        f"The {own.title} do not count here: {own.misfit(gpu)}. headroom calibrate fits them anew, "
        "headroom calibrate --forget deletes them."
    )


def _kept(file: Path) -> OwnCalibration | None:
    try:
        changed = file.stat().st_mtime_ns
    except OSError:
        return None
    return _read(file, changed)


@lru_cache(maxsize=16)
def _read(file: Path, changed_ns: int) -> OwnCalibration:
    """``changed_ns`` makes a file that was written again another one."""
    try:
        return from_json(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {file}: {error}; make it again with headroom calibrate, or delete it") from error


def calibration_of(gpu: GpuSpec) -> Calibration:
    """What predictions for ``gpu`` are made with where nobody says otherwise."""
    own = own_calibration(gpu)
    return load_calibration() if own is None else own.applied(load_calibration(), gpu)


def calibration_title(gpu: GpuSpec) -> str:
    """What the constants behind predictions for ``gpu`` were fitted to, in a line."""
    own = own_calibration(gpu)
    return f"constants shipped on {load_calibration().date}" if own is None else own.title


def keep(own: OwnCalibration, gpu: GpuSpec) -> Path:
    """Write ``own`` where :func:`own_calibration` finds it.

    Raises:
        UsageError: the place cannot be written.
    """
    file = own_file(gpu)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror or error}; free the place") from error
    return write_whole(file, to_json(own))


def forget(gpu: GpuSpec) -> bool:
    """Delete the user's own calibration of ``gpu``; false where there was none.

    Raises:
        UsageError: it cannot be deleted.
    """
    file = own_file(gpu)
    try:
        file.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise UsageError(f"cannot delete {file}: {error.strerror or error}") from error
    return True
