"""The fastest implementation is taken, and never one slower than the dense layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from headroom.change.synapses.kernels.choose import DENSE, choose, chosen
from headroom.errors import UsageError


class Known:
    """A program that takes what it says, one launch after the other."""

    workspace_bytes = 0

    def __init__(self, *times_us: float) -> None:
        self.times_us, self.turns = times_us, 0

    def launch(self) -> None:
        self.turns += 1

    def outputs(self) -> Sequence[Any]:
        return ()


def time_us(program: Any) -> float:
    program.launch()
    return program.times_us[program.turns % len(program.times_us)]


def test_the_fastest_by_median_over_turns_is_taken() -> None:
    programs = {DENSE: Known(10), "channel": Known(8), "column": Known(7, 7, 90), "other": Known(9)}
    choice = choose(programs, time_us)
    assert choice.name == "column"
    assert choice.speedup == pytest.approx(10 / 7)
    assert {program.turns for program in programs.values()} == {5}


@pytest.mark.parametrize("other_us", [9.9, 10, 11])
def test_dense_stays_where_nothing_is_faster_beyond_noise(other_us: float) -> None:
    choice = chosen({DENSE: 10, "column": other_us})
    assert (choice.name, choice.speedup) == (DENSE, 1)


def test_without_the_dense_layer_nothing_is_chosen() -> None:
    with pytest.raises(UsageError, match="dense"):
        choose({"column": Known(1)}, time_us)
