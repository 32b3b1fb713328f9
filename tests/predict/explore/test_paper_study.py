"""DeLTA's scaling study (section VII-C) through ``headroom explore``: ResNet-152 on the TITAN Xp's design options."""

from __future__ import annotations

from pathlib import Path

import pytest

import headroom as hr
from delta_study.networks import graph_of, resnet152
from headroom.predict.delta.published import DESIGN_OPTIONS, scaled_gpu, table_one_gpu
from headroom.predict.prediction import Bottleneck

DESIGNS = Path(__file__).parents[3] / "examples" / "delta_designs.toml"
TITAN_XP = table_one_gpu("TITAN Xp")


@pytest.fixture(scope="module")
def study() -> hr.Exploration:
    return hr.explore(graph_of("ResNet-152", resnet152()), TITAN_XP, designs=DESIGNS, theory="delta", dtype="fp32")


@pytest.fixture(scope="module")
def speedup(study: hr.Exploration) -> dict[str, float]:
    return dict(zip(study.space.given_names, study.speedups.tolist(), strict=True))


def share(study: hr.Exploration, option: str, limit: Bottleneck) -> float:
    return study.shares(study.space.given_names.index(option)).get(limit, 0.0)


def test_the_file_has_the_figure_s_options(study: hr.Exploration) -> None:
    from headroom.gpu.designs import design_of

    for at, option in enumerate(DESIGN_OPTIONS[1:]):
        ours, theirs = design_of(study.sheets, at), scaled_gpu(TITAN_XP, option)
        assert study.space.given_names[at] == option.name
        assert (ours.sms, ours.registers_per_sm) == (theirs.sms, theirs.registers_per_sm)
        assert ours.shared_bytes_per_sm == theirs.shared_bytes_per_sm
        assert ours.plain_tflops["fp32"] == pytest.approx(theirs.plain_tflops["fp32"])
        for level in ("l1", "l2", "dram", "shared"):
            assert getattr(ours, level).bandwidth_gbs == pytest.approx(getattr(theirs, level).bandwidth_gbs)
        assert study.space.changes(at).get("tile", "x1") == f"x{option.tile // 128}"


def test_options_1_and_2_reach_what_the_paper_states(speedup: dict[str, float]) -> None:
    assert speedup["1"] == pytest.approx(1.9, rel=0.1)
    assert speedup["2"] == pytest.approx(3.4, rel=0.1)


def test_more_arithmetic_alone_stays_near_twice_and_memory_and_sm_resources_hold_it(
    study: hr.Exploration, speedup: dict[str, float]
) -> None:
    for option in ("3", "4"):
        assert speedup[option] == pytest.approx(2, rel=0.2)
    assert share(study, "4", Bottleneck.DRAM) > 0.3
    assert share(study, "4", Bottleneck.LATENCY) > 0.5  # too few CTAs fit on an SM to hide loads: its registers
    assert share(study, "4", Bottleneck.COMPUTE) < 0.01


def test_option_5_comes_near_option_2_with_a_quarter_of_the_sms(speedup: dict[str, float]) -> None:
    assert speedup["5"] == pytest.approx(speedup["2"], rel=0.1)


def test_option_6_is_limited_by_l2_bandwidth(study: hr.Exploration) -> None:
    assert share(study, "6", Bottleneck.L2) > 0.2
    assert all(share(study, name, Bottleneck.L2) < 0.05 for name in study.space.given_names if name != "6")


def test_option_9_beats_option_8(speedup: dict[str, float]) -> None:
    assert speedup["9"] > speedup["8"]


def test_the_product_s_sheet_gives_the_same_study_as_table_1(speedup: dict[str, float]) -> None:
    ours = hr.explore(graph_of("ResNet-152", resnet152()), "titan-xp", designs=DESIGNS, theory="delta")
    assert ours.speedups.tolist() == pytest.approx(list(speedup.values()), rel=0.02)
