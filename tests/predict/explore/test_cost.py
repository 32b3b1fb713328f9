"""Cost functions: a user's file gives numbers, and nothing else can get in."""

from __future__ import annotations

from pathlib import Path

import pytest

from headroom.errors import UsageError
from headroom.gpu.designs import sheets_of
from headroom.gpu.sheets import load_gpu
from headroom.predict.explore.cost import cost_of, read_cost
from headroom.predict.explore.space import grid

TITAN_XP = load_gpu("titan-xp")


def costs(raw: dict[str, object], vary: dict[str, list[object]]) -> list[float]:
    space = grid(vary, TITAN_XP)
    return cost_of(raw).of(sheets_of(TITAN_XP, space.settings, len(space))).tolist()


def test_a_cost_is_fixed_parts_and_terms_that_grow_with_fields() -> None:
    assert costs({"fixed": 10, "per_unit": {"sms": 2}}, {"sms": [1, 2]}) == [70, 130]
    term = {"at_base": 100, "of": {"sms": 1, "clock": 3}}
    assert costs({"term": [term]}, {"sms": [1, 2], "clock": [1, 2]}) == pytest.approx([100, 800, 200, 1600])
    assert costs({"term": [{"per_unit": 0.5, "of": {"sms": 2}}]}, {"sms": [1]}) == [450]


def test_a_file_reads_like_its_example(tmp_path: Path) -> None:
    path = tmp_path / "area.toml"
    path.write_text(
        'name = "area"\nunit = "mm2"\nfixed = 60\nper_unit = { dram_peak_gbs = 0.1 }\n'
        "[[term]]\nat_base = 300\nof = { sms = 1, registers_per_sm = 0.5, plain_tflops.fp32 = 0.1 }\n"
    )
    cost = read_cost(path)
    assert (cost.name, cost.unit, cost.fixed, len(cost.terms)) == ("area", "mm2", 60, 2)
    assert cost.terms[1].powers[-1] == ("plain_tflops.fp32", 0.1)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "costs nothing"),
        ("sms = 1", "unknown key 'sms'"),
        ("per_unit = { smms = 1 }", "unknown field 'smms'"),
        ("per_unit = 3", "per_unit is a table"),
        ("per_unit = { sms = true }", "per_unit.sms is no number"),
        ("per_unit = { sms = nan }", "no number"),
        (f"fixed = 1{'0' * 400}", "fixed is no number"),
        ("per_unit = { sms = \"__import__('os')\" }", "no number"),
        ("[[term]]\nat_base = 3", "a [[term]] has"),
        ("[[term]]\nat_base = 3\nof = {}", "of names fields"),
        ("[[term]]\nat_base = 3\nof = { sms = 99 }", "the power of sms is 99"),
        ("name = 3\nfixed = 1", "name is no short text"),
        ("term = 3", "each term a [[term]] table"),
        ("fixed = ", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_a_sentence_that_names_it(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "cost.toml"
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        read_cost(path)
    assert sentence in str(caught.value)
    assert "cost.toml" in str(caught.value)


def test_a_field_that_the_gpu_lacks_has_no_cost() -> None:
    with pytest.raises(UsageError, match=r"names tensor_tflops.bf16, which TITAN Xp does not have"):
        costs({"per_unit": {"tensor_tflops.bf16": 1}}, {"sms": [1]})
