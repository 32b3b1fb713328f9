"""A GPU's own calibration as a record and as a file: what was fitted, to what, and for which sheet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import resources

from headroom.errors import UsageError
from headroom.gpu.designs import field_values
from headroom.gpu.spec import GpuSpec
from headroom.predict.calibration import Calibration, ErrorRow
from headroom.predict.own.terms import Terms, with_terms
from headroom.text import plain_line

FORMAT, VERSION = "headroom-calibration", 1


@dataclass(frozen=True, slots=True)
class Gain:
    """How far off the rows of one group are, as mean absolute relative errors in percent: with the shared constants,
    and with terms fitted on other rows than those judged."""

    group: str
    rows: int
    before_pct: float
    after_pct: float


@dataclass(frozen=True)
class OwnCalibration:
    """``terms`` and ``errors`` hold for the GPU whose sheet has the digest ``sheet``, on top of the shared constants
    with the digest ``shared``; with another of either they mean nothing. ``system`` is where the rows were measured.
    """

    gpu: str
    system: str
    date: str
    rows: int
    sheet: str
    shared: str
    terms: Mapping[str, Terms]
    errors: tuple[ErrorRow, ...]
    gains: tuple[Gain, ...]

    @property
    def title(self) -> str:
        """One line for people: where the constants come from."""
        return f"constants fitted to {self.rows} measured layers of {self.system} on {self.date}"

    def fits(self, gpu: GpuSpec) -> bool:
        """Whether it was made for this very sheet, on top of these very shared constants."""
        return (self.gpu, self.sheet, self.shared) == (gpu.id, sheet_digest(gpu), shared_digest())

    def misfit(self, gpu: GpuSpec) -> str:
        """Why one that does not fit ``gpu`` does not."""
        if (self.gpu, self.sheet) != (gpu.id, sheet_digest(gpu)):
            return f"they were fitted with another sheet of {gpu.name}"
        return "the constants that come with Headroom have changed since"

    def applied(self, calibration: Calibration, gpu: GpuSpec) -> Calibration:
        """``calibration`` with this GPU's terms and error bars."""
        judged = {(row.kind, row.unit, row.family) for row in self.errors}
        kept = tuple(row for row in calibration.errors if (row.kind, row.unit, row.family) not in judged)
        return replace(with_terms(calibration, gpu, self.terms), errors=(*self.errors, *kept))


def sheet_digest(gpu: GpuSpec) -> str:
    """Changes with every figure of a sheet that a prediction may follow."""
    return _digest(json.dumps(field_values(gpu), sort_keys=True))


def shared_digest() -> str:
    """Changes with the calibration that ships with the package."""
    return _digest(resources.files("headroom.predict").joinpath("calibration.json").read_text(encoding="utf-8"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def to_json(own: OwnCalibration) -> str:
    return json.dumps({"format": FORMAT, "version": VERSION, **asdict(own)}, indent=1) + "\n"


def from_json(text: str, where: str) -> OwnCalibration:
    """The record of a file's content.

    Raises:
        UsageError: it is none, or one of a newer version.
    """
    try:
        data = json.loads(text)
        form, version = data.pop("format"), data.pop("version")
        if form != FORMAT or version != VERSION:
            raise ValueError(f"{form} {version}")
        data["terms"] = {str(name): Terms(**_positive(terms)) for name, terms in data["terms"].items()}
        data["errors"] = tuple(ErrorRow(**row) for row in data["errors"])
        data["gains"] = tuple(Gain(**row) for row in data["gains"])
        return OwnCalibration(**data)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            f"{where} is no calibration of this version of Headroom ({plain_line(str(error), 60)}): "
            "make it again with headroom calibrate, or delete it"
        ) from error


def _positive(terms: Mapping[str, float]) -> Mapping[str, float]:
    for name, value in terms.items():
        if not 0.0 < float(value) < 1e3:
            raise ValueError(f"{name} is {value}")
    return terms
