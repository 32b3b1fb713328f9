"""Answers of the advisor to render: eight questions about the network of :mod:`report.factory`, told by hand.

The figures are of a plausible size and no measurement; what is under test is how they are shown.
"""

from __future__ import annotations

from dataclasses import replace

from headroom.advise.analysis import Analysis, Finding
from headroom.advise.execution import Execution, LayerRun
from headroom.advise.questions.answer import Answer, Lines, Table, Waterfall
from headroom.measure.profiles.profile import Launch, LaunchKind, Profile, Step
from headroom.predict.prediction import Source
from report.factory import MARKUP, make_analysis

_LATENCY_US = 2918.0


def _finding(kind: str, title: str, saves_us: float, error_pct: float, action: str, **more: object) -> Finding:
    speedup = _LATENCY_US / (_LATENCY_US - saves_us)
    layers, modules = more.pop("layers", ()), more.pop("modules", ())
    return Finding(kind, title, saves_us, error_pct, speedup, layers, modules, action, **more)  # type: ignore[arg-type]


GRAPH = _finding(
    "framework",
    "The GPU waits for the host between kernels",
    1968.0,
    6.0,
    "Capture the model once in a CUDA graph and replay it, so that the host launches one thing instead of 210.",
    code="graph = torch.cuda.CUDAGraph()\nwith torch.cuda.graph(graph):\n    output = model(static_input)\n"
    "graph.replay()  # after copying each new input into static_input",
    modules=("conv1", "inception3a", "inception3b", "inception4a", "inception4b", "inception5b"),
    source=Source.MEASURED,
)
LAYOUT = _finding(
    "framework",
    "58 layout transposes around convolutions",
    212.0,
    9.0,
    "Keep activations channels-last: `model.to(memory_format=torch.channels_last)` before the first call.",
    code="model = model.to(memory_format=torch.channels_last)\nx = x.to(memory_format=torch.channels_last)",
    modules=("inception3a.branch2", "inception4e.branch3"),
)
ALGORITHM = _finding(
    "algorithm",
    "21 convolutions run a slower kernel than the best one",
    141.0,
    12.0,
    "Let cuDNN time its kernels once per shape.",
    code="torch.backends.cudnn.benchmark = True",
    limits="PyTorch tries at most `benchmark_limit` plans of one engine family; the best plan of 6 layers is not "
    "among them, which leaves 31 µs.",
    layers=("inception3a.branch2.1.conv", MARKUP),
    modules=("inception3a.branch2.1", MARKUP),
)
FUSION = _finding(
    "fusion",
    "convolution + relu: 57 chains in separate kernels",
    98.0,
    15.0,
    "Compile the model, which runs each ReLU inside its convolution's kernel.",
    code='model = torch.compile(model, mode="max-autotune")',
    modules=("conv1", "inception3a.branch1"),
    source=Source.MEASURED,
)
STREAMS = _finding(
    "parallel_branches",
    "4 independent branches in 9 places run one after another",
    61.0,
    25.0,
    "Run the four branches of each inception module at once, as parallel branches of the CUDA graph.",
    code="side = torch.cuda.Stream()\nside.wait_stream(torch.cuda.current_stream())\nwith torch.cuda.stream(side):\n"
    "    right = self.branch2(x)\nleft = self.branch1(x)\ntorch.cuda.current_stream().wait_stream(side)",
    modules=tuple(f"inception{tag}" for tag in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")),
)
WIDTH = _finding(
    "tensor_cores",
    "Two layers have 3 input channels and stay off the tensor cores",
    4.1,
    60.0,
    "Pad the input to 8 channels with zeros; the nearest widths that run on tensor cores are 8 and 16.",
    layers=("conv1",),
    modules=("conv1",),
)


def questions() -> tuple[Answer, ...]:
    """One answer to each of the eight questions."""
    return (
        Answer(
            1,
            "How low can it go?",
            "In bf16 it could take 211 µs, a fourteenth of the 2.92 ms that it takes today; most of the gap is not in "
            "the layers but between them.",
            tables=(
                Table(
                    "Bounds per data type",
                    ("dtype", "sequential us", "parallel us", "fused us", "bound / measured pct"),
                    (
                        ("fp32", 1122.0, 801.5, 960.2, 31),
                        ("tf32", 451.0, 330.1, 347.0, 11.9),
                        ("bf16", 298.2, 214.0, 211.3, 7.24),
                        ("fp8", None, None, None, None),
                    ),
                    "The last column is the bound over your run: 100 would be perfect. fp8 was never measured here: "
                    "`headroom measure MODEL --dtype fp8`.",
                ),
            ),
            charts=(
                Lines(
                    "Latency and bounds over the batch",
                    "batch",
                    "latency us",
                    (
                        ("measured", ((1, 2918), (8, 2950), (32, 3070), (128, 5400))),
                        ("sequential bound", ((1, 298), (8, 430), (32, 1010), (128, 3300))),
                        ("fused bound", ((1, 211), (8, 310), (32, 753), (128, 2700))),
                    ),
                ),
            ),
        ),
        Answer(
            2,
            "Are independent layers run in parallel?",
            "No: your run uses one stream. Running branches together would save 61 µs; the GPU has room for it in 7 of "
            "9 places.",
            (STREAMS,),
            tables=(
                Table(
                    "Where branches are",
                    ("ends at", "branches", "one after another us", "together us", "room"),
                    (("inception3a.concat", 4, 31.2, 24.4, "yes"), (MARKUP, 4, 40.1, 39.9, "no: both layers fill it")),
                ),
            ),
        ),
        Answer(
            3,
            "Are the algorithms optimal?",
            "21 of 57 convolutions run a kernel that is slower than the best one "
            "for their shape; better ones would save 141 µs.",
            (ALGORITHM,),
            tables=(
                Table(
                    "Convolutions and products, the largest loss first",
                    ("layer", "kernel", "took us", "best us", "lost us", "best plan"),
                    tuple(
                        (
                            f"inception{4 + i // 9}{'abcdefghi'[i % 9]}.branch2.1.conv",
                            "cudnn_generated_fort_native_sm80_convFwd_knob_21_128x128x32_4_0",
                            21.4 - i / 2,
                            9.3,
                            12.1 - i / 2,
                            "`eng22_k2=5_k13=1_k14=3_k18=0_k23=2`",
                        )
                        for i in range(20)
                    ),
                ),
            ),
        ),
        Answer(
            4,
            "Is there inefficiency in the framework?",
            "Yes: the GPU idles for 67 % of the time because the host "
            "cannot launch kernels fast enough, and 58 launches only move data.",
            (GRAPH, LAYOUT),
        ),
        Answer(5, "What would fusion give?", "Fusing 57 chains of convolution and ReLU would save 98 µs.", (FUSION,)),
        Answer(
            6,
            "Are tensor cores used, and what would they give?",
            "56 of 58 convolutions and products run on tensor cores, which is 99 % of the arithmetic.",
            (WIDTH,),
        ),
        Answer(
            7,
            "What do all of these give together?",
            "Everything together would take the model from 2.92 ms to 224 µs, 13 times faster; the GPU graph alone is "
            "two thirds of it.",
            charts=(
                Waterfall(
                    "From your run to the bound",
                    (
                        ("your run", 2918.0),
                        ("CUDA graph", 950.0),
                        ("no transposes", 738.0),
                        ("best algorithms", 597.0),
                        ("fusion", 499.0),
                        ("branches together", 438.0),
                        ("what only a custom kernel gets", 224.0),
                    ),
                ),
                Lines(
                    "Joint speedup over the batch",
                    "batch",
                    "speedup x",
                    (
                        ("NVIDIA H200", ((1, 13.0), (2, 12.2), (4, 10.0), (8, 8.1), (16, 5.5), (32, 4.1), (64, 2.9))),
                        ("NVIDIA A100", ((1, 10.1), (2, 9.4), (4, 8.0), (8, 6.2), (16, 4.0), (32, 3.0), (64, 2.2))),
                    ),
                ),
            ),
        ),
        Answer(
            8,
            "What share do cuDNN and cuBLAS cover?",
            "cuDNN and cuBLAS cover 68 % of the layers and 91 % of the "
            "time on the GPU; the model is bound by the host.",
            needs="A profile with shapes tells which calls were made: `headroom profile MODEL`, then "
            "`headroom analyze MODEL --profile trace.json`.",
        ),
    )


def asked_analysis(batch: int = 1, *, hostile: bool = True) -> Analysis:
    """An analysis with an answer to every question, and their findings ranked."""
    answers = questions()
    ranked = sorted((f for answer in answers for f in answer.findings), key=lambda finding: -finding.saves_us)
    return replace(
        make_analysis(batch, hostile=hostile),
        questions=answers,
        findings=tuple(ranked),
        measured_us=_LATENCY_US,
        measured_error_pct=3.0,
        verdict="The run takes 2.92 ms, 14 times the 211 µs that its layers need: the GPU waits "
        "for the host. Capture the model in a CUDA graph first.",
    )


def profiled_analysis(*, hostile: bool = True) -> Analysis:
    """An analysis beside a run: a convolution and the ReLU behind it share a kernel, all else has its own."""
    analysis = asked_analysis(hostile=hostile)
    best_us = {i: answer.prediction.time_us or 0.0 for answer in analysis.answers for i in answer.indices}
    kind = {i: answer.layer.operator for answer in analysis.answers for i in answer.indices}
    order = sorted(best_us)
    groups = [(i, i + 1) if kind[i] == "Conv" else (i,) for i in order if i == 0 or kind[i - 1] != "Conv"]
    launches, runs, now_us = [], [], 100.0
    for place, layers in enumerate(groups):
        took_us = 2.0 * sum(best_us[i] for i in layers) + 1.0
        launches.append(Launch(f"kernel_{place}", LaunchKind.KERNEL, now_us, took_us, stream=7))
        runs.append(LayerRun(layers, (place,), (), took_us))
        now_us += took_us + 8.0
    step = Step("inference", 0.0, _LATENCY_US, launches=tuple(launches))
    profile = Profile("pytorch", "trace.json", "NVIDIA H200", (step,))
    return replace(analysis, execution=Execution(profile, step, tuple(runs), (), _LATENCY_US, 0.97))
