"""The unit's model agrees with the formats, and the Verilog with the model."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import dfu_page
import fission_format_page
from headroom.change.fission import format_called
from headroom.change.fission.unit import EXPONENT_BITS, bias_difference, dfu_cvt_8, dfu_cvt_16

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "dfu"


def the_example():
    spec = importlib.util.spec_from_file_location("dfu_example", FOLDER / "check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("exponent_bits", EXPONENT_BITS)
def test_the_eight_bit_instruction_gives_what_the_papers_format_means_for_every_code(exponent_bits):
    codes = np.arange(256, dtype=np.uint32)
    words = codes | np.roll(codes, 1) << 8 | np.roll(codes, 2) << 16 | np.roll(codes, 3) << 24
    table = format_called(f"deft8e{exponent_bits}_paper").code.table()

    values = dfu_cvt_8(words, exponent_bits)

    for place in range(4):
        assert np.array_equal(values[:, place], np.roll(table, place))


def test_the_sixteen_bit_instruction_unpacks_deft16q():
    rows = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)
    packed = format_called("deft16q").pack(rows)

    assert np.array_equal(dfu_cvt_16(packed.words).reshape(4, 64), format_called("deft16q").unpack(packed))


@pytest.mark.parametrize("exponent_bits", [0, 8, -1])
def test_an_exponent_width_the_instruction_cannot_hold_is_refused(exponent_bits):
    with pytest.raises(ValueError, match="1 to 7 exponent bits"):
        bias_difference(exponent_bits)


def test_the_verilog_unit_gives_the_models_bits_in_a_simulator():
    if shutil.which("iverilog") is None:
        pytest.skip("no Icarus Verilog (iverilog) on this machine")
    said = the_example().check()

    assert said.endswith(" tests, 0 wrong")
    assert int(said.split()[0]) > 20_000


def test_the_simulator_sees_a_wrong_bias(tmp_path):
    if shutil.which("iverilog") is None:
        pytest.skip("no Icarus Verilog (iverilog) on this machine")
    for name in ("dfu.v", "dfu_check.v"):
        text = (FOLDER / name).read_text()
        (tmp_path / name).write_text(text.replace("8'd128 - (8'd1", "8'd127 - (8'd1"))

    assert not the_example().check(tmp_path).endswith(" 0 wrong")


def test_the_page_on_formats_is_what_its_script_makes_of_the_errors():
    content = json.loads((ROOT / "benchmarks" / "results" / "fission_formats.json").read_text("utf-8"))

    written = (ROOT / "docs" / "formats.md").read_text("utf-8")
    assert fission_format_page.page(content) == written, "run benchmarks/fission_formats.py"


def test_the_page_is_what_its_script_makes_of_the_gates():
    content = json.loads((ROOT / "benchmarks" / "results" / "dfu_gates.json").read_text("utf-8"))

    assert dfu_page.page(content) == (ROOT / "docs" / "dfu.md").read_text("utf-8"), "run benchmarks/dfu_gates.py"
    assert content["simulation"].endswith(" 0 wrong")
