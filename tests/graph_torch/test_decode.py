"""One more token: the step derived from a pass over S tokens is the pass over one, but for its attention."""

from __future__ import annotations

import pytest

import headroom as hr
from headroom.graph.decode import decode_step
from headroom.graph.layer import Layer
from headroom.graph.work import Attention

torch = pytest.importorskip("torch")

SEQUENCE, WIDTH, HEADS, WORDS = 48, 64, 4, 500


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
        self.query, self.key, self.value, self.out = (torch.nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.up, self.down = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        batch, length, _ = x.shape
        y = self.before(x)
        heads = [f(y).reshape(batch, length, HEADS, -1).transpose(1, 2) for f in (self.query, self.key, self.value)]
        seen = torch.nn.functional.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, length, WIDTH))
        return x + self.down(torch.nn.functional.gelu(self.up(self.after(x))))


class Writer(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = torch.nn.Embedding(WORDS, WIDTH), torch.nn.Parameter(torch.zeros(SEQUENCE, WIDTH))
        self.blocks = torch.nn.ModuleList(Block() for _ in range(2))
        self.head = torch.nn.Linear(WIDTH, WORDS, bias=False)

    def forward(self, ids):
        x = self.words(ids) + self.places[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        return torch.softmax(self.head(x), -1)


def graph_of(length: int, texts: int = 3) -> hr.Graph:
    return hr.load(Writer().eval(), torch.zeros(texts, length, dtype=torch.long))


def works(layers: tuple[Layer, ...]) -> list[object]:
    return [x.work for x in layers if x.kind.does_work and not isinstance(x.work, Attention) and x.operator != "slice"]


def test_the_step_has_the_layers_of_a_pass_over_one_token_and_attention_over_all() -> None:
    step, one = decode_step(graph_of(SEQUENCE)), graph_of(1)
    assert step is not None
    assert (step.tokens, step.sequences) == (SEQUENCE, 3)
    ours = works(step.graph.layers)
    assert [w for w in ours if hasattr(w, "m")] == [w for w in works(one.layers) if hasattr(w, "m")]
    assert sum(w.flops for w in ours) == sum(w.flops for w in works(one.layers))
    found = [x for x in step.graph.layers if isinstance(x.work, Attention)]
    assert len(found) == 2
    for layer in found:
        assert (layer.work.query_length, layer.work.key_length, layer.work.batch) == (1, SEQUENCE, 3)
        assert [t.shape[-2] for t in layer.inputs[:3]] == [1, SEQUENCE, SEQUENCE]
        assert layer.outputs[0].shape[-2] == 1
    assert step.cached_elements == 2 * 2 * 3 * SEQUENCE * WIDTH


def test_a_step_reads_every_weight_of_the_products() -> None:
    whole = graph_of(SEQUENCE)
    step = decode_step(whole)
    assert step is not None

    def read(graph: hr.Graph) -> int:
        return sum(t.bytes(hr.DataType.BF16) for x in graph.layers if x.kind.computes_gemm for t in x.weights)

    assert read(step.graph) == read(whole) > 0


@pytest.mark.parametrize("length", [WIDTH, HEADS, WORDS])
def test_a_length_that_could_be_another_size_gives_no_step(length: int) -> None:
    class Longer(Writer):
        def __init__(self) -> None:
            super().__init__()
            self.places = torch.nn.Parameter(torch.zeros(WORDS, WIDTH))

    assert decode_step(hr.load(Longer().eval(), torch.zeros(3, length, dtype=torch.long))) is None


def test_a_model_of_images_has_no_step(shared_models) -> None:
    assert decode_step(hr.load(shared_models / "vit_b_16_dynamo.onnx")) is None
    assert decode_step(hr.load(shared_models / "resnet18.onnx")) is None
    assert decode_step(hr.load(shared_models / "stream_gpt2like_training.onnx")) is None
