"""The library refuses arguments that cannot be meant, in one sentence of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headroom as hr
from headroom.errors import UsageError

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "resnet50.onnx"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"batch": 1.5}, "batch is 1.5; expected a whole number"),
        ({"batch": "2"}, "batch is '2'; expected a whole number"),
        ({"dims": {"n": None}}, r"dims\['n'\] is None; expected a whole number"),
    ],
)
def test_a_size_that_is_no_whole_number_is_refused(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        hr.load(EXAMPLE, **arguments)


def test_a_modules_dimensions_are_not_silently_ignored() -> None:
    with pytest.raises(UsageError, match="a PyTorch model has static inputs"):
        hr.load(object(), (), dims={"sequence": 128})


@pytest.mark.parametrize("gpu", [None, 3])
def test_what_is_no_gpu_is_refused(gpu: Any) -> None:
    with pytest.raises(UsageError, match="expected a sheet's id, the path of a sheet, or a GpuSpec"):
        hr.analyze(hr.load(EXAMPLE), gpu)


def test_a_path_is_no_graph() -> None:
    with pytest.raises(UsageError, match=r"not str: analyze\(load\(model\), gpu\)"):
        hr.analyze("resnet50.onnx", "h200")  # type: ignore[arg-type]
