"""Analyses to render: a GoogLeNet-like network with branches, strangers' names and an unknown layer.

Times come from a plain roofline, so that every figure is of the right size; the theory is not under test here.
"""

from __future__ import annotations

from collections import defaultdict

from headroom.advise.analysis import Analysis, Bounds, Finding, LayerAnswer, Memory, ScheduledLayer
from headroom.gpu.spec import GpuSpec, MemoryLevel
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Convolution, Elementwise, Matmul, Movement, Pooling, Softmax, Unknown, Work
from headroom.predict.prediction import Bottleneck, Prediction, Source

MARKUP = '</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">'
ANSI = "conv\x1b[31;1mred\x1b]0;title\x07\x9b2J"
BIDI = "user\u202egnp.exe\u2066\u200f"
FORMULA = '=HYPERLINK("http://evil.example","click")'
LONG = "long." + "x" * 1_000_000
HOSTILE = (MARKUP, ANSI, BIDI, FORMULA, LONG, "line\u2028break\nand\ud800half", "[bold red]rich[/]", "{{ 7*7 }}")

H200 = GpuSpec(
    id="h200",
    name="NVIDIA H200",
    architecture="hopper",
    compute_capability="9.0",
    sms=132,
    clock_mhz=1830.0,
    memory_bytes=141_000_000_000,
    plain_tflops={DataType.FP32: 61.9, DataType.FP16: 123.8},
    tensor_tflops={DataType.TF32: 494.7, DataType.FP16: 989.4, DataType.BF16: 989.4, DataType.FP8: 1978.9},
    dram=MemoryLevel(141_000_000_000, 4300.0, 600.0),
    dram_peak_gbs=4800.0,
    l2=MemoryLevel(50_000_000, 7500.0, 260.0),
    l1=MemoryLevel(256_000, 30900.0, 33.0),
    shared=MemoryLevel(228_000, 30900.0, 29.0),
    registers_per_sm=65536,
    registers_per_thread=255,
    shared_bytes_per_sm=233_472,
    shared_bytes_per_cta=232_448,
    max_warps_per_sm=64,
    max_ctas_per_sm=32,
    launch_us=2.0,
)

#: Channels of GoogLeNet's inception modules: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection.
_INCEPTION = {
    "3a": (28, 192, (64, 96, 128, 16, 32, 32)),
    "3b": (28, 256, (128, 128, 192, 32, 96, 64)),
    "4a": (14, 480, (192, 96, 208, 16, 48, 64)),
    "4b": (14, 512, (160, 112, 224, 24, 64, 64)),
    "4c": (14, 512, (128, 128, 256, 24, 64, 64)),
    "4d": (14, 512, (112, 144, 288, 32, 64, 64)),
    "4e": (14, 528, (256, 160, 320, 32, 128, 128)),
    "5a": (7, 832, (256, 160, 320, 32, 128, 128)),
    "5b": (7, 832, (384, 192, 384, 48, 128, 128)),
}


class _Builder:
    """Appends layers to a list and remembers each tensor by the name of the layer that wrote it."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.layers: list[Layer] = []
        self.tensors: dict[str, TensorSpec] = {}

    def add(self, name: str, operator: str, work: Work, inputs: list[str], shape: tuple[int, ...],
            weights: tuple[tuple[int, ...], ...] = (), module: str = "") -> str:  # fmt: skip
        out = self.tensors[name] = TensorSpec(name, shape)
        constants = tuple(TensorSpec(f"{name}.weight{i}", s) for i, s in enumerate(weights))
        operands = tuple(self.tensors[i] for i in inputs)
        self.layers.append(Layer(name, operator, work, operands, constants, (out,), module))
        return name

    def conv(self, name: str, source: str, out: int, kernel: int, stride: int = 1) -> str:
        _, channels, height, width = self.tensors[source].shape
        size = (-(-height // stride), -(-width // stride))
        pad = kernel // 2
        work = Convolution(self.batch, channels, out, (height, width), size, (kernel, kernel),
                           (stride, stride), ((pad, pad), (pad, pad)), (1, 1))  # fmt: skip
        shape = (self.batch, out, *size)
        self.add(name, "Conv", work, [source], shape, ((out, channels, kernel, kernel), (out,)), name)
        elements = self.tensors[name].elements
        return self.add(f"{name}.relu", "Relu", Elementwise("relu", elements, 1, True), [name], shape, module=name)

    def pool(self, name: str, source: str, kernel: int, stride: int) -> str:
        _, channels, height, width = self.tensors[source].shape
        shape = (self.batch, channels, -(-height // stride), -(-width // stride))
        work = Pooling("max", TensorSpec("", shape).elements, (kernel, kernel), (stride, stride))
        return self.add(name, "MaxPool", work, [source], shape, module=name)

    def inception(self, tag: str, source: str, sizes: tuple[int, ...]) -> str:
        one, reduce3, three, reduce5, five, project = sizes
        p = f"inception{tag}"
        ends = [
            self.conv(f"{p}.branch1.conv", source, one, 1),
            self.conv(f"{p}.branch2.1.conv", self.conv(f"{p}.branch2.0.conv", source, reduce3, 1), three, 3),
            self.conv(f"{p}.branch3.1.conv", self.conv(f"{p}.branch3.0.conv", source, reduce5, 1), five, 5),
            self.conv(f"{p}.branch4.1.conv", self.pool(f"{p}.branch4.0", source, 3, 1), project, 1),
        ]
        shape = (self.batch, one + three + five + project, *self.tensors[source].shape[2:])
        work = Movement("concat", TensorSpec("", shape).elements)
        return self.add(f"{p}.concat", "Concat", work, ends, shape, module=p)


def googlenet(batch: int = 1, *, hostile: bool = True) -> Graph:
    """The network as a graph; ``hostile`` renames some layers and adds an unknown one."""
    build = _Builder(batch)
    build.tensors["input"] = TensorSpec("input", (batch, 3, 224, 224))
    at = build.pool("maxpool1", build.conv("conv1", "input", 64, 7, 2), 3, 2)
    at = build.pool("maxpool2", build.conv("conv3", build.conv("conv2", at, 64, 1), 192, 3), 3, 2)
    for tag, (size, _, sizes) in _INCEPTION.items():
        if build.tensors[at].shape[2] > size:
            at = build.pool(f"maxpool{tag}", at, 3, 2)
        at = build.inception(tag, at, sizes)
    at = build.pool("avgpool", at, 7, 7)
    at = build.add("fc", "Gemm", Matmul(batch, 1000, 1024), [at], (batch, 1000), ((1000, 1024),), "fc")
    build.add("softmax", "Softmax", Softmax(batch, 1000), [at], (batch, 1000), module="fc")
    if hostile:
        for index, name in enumerate(HOSTILE):
            elements = 1000 * batch + index
            at = build.add(name, "Add", Elementwise("add", elements), [at], (elements,), module=name)
        work = Unknown("com.evil::Magic<b>", "no reader knows this operator", 10**6)
        build.add("mystery<b>", "com.evil::Magic<b>", work, [at], (1000,))
    return Graph(LONG if hostile else "googlenet", tuple(build.layers), (), (build.tensors[at],), batch)


def _predict(layer: Layer, gpu: GpuSpec, dtype: DataType) -> Prediction:
    if isinstance(layer.work, Unknown):
        note = f"{layer.operator} is not known: its time is missing from every total"
        return Prediction(None, None, Source.UNKNOWN, Bottleneck.UNKNOWN, 0.0, notes=(note,))
    moved = float(layer.bytes(dtype))
    compute = layer.flops / (gpu.peak_tflops(dtype, tensor=layer.kind.computes_gemm) * 1e6)
    memory = moved / (gpu.dram.bandwidth_gbs * 1e3)
    floor = max(compute, memory)
    gemm = layer.gemm
    if gemm is None:
        limit = Bottleneck.LAUNCH if floor < gpu.launch_us else Bottleneck.DRAM
        return Prediction(
            floor + gpu.launch_us, 35.0, Source.PREDICTED, limit, floor, moved, moved, moved, "elementwise"
        )
    ctas = -(-gemm.m // 128) * -(-gemm.n // 64)
    waves = ctas / gpu.sms
    busy = ctas / (gpu.sms * -(-ctas // gpu.sms))
    limit = (Bottleneck.COMPUTE if compute > memory else Bottleneck.L2) if waves > 1 else Bottleneck.LATENCY
    return Prediction(
        gpu.launch_us + floor / max(busy, 0.05) * 1.4, 18.0, Source.PREDICTED, limit, floor, 6.1 * moved, 2.3 * moved,
        1.02 * moved, "implicit_gemm 128x64", (128, 64, 32), ctas, waves, busy,
    )  # fmt: skip


def _schedule(graph: Graph, times: list[float], answer_of: list[int]) -> tuple[ScheduledLayer, ...]:
    _, path = graph.critical_path(times)
    finish: list[float] = []
    free_at: list[float] = []
    placed = []
    for index, layer in enumerate(graph.layers):
        start = max((finish[p] for p in graph.predecessors[index]), default=0.0)
        stream = next((s for s, free in enumerate(free_at) if free <= start), len(free_at))
        free_at[stream:] = free_at[stream:] or [0.0]
        free_at[stream] = start + times[index]
        finish.append(free_at[stream])
        placed.append(ScheduledLayer(layer.name, answer_of[index], stream, start, times[index], index in path))
    return tuple(placed)


def _findings(answers: list[LayerAnswer], sequential: float) -> tuple[Finding, ...]:
    relus = [a for a in answers if a.layer.operator == "Relu"]
    saved = sum(a.total_us for a in relus) * 0.8

    def speedup(saves_us: float) -> float:
        return sequential / (sequential - saves_us)

    return (
        Finding("fusion", "Fuse activations into the layers before them", saved, 35.0, speedup(saved),
                tuple(n for a in relus for n in a.names), tuple(m for a in relus for m in a.modules),
                "Compile the model (torch.compile, TensorRT) so that each ReLU runs inside its convolution."),
        Finding("parallel-branches", "Run the branches of inception3a together", 14.0, 25.0, speedup(14.0),
                ("inception3a.branch1.conv", MARKUP), ("inception3a",),
                "Put the four branches on their own CUDA streams, or capture them in a CUDA graph."),
        Finding("tail", "The last wave is mostly empty", 3.0, 60.0, speedup(3.0),
                ("inception5a.branch2.1.conv",), ("inception5a.branch2.1",),
                "Choose a width whose CTAs fill whole waves; `headroom staircase` shows them."),
    )  # fmt: skip


def _sums(answers: list[LayerAnswer]) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    kinds: dict[str, float] = defaultdict(float)
    modules: dict[str, float] = defaultdict(float)
    limits: dict[str, float] = defaultdict(float)
    for answer in answers:
        kinds[answer.layer.kind.value] += answer.total_us
        limits[answer.prediction.bottleneck.value] += answer.total_us
        for module in answer.modules:
            modules[module.split(".")[0]] += answer.prediction.time_us or 0.0
    return dict(kinds), dict(modules), dict(limits)


def make_analysis(
    batch: int = 1, *, hostile: bool = True, gpu: GpuSpec = H200, dtype: DataType = DataType.BF16
) -> Analysis:
    """An analysis with more than a hundred configurations."""
    graph = googlenet(batch, hostile=hostile)
    answers, answer_of, times = [], [0] * len(graph.layers), [0.0] * len(graph.layers)
    for configuration in graph.configurations:
        members = [graph.layers[i] for i in configuration.members]
        prediction = _predict(configuration.layer, gpu, dtype)
        for i in configuration.members:
            answer_of[i], times[i] = len(answers), prediction.time_us or 0.0
        names, modules = tuple(m.name for m in members), tuple(m.module for m in members)
        answers.append(LayerAnswer(configuration.layer, names, modules, configuration.members, prediction))
    sequential, (parallel, _) = sum(times), graph.critical_path(times)
    floor = max(
        graph.flops / (gpu.peak_tflops(dtype) * 1e6), graph.weight_bytes(dtype) / (gpu.dram.bandwidth_gbs * 1e3)
    )
    kinds, modules_us, limits = _sums(answers)
    unknown = 1.0 - graph.coverage.known_share
    return Analysis(
        model=graph.name, gpu=gpu, batch=batch, dtype=dtype, l2_state="warm", answers=tuple(answers),
        bounds=Bounds(sequential, 12.0, parallel, 14.0, 0.7 * sequential, 20.0, floor, 5.0, unknown,
                      1.0 - graph.coverage.known_macs_share),
        findings=_findings(answers, sequential), coverage=graph.coverage,
        memory=Memory(graph.weight_bytes(dtype), graph.peak_activation_bytes(dtype), gpu.memory_bytes),
        verdict="About 9x from the speed of light: most of the time goes into launching small layers, so run branches "
        "together and fuse activations first.",
        schedule=_schedule(graph, times, answer_of), time_by_kind=kinds, time_by_module=modules_us,
        time_by_bottleneck=limits, macs=graph.macs, flops=graph.flops,
        notes=("Times are predictions: no measurement of this GPU was found.",),
    )  # fmt: skip
