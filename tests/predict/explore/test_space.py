"""What a user may vary, and how settings read."""

from __future__ import annotations

import numpy as np
import pytest

from headroom.errors import UsageError
from headroom.gpu.designs import design_of, field_values, sheets_of
from headroom.gpu.schema import FIELDS
from headroom.gpu.sheets import list_gpus, load_gpu
from headroom.gpu.spec import GpuSpec
from headroom.predict.explore.space import MOST_DESIGNS, grid, named

TITAN_XP = load_gpu("titan-xp")


def one(settings: dict[str, object], gpu: GpuSpec = TITAN_XP) -> GpuSpec:
    space = named({"it": settings}, gpu)
    return design_of(sheets_of(gpu, space.settings, 1), 0)


def test_a_bare_number_and_x_are_factors_and_an_at_sign_is_a_value() -> None:
    assert one({"sms": 2}).sms == one({"sms": "2"}).sms == one({"sms": "x2"}).sms == 60
    assert one({"sms": "@2"}).sms == 2


def test_a_factor_of_one_never_changes_anything() -> None:
    for gpu in list_gpus():
        unchanged = one(dict.fromkeys(field_values(gpu), 1), gpu)
        assert field_values(unchanged) == pytest.approx(field_values(gpu), rel=1e-12)


def test_every_field_of_every_sheet_can_vary() -> None:
    h200 = load_gpu("h200")
    rates_it_lacks = {"plain_tflops.tf32", "plain_tflops.fp8", "tensor_tflops.fp32"}
    assert set(FIELDS) - set(field_values(h200)) == {"tensor_clock_mhz", *rates_it_lacks}
    for name in field_values(h200):
        assert len(grid({name: [1, 1.01]}, h200)) == 2


def test_the_sms_own_rates_follow_the_sms_and_the_clock_and_a_factor_comes_on_top() -> None:
    twice = one({"sms": 2})
    assert twice.plain_tflops["fp32"] == pytest.approx(2 * TITAN_XP.plain_tflops["fp32"])
    assert twice.l1.bandwidth_gbs == pytest.approx(2 * TITAN_XP.l1.bandwidth_gbs)
    assert twice.l2 == TITAN_XP.l2
    eight = one({"sms": 2, "plain_tflops": 4})
    assert eight.plain_tflops["fp32"] == pytest.approx(8 * TITAN_XP.plain_tflops["fp32"])
    assert one({"sms": 2, "plain_tflops.fp32": "@20"}).plain_tflops["fp32"] == 20
    assert one({"dram_bw": 1.5}).dram.bandwidth_gbs == pytest.approx(1.5 * TITAN_XP.dram.bandwidth_gbs)


def test_a_lower_latency_of_the_l2_brings_dram_nearer_by_as_much() -> None:
    nearer = one({"l2_latency": 0.5})
    assert nearer.dram.latency_ns == pytest.approx(TITAN_XP.dram.latency_ns - 0.5 * TITAN_XP.l2.latency_ns)
    assert one({"l2_latency": 0.5, "dram_latency": "@400"}).dram.latency_ns == 400


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("setting", ["1e308", "@1e308"])
def test_a_number_beyond_all_numbers_is_impossible_and_no_warning_of_numpy_s(setting: str) -> None:
    h200 = load_gpu("h200")
    assert sheets_of(h200, grid({"sms": [setting]}, h200).settings, 1).impossible[0].startswith("sms would be")


def test_a_design_is_what_a_sheet_with_that_base_says(tmp_path) -> None:
    sheet = tmp_path / "mine.toml"
    sheet.write_text('base = "h200"\nsms = 165\nclock_mhz = 1800\ndram_peak_gbs = 6000\nl2_latency_ns = 100\n')
    changed = {"sms": "@165", "clock": "@1800", "dram_bw": "@6000", "l2_latency": "@100"}
    ours = one(changed, load_gpu("h200"))
    theirs = field_values(load_gpu(sheet))
    assert field_values(ours) == pytest.approx(theirs, rel=1e-12)


def test_a_grid_has_every_combination_and_names_what_changes() -> None:
    space = grid({"sms": [1, 2], "dram_bw": ["x1.5", "@600"]}, TITAN_XP)
    assert [space.name(i) for i in range(4)] == [
        "dram_bw x1.5", "dram_bw @600", "sms x2, dram_bw x1.5", "sms x2, dram_bw @600",
    ]  # fmt: skip
    assert grid({"sms": [1]}, TITAN_XP).name(0) == "unchanged"
    assert len(grid({"sms": (1, "x1", "1.0")}, TITAN_XP)) == 1
    assert len(grid({"sms": np.array([1.0, 2.0])}, TITAN_XP)) == 2


def test_named_designs_keep_their_names_and_order() -> None:
    space = named({"b": {"sms": 2}, "a": {"dram_bw": 1.5, "sms": 2}, "as it is": {}}, TITAN_XP)
    assert [space.name(i) for i in range(3)] == ["b", "a", "as it is"]
    assert [space.changes(i) for i in range(3)] == [{"sms": "x2"}, {"sms": "x2", "dram_bw": "x1.5"}, {}]


@pytest.mark.parametrize(
    ("vary", "sentence"),
    [
        ({}, "nothing varies"),
        ({"smms": [1]}, "unknown field 'smms'; did you mean 'sms'?"),
        ({"sms": []}, "sms has no settings"),
        ({"sms": "1,2"}, "sms has no settings"),
        ({"sms": [""]}, "sms is set to the text ''"),
        ({"sms": ["many"]}, "sms is set to the text 'many'; expected 2 or x2"),
        ({"sms": [True]}, "sms is set to True"),
        ({"sms": [-1]}, "sms is set to -1"),
        ({"sms": ["nan"]}, "sms is set to the text 'nan'"),
        ({"sms": [0]}, "sms is set to 0"),
        ({"sms": ["1e400"]}, "sms is set to the text '1e400'"),
        ({"tile": ["@0x128"]}, "tile is set to the text '@0x128'"),
        ({"tile": ["@128"]}, "tile is set to the text '@128'"),
        ({"flops": ["@20"]}, "flops stands for several rates"),
        ({"dram_bw": [1], "dram_peak_gbs": [1]}, "dram_bw and dram_peak_gbs both set dram_peak_gbs"),
        ({"flops": [1], "plain_tflops.fp32": [1]}, "both set plain_tflops.fp32"),
        ({"tensor_clock_mhz": [1]}, "cannot vary"),
        ({name: range(1, 100) for name in ("sms", "clock", "dram_bw")}, f"more than {MOST_DESIGNS}"),
    ],
)
def test_what_cannot_be_varied_is_a_sentence(vary: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        grid(vary, TITAN_XP)
    assert sentence in str(caught.value)


def test_a_factor_on_a_rate_that_the_gpu_lacks_is_refused_and_a_value_is_not() -> None:
    with pytest.raises(UsageError, match=r"TITAN Xp has no tensor_tflops.bf16 to multiply"):
        one({"tensor_tflops.bf16": 2})
    assert one({"tensor_tflops.bf16": "@100"}).tensor_tflops["bf16"] == 100


def test_an_error_in_a_named_design_names_it() -> None:
    with pytest.raises(UsageError, match="design 'wide': unknown field 'smms'"):
        named({"wide": {"smms": 2}}, TITAN_XP)
    with pytest.raises(UsageError, match="there is no design"):
        named({}, TITAN_XP)
