"""The library's door to calibration: constants for one GPU, fitted to what was measured on it."""

from __future__ import annotations

import os

from headroom.asking import gpu_spec
from headroom.gpu.spec import GpuSpec
from headroom.predict.own.calibrate import calibrate_own
from headroom.predict.own.choice import keep
from headroom.predict.own.record import OwnCalibration
from headroom.predict.own.rows import measured_layers, system_of


def calibrate(
    gpu: str | os.PathLike[str] | GpuSpec,
    *,
    db: str | os.PathLike[str] | None = None,
    system: str | None = None,
) -> OwnCalibration:
    """Fit the theory's constants to the layers measured on ``gpu``, and keep them in the user's data folder.

    Every later prediction for this very sheet is made with them, until the sheet or the shipped constants change.
    Few rows move the constants a little, many settle them; a group of kernels that they bring no nearer to rows
    left out keeps the shipped ones (``gains`` says by how much each was brought nearer).

    Args:
        gpu: a sheet's id, path or a sheet; a sheet of one's own takes the rows of its ``driver_names``.
        db: the performance database; by default the user's own and the measurements that come with the package.
        system: id of the system whose measurements count; by default the GPU's with the most layers.

    Raises:
        StoreError: the database cannot be read, or holds no single layer of this GPU.
        UsageError: the system is of another GPU, or the file cannot be written.
    """
    from headroom.store.default import open_for_reading

    sheet = gpu_spec(gpu)
    with open_for_reading(db) as store:
        measured_on = system_of(store, sheet, system)
        rows = measured_layers(store, measured_on)
    own = calibrate_own(rows, sheet, measured_on)
    keep(own, sheet)
    return own
