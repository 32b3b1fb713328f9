"""What the reader says of whole networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from graph_torch import zoo
from graph_torch.conftest import Read
from graph_torch.modules import Module, graph_of
from headroom.errors import ModelError, UsageError
from headroom.graph.kinds import LayerKind
from headroom.graph.tensor import DataType
from headroom.graph.torch.reader import read_module
from headroom.graph.work import Attention, Normalization, Recurrent


def counted_macs(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> int:
    """PyTorch's own count. On meta tensors, because it sees nothing inside the CPU's fused kernels."""
    module = module.to("meta").eval()
    with torch.device("meta"), FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        module(*(tensor.to("meta") for tensor in inputs))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("fused_encoder", [False], indirect=True)
@pytest.mark.usefixtures("fused_encoder")
@pytest.mark.parametrize("name", [*zoo.EXACT, "lstm_tagger", "gru_tagger"])
def test_macs_equal_the_count_of_pytorch(name: str, read: Read) -> None:
    assert read(name).macs == counted_macs(*getattr(zoo, name)())


@pytest.mark.parametrize(
    ("name", "millions"), [("alexnet", 714), ("vgg16", 15_470), ("resnet18", 1_814), ("resnet50", 4_089)]
)
def test_macs_equal_published_counts(name: str, millions: int, read: Read) -> None:
    """As torchvision's documentation gives them (GFLOPS there are multiply-adds)."""
    assert read(name).macs / 1e6 == pytest.approx(millions, rel=0.001)


@pytest.mark.parametrize("name", [*zoo.EXACT, "lstm_tagger", "gru_tagger"])
def test_every_layer_of_the_classics_is_known(name: str, read: Read) -> None:
    coverage = read(name).coverage
    assert (coverage.known_share, coverage.unknown_layers) == (1.0, ())


def test_layers_carry_the_module_paths_of_the_user(read: Read) -> None:
    module, _ = zoo.resnet18()
    expected = [path for path, part in module.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    compute = [layer for layer in read("resnet18").layers if layer.macs]
    assert sorted(layer.module for layer in compute) == sorted(expected)
    assert all(layer.name == layer.module for layer in compute)


def test_what_a_container_does_itself_is_named_after_it(read: Read) -> None:
    names = [layer.name for layer in read("resnet18").working_layers]
    assert "layer2.0/add" in names
    assert names.index("layer2.0.bn2") < names.index("layer2.0/add")


def test_a_module_called_twice_gives_two_names(read: Read) -> None:
    relus = [layer.name for layer in read("resnet18").layers if layer.module == "layer1.0.relu"]
    assert relus == ["layer1.0.relu", "layer1.0.relu@1"]


@pytest.mark.parametrize("name", ["resnet50", "vit", "lstm_tagger", "encoder"])
def test_names_and_tensors_are_unique_and_edges_point_backwards(name: str, read: Read) -> None:
    graph = read(name)
    names = [layer.name for layer in graph.layers]
    written = [tensor.name for layer in graph.layers for tensor in layer.outputs]
    assert len(set(names)) == len(names)
    assert len(set(written)) == len(written)
    known = {tensor.name for tensor in graph.inputs}
    for layer in graph.layers:
        assert {tensor.name for tensor in layer.inputs} <= known
        known.update(tensor.name for tensor in layer.outputs)
    assert {tensor.name for tensor in graph.outputs} <= known


def test_reading_twice_gives_the_same_graph(read: Read) -> None:
    assert read_module(*zoo.vit(), name="vit").layers == read("vit").layers


def test_weights_are_the_parameters_and_buffers_that_are_read(read: Read) -> None:
    module, _ = zoo.resnet18()
    held = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    expected = {name for name in held if not name.endswith("num_batches_tracked")}
    graph = read("resnet18")
    found = {tensor.name: tensor for layer in graph.layers for tensor in layer.weights}
    assert set(found) == expected
    assert graph.weight_bytes(DataType.FP32) == 4 * sum(held[name].numel() for name in expected)


def test_tied_weights_are_counted_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.word, self.head = nn.Embedding(50, 8), nn.Linear(8, 50, bias=False)
            self.head.weight = self.word.weight

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.head(self.word(tokens))

    graph = read_module(Tied(), torch.zeros(2, 3, dtype=torch.long))
    assert graph.weight_bytes(DataType.FP32) == 4 * 50 * 8


def test_weights_in_one_flat_buffer_are_not_tied() -> None:
    flat = torch.zeros(32)
    a, b = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    a.weight, b.weight = nn.Parameter(flat[:16].view(4, 4)), nn.Parameter(flat[16:].view(4, 4))
    graph = read_module(nn.Sequential(a, b), torch.zeros(1, 4))
    assert graph.weight_bytes(DataType.FP32) == 4 * 32


def test_a_view_of_a_weight_is_that_weight() -> None:
    graph = graph_of(lambda m, x: x @ m.a.weight.t() + m.a.weight[0, 0], torch.zeros(3, 4), a=nn.Linear(4, 5))
    product, addition = graph.working_layers
    assert [(t.name, t.shape) for t in product.weights] == [("a.weight", (4, 5))]
    assert [t.shape for t in addition.weights] == [()]
    assert not any(layer.kind is LayerKind.FREE for layer in graph.layers)


def test_integer_inputs_keep_their_element_type(read: Read) -> None:
    graph = read("bert_layer")
    assert [(t.name, t.shape, t.element) for t in graph.inputs] == [("tokens", (2, 16), "int64")]
    embedding = next(layer for layer in graph.layers if layer.kind is LayerKind.EMBEDDING)
    assert embedding.inputs[0].bytes(DataType.BF16) == 2 * 16 * 8


def test_fused_attention_is_one_layer(read: Read) -> None:
    (layer,) = [layer for layer in read("bert_layer").layers if layer.kind is LayerKind.ATTENTION]
    assert layer.work == Attention(2, 4, 16, 16, 16, 16, kv_heads=4)
    assert layer.macs == 2 * 2 * 4 * 16 * 16 * 16


def test_a_stack_of_cells_is_one_layer(read: Read) -> None:
    layer = next(layer for layer in read("lstm_tagger").layers if layer.kind is LayerKind.RECURRENT)
    assert layer.name == layer.module == "cells"
    assert layer.work == Recurrent("lstm", 3, 7, 16, 24, layers=2, directions=2)


def test_the_encoder_of_pytorch_reads_alike_with_gradients_off() -> None:
    """With gradients off PyTorch would hide the whole block in one fused operator."""
    module, inputs = zoo.encoder()
    with torch.no_grad():
        without = read_module(module, inputs)
    assert without.macs == read_module(module, inputs).macs > 0
    assert without.coverage.known_share == 1.0


def test_a_module_on_the_meta_device_reads_like_one_on_the_cpu(read: Read) -> None:
    module, inputs = zoo.resnet18()
    graph = read_module(module.to("meta"), inputs, name="resnet18")
    assert graph.layers == read("resnet18").layers


def test_a_model_larger_than_memory_is_read_from_the_meta_device() -> None:
    with torch.device("meta"):
        module = nn.Sequential(*(nn.Linear(1 << 18, 1 << 18, bias=False) for _ in range(3)))
    graph = read_module(module, torch.zeros(1, 1 << 18))
    assert graph.weight_bytes(DataType.FP32) == 3 * 4 << 36


def test_parameters_on_the_cpu_are_neither_copied_nor_touched() -> None:
    """Uninitialised memory becomes resident when it is read or copied; two gibibytes would show."""
    resource = pytest.importorskip("resource", reason="needs the peak memory of the process")
    module = nn.utils.skip_init(nn.Linear, 1 << 14, 1 << 15, bias=False)
    read_module(nn.ReLU(), torch.zeros(1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    graph = read_module(module, torch.zeros(1, 1 << 14))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert graph.macs == 1 << 29
    assert grown < graph.weight_bytes(DataType.FP32) // 4096


def test_the_module_is_untouched() -> None:
    module, inputs = zoo.resnet18()
    module.train()
    module.layer1.eval()
    flags = {path: part.training for path, part in module.named_modules()}
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    values = {name: tensor.clone() for name, tensor in tensors.items()}
    fused_encoder = torch.backends.mha.get_fastpath_enabled()
    read_module(module, inputs, batch=2)
    assert {path: part.training for path, part in module.named_modules()} == flags
    after = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    assert all(after[name] is tensor for name, tensor in tensors.items())
    assert all(torch.equal(after[name], value) for name, value in values.items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in module.parameters())
    assert torch.backends.mha.get_fastpath_enabled() == fused_encoder


def test_the_flags_come_back_when_the_export_fails() -> None:
    module = Module(lambda _, x: x if x.sum() > 0 else -x, part=nn.Dropout())
    with pytest.raises(ModelError):
        read_module(module, torch.zeros(2))
    assert module.training
    assert module.part.training


def test_a_cache_written_in_place_is_untouched() -> None:
    class Cached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("cache", torch.zeros(4, 8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.cache[:2] = x
            return self.cache.sum()

    module = Cached()
    graph = read_module(module, torch.ones(2, 8))
    assert torch.equal(module.cache, torch.zeros(4, 8))
    copied, total = graph.working_layers
    assert graph.layers.index(copied) in reachable(graph, graph.layers.index(total))


def reachable(graph: object, index: int) -> set[int]:
    before = graph.predecessors[index]  # type: ignore[attr-defined]
    return set(before).union(*(reachable(graph, i) for i in before)) if before else set()


def test_a_write_through_a_view_comes_before_later_reads() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        y[:, 0] = x[:, 1].exp()
        return y.sum()

    graph = graph_of(forward, torch.zeros(3, 4))
    index = {layer.operator: i for i, layer in enumerate(graph.layers)}
    assert {index["aten.exp"], index["aten.copy"], index["aten.mul"]} <= reachable(graph, index["aten.sum"])


def test_named_and_nested_inputs_keep_their_names() -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor, extra: dict[str, torch.Tensor], scale: int = 2) -> torch.Tensor:
            return x * scale + extra["bias"]

    inputs = {"x": torch.zeros(2, 3), "extra": {"bias": torch.zeros(3)}, "scale": 3}
    graph = read_module(Net(), inputs)
    assert [tensor.name for tensor in graph.inputs] == ["x", "extra_bias"]


def test_code_under_another_mode_of_autograd_or_autocast_is_read_in_place() -> None:
    def forward(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            x = module.first(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return module.second(x)

    graph = graph_of(forward, torch.zeros(2, 4), first=nn.Linear(4, 4), second=nn.Linear(4, 4))
    assert [layer.module for layer in graph.working_layers if layer.macs] == ["first", "second"]


def test_a_result_that_nothing_reads_is_left_out_and_said() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        (x @ x).sum()
        return x * 2

    graph = graph_of(forward, torch.zeros(4, 4))
    assert [layer.operator for layer in graph.layers] == ["aten.mul"]
    assert graph.notes == ("left out 2 layer(s) whose results nothing reads, in aten.matmul, aten.sum",)


def test_attention_with_a_mask_and_thrown_away_weights_is_one_layer() -> None:
    attention = nn.MultiheadAttention(32, 4, batch_first=True)
    graph = graph_of(
        lambda m, x, mask: m.attention(x, x, x, attn_mask=mask)[0],
        *(torch.zeros(2, 5, 32), torch.zeros(5, 5)),
        attention=attention,
    )
    (layer,) = [layer for layer in graph.layers if layer.kind is LayerKind.ATTENTION]
    assert layer.work == Attention(2, 4, 5, 5, 8, 8, kv_heads=4, masked=True)
    assert layer.name == "attention/attention"


def test_written_out_attention_keeps_its_parts(read: Read) -> None:
    layer = next(layer for layer in read("vit").layers if layer.kind is LayerKind.ATTENTION)
    assert (layer.name, layer.module) == ("blocks.0.attn/attention", "blocks.0.attn")
    assert [part.name.rpartition("/")[2] for part in layer.parts] == [
        "transpose",
        "matmul",
        "mul",
        "softmax",
        "matmul_1",
    ]
    assert sum(part.macs for part in layer.parts) == layer.macs


@pytest.mark.parametrize("masked", [False, True])
def test_fused_attention_can_be_taken_apart(masked: bool) -> None:
    shape = (2, 4, 6, 8)
    mask = torch.zeros(6, 6) if masked else None
    graph = graph_of(
        lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, mask), *[torch.zeros(shape)] * 3
    )
    (layer,) = graph.layers
    kinds = [part.kind.value for part in layer.parts]
    assert kinds == ["matmul", *(["elementwise"] if masked else []), "softmax", "matmul"]
    assert sum(part.macs for part in layer.parts) == layer.macs
    assert layer.parts[-1].outputs == layer.outputs
    made = {tensor.name for part in layer.parts for tensor in part.outputs}
    assert {t.name for part in layer.parts for t in part.inputs} - made == {t.name for t in layer.inputs}
    assert {t.name for part in layer.parts for t in part.weights} == {t.name for t in layer.weights}


def test_a_normalisation_written_out_in_a_module_is_named_after_it() -> None:
    graph = graph_of(lambda m, x: m.norm(x), torch.zeros(2, 3, 16), norm=zoo.RMSNorm(16))
    (layer,) = graph.layers
    assert layer.name == "norm"
    assert layer.work == Normalization("rms", 96, 16, 5)


def test_a_branch_on_data_is_unknown_and_weighed() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda v: v @ v, lambda v: v * 2, (x,))

    graph = graph_of(forward, torch.zeros(8, 8))
    unknown = graph.layers[-1]
    assert unknown.work.reason == "which branch runs depends on the data; it writes 8x8 float32"
    assert unknown.work.estimated_macs == 8**3
    assert graph.coverage.unknown_layers == ("cond",)


def test_an_operator_of_the_user_is_unknown_with_its_shape() -> None:
    @torch.library.custom_op("headroom_tests::mystery", mutates_args=())
    def mystery(x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @mystery.register_fake
    def _(x: torch.Tensor) -> torch.Tensor:
        return torch.empty_like(x)

    layer = graph_of(lambda x: mystery(x), torch.zeros(2, 3)).layers[0]
    assert layer.operator == "headroom_tests::mystery"
    assert layer.work.reason == "no reader for this operator, which writes 2x3 float32"


def test_a_branch_in_python_code_names_the_module_and_the_way_out() -> None:
    part = Module(lambda _, x: x if x.sum() > 0 else -x)
    with pytest.raises(
        ModelError, match=r"^torch.export stopped in module 'part' of Net \(test_reader.py:\d+\): .*torch.where"
    ):
        read_module(Module(lambda m, x: m.part(x), part=part), torch.zeros(2), name="Net")


def test_a_failing_forward_names_the_module_and_says_its_own_error() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 6))
    with pytest.raises(ModelError, match=r"in module '1' of Sequential: RuntimeError: .*check that the module runs"):
        read_module(module, torch.zeros(2, 3))


def test_errors_are_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError) as caught:
        graph_of(lambda x: x[: int(x[0])], torch.zeros(3))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_size_that_depends_on_values_is_refused_by_name() -> None:
    with pytest.raises(ModelError) as caught:
        graph_of(lambda x: x.nonzero(), torch.zeros(2, 2))
    assert str(caught.value) == (
        "the shape (u0, 2) of nonzero in module (the outermost) depends on values, not on the inputs' shapes; "
        "replace it by an operator of fixed size, such as a mask"
    )


def test_a_vmapped_region_is_refused_because_its_shapes_lack_the_batch() -> None:
    part = Module(lambda m, x: torch.func.vmap(lambda row: m.fc(row))(x), fc=nn.Linear(4, 3))
    with pytest.raises(ModelError) as caught:
        graph_of(lambda m, x: m.part(x), torch.zeros(2, 4), part=part)
    assert str(caught.value) == (
        "torch.func.vmap in module part (flex_attention uses it too) hides its batch from the export; write the "
        "batch dimension out, or use scaled_dot_product_attention"
    )


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(ModelError, match=r"^thing is no torch.nn.Module; pass a module and its example inputs$"):
        read_module(object(), torch.zeros(1), name="thing")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_module_is_refused() -> None:
    scripted = torch.jit.trace(nn.ReLU(), torch.zeros(1))
    with pytest.raises(ModelError, match=r"^old is a TorchScript module, which torch.export does not read; pass"):
        read_module(scripted, torch.zeros(1), name="old")


def test_inputs_without_a_tensor_are_refused() -> None:
    with pytest.raises(ModelError, match=r"^the example inputs hold no tensor \(int, str\); pass the tensors"):
        read_module(nn.ReLU(), (1, "a"))


def test_a_batch_below_one_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^a batch of 0 is not possible; give a number from 1$"):
        read_module(nn.ReLU(), torch.zeros(2, 3), batch=0)
