"""Are tensor cores used, and what would they give? (Benanza, question 6.)"""

from __future__ import annotations

from collections.abc import Sequence

from headroom import figures
from headroom.advise.case import Case
from headroom.advise.findings.common import counted
from headroom.advise.kernel_names import Unit
from headroom.advise.products import Product, is_depthwise, products
from headroom.advise.questions.answer import Answer, Table
from headroom.advise.questions.counted import counted_table
from headroom.advise.questions.data_types import type_finding, type_sentence, type_table
from headroom.advise.questions.odd_widths import width_findings, width_table
from headroom.advise.type_gains import TypeGain, type_gains
from headroom.advise.widths import misaligned
from headroom.graph.kinds import LayerKind
from headroom.graph.tensor import DataType

QUESTION = "Are tensor cores used, and what would they give?"

#: Layers that the table of the others shows.
_MOST_ROWS = 25


def tensor_cores(case: Case) -> Answer:
    """Which unit every product runs on, what other data types would take, and the widths that stand in the way."""
    found = products(case)
    odd = misaligned(case)
    gains = tuple(type_gains(case))
    tables = [_unit_table(found)] if found else []
    if elsewhere := [product for product in found if product.unit not in (None, Unit.TENSOR_CORES)]:
        tables.append(_elsewhere_table(case, elsewhere))
    if (counted := counted_table(case)) is not None:
        tables.append(counted)
    tables.append(type_table(case))
    if odd:
        tables.append(width_table(case, odd))
    findings = (*(type_finding(case, gain) for gain in gains if gain.is_sure(case)), *width_findings(case, odd))
    return Answer(6, QUESTION, _sentence(case, found, gains), findings, tuple(tables), needs=_needs(case, found))


def _sentence(case: Case, found: Sequence[Product], gains: Sequence[TypeGain]) -> str:
    total_us = sum(product.total_us for product in found)
    if not total_us:
        return "This model multiplies no matrices, so that tensor cores could not help."
    if not case.timed.gpu.tensor_tflops:
        return f"{case.timed.gpu.name} has no tensor cores."
    told = [product for product in found if product.unit is not None]
    sentences = []
    if told:
        on = [product for product in told if product.unit is Unit.TENSOR_CORES]
        whose = "Your run's" if any(product.is_run for product in told) else "The fastest"
        share = figures.percent(sum(product.total_us for product in on) / sum(product.total_us for product in told))
        sentences.append(
            f"{whose} kernels in {case.timed.dtype} use tensor cores in {sum(p.configuration.count for p in on)} of "
            f"{counted(sum(p.configuration.count for p in told), 'product')}, {share} of their time."
        )
        if on and any(product.is_run for product in on) and case.timed.dtype not in case.timed.gpu.tensor_tflops:
            sentences.append(
                f"Tensor cores have no {case.timed.dtype}: those ran in a narrower type, tf32 as a rule, with which "
                "`--dtype tf32` compares them."
            )
        lone_us = sum(product.total_us for product in told if product not in on and is_depthwise(product.layer))
        if lone_us:
            sentences.append(
                f"Depthwise convolutions ({figures.time(lone_us)}) hold no matrix product: tensor cores have nothing "
                "to multiply there."
            )
    sentences += [type_sentence(case, gain) for gain in gains if gain.is_sure(case) or gain.replayed_us is not None]
    if not told:
        types = ", ".join(dtype for dtype in DataType if dtype in case.timed.gpu.tensor_tflops)
        sentences.insert(0, f"No kernel of this model is known; {case.timed.gpu.name} has tensor cores for {types}.")
    return " ".join(sentences)


def _unit_table(found: Sequence[Product]) -> Table:
    total_us = sum(product.total_us for product in found)
    rows = []
    for unit in (Unit.TENSOR_CORES, Unit.CUDA_CORES, Unit.UNTOLD, None):
        there = [product for product in found if product.unit is unit]
        if there:
            time_us = sum(product.total_us for product in there)
            name = "not known" if unit is None else "the name does not tell" if unit is Unit.UNTOLD else str(unit)
            rows.append((name, sum(p.configuration.count for p in there), time_us, 100 * time_us / total_us))
    return Table("Where products run", ("unit", "layers", "time us", "share of products pct"), tuple(rows))


def _elsewhere_table(case: Case, elsewhere: Sequence[Product]) -> Table:
    longest = sorted(elsewhere, key=lambda product: -product.total_us)
    return Table(
        title="Products off tensor cores",
        heads=("layer", "module", "count", "time us", "runs on", "kernel", "why"),
        rows=tuple(
            (
                product.layer.name,
                product.layer.module or None,
                product.configuration.count,
                product.total_us,
                str(product.unit),
                f"`{product.kernel[:80]}`",
                _why(case, product),
            )
            for product in longest[:_MOST_ROWS]
        ),
        note=f"{len(longest) - _MOST_ROWS} more." if len(longest) > _MOST_ROWS else "",
    )


def _why(case: Case, product: Product) -> str | None:
    dtype, layer = case.timed.dtype, product.layer
    if is_depthwise(layer):
        return "one channel per group: nothing to multiply matrices of"
    if dtype not in case.timed.gpu.tensor_tflops:
        return f"tensor cores have no {dtype}"
    if layer.kind is LayerKind.MATVEC:
        return "one row: reading the weights takes longer than multiplying"
    return None if product.is_run else "the fastest of all that were measured"


def _needs(case: Case, found: Sequence[Product]) -> str:
    if all(product.unit is not None for product in found):
        return ""
    return (
        "Kernels are known of measured layers only: `headroom measure MODEL --batch "
        f"{case.timed.graph.batch} --dtype {case.timed.dtype}` on that GPU, or your own run by `--profile`."
    )
