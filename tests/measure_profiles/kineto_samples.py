"""Extracts of traces that PyTorch's older profilers wrote, as published, each with its origin."""

from __future__ import annotations

from typing import Any

#: PyTorch 1.8 on V100s, whole microseconds, children ahead of their parents;
#: pytorch/kineto, tb_plugin/test/gpu_metrics_input.json.
KINETO_2021: dict[str, Any] = {
    "schemaVersion": 1,
    "computeProperties": [{"id": 0, "name": "Tesla V100-DGXS-32GB", "major": 7, "minor": 0}],
    "traceEvents": [
        {"ph": "X", "cat": "Operator", "name": "aten::view", "pid": 24572, "tid": "24572",
         "ts": 1621401187225058, "dur": 33, "args": {"Device": 24572, "External id": 40}},
        {"ph": "X", "cat": "Operator", "name": "aten::empty", "pid": 24572, "tid": "24572",
         "ts": 1621401187225181, "dur": 41, "args": {"Device": 24572, "External id": 42}},
        {"ph": "X", "cat": "Operator", "name": "aten::mm", "pid": 24572, "tid": "24572",
         "ts": 1621401187225112, "dur": 197, "args": {"Device": 24572, "External id": 41}},
        {"ph": "X", "cat": "Operator", "name": "aten::matmul", "pid": 24572, "tid": "24572",
         "ts": 1621401187225037, "dur": 394, "args": {"Device": 24572, "External id": 39}},
        {"ph": "X", "cat": "Operator", "name": "aten::linear", "pid": 24572, "tid": "24572",
         "ts": 1621401187224907, "dur": 664, "args": {"Device": 24572, "External id": 35}},
        {"ph": "X", "cat": "Kernel", "name": "volta_sgemm_128x32_nt", "pid": 0, "tid": "stream 7",
         "ts": 1621401187235025, "dur": 3,
         "args": {"queued": 0, "device": 0, "context": 1, "stream": 7, "correlation": 570, "external id": 160,
                  "registers per thread": 55, "shared memory": 16384, "grid": [1, 1, 1], "block": [256, 1, 1]}},
        {"ph": "X", "cat": "Runtime", "name": "cudaLaunchKernel", "pid": 24572, "tid": "24610",
         "ts": 1621401187235006, "dur": 17,
         "args": {"cbid": 211, "correlation": 570, "external id": 160, "external ts": 1621401187234890}},
        {"ph": "s", "id": 570, "pid": 24572, "tid": 24610, "ts": 1621401187235006, "cat": "async", "name": "launch"},
        {"ph": "X", "cat": "Runtime", "name": "cudaDeviceSynchronize", "pid": 24572, "tid": "24572",
         "ts": 1621401187236853, "dur": 10,
         "args": {"cbid": 165, "correlation": 605, "external id": 605, "external ts": 0}},
    ],
}  # fmt: skip

#: A training step's backward thread on an A100, external ids that repeat the correlation;
#: facebookresearch/HolisticTraceAnalysis, tests/data/call_stack/backward_thread.json.
KINETO_2022: dict[str, Any] = {
    "traceEvents": [
        {"ph": "X", "cat": "user_annotation", "name": "ProfilerStep#552", "pid": 3914, "tid": 3914,
         "ts": 1666149715033200, "dur": 413451, "args": {"External id": 49220}},
        {"ph": "X", "cat": "user_annotation", "name": "## backward ##", "pid": 3914, "tid": 3914,
         "ts": 1666149715287655, "dur": 107988, "args": {"External id": 56949}},
        {"ph": "X", "cat": "cpu_op", "name": "autograd::engine::evaluate_function: AddmmBackward0", "pid": 3914,
         "tid": 24922, "ts": 1666149715364322, "dur": 145, "args": {"External id": 67242}},
        {"ph": "X", "cat": "cpu_op", "name": "AddmmBackward0", "pid": 3914, "tid": 24922,
         "ts": 1666149715364324, "dur": 102,
         "args": {"External id": 67243, "Input Dims": [[2048, 2048]], "Input type": ["float"]}},
        {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "pid": 3914, "tid": 24922,
         "ts": 1666149715364330, "dur": 58,
         "args": {"External id": 67247, "Input Dims": [[2048, 2048], [2048, 256]], "Input type": ["float", "float"]}},
        {"ph": "X", "cat": "kernel",
         "name": "void cutlass::Kernel<cutlass_80_tensorop_s1688gemm_128x128_32x3_nn_align4>", "pid": 0, "tid": 7,
         "ts": 1666149715428509, "dur": 45,
         "args": {"External id": 2131433, "queued": 0, "device": 0, "context": 1, "stream": 7,
                  "correlation": 2131433, "registers per thread": 240, "shared memory": 98304,
                  "grid": [32, 1, 2], "block": [128, 1, 1]}},
        {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 3914, "tid": 24922,
         "ts": 1666149715364374, "dur": 10,
         "args": {"External id": 2131433, "cbid": 211, "correlation": 2131433}},
    ],
    "distributedInfo": {"rank": 0},
}  # fmt: skip
