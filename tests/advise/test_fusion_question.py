"""Question 5: what fusion gives by pattern, and how PyTorch gets it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from advise.cases import case_of
from builders import add, batch_norm, conv, graph, layer, matmul, relu, tensor
from headroom.advise.attention import attention_ways
from headroom.advise.findings.fusion import fusion_patterns
from headroom.advise.pytorch_lines import MAX_AUTOTUNE
from headroom.advise.questions.fusion import fusion
from headroom.advise.recipes import recipe_for
from headroom.graph.chain import Chain
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.work import Attention, Elementwise
from headroom.predict.prediction import Source
from headroom.store.rows import Implementation
from measured_rows import Rows, row, timings

CONV, NORM, RELU = conv("c", "x"), batch_norm("n", "c"), relu("r", "n")
CHAIN = graph(CONV, NORM, RELU)


def gelu(name: str, read: str, shape: tuple[int, ...]) -> Layer:
    return layer(name, Elementwise("gelu", 1, activation=True), [read], shape=shape)


def _linear() -> Layer:
    """A product with a weight and a bias."""
    product = matmul("m", "x", 64, 64, 64)
    return replace(product, weights=(*product.weights, tensor("m.bias", 64)))


def attention(name: str = "a") -> Layer:
    shape = (1, 12, 128, 64)
    return layer(
        name, Attention(1, 12, 128, 128, 64, 64, 12), [tensor(t, *shape) for t in ("x", "k", "v")], shape=shape
    )


def test_a_pattern_names_its_kernel_its_lines_and_what_they_leave() -> None:
    rows = timings(([CONV], row(90.0)), ([NORM], row(40.0)), ([RELU], row(30.0)), ([CONV, NORM, RELU], row(100.0)))
    answer = fusion(case_of(CHAIN, Rows(rows)))
    (finding,) = answer.findings
    assert finding.saves_us == pytest.approx(60.0)
    assert finding.source is Source.MEASURED
    assert "`cudnn eng22_k2=5_k13=1, nhwc`" in finding.action
    assert "Folding BatchNorm alone saves about 40.0 µs." in finding.action
    # The module is not there by importing torch alone.
    assert finding.code.startswith("from torch.fx.experimental.optimization import fuse\n\nmodel = fuse(model")
    assert "torch.cudnn_convolution_relu" in finding.code
    assert "pins another" in finding.limits
    assert answer.sentence.startswith("With every fusion that is faster, the layers take 100 µs ± ")


def test_the_calls_of_a_recipe_exist_in_pytorch() -> None:
    torch = pytest.importorskip("torch")
    from torch.fx.experimental.optimization import fuse
    from torch.nn.utils import fuse_conv_bn_eval

    assert callable(fuse)
    assert callable(fuse_conv_bn_eval)
    for name in ("cudnn_convolution_relu", "cudnn_convolution_add_relu", "_addmm_activation", "addmm"):
        assert callable(getattr(torch, name))
    assert callable(torch.nn.attention.sdpa_kernel)


@pytest.mark.parametrize(
    ("layers", "code", "limit"),
    [
        ([CONV, NORM], "model = fuse(model.eval())", "torch.fx cannot trace"),
        ([CONV, NORM, add("s", "n", "y"), relu("r", "s")], "cudnn_convolution_add_relu", "cuDNN's heuristic"),
        ([CONV, gelu("g", "c", (1, 64, 56, 56))], "torch.compile", "No call of PyTorch"),
        ([matmul("m", "x", 64, 64, 64), add("s", "m", "y", shape=(64, 64))], "torch.addmm", "picks the algorithm"),
        ([_linear(), gelu("g", "m", (64, 64))], "_addmm_activation", "private"),
        ([RELU, add("s", "r", "y")], "torch.compile", ""),
    ],
)
def test_every_kind_of_chain_has_lines_and_says_what_they_leave(layers: list[Layer], code: str, limit: str) -> None:
    recipe = recipe_for(layers)
    assert code in recipe.code
    assert limit in recipe.limits


def test_no_call_is_told_that_would_leave_a_bias_or_a_residual_out() -> None:
    residual, product = add("s", "m", "y", shape=(64, 64)), matmul("m", "x", 64, 64, 64)
    activation = gelu("g", "m", (64, 64))
    for chain in ([_linear(), residual], [_linear(), residual, activation], [product, residual, activation]):
        assert recipe_for(chain).code == recipe_for([product, activation]).code == MAX_AUTOTUNE


@pytest.mark.parametrize("shape", [(5, 8), (2, 5, 8)])
def test_the_calls_of_a_product_give_what_its_layers_give(shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    linear, x = torch.nn.Linear(8, 6), torch.randn(shape)
    told = {"torch": torch, "linear": linear, "x": x}
    relu_after = recipe_for([_linear(), relu("r", "m")]).code.split("one product:\n")[1]
    exec(relu_after, told)
    torch.testing.assert_close(told["y"], linear(x).relu())
    linear.bias, told["residual"] = None, torch.randn(*shape[:-1], 6)
    exec(recipe_for([matmul("m", "x", 64, 64, 64), add("s", "m", "y", shape=(64, 64))]).code, told)
    torch.testing.assert_close(told["y"], linear(x) + told["residual"])


def test_what_the_compiler_was_measured_at_is_what_the_compiler_gets() -> None:
    product = [_linear(), gelu("g", "m", (64, 64))]
    assert recipe_for(product, ["inductor default"]).limits == ""


def test_patterns_come_with_the_largest_saving_first() -> None:
    patterns = fusion_patterns(case_of(_two_patterns()).timed)
    assert len(patterns) > 1
    assert [p.saves_us for p in patterns] == sorted((p.saves_us for p in patterns), reverse=True)


def test_patterns_that_the_same_lines_fuse_are_one_finding() -> None:
    layers = [conv("c", "x"), gelu("g", "c", (1, 64, 56, 56)), conv("d", "g"), add("a", "d", "y")]
    rows = timings(
        ([layers[0]], row(60.0)), ([layers[1]], row(20.0)), ([layers[3]], row(30.0)), (layers[:2], row(65.0)),
        (layers[2:], row(70.0)),
    )  # fmt: skip
    answer = fusion(case_of(graph(*layers), Rows(rows)))
    assert [(cells[0], cells[4]) for cells in answer.tables[0].rows] == [
        ("convolution + add", pytest.approx(20.0)),
        ("convolution + gelu", pytest.approx(15.0)),
    ]
    (finding,) = answer.findings
    assert finding.saves_us == pytest.approx(35.0)
    assert finding.title == "convolution + add and 1 pattern more: 2 chains in separate kernels"
    assert set(finding.layers) == {"c", "g", "d", "a"}


def test_attention_is_compared_with_its_composition() -> None:
    model = graph(attention())
    digest = Chain.of([attention()]).digest
    math = row(34.0, implementation=Implementation("torch", "attention math"))
    flash = row(8.0, implementation=Implementation("torch", "attention flash"))
    rows = Rows(timings(([attention()], row(6.0))), others_tried={digest: [math, flash]})
    (ways,) = attention_ways(case_of(model, rows))
    assert (ways.fused_us, ways.composed_us, ways.in_pytorch_us) == (6.0, 34.0, 8.0)
    assert ways.composed_source is Source.MEASURED
    sentence = fusion(case_of(_with_a_chain(), rows)).sentence
    assert "Attention counts as fused in every bound (6.00 µs)" in sentence
    assert "it takes 34.0 µs" in sentence


def test_a_model_with_nothing_to_fuse_says_so() -> None:
    answer = fusion(case_of(graph(CONV)))
    assert answer.sentence.startswith("Nothing in this model has a fused implementation")
    assert answer.findings == ()


def _two_patterns() -> Graph:
    return graph(CONV, NORM, RELU, conv("d", "r"), relu("e", "d"))


def _with_a_chain() -> Graph:
    """An attention and a chain apart from it, so that something can be fused."""
    return graph(attention(), relu("r", "y"), relu("s", "r"))
