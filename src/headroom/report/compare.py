"""Two answers side by side: what moved between them.

Works on answers as dictionaries, so that files written on different days or machines can be compared.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headroom import figures
from headroom.errors import ModelError
from headroom.report.published import read_answers
from headroom.text import view

Answer = Mapping[str, Any]

_BOUNDS = (
    ("Speed of light", "speed_of_light"),
    ("Parallel", "parallel"),
    ("Fused", "fused"),
    ("Sequential", "sequential"),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A time in two answers, in microseconds, each with its error bar; ``None`` where an answer has none."""

    label: str
    a_us: float | None
    b_us: float | None
    a_error_pct: float | None
    b_error_pct: float | None

    @property
    def change_us(self) -> float | None:
        return None if self.a_us is None or self.b_us is None else self.b_us - self.a_us

    @property
    def ratio(self) -> float | None:
        """``b`` over ``a``: below 1 where ``b`` is faster."""
        return None if self.a_us is None or self.b_us is None or self.a_us <= 0 else self.b_us / self.a_us

    @property
    def within_error(self) -> bool:
        """Whether the two error bars overlap, so that the change may be none."""
        if self.a_us is None or self.b_us is None or self.change_us is None:
            return True
        a_bar = self.a_us * (self.a_error_pct or 0.0) / 100
        b_bar = self.b_us * (self.b_error_pct or 0.0) / 100
        return abs(self.change_us) <= a_bar + b_bar


@dataclass(frozen=True, slots=True)
class Mover:
    """A layer whose time differs; ``count`` occurrences behave alike, and the times are their sums.

    The sources say where each side's time comes from: part of a change from predicted to measured is the theory's.
    """

    figure: Figure
    count: int
    a_bottleneck: str
    b_bottleneck: str
    a_source: str
    b_source: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two answers. ``movers`` come with the biggest change first.

    ``only_a`` and ``only_b`` name the layers that the other answer lacks, in the order of the model; ``a_measured``
    and ``b_measured`` say how much of each is measured, and where.
    """

    a_title: str
    b_title: str
    a_batch: int
    b_batch: int
    bounds: tuple[Figure, ...]
    kinds: tuple[Figure, ...]
    movers: tuple[Mover, ...]
    shared_layers: int
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    a_unknown_share: float
    b_unknown_share: float
    a_measured: str
    b_measured: str
    a_version: str
    b_version: str


def compare_files(a_path: str | os.PathLike[str], b_path: str | os.PathLike[str]) -> tuple[Comparison, ...]:
    """The comparisons of two files: one, or one per GPU, batch and data type that both hold.

    Raises:
        ModelError: a file cannot be read, lacks a field, or shares no GPU and batch with the other.
    """
    a, b = read_answers(a_path), read_answers(b_path)
    if len(a) == len(b) == 1:
        return (compare(a[0], b[0]),)
    pairs = _paired(a, b)
    if not pairs:
        raise ModelError(
            f"{a_path} and {b_path} share no GPU, batch and data type; write both for the same `--gpu` and `--batch`"
        )
    return tuple(compare(first, second) for first, second in pairs)


def compare(a: Answer, b: Answer) -> Comparison:
    """What moved from ``a`` to ``b``. Layers are matched by name, each occurrence on its own."""
    a_layers, b_layers = _by_name(a), _by_name(b)
    shared = [name for name in a_layers if name in b_layers]
    return Comparison(
        a_title=_title(a),
        b_title=_title(b),
        a_batch=a["batch"],
        b_batch=b["batch"],
        bounds=_bounds(a, b),
        kinds=_kinds(a, b),
        movers=_movers(shared, a_layers, b_layers),
        shared_layers=len(shared),
        only_a=tuple(name for name in a_layers if name not in b_layers),
        only_b=tuple(name for name in b_layers if name not in a_layers),
        a_unknown_share=a["bounds"]["unknown_share"],
        b_unknown_share=b["bounds"]["unknown_share"],
        a_measured=_measured(a),
        b_measured=_measured(b),
        a_version=a["headroom_version"],
        b_version=b["headroom_version"],
    )


def _measured(answer: Answer) -> str:
    """``97 % of the time measured on NVIDIA H200, driver 580…``; empty where nothing is."""
    rows = answer["layers"]
    total_us = sum((row["time_us"] or 0.0) * row["count"] for row in rows)
    measured_us = sum((row["time_us"] or 0.0) * row["count"] for row in rows if row["source"] == "measured")
    if not measured_us:
        return ""
    system = f" on {view(answer['system'], 120)}" if answer["system"] else ""
    return f"{figures.percent(measured_us / total_us)} of the time measured{system}"


def _paired(a: Sequence[Answer], b: Sequence[Answer]) -> list[tuple[Answer, Answer]]:
    """Answers for the same GPU, batch and data type, in the order of ``a``."""
    second = {_key(answer): answer for answer in b}
    return [(answer, second[_key(answer)]) for answer in a if _key(answer) in second]


def _key(answer: Answer) -> tuple[str, int, str, str]:
    return answer["gpu"], answer["batch"], answer["dtype"], answer["l2"]


def _title(answer: Answer) -> str:
    model, gpu = view(answer["model"], 60), view(answer["gpu_name"], 60)
    return f"{model} on {gpu} · batch {answer['batch']} · {answer['dtype']} · L2 {answer['l2']}"


def _bounds(a: Answer, b: Answer) -> tuple[Figure, ...]:
    bounds = [
        Figure(
            label,
            a["bounds"][f"{key}_us"],
            b["bounds"][f"{key}_us"],
            a["bounds"][f"{key}_error_pct"],
            b["bounds"][f"{key}_error_pct"],
        )
        for label, key in _BOUNDS
    ]
    if a["measured_us"] is not None or b["measured_us"] is not None:
        # An answer of a version that measured nothing has no error bar for it.
        errors = a.get("measured_error_pct"), b.get("measured_error_pct")
        bounds.append(Figure("Measured", a["measured_us"], b["measured_us"], *errors))
    return tuple(bounds)


def _kinds(a: Answer, b: Answer) -> tuple[Figure, ...]:
    """Time per kind, biggest change first; a kind that an answer lacks takes no time there."""
    errors = a["bounds"]["sequential_error_pct"], b["bounds"]["sequential_error_pct"]
    names = dict.fromkeys((*a["time_by_kind"], *b["time_by_kind"]))
    kinds = [
        Figure(name, a["time_by_kind"].get(name, 0.0), b["time_by_kind"].get(name, 0.0), *errors) for name in names
    ]
    return tuple(sorted(kinds, key=lambda figure: -abs(figure.change_us or 0.0)))


def _by_name(answer: Answer) -> dict[str, Mapping[str, Any]]:
    """Each occurrence's row by its name; a name that occurs twice is told apart by its number."""
    rows: dict[str, Mapping[str, Any]] = {}
    for layer in answer["layers"]:
        for name in layer["names"]:
            key, number = name, 1
            while key in rows:
                number += 1
                key = f"{name} ({number})"
            rows[key] = layer
    return rows


def _movers(
    shared: Sequence[str], a_layers: Mapping[str, Mapping[str, Any]], b_layers: Mapping[str, Mapping[str, Any]]
) -> tuple[Mover, ...]:
    """Shared layers whose time changed, those of the same two configurations as one."""
    groups: dict[tuple[int, int], list[str]] = {}
    for name in shared:
        groups.setdefault((id(a_layers[name]), id(b_layers[name])), []).append(name)
    movers = [_mover(names, a_layers[names[0]], b_layers[names[0]]) for names in groups.values()]
    changed = [mover for mover in movers if mover.figure.a_us != mover.figure.b_us]
    return tuple(sorted(changed, key=lambda mover: -abs(mover.figure.change_us or 0.0)))


def _mover(names: Sequence[str], a: Mapping[str, Any], b: Mapping[str, Any]) -> Mover:
    count = len(names)
    a_us, b_us = (None if row["time_us"] is None else row["time_us"] * count for row in (a, b))
    figure = Figure(names[0], a_us, b_us, a["error_pct"], b["error_pct"])
    return Mover(figure, count, a["bottleneck"], b["bottleneck"], a["source"], b["source"])
