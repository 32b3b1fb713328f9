"""What each of the libraries' kernels costs on an H200, fitted on its own rows of ``results/h200_kernels.csv.gz``.

A set's kernels are fitted together by least squares of the logarithms: every family has constants of its own, every
tile strays from its family's as far as its rows demand, and all share their bandwidths. Then the kernels that the
model takes for the fastest of each layer are held against the layer's fastest time as well, until none looks faster
than what was measured. Only kernels that came within ``NEAR`` of the fastest of two layers or more are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy.optimize import least_squares

from fourier_fit import fourier_times
from grouped_slopes import Residuals, slopes
from h200_kernels import Kernel, kernels
from h200_rows import Timed
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.kernel_time import Kernels, KernelSet, Shares, choose_kernels, estimate_kernels, is_narrow
from headroom.predict.kinds.layer_products import forward_sorts, tiled_of
from headroom.predict.library import Tiled

#: Families whose steps of K each hold one filter tap's channels.
WHOLE_CHANNELS = {"gather 9.0", "gather 8.0", "native 9.0", "native 8.0", "fused 8.0"}

#: Families that PyTorch's products run on: rows that only PyTorch was timed on are held against these.
OF_PYTORCH = {"nvjet", "product 9.0", "product 8.0", "plain product", "plain product, piped"}

#: Into how many parts K is divided where products may be of any depth.
PARTS = (2, 4, 8, 16)

#: What may stand around a kernel. Kernels between transpositions are those of another tensor order.
ROLES = ("", "divided", "cleared", "pad", "convert")

#: A family's constants where the fit starts: of the main loop with large tiles the efficiency, what a small
#: tile's edge costs of it and the wait per 64 bytes of K; the start of a round, and that per 8,192 outputs; the
#: launch beyond an empty kernel's; what stands around the kernel, by role; a padded side; odd channels.
FAMILY = {
    "efficiency": 0.7, "edge": 0.1, "wait_ns": 80.0, "start_us": 1.0, "store_us": 0.5, "launch_us": 1.0,
    "divided": 1.5, "cleared": 0.7, "pad": 4.0, "convert": 2.5, "pad_us": 1.5, "misfit": 0.3,
}  # fmt: skip

#: An empty kernel of a CUDA graph: none starts sooner (docs/probe-figures.md).
EMPTY_KERNEL_US = 0.505

#: What the kernels share: start, least and most. No bandwidth exceeds what the probe measures; a cluster of two halves
#: what its CTAs load from L2.
SHARED = {
    "l2": (0.8, 0.2, 1.8), "stores": (0.6, 0.3, 0.9), "dram": (1.05, 0.6, 1.18), "cache": (0.5, 0.2, 0.8),
    "copies": (0.3, 0.02, 0.9), "sustained": (0.8, 0.5, 0.9),
}  # fmt: skip

#: What a tile may have of its own.
OWN = ("efficiency", "wait_ns", "start_us")

#: Logarithms beyond SOFT count by their size, not its square. STRAYING is what a tile's deviation counts for beside a
#: residual, FAR what a row counts for whose kernel is not within AHEAD of its layer's fastest.
SOFT, STRAYING, AHEAD, FAR = 0.05, 0.0125, 1.15, 0.4

#: No logarithm counts for more: that of a kernel which refuses the product is infinite.
FURTHEST = 3.0

#: In the second fit: what kernels' own rows count for, what fastest times do, and how often kernels are chosen anew.
OWN_ROWS, FASTEST, CHOICES = 0.5, 2.0, 3

#: A kernel within this of its layer's fastest time could be the library's choice.
NEAR = 1.03

#: A share of a kernel's rows below which the library does not offer it for such layers.
RARELY = 0.03

COLD = {"cold_us": (0.0, 5.0, 0.9), "cold_step_ns": (0.0, 400.0, 10.0), "written_back": (0.0, 1.0, 0.3)}


@dataclass(frozen=True)
class Wanted:
    """One set: its ``name`` in the calibration file without the architecture, whose layers choose from it (``sorts``)
    and of which other layers its kernels are known as well (``also``): there alone if it does not ``shares_kernels``.
    """

    name: str
    dtype: DataType
    sorts: tuple[str, ...]
    families: tuple[str, ...]
    also: tuple[str, ...] = ()
    fewest: int = 2
    shares_kernels: bool = False

    @property
    def unit(self) -> str:
        return "plain" if self.dtype is DataType.FP32 else "tensor"


_GATHER = ("gather 9.0", "gather 8.0", "gather 8.0 indexed")
_ODD = (*_GATHER, "native 9.0", "native 8.0", "fused 8.0", "product 8.0", "direct", "plain gather", "plain product")
_DENSE = ("forward", "biased")
_PLAIN = ("plain product", "plain product, piped")

SETS = (
    Wanted("tensor matmul", DataType.BF16, ("matmul",), ("nvjet", "native 9.0", "native 8.0"), ("pointwise",),
           shares_kernels=True),
    Wanted("tensor pointwise", DataType.BF16, ("pointwise",), ("nvjet", "native 9.0"), fewest=3),
    Wanted("tensor convolution", DataType.BF16, ("forward",), _GATHER),
    Wanted("tensor biased", DataType.BF16, ("biased",), ("gather 9.0", "native 9.0", "gather 8.0"),
           fewest=1),
    Wanted("tensor unaligned", DataType.BF16, ("unaligned",), (*_ODD, "nvjet"), _DENSE),
    Wanted("tensor stem", DataType.BF16, ("stem",), _ODD, ("unaligned",), fewest=1),
    Wanted("tensor grouped", DataType.BF16, ("grouped",), ("native 8.0", "native 9.0"), ("unaligned",), fewest=1),
    Wanted("tf32 matmul", DataType.TF32, ("matmul",), ("product 9.0", "product 8.0", "native 9.0", "native 8.0"),
           ("pointwise",), shares_kernels=True),
    Wanted("tf32 pointwise", DataType.TF32, ("pointwise",), ("product 9.0", "product 8.0", "gather 9.0")),
    Wanted("tf32 convolution", DataType.TF32, _DENSE, ("gather 9.0",)),
    Wanted("tf32 unaligned", DataType.TF32, ("unaligned",), _ODD, _DENSE),
    Wanted("tf32 stem", DataType.TF32, ("stem",), _ODD, ("unaligned",), fewest=1),
    Wanted("tf32 grouped", DataType.TF32, ("grouped",), ("native 8.0", "native 9.0"), ("unaligned",), fewest=1),
    Wanted("plain matmul", DataType.FP32, ("matmul",), _PLAIN, ("pointwise",),
           shares_kernels=True),
    Wanted("plain pointwise", DataType.FP32, ("pointwise",), (*_PLAIN, "plain gather")),
    Wanted("plain convolution", DataType.FP32, _DENSE, ("plain gather",)),
    Wanted("plain stem", DataType.FP32, ("stem",), ("plain gather", "gather 8.0 indexed", "direct"), _DENSE),
    Wanted("plain grouped", DataType.FP32, ("grouped",), ("plain gather", "gather 8.0 indexed", "direct"), _DENSE,
           fewest=1),
)  # fmt: skip


Tile = tuple[str, int, int, int]
Key = tuple[Tile, int, str]


def tile_of(kernel: Kernel) -> Tile:
    """What makes two rows the same kernel, whatever stands around it."""
    return kernel.family, kernel.tile_m, kernel.tile_n, kernel.tile_k


def name_of(key: Key) -> str:
    """What the calibration file calls a kernel: ``nvjet 64x128x64``, ``plain product 64x64x8, K in 4, divided``."""
    (family, *tile), splits, role = key
    return ", ".join(filter(None, (f"{family} {'x'.join(map(str, tile))}", f"K in {splits}" * (splits > 1), role)))


@cache
def by_layer() -> dict[tuple[str, str], list[Kernel]]:
    found: dict[tuple[str, str], list[Kernel]] = {}
    for kernel in kernels():
        found.setdefault((kernel.digest, kernel.dtype), []).append(kernel)
    return found


def sort_of_row(row: Timed, unit: str) -> str:
    """``matmul``, a forward convolution's sort, or nothing for a layer that no set is fitted on."""
    if row.op == "matmul":
        return "matmul"
    work = row.layer.work
    if row.op != "conv2d" or work.direction != "forward" or not row.layer.weights:  # type: ignore[union-attr]
        return ""
    return forward_sorts([row.layer], row.dtype, unit)[0]


@dataclass(frozen=True)
class Facts:
    """What the constants do not change of some kernels: places of tile and family, resources, flags, role."""

    tile: np.ndarray
    splits: np.ndarray
    role: np.ndarray
    resources: np.ndarray
    flags: np.ndarray
    least_k: np.ndarray


class Set:
    """One set while it is fitted: its layers, its kernels' rows, and the constants ``x`` (logarithms)."""

    def __init__(self, want: Wanted, gpu: GpuSpec, rows: Sequence[Timed]) -> None:
        self.want, self.gpu = want, gpu
        sorts = {id(row): sort_of_row(row, want.unit) for row in rows if row.dtype == want.dtype}
        # What Fourier transforms run fastest says nothing of the others.
        fourier = fourier_times()
        own = [
            row
            for row in rows
            if sorts.get(id(row)) in want.sorts
            and not (want.unit == "plain" and fourier.get(row.digest, np.inf) <= NEAR * row.measured_us)
        ]
        self.layers, self.cold = ([row for row in own if row.l2 == l2] for l2 in ("warm", "cold"))
        self.chooses = self._tiled(self.layers)
        self.fastest_us = np.array([row.measured_us for row in self.layers])
        pairs = [
            (row, kernel)
            for row in rows
            if row.l2 == "warm" and sorts.get(id(row)) in (*want.sorts, *want.also)
            for kernel in by_layer().get((row.digest, str(row.dtype)), ())
            if kernel.family in want.families and kernel.role in ROLES
        ]
        self.given = self._tiled([row for row, _ in pairs])
        self.given_us = np.array([kernel.time_us for _, kernel in pairs])
        self.keys = [(tile_of(kernel), kernel.splits, kernel.role) for _, kernel in pairs]
        self.weights = np.array([1.0 if row.measured_us * AHEAD > kernel.time_us else FAR for row, kernel in pairs])
        self.tiles = sorted({tile for tile, _, _ in self.keys})
        self.families = sorted({tile[0] for tile in self.tiles})
        near = Counter(
            key
            for key, (row, kernel) in zip(self.keys, pairs, strict=True)
            if (want.shares_kernels or sorts[id(row)] in want.sorts) and kernel.time_us < NEAR * row.measured_us
        )
        self.kept = sorted(key for key, count in near.items() if count >= want.fewest)
        if want.shares_kernels:
            # A deeper product than any layer's is divided into more parts.
            able = zip(self.keys, self.weights, strict=True)
            divided = {tile for (tile, _, role), weight in able if role == "divided" and weight > FAR}
            self.kept = sorted({*self.kept, *((tile, parts, "divided") for tile in divided for parts in PARTS)})
        every = np.arange(len(self.kept))
        of_torch = np.array([i for i in every if self.kept[i][0][0] in OF_PYTORCH], dtype=np.intp)
        is_torch = np.array([not row.digest for row in self.layers], dtype=bool)
        self.offers = [(np.flatnonzero(is_torch), of_torch), (np.flatnonzero(~is_torch), every)]
        self.given_facts, self.kept_facts = (self._facts(keys, pairs) for keys in (self.keys, self.kept))
        self.x = self._start()

    def _tiled(self, rows: Sequence[Timed]) -> Tiled:
        sort = "matmul" if self.want.sorts == ("matmul",) else "forward"
        return tiled_of([row.layer for row in rows], self.want.dtype, sort)

    def _start(self) -> np.ndarray:
        shared = np.log([start for start, _, _ in SHARED.values()])
        families = np.tile(np.log([*FAMILY.values()]), len(self.families))
        return np.concatenate([shared, families, np.zeros(len(OWN) * len(self.tiles))])

    def _facts(self, keys: Sequence[Key], pairs: Sequence[tuple[Timed, Kernel]]) -> Facts:
        resources: dict[Tile, list[tuple[int, int, int]]] = {}
        met: dict[tuple[str, str], list[int]] = {}
        least: dict[str, float] = {}
        for place, (_, kernel) in enumerate(pairs):
            resources.setdefault(tile_of(kernel), []).append((kernel.threads, kernel.registers, kernel.shared_bytes))
            met.setdefault((kernel.family, kernel.role), []).append(place)
            part_k = self.given.problems.k[place] / kernel.splits
            least[kernel.family] = min(least.get(kernel.family, np.inf), part_k if kernel.splits > 1 else np.inf)
        channels, is_tensor = self.given.channels, self.want.unit == "tensor"
        narrow = is_narrow(self.given.problems)
        # Fused arithmetic is a matter of the family; what a few rows of one role have in common says nothing of it.
        biased: dict[str, bool] = {}
        for (family, _), places in met.items():
            biased[family] = biased.get(family, True) and bool(channels.has_bias[places].all())
        needs = {
            (family, role): (
                float(channels.is_product[places].all()),
                float(is_tensor and not channels.odd_in[places].any()),
                float(is_tensor and biased[family]),
                float(role == "divided" and not is_tensor and narrow[places].mean() < RARELY),
            )
            for (family, role), places in met.items()
        }
        flags = [
            (float(tile[0] in WHOLE_CHANNELS), float(role == "pad"), float(role == "convert"), *needs[tile[0], role])
            for tile, _, role in keys
        ]
        return Facts(
            tile=np.array([self.tiles.index(tile) for tile, _, _ in keys], dtype=np.intp),
            splits=np.array([splits for _, splits, _ in keys], dtype=np.float64),
            role=np.array([[role == name for name in ROLES[1:]] for _, _, role in keys], dtype=np.float64).T,
            resources=np.array([np.median(resources[tile], axis=0) for tile, _, _ in keys], dtype=np.float64).T,
            flags=np.array(flags, dtype=np.float64).T,
            least_k=np.array([splits * least[tile[0]] if splits > 1 else 0.0 for tile, splits, _ in keys]),
        )

    def kernels(self, x: np.ndarray, facts: Facts) -> Kernels:
        """The kernels of ``facts`` with the constants ``x``."""
        sizes = np.array([tile[1:] for tile in self.tiles], dtype=np.float64).T
        m, n, step = sizes[0], sizes[1], sizes[2] * self.want.dtype.bytes
        begin, end = len(SHARED), len(SHARED) + len(FAMILY) * len(self.families)
        families = np.exp(x[begin:end]).reshape(-1, len(FAMILY))[[self.families.index(t[0]) for t in self.tiles]]
        of = dict(zip(FAMILY, families.T, strict=True))
        own = np.exp(x[end:]).reshape(len(OWN), -1)
        efficiency = np.minimum(1.0, own[0] * of["efficiency"] / (1.0 + 64.0 * of["edge"] * (1.0 / m + 1.0 / n)))
        wait = own[1] * of["wait_ns"] * np.sqrt(step / 64.0)
        start = own[2] * (of["start_us"] + of["store_us"] * m * n / 8192.0)
        at, (whole, pads, converts, *needs) = facts.tile, facts.flags
        uneven = np.maximum(whole, facts.splits > 1.0)
        around = sum((facts.role[i] * of[role][at] for i, role in enumerate(ROLES[1:])), np.zeros(len(at)))
        return Kernels(
            m[at], n[at], step[at], facts.splits, *facts.resources, efficiency[at], wait[at], start[at],
            EMPTY_KERNEL_US + of["launch_us"][at], around, of["pad_us"][at] * pads, of["misfit"][at] * uneven,
            whole, pads, converts, *needs[:3], facts.least_k, *needs[3:],
        )  # fmt: skip

    def shares(self, x: np.ndarray) -> Shares:
        values = np.exp(x[: len(SHARED)])
        limits = np.array([(low, high) for _, low, high in SHARED.values()]).T
        return Shares(**dict(zip(SHARED, np.clip(values, *limits).tolist(), strict=True)))

    def known(self, x: np.ndarray) -> KernelSet:
        """What the calibration file gets."""
        return KernelSet(tuple(map(name_of, self.kept)), self.kernels(x, self.kept_facts), self.shares(x))

    def log_errors(self, x: np.ndarray, tiled: Tiled, kernels: Kernels, measured_us: np.ndarray) -> np.ndarray:
        """Softened logarithms of predicted over measured time with one given kernel per product."""
        want = self.want
        found = estimate_kernels(
            tiled.problems, tiled.channels, kernels, self.shares(x), self.gpu, want.dtype, want.unit, "warm"
        )
        off = np.minimum(np.abs(np.log(found.time_us / measured_us)), FURTHEST)
        return SOFT * np.sqrt(2.0 * (np.sqrt(1.0 + (off / SOFT) ** 2) - 1.0))

    def choice(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Time of the fastest kernel of every layer among those that its rows tried, and its place among those kept."""
        want, known = self.want, self.known(x)
        time_us, places = np.zeros(len(self.layers)), np.zeros(len(self.layers), dtype=np.intp)
        for layers, offered in self.offers:
            if not len(layers) or not len(offered):
                continue
            among = replace(known, kernels=known.kernels.take(offered))
            problems, channels = self.chooses.problems.rows(layers), self.chooses.channels.rows(layers)
            best, place = choose_kernels(problems, channels, among, self.gpu, want.dtype, want.unit, "warm")
            time_us[layers], places[layers] = best.time_us, offered[place]
        return time_us, places

    def fit(self) -> KernelSet:
        """The kernels' own rows first, then also the layers' fastest times."""
        start = self.x
        free = len(SHARED) + len(FAMILY) * len(self.families)
        back = np.concatenate([np.full(free, 0.02), np.full(len(start) - free, STRAYING)])
        held_at = np.concatenate([start[:free], np.zeros(len(start) - free)])

        def settled(residuals: Residuals, tiles: np.ndarray, x: np.ndarray, evaluations: int) -> np.ndarray:
            return least_squares(
                lambda x: np.concatenate([residuals(x), back * (x - held_at)]), x, max_nfev=evaluations,
                jac=lambda x: np.vstack([slopes(residuals, x, self.columns(tiles)), np.diag(back)]),
            ).x  # fmt: skip

        def own_rows(x: np.ndarray) -> np.ndarray:
            return self.weights * self.log_errors(x, self.given, self.kernels(x, self.given_facts), self.given_us)

        x = settled(own_rows, self.given_facts.tile, start, 15)
        ends = [x]
        for _ in range(CHOICES):
            _, place = self.choice(x)
            chosen = Facts(*(getattr(self.kept_facts, part)[..., place] for part in Facts.__dataclass_fields__))

            def residuals(x: np.ndarray, chosen: Facts = chosen) -> np.ndarray:
                fastest = self.log_errors(x, self.chooses, self.kernels(x, chosen), self.fastest_us)
                return np.concatenate([OWN_ROWS * own_rows(x), FASTEST * fastest])

            x = settled(residuals, np.concatenate([self.given_facts.tile, chosen.tile]), x, 12)
            ends.append(x)
        self.x = min(ends, key=self.error)
        return self.chilled(self.known(self.x))

    def columns(self, tiles: np.ndarray) -> Iterator[np.ndarray]:
        """The constants that rows of these ``tiles`` depend on: those of all, of the family, of the tile itself."""
        families = np.array([self.families.index(tile[0]) for tile in self.tiles], dtype=np.intp)[tiles]
        begin, end = len(SHARED), len(SHARED) + len(FAMILY) * len(self.families)
        yield from (np.full(len(tiles), place, dtype=np.intp) for place in range(begin))
        yield from (begin + len(FAMILY) * families + place for place in range(len(FAMILY)))
        yield from (end + len(self.tiles) * place + tiles for place in range(len(OWN)))

    def error(self, x: np.ndarray) -> float:
        """Mean capped log error of the layers' fastest times."""
        return float(np.minimum(1.0, np.abs(np.log(self.choice(x)[0] / self.fastest_us))).mean())

    def chilled(self, known: KernelSet) -> KernelSet:
        """With what a cold cache adds."""
        if not self.cold:
            return known
        want, tiled = self.want, self._tiled(self.cold)
        measured = np.array([row.measured_us for row in self.cold])
        low, high, first = np.array([*COLD.values()]).T

        def colder(x: np.ndarray) -> KernelSet:
            values = np.clip(np.exp(x), low, high).tolist()
            return replace(known, shares=replace(known.shares, **dict(zip(COLD, values, strict=True))))

        def residuals(x: np.ndarray) -> np.ndarray:
            best, _ = choose_kernels(tiled.problems, tiled.channels, colder(x), self.gpu, want.dtype, want.unit, "cold")
            return np.minimum(np.log(best.time_us / measured), FURTHEST)

        return colder(least_squares(residuals, np.log(first), loss="soft_l1", f_scale=0.1, max_nfev=15).x)


def fit_kernels(rows: Sequence[Timed], gpu: GpuSpec) -> dict[str, KernelSet]:
    """Every set by its name."""
    return {want.name: Set(want, gpu, rows).fit() for want in SETS}
