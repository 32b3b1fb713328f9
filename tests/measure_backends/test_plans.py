"""Listing and choosing plans, on a library that stands in for cuDNN."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from headroom.measure.backends.cudnn.knobs import AT_LEAST, LISTED, TILES_PER_ENGINE, replayed
from headroom.measure.backends.cudnn.plans import QUICK_PLANS, Plans, reason_of
from headroom.measure.bench import UnsupportedError

cudnn = pytest.importorskip("cudnn")

MODES = cudnn.heur_mode
TILE = cudnn.knob_type.TILE_SIZE


@dataclass
class StandIn:
    """Proposes names by heuristic; strict fp32 bars the engines ``tensor_cores``, plans ``broken`` fail to build."""

    proposals: dict[Any, list[str]]
    engines: int = 0
    tensor_cores: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()
    plans: list[str] = field(default_factory=list)
    barred: set[int] = field(default_factory=set)
    built: list[str] = field(default_factory=list)

    def create_execution_plans(self, modes: list[Any]) -> None:
        if not self.proposals.get(modes[0]):
            raise RuntimeError("No valid engine configs")
        self.plans += self.proposals[modes[0]]

    def create_execution_plan(self, engine: int, knobs: dict[Any, int]) -> None:
        self.plans.append("_".join([f"eng{engine}", *(f"k2={value}" for value in knobs.values())]))

    def get_execution_plan_count(self) -> int:
        return len(self.plans)

    def get_plan_name_at_index(self, index: int) -> str:
        return self.plans[index]

    def get_engine_count(self) -> int:
        return self.engines

    def get_knobs_for_engine(self, engine: int) -> list[Any]:
        if engine % 2:
            raise RuntimeError("CUDNN_STATUS_NOT_SUPPORTED")
        return [SimpleNamespace(type=TILE, min_value=0, max_value=99, stride=1)]

    def deselect_numeric_notes(self, notes: list[Any]) -> None:
        assert cudnn.numerical_note.TENSOR_CORE in notes
        self.barred |= {i for i, name in enumerate(self.plans) if name.partition("_")[0] in self.tensor_cores}

    def build_plan_at_index(self, index: int) -> None:
        if index in self.barred:
            raise RuntimeError("Deselecting execution plan")
        if self.plans[index] in self.broken:
            raise RuntimeError("CUDNN_STATUS_NOT_SUPPORTED; Reason: too many channels")
        self.built.append(self.plans[index])

    def get_workspace_size_plan_at_index(self, index: int) -> int:
        return 1024 * index


class Described:
    """A description whose graph the library takes."""

    def __init__(self, stand_in: StandIn) -> None:
        self.graph = SimpleNamespace(validate=lambda: None, build_operation_graph=lambda: None, _lowered_graph=stand_in)


def plans_of(stand_in: StandIn, *, strict: bool = False) -> Plans:
    return Plans(Described(stand_in), strict=strict)  # type: ignore[arg-type]


def test_heuristics_come_in_order_and_no_plan_comes_twice():
    stand_in = StandIn(
        {MODES.A: ["eng5_k2=1", "eng5_k2=2"], MODES.B: ["eng5_k2=2", "eng7"], MODES.FALLBACK: ["eng5_k2=1"]}
    )
    assert list(plans_of(stand_in).names("all")) == ["eng5_k2=1", "eng5_k2=2", "eng7"]


def test_a_quick_look_takes_the_first_of_the_first_heuristic():
    stand_in = StandIn({MODES.A: [f"eng5_k2={i}" for i in range(20)], MODES.B: ["eng7"]})
    assert list(plans_of(stand_in).names("heuristic")) == [f"eng5_k2={i}" for i in range(QUICK_PLANS)]


def test_a_heuristic_without_an_answer_does_not_silence_the_others():
    assert list(plans_of(StandIn({MODES.FALLBACK: ["eng0"]})).names("all")) == ["eng0"]


def test_engines_that_no_heuristic_named_are_tried_within_a_bound():
    stand_in = StandIn({MODES.A: ["eng0_k2=1"]}, engines=80)
    names = list(plans_of(stand_in).names("all"))
    extra = [name for name in names if name != "eng0_k2=1"]
    assert len(names) == LISTED
    assert not any(name.startswith("eng0") for name in extra)
    assert sum(name.startswith("eng2_") or name == "eng2" for name in extra) <= TILES_PER_ENGINE + 1


def test_many_proposals_leave_little_room_for_other_engines():
    proposals = {MODES.A: [f"eng0_k2={i}" for i in range(60)]}
    assert len(list(plans_of(StandIn(proposals, engines=80)).names("all"))) == 60 + AT_LEAST


def test_strict_fp32_leaves_out_engines_on_tensor_cores():
    stand_in = StandIn({MODES.A: ["eng67_k2=1", "eng70_k2=2", "eng67_k2=3", "eng70_k2=4"]},
                       tensor_cores=frozenset({"eng67"}))  # fmt: skip
    assert list(plans_of(stand_in, strict=True).names("all")) == ["eng70_k2=2", "eng70_k2=4"]
    assert "eng67_k2=1" in list(plans_of(StandIn(stand_in.proposals)).names("all"))


def test_a_plan_that_the_library_declines_is_unsupported_with_its_reason():
    plans = plans_of(StandIn({MODES.A: ["eng5"]}, broken=frozenset({"eng5"})))
    assert list(plans.names("all")) == ["eng5"]
    with pytest.raises(UnsupportedError, match="too many channels"):
        plans.build("eng5")


def test_a_plan_is_found_again_by_its_name():
    proposals = {MODES.A: ["eng5_k2=1"], MODES.B: ["eng62_k2=7_k13=1_k25=0"]}
    plans = plans_of(StandIn(proposals))
    assert plans.find("eng62_k2=7_k13=1_k25=0")
    assert plans.build("eng62_k2=7_k13=1_k25=0") == 1024
    assert not plans_of(StandIn(proposals)).find("eng62_k2=8_k13=1_k25=0")


def test_a_setting_that_no_heuristic_proposed_is_made_again_from_its_name():
    assert plans_of(StandIn({MODES.A: ["eng0"]})).find("eng4_k2=17")
    assert replayed("eng4_k2=17") == (4, {TILE: 17})
    assert replayed("eng4_k13=1") is None


def test_a_reason_is_one_line():
    error = RuntimeError("No valid engine configs\nWarning: X; Reason: group count\nmore")
    assert reason_of(error) == "Warning: X; Reason: group count"
    assert reason_of(RuntimeError("")) == "RuntimeError"
