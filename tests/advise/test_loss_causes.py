"""A loss is told by its true cause, and never with a remedy that the run has applied already."""

from __future__ import annotations

from pathlib import Path

import pytest

from advise.matched import graph_of
from builders import add, conv, graph, layer, relu, timed
from executions import Scene
from headroom.advise.analysis import Finding
from headroom.advise.bounds import lower_bounds
from headroom.advise.case import Case
from headroom.advise.matching import match
from headroom.advise.questions.framework import framework, naming_shown
from headroom.graph.graph import Graph
from headroom.graph.work import Attention, Embedding, Movement
from headroom.measure.profiles.reading import read_profile

MODEL = graph(conv("a", "x"), relu("b", "a"), conv("c", "b", channels=32), relu("d", "c"))
TRACES = Path(__file__).parents[2] / "benchmarks" / "results" / "profiles"


def scene(model: Graph = MODEL, kernel: str = "kernel") -> Scene:
    built = Scene(model, host_us=5.0)
    for each in model.layers:
        built.run(each.name, (f"{kernel}_{each.name}", 60.0))
    return built


def findings(case: Case, kind: str) -> list[Finding]:
    return [each for each in framework(case).findings if each.kind == kind]


def real(models: Path, name: str) -> Case:
    model = graph_of(models, name)
    found = timed(model, *[1.0 for _ in model.configurations])
    return Case(found, lower_bounds(found), None, match(read_profile(TRACES / f"{name}.json.gz"), model))


def test_a_copy_inside_a_run_that_is_channels_last_is_not_told_to_become_channels_last() -> None:
    built = scene(kernel="max_pool_forward_nhwc").beside("copy", "c", ("copy", 30.0), call="aten::conv2d")
    (finding,) = findings(built.case(), "copies")
    assert "memory_format" not in finding.code
    assert "returns values in NCHW order" in finding.action


def test_flattening_channels_last_values_is_ended_by_permuting_the_next_weight_once() -> None:
    built = scene(kernel="max_pool_forward_nhwc").beside("copy", "c", ("copy", 30.0), call="aten::flatten")
    (finding,) = findings(built.case(), "copies")
    assert "linear.weight.unflatten" in finding.code
    assert "channels_last)" not in finding.code


def test_the_advised_flatten_gives_what_flatten_gave_and_copies_nothing() -> None:
    torch = pytest.importorskip("torch")
    x = torch.randn(2, 4, 3, 3).contiguous(memory_format=torch.channels_last)
    linear = torch.nn.Linear(36, 5)
    built = scene(kernel="max_pool_forward_nhwc").beside("copy", "c", ("copy", 30.0), call="aten::flatten")
    (finding,) = findings(built.case(), "copies")
    names = {"torch": torch, "x": x, "linear": linear}
    exec(finding.code, names)
    torch.testing.assert_close(names["y"], linear(x.flatten(1)))
    assert x.permute(0, 2, 3, 1).flatten(1).data_ptr() == x.data_ptr()


def test_channels_that_cudnn_pads_are_no_padding_of_space() -> None:
    built = scene().beside("pad", "a", ("void nhwcAddPaddingKernel<float>(int)", 20.0), call="aten::conv2d")
    (finding,) = findings(built.case(), "padding")
    assert "channels" in finding.title
    assert "ZeroPad2d" not in finding.code


def test_casts_behind_a_composed_attention_are_the_attention_s_and_counted_once() -> None:
    attention = layer("s", Attention(1, 12, 128, 128, 64, 64, 12), ["x"], shape=(1, 12, 128, 64))
    turned = layer("t", Movement("transpose", 98304, axes=(0, 2, 1, 3)), ["s"], shape=(1, 128, 12, 64))
    model = graph(attention, turned)
    built = Scene(model, host_us=5.0).run("s", *[(f"step_{i}", 20.0) for i in range(6)]).run("t", ("turn", 20.0))
    case = built.beside("cast", "t", ("bfloat16_copy_kernel", 20.0)).case(timed(model, 25.0, 10.0))
    assert not findings(case, "dtype_casts")
    (finding,) = findings(case, "composed_attention")
    assert "7 launches" in finding.title


def test_a_lookup_in_another_table_is_no_second_run() -> None:
    words = layer("e", Embedding(128, 768), ["x"], shape=(1, 128, 768))
    model = graph(words, add("out", "e", "e", shape=(1, 128, 768)))

    def looked_up(*second: int) -> Case:
        built = Scene(model, host_us=5.0).run("e", ("gather", 40.0), dims=(30522, 768))
        return built.beside("unknown", "e", ("gather", 40.0), dims=second).run("out", ("add", 40.0)).case()

    assert not findings(looked_up(512, 768), "repeated_work")
    assert not findings(looked_up(), "repeated_work")
    assert findings(looked_up(30522, 768), "repeated_work")


def test_a_replayed_bert_in_bf16_is_not_told_to_store_itself_in_bf16(shared_models: Path) -> None:
    case = real(shared_models, "bert_base-1-bf16_graph")
    assert not findings(case, "dtype_casts")
    assert not findings(case, "repeated_work")


def test_vgg_in_channels_last_pads_no_space(shared_models: Path) -> None:
    case = real(shared_models, "vgg16-1-bf16_channels_last")
    assert not any("padding=p" in each.code for each in framework(case).findings)
    assert not any(each.kind == "copies" and "memory_format" in each.code for each in framework(case).findings)


def test_the_largest_loss_named_is_one_that_the_reader_is_shown() -> None:
    built = scene().beside("cast", "a", ("cast", 30.0), call="aten::to", dims=(64, 64, 3, 3))
    case = built.beside("copy", "c", ("copy", 20.0), call="aten::contiguous").case()
    answer = framework(case)
    first, *others = answer.findings
    assert first.kind in ("dtype_casts", "launch_gaps")
    (told,) = naming_shown(case, [answer], others)
    assert others[0].title.lower() in told.sentence.lower()
    assert first.title.lower() not in told.sentence.lower()
    (none,) = naming_shown(case, [answer], [])
    assert "largest loss" not in none.sentence
    assert "other questions advise" in none.sentence
    assert naming_shown(case, [answer], answer.findings) == (answer,)
