"""Fit the theory's shared constants and write ``src/headroom/predict/calibration.json``.

    python benchmarks/calibrate.py [--out FILE.json] [--only PART]
                     (plain|plain-matmul|tensor|stream|transforms|hopper|hopper-kernels|hopper-fused)

Constants are fitted on one half of the shapes of each table (chosen by a hash of the shape) and the error bars
are taken from the other half. What a source adds to every row (launch gaps, a clock, a drift over its run) is
fitted along with them and then thrown away: it belongs to the source, not to the GPU. ``--only`` (may be repeated)
fits one part and keeps the others as they are shipped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from convolution_fit import convolution_bars, with_convolutions
from fused_fit import with_fused
from h200_fit import FAMILY as HOPPER
from h200_fit import hopper_bars, with_hopper, with_kernels
from h200_rows import SOURCE as H200_SOURCE
from headroom.predict.calibration import Calibration, ErrorRow, load_calibration, parse_calibration
from headroom.predict.error_groups import PRODUCT_KINDS
from headroom.predict.kernel_record import record_of
from product_fit import plain_product_bars, tensor_product_bars, with_plain_products, with_tensor_products
from record import ROOT
from stream_fit import STREAM_KINDS, kernel_bars, with_streams
from transformed_fit import transform_bars, with_transforms

TARGET = ROOT / "src" / "headroom" / "predict" / "calibration.json"

ErrorBar = dict[str, object]

#: What constants and error bars come from.
SOURCES = (
    "Benanza IMPLICIT_GEMM", "Benanza IMPLICIT_PRECOMP_GEMM", "Benanza IMPLICIT_PRECOMP_GEMM fp16", "Benanza kernels",
    "DeepBench GEMM", "DeepBench conv", H200_SOURCE, "NeuSight bmm", "NeuSight conv", "NeuSight linear",
    "aiconfigurator bf16",
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One part of the calibration: ``fit`` returns it with new constants, ``bars`` their error bars."""

    fit: Callable[[Calibration], Calibration]
    bars: Callable[[Calibration], list[ErrorBar]]


#: In the order of fitting.
PARTS = {
    "plain": Part(with_convolutions, convolution_bars),
    "plain-matmul": Part(with_plain_products, plain_product_bars),
    "tensor": Part(with_tensor_products, tensor_product_bars),
    "stream": Part(with_streams, kernel_bars),
    "transforms": Part(with_transforms, transform_bars),
    "hopper": Part(with_hopper, hopper_bars),
    "hopper-kernels": Part(with_kernels, hopper_bars),
    "hopper-fused": Part(with_fused, hopper_bars),
}


def part_of(bar: ErrorBar) -> str:
    """The part whose residuals an error bar holds."""
    if bar["family"] == HOPPER:
        return "hopper"
    if bar["kind"] in STREAM_KINDS:
        return "stream"
    if bar["kind"] in ("transformed", "fused transform"):
        return "transforms"
    if bar["unit"] == "tensor":
        return "tensor"
    return "plain-matmul" if bar["kind"] in PRODUCT_KINDS else "plain"


def rounded(value: object) -> object:
    """A record with four significant digits per number: more would be noise."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, (list, str)) else float(f"{float(value):.4g}")


def constants_of(calibration: Calibration) -> dict[str, object]:
    """The constants as the data file holds them."""
    names = ("plain", "plain_matmul", "tensor", "stream", "attention", "transforms")
    record: dict[str, object] = {name: asdict(getattr(calibration, name)) for name in names}
    record["own_kernels"] = {name: record_of(known) for name, known in calibration.own_kernels.items()}
    for name in ("own_gemm", "own_stream", "own_transforms"):
        record[name] = {key: asdict(value) for key, value in getattr(calibration, name).items()}
    record["own_fused"] = calibration.own_fused
    return rounded(record)


def fitted(calibration: Calibration, names: list[str], *, constants: bool = True) -> dict[str, object]:
    """The data file's content with the parts ``names`` fitted anew; without ``constants`` their error bars alone."""
    shipped = [asdict(row) for row in calibration.errors]
    for name in names if constants else ():
        calibration = PARTS[name].fit(calibration)
    content = {
        "date": date.today().isoformat(),
        "written_by": "benchmarks/calibrate.py",
        "sources": sorted(SOURCES),
        "constants": constants_of(calibration),
        "errors": [],
    }
    # The bars are those of the constants as they are written.
    calibration = parse_calibration(content)
    # Hopper's bars are those of all its constants together.
    names = [*names, "hopper"] if {"hopper-kernels", "hopper-fused"} & {*names} else names
    for name, part in PARTS.items():
        if name in ("hopper-kernels", "hopper-fused"):
            continue
        kept = [row for row in shipped if part_of(row) == name]
        content["errors"] += [asdict(ErrorRow(**row)) for row in part.bars(calibration)] if name in names else kept
    return content


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the theory's shared constants.")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="fit this part alone")
    parser.add_argument("--out", type=Path, default=TARGET)
    parser.add_argument("--bars", action="store_true", help="keep the constants, and take the error bars anew")
    asked = parser.parse_args()
    names = [name for name in PARTS if not asked.only or name in asked.only]
    content = fitted(load_calibration(), names, constants=not asked.bars)
    asked.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: content["constants"][name.replace("-", "_")] for name in names if "hopper" not in name}))


if __name__ == "__main__":
    main()
