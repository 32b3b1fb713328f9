"""The generated part of ``docs/delta.md``, the charts beside it, and the result file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from delta_study import charts, figures
from delta_study.statements import CLOSE, NEAR, STATEMENTS
from headroom.predict.delta import PAPER, Reading
from headroom.predict.delta.published import TABLE_ONE
from headroom.predict.delta.time import CANDIDATES

READINGS = {
    "as taken": PAPER,
    "eq. 3: printed ceiling": Reading(unaligned_requests=False),
    "eq. 6: no reuse across iterations": Reading(reuse_across_iterations=False),
    "eq. 10: input without padding": Reading(padded_input=False),
    "eq. 15: printed, no / Num_SM": Reading(epilogue_shares_dram=False),
}
LIMITS = [str(limit) for limit in CANDIDATES]


def layer_rows(gpu: str) -> list[dict[str, Any]]:
    """Per unique layer of the four networks: everything the model says about it on one GPU."""
    rows = []
    for part in figures.all_layers(gpu):
        moved, answer = part.answer.traffic, part.answer
        for index, layer in enumerate(part.layers):
            rows.append({
                "network": part.network,
                "layer": layer.name,
                "count": layer.count,
                "l1_bytes": float(moved.l1_bytes[index]),
                "l2_bytes": float(moved.l2_bytes[index]),
                "dram_bytes": float(moved.dram_bytes[index]),
                "l1_miss_rate": float(moved.l1_miss_rate[index]),
                "l2_miss_rate": float(moved.l2_miss_rate[index]),
                "tile": f"{answer.tiles.m[index]:.0f}x{answer.tiles.n[index]:.0f}x{answer.tiles.k[index]:.0f}",
                "ctas": int(answer.grid.ctas[index]),
                "time_us": float(answer.time_us[index]),
                "bottleneck": str(answer.bottlenecks[index]),
            })  # fmt: skip
    return rows


def statement_rows() -> list[dict[str, Any]]:
    """What the paper states, what comes out."""
    rows = []
    for statement in STATEMENTS:
        outcome = statement.check()
        rows.append({
            "key": statement.key, "where": statement.where, "stated": statement.stated,
            "value": outcome.value, "verdict": outcome.verdict, "why": outcome.why,
        })  # fmt: skip
    return rows


def reading_rows() -> list[dict[str, Any]]:
    """The figures that tell the readings apart, each reading alone changed."""
    rows = []
    for name, reading in READINGS.items():
        moved = figures.network_figures("GoogLeNet", "TITAN Xp", reading).answer.traffic
        study = {row.name: row.speedup for row in figures.scaling_study(reading)}
        ratios = figures.prior_time_ratios("TITAN Xp", 1.0, reading)
        rows.append({
            "reading": name,
            "l1_miss": [float(moved.l1_miss_rate.min()), float(moved.l1_miss_rate.max())],
            "l2_miss": [float(moved.l2_miss_rate.min()), float(moved.l2_miss_rate.max())],
            "compute_share": figures.compute_bound_share(reading=reading),
            "prior_mean": float(ratios.mean()),
            "option_1": study["1"], "option_2": study["2"], "option_5": study["5"],
        })  # fmt: skip
    return rows


def result() -> dict[str, Any]:
    """Everything, for ``benchmarks/results/delta_paper.json``."""
    return {
        "statements": statement_rows(),
        "readings": reading_rows(),
        "layers": {gpu: layer_rows(gpu) for gpu in TABLE_ONE},
        "scaling": [
            {"option": row.name, "speedup": row.speedup, "time_share": row.time_share}
            for row in figures.scaling_study()
        ],
        "prior": {
            gpu: [
                {"miss_rate": rate, "mean": mean, "geometric_mean": geometric, "max": worst}
                for rate, mean, geometric, worst in figures.miss_rate_table(gpu)
            ]
            for gpu in TABLE_ONE
        },
    }


def chart_files(content: dict[str, Any]) -> dict[str, str]:
    """File name to SVG."""
    files = {}
    for gpu, rows in content["layers"].items():
        slug = gpu.lower().replace(" ", "-")
        names = [f"{row['network']} {row['layer']}" for row in rows]
        files[f"delta-time-{slug}.svg"] = charts.bars(
            f"Predicted time per convolution, batch 256, {gpu} (Table I)", names,
            [row["time_us"] for row in rows], [row["bottleneck"] for row in rows], LIMITS, unit="us", log=True,
        )  # fmt: skip
        # P100 and TITAN Xp have the same traffic: same kernels, same request size (section VII-A).
        if gpu != "P100":
            series = {level: [row[f"{level.lower()}_bytes"] for row in rows] for level in ("L1", "L2", "DRAM")}
            title = f"Predicted load traffic per convolution, batch 256, {gpu}"
            files[f"delta-traffic-{slug}.svg"] = charts.dots(title, names, series, unit="B", log=True)
    googlenet = [row for row in content["layers"]["TITAN Xp"] if row["network"] == "GoogLeNet"]
    series = {
        f"{level} miss rate": [100 * row[f"{level.lower()}_miss_rate"] for row in googlenet] for level in ("L1", "L2")
    }
    title = "Predicted cache miss rates of GoogLeNet's convolutions, TITAN Xp (the paper's Fig. 4)"
    files["delta-miss-rates.svg"] = charts.dots(title, [row["layer"] for row in googlenet], series, unit="%", log=False)
    files["delta-scaling.svg"] = _scaling_chart(content)
    files["delta-sensitivity.svg"] = _sensitivity_chart()
    return files


def _scaling_chart(content: dict[str, Any]) -> str:
    rows = content["scaling"]
    names = [row["option"] if row["option"] == "TITAN Xp" else f"option {row['option']}" for row in rows]
    limits = [max(row["time_share"], key=row["time_share"].get) for row in rows]
    title = "Speed-up of ResNet-152's convolutions over TITAN Xp, and what limits most of the time (Fig. 16)"
    return charts.bars(title, names, [row["speedup"] for row in rows], limits, LIMITS, unit="", log=False)


def _sensitivity_chart() -> str:
    axes = {}
    for axis, values in figures.SWEEPS.items():
        moved = figures.sweep(axis).traffic
        lines = {"L1": moved.l1_bytes, "L2": moved.l2_bytes, "DRAM": moved.dram_bytes}
        axes[axis] = (values, {name: line.tolist() for name, line in lines.items()})
    title = "Predicted load traffic around 256 channels, 13x13, 128 filters of 3x3, batch 256 (Fig. 17)"
    return charts.panels(title, axes, "B")


def markdown(content: dict[str, Any]) -> str:
    """The generated part of the page."""
    return "\n".join(_lines(content)) + "\n"


def _lines(content: dict[str, Any]) -> Iterator[str]:
    verdicts = Counter(row["verdict"] for row in content["statements"])
    counted = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in ("yes", "near", "no"))
    yield f"### What the paper states, and what comes out ({counted})\n"
    yield f"*yes*: within {100 * CLOSE:.0f} % of a stated figure; *near*: within {100 * NEAR:.0f} %."
    yield "The paper's miss rates are measured, and its prior models' errors are against measurements.\n"
    yield "| section | the paper states | what comes out | agrees |"
    yield "|---|---|---|---|"
    for row in content["statements"]:
        value = f"{row['value']}; {row['why']}" if row["why"] else row["value"]
        yield f"| {row['where']} | {row['stated']} | {value} | {row['verdict']} |"
    yield "\n### What each reading gives\n"
    yield "The reading taken, then the same with one point read the other way.\n"
    heads = (
        "L1 miss rate",
        "L2 miss rate",
        "limited by arithmetic",
        "miss rate 1.0",
        "option 1",
        "option 2",
        "option 5",
    )
    yield "| reading | " + " | ".join(heads) + " |"
    yield "|---" * (len(heads) + 1) + "|"
    yield "| *stated by the paper* | 13-50 % | 8-90 % | 90 % | 1.8x | 1.9x | 3.4x | like option 2 |"
    for row in content["readings"]:
        l1, l2 = ("{:.0f}-{:.0f} %".format(*(100 * rate for rate in row[level])) for level in ("l1_miss", "l2_miss"))
        yield (
            f"| {row['reading']} | {l1} | {l2} | {100 * row['compute_share']:.0f} % | {row['prior_mean']:.1f}x "
            f"| {row['option_1']:.1f}x | {row['option_2']:.1f}x | {row['option_5']:.1f}x |"
        )
    yield from _scaling_lines(content)
    yield from _prior_lines(content)
    yield "\n### Miss rates, traffic and sensitivity\n"
    yield "![miss rates](charts/delta-miss-rates.svg)\n"
    yield "![traffic](charts/delta-traffic-titan-xp.svg)\n"
    yield "P100 runs the same kernels with the same request size: the same traffic. V100 differs at L1 only.\n"
    yield "![traffic on V100](charts/delta-traffic-v100.svg)\n"
    yield "![sensitivity](charts/delta-sensitivity.svg)"
    for gpu, rows in content["layers"].items():
        yield from _gpu_lines(gpu, rows)


def _scaling_lines(content: dict[str, Any]) -> Iterator[str]:
    yield "\n### GPU scaling study\n"
    yield "![scaling](charts/delta-scaling.svg)\n"
    yield "| option | speed-up | share of time limited by |"
    yield "|---|---|---|"
    for row in content["scaling"]:
        shares = sorted(row["time_share"].items(), key=lambda item: -item[1])
        words = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares if share >= 0.005)
        yield f"| {row['option']} | {row['speedup']:.2f}x | {words} |"


def _prior_lines(content: dict[str, Any]) -> Iterator[str]:
    yield "\n### Prior models: a fixed miss rate instead of the traffic model\n"
    yield "Time over DeLTA's, all unique layers: mean (largest).\n"
    rates = [row["miss_rate"] for row in next(iter(content["prior"].values()))]
    yield "| GPU | " + " | ".join(f"miss rate {rate:g}" for rate in rates) + " |"
    yield "|---" * (len(rates) + 1) + "|"
    for gpu, rows in content["prior"].items():
        yield f"| {gpu} | " + " | ".join(f"{row['mean']:.2f}x ({row['max']:.1f}x)" for row in rows) + " |"


def _gpu_lines(gpu: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    slug = gpu.lower().replace(" ", "-")
    yield f"\n### Per layer on {gpu}\n"
    yield f"![time on {gpu}](charts/delta-time-{slug}.svg)\n"
    yield f"<details><summary>All {len(rows)} unique convolutions on {gpu}, batch 256</summary>\n"
    heads = ("network", "layer", "count", "tile", "CTAs", "L1 MB", "L2 MB", "DRAM MB", "L1 miss", "L2 miss", "time us")
    yield "| " + " | ".join((*heads, "limited by")) + " |"
    yield "|---" * (len(heads) + 1) + "|"
    for row in rows:
        volumes = " | ".join(f"{row[f'{level}_bytes'] / 1e6:.4g}" for level in ("l1", "l2", "dram"))
        yield (
            f"| {row['network']} | {row['layer']} | {row['count']} | {row['tile']} | {row['ctas']} | {volumes} "
            f"| {100 * row['l1_miss_rate']:.0f} % | {100 * row['l2_miss_rate']:.0f} % | {row['time_us']:.4g} "
            f"| {row['bottleneck']} |"
        )
    yield "\n</details>"
