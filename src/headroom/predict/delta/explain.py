"""Every term of one layer, in the order in which the model works them out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.graph.work import Convolution, Matmul
from headroom.predict.delta import occupancy, traffic
from headroom.predict.delta.model import Estimate, estimate
from headroom.predict.delta.reading import PAPER, Reading
from headroom.predict.delta.shapes import Array, ConvBatch
from headroom.predict.delta.tiles import PAPER_TILES, TileBatch, TileTable
from headroom.predict.delta.time import CANDIDATES, shared_load_elements


@dataclass(frozen=True, slots=True)
class Term:
    """One figure of the derivation: ``equation`` numbers are the paper's, empty where it has none."""

    name: str
    value: float
    unit: str
    equation: str
    note: str = ""


def explain(
    conv: Convolution | Matmul | ConvBatch,
    gpu: GpuSpec,
    dtype: DataType = DataType.FP32,
    *,
    tiles: TileBatch | TileTable = PAPER_TILES,
    reading: Reading = PAPER,
) -> tuple[Term, ...]:
    """The derivation of one layer's traffic and time on ``gpu``.

    The last term is the layer's time; its note names the bottleneck. A :class:`ConvBatch` of several layers is
    explained by its first.
    """
    batch = conv.take([0]) if isinstance(conv, ConvBatch) else ConvBatch.of([conv], dtype.bytes)
    answer = estimate(batch, gpu, dtype, tiles=tiles, reading=reading)
    return (
        *_gemm_terms(answer),
        *_l1_terms(answer, reading),
        *_l2_terms(answer, reading),
        *_dram_terms(answer, reading),
        *_occupancy_terms(answer),
        *_stream_terms(answer),
        *_time_terms(answer),
    )


def _first(values: Array) -> float:
    return float(values[0])


def _gemm_terms(answer: Estimate) -> Iterator[Term]:
    cut, tiles = answer.grid, answer.tiles
    yield Term("GEMM M", _first(cut.gemm_m), "rows", "II-C", "batch x output height x output width")
    yield Term("GEMM N", _first(cut.gemm_n), "columns", "II-C", "output channels of one group")
    yield Term("GEMM K", _first(cut.gemm_k), "", "II-C", "input channels of one group x filter taps")
    yield Term("blk_M", _first(tiles.m), "rows", "Fig. 6")
    yield Term("blk_N", _first(tiles.n), "columns", "Fig. 6", "chosen by the GEMM's width")
    yield Term("blk_K", _first(tiles.k), "", "Fig. 6")
    yield Term("CTA rows", _first(cut.rows), "CTAs", "II-C", "ceil(M / blk_M)")
    yield Term("CTA columns", _first(cut.columns), "CTAs", "II-C", "ceil(N / blk_N)")
    yield Term("Num_CTA", _first(cut.ctas), "CTAs", "II-C", "rows x columns x groups")
    yield Term("iterations", _first(cut.iterations), "", "II-C", "main loops per CTA: ceil(K / blk_K)")


def _l1_terms(answer: Estimate, reading: Reading) -> Iterator[Term]:
    convs, request = answer.convs, answer.machine.l1_request_bytes
    ratio = traffic.requested_per_used(convs)
    yield Term("requested / used", _first(ratio), "", "2", "padded input width over output width")
    yield Term("L1 request", request, "B", "IV-A", "128 up to Pascal, 32 from Volta on")
    input_mli = traffic.input_inefficiency(convs, request, reading)
    yield Term("MLI_IFmap", _first(input_mli), "", "3", "requests made per request needed, alignment included")
    filter_mli = traffic.filter_inefficiency(convs, answer.tiles)
    yield Term("MLI_Filter", _first(filter_mli), "", "3", "stated: 2.0 for blk_K 8, 2.75 for blk_K 4")
    yield Term("TpL_L1", _first(answer.traffic.l1_per_iteration), "B", "4", "per CTA and iteration")
    yield Term("T_L1", _first(answer.traffic.l1_bytes), "B", "4", "every CTA loads its own tiles")


def _l2_terms(answer: Estimate, reading: Reading) -> Iterator[Term]:
    convs, cut, moved = answer.convs, answer.grid, answer.traffic
    if bool(convs.is_pointwise[0]):
        note = "1x1 and FC: all elements are unique, height x width of the tile"
    else:
        yield Term("DIST_V", _first(traffic.vertical_distance(convs, cut)), "elements", "5")
        vertical = traffic.mean_vertical_distance(convs, cut, reading)
        yield Term("A_DIST_V", _first(vertical), "elements", "6", "DIST_V x blk_K / (H_f x W_f)")
        yield Term("DIST_H", _first(traffic.horizontal_distance(convs, cut)), "elements", "7")
        horizontal = traffic.mean_horizontal_distance(convs, cut)
        yield Term("A_DIST_H", _first(horizontal), "elements", "8", "one more per further sample in the tile")
        note = "A_DIST_V + A_DIST_H, at most what L1 was asked for"
    inputs = traffic.l2_input_elements(convs, cut, answer.machine.l1_request_bytes, reading)
    yield Term("A_DIST_IFmap", _first(inputs), "elements", "9", note)
    yield Term("DIST_Filter", _first(cut.loaded_n * cut.loaded_k), "elements", "9", "all unique")
    yield Term("TpL_L2", _first(moved.l2_per_iteration), "B", "9", "per CTA and iteration")
    yield Term("T_L2", _first(moved.l2_bytes), "B", "9")
    yield Term("L1 miss rate", _first(moved.l1_miss_rate), "", "III", "T_L2 / T_L1")


def _dram_terms(answer: Estimate, reading: Reading) -> Iterator[Term]:
    convs, cut, moved = answer.convs, answer.grid, answer.traffic
    size = _first(convs.bytes_per_element)
    inputs = _first(traffic.dram_input_elements(convs, cut, reading)) * size
    yield Term("T_DRAM_IFmap", inputs, "B", "10", "padded input once per column of CTA tiles")
    yield Term("T_DRAM_Filter", _first(traffic.dram_filter_elements(convs, cut)) * size, "B", "10", "once")
    yield Term("TpL_DRAM", _first(moved.dram_per_iteration), "B", "10", "per CTA and iteration")
    yield Term("T_DRAM", _first(moved.dram_bytes), "B", "10")
    yield Term("L2 miss rate", _first(moved.l2_miss_rate), "", "III", "T_DRAM / T_L2")
    yield Term("stores", _first(moved.store_bytes), "B", "", "the output, written once")


def _occupancy_terms(answer: Estimate) -> Iterator[Term]:
    tiles, machine = answer.tiles, answer.machine
    registers = occupancy.registers_per_warp(tiles) / 32
    shared = occupancy.shared_bytes(tiles, answer.convs.bytes_per_element)
    yield Term("threads", _first(tiles.threads), "per CTA", "V", "64 accumulators each")
    yield Term("registers", _first(registers), "per thread", "V", "whole allocation units")
    yield Term("shared memory", _first(shared), "B per CTA", "V", "both input tiles, double-buffered")
    yield Term("Num_ACT_CTA", _first(answer.occupancy), "CTAs per SM", "V", "that fit at once")
    yield Term("Num_SM", machine.sms, "SMs", "Table I")
    yield Term("CTAs on the fullest SM", _first(answer.times.ctas_per_sm), "CTAs", "V", "ceil(Num_CTA / Num_SM)")
    yield Term("waves", _first(answer.waves), "", "", "Num_CTA / (Num_SM x Num_ACT_CTA)")


def _stream_terms(answer: Estimate) -> Iterator[Term]:
    flows, machine = answer.times.streams, answer.machine
    size = _first(answer.convs.bytes_per_element)
    yield Term("L1 transfer", _first(flows.l1_transfer_ns), "ns", "11", f"after {machine.l1_latency_ns:g} ns latency")
    yield Term("L2 transfer", _first(flows.l2_transfer_ns), "ns", "11", f"after {machine.l2_latency_ns:g} ns latency")
    dram_note = f"after {machine.dram_latency_ns:g} ns latency"
    yield Term("DRAM transfer", _first(flows.dram_transfer_ns), "ns", "11", dram_note)
    yield Term("t_GLS", _first(flows.load_ns), "ns", "11", "slowest level, latency included")
    reads = _first(shared_load_elements(answer.tiles)) * size
    yield Term("shared-memory reads", reads, "B", "12", "warp tiles of 64 x 32")
    yield Term("t_SAS", _first(flows.shared_ns), "ns", "12")
    yield Term("t_CS", _first(flows.compute_ns), "ns", "13", "the whole tile, at one mac per core and cycle")


def _time_terms(answer: Estimate) -> Iterator[Term]:
    took = answer.times
    equations = ("16", "16", "17", "18", "18", "18")
    yield Term("t_Prologue", _first(took.prologue_ns), "ns", "14", "first CTA only")
    yield Term("t_Epilogue", _first(took.epilogue_ns), "ns", "15", "per CTA, at the SM's share of DRAM")
    yield Term("batches", _first(took.batches), "", "17", "refills of the fullest SM with active CTAs")
    for row, (limit, equation) in enumerate(zip(CANDIDATES, equations, strict=True)):
        yield Term(f"t if limited by {limit}", float(took.candidates_ns[row, 0]) / 1e3, "us", equation)
    winner = CANDIDATES[int(np.asarray(took.limit)[0])]
    yield Term("time", _first(answer.time_us), "us", "16-18", f"the largest: limited by {winner}")
