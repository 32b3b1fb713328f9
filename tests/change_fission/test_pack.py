"""Choosing formats: within the budget by sum and by real outputs, never for nothing, and saved without pickle."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import headroom as hr
from headroom.change.fission.choose import Option, choose, together
from headroom.errors import ModelError, UsageError

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from headroom.change.fission.calibration import outputs_of, relative_norm  # noqa: E402
from headroom.change.fission.stored import load_packed  # noqa: E402
from headroom.report.packing import schema  # noqa: E402

FORMS = ("int8", "int4_g32")


def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 2048), nn.ReLU(), nn.Linear(2048, 512)
        )


def images(count: int = 4):
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def packed(**options):
    options = {"example_inputs": images(1), "calibration": [images()], "forms": FORMS, "dtype": "fp32"} | options
    return hr.pack(network(), "h200", **options)


def test_the_choice_is_the_best_that_the_budget_allows():
    random = np.random.default_rng(0)
    for _ in range(20):
        options = {
            str(layer): [(Option("a", 1, float(random.uniform(0, 0.03))), float(random.uniform(0, 5))) for _ in "abc"]
            for layer in range(4)
        }
        found = choose(options, 0.03)
        gain = sum({id(o): g for o, g in options[name]}[id(option)] for name, option in found.items())
        every = [[(None, 0.0), *options[name]] for name in options]
        best = max(
            sum(g for _, g in picks)
            for picks in (
                tuple(each[i] for each, i in zip(every, place, strict=True)) for place in np.ndindex(4, 4, 4, 4)
            )
            if sum(o.output_error**2 for o, _ in picks if o is not None) <= 0.03**2 * 0.995
        )
        assert together(found) <= 0.03
        assert gain >= best


def test_without_a_budget_and_without_a_gain_nothing_is_packed():
    options = {"a": [(Option("int8", 1, 0.001), 5.0)], "b": [(Option("int8", 1, 0.0), 0.0)]}

    assert choose(options, 0.0) == {}
    assert list(choose(options, 0.1)) == ["a"]


def test_real_outputs_keep_the_budget_and_the_network_stays_as_it_was():
    original = network()
    wanted = outputs_of(original, [images()])
    answer = hr.pack(original, "h200", example_inputs=images(1), calibration=[images()], forms=FORMS, dtype="fp32")
    found = outputs_of(answer.network, [images()])

    assert answer.plan.forms, "the linear layers wait for their weights"
    assert "0" not in answer.plan.forms, "a convolution is not made faster by packing"
    assert relative_norm(found - wanted, wanted) == pytest.approx(answer.plan.output_error)
    assert answer.plan.output_error <= answer.plan.budget
    assert torch.equal(outputs_of(original, [images()]), wanted)
    assert answer.plan.saves_us > 0
    assert answer.plan.error_pct > 30


def test_a_smaller_budget_packs_into_more_bits():
    loose, tight = packed(budget=0.2).plan, packed(budget=0.01).plan

    assert set(loose.forms.values()) == {"int4_g32"}
    assert set(tight.forms.values()) == {"int8"}
    assert loose.bytes[1] < tight.bytes[1] < tight.bytes[0]
    assert packed(budget=0.0).plan.forms == {}


def test_a_transformer_whose_layers_look_at_their_weights_is_packed():
    layer = nn.TransformerEncoderLayer(64, 4, 256, batch_first=True).eval()
    tokens = torch.randn(1, 5, 64, generator=torch.Generator().manual_seed(1))
    answer = hr.pack(layer, "h200", example_inputs=tokens, forms=("int8",), goal="memory")

    assert {"linear1", "linear2"} <= set(answer.plan.forms)
    assert answer.plan.output_error <= 0.02


def test_what_synapse_elimination_left_is_packed_and_comes_back(tmp_path):
    from headroom.change.synapses.modules import SlimLinear

    def slim():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            layer = SlimLinear(1024, 512, 256)
            with torch.no_grad():
                layer.weight.copy_(torch.randn(256, 512))
                layer.retained.copy_(torch.randperm(1024)[:512])
            return nn.Sequential(layer)

    batch = torch.randn(2, 1024, generator=torch.Generator().manual_seed(1))
    answer = hr.pack(slim(), "h200", example_inputs=batch[:1], calibration=[batch], forms=("int8",), dtype="fp32")
    answer.save(tmp_path)

    assert answer.plan.forms == {"0": "int8"}
    assert answer.plan.saves_us > 0
    assert answer.plan.layers[0].options[0].output_error == pytest.approx(answer.plan.output_error, rel=0.1)
    assert torch.equal(load_packed(slim(), tmp_path)(batch), answer.network(batch))
    answer.network[0].retained[3] = 1024
    answer.save(tmp_path)
    with pytest.raises(ModelError, match="leaves its 1024"):
        load_packed(slim(), tmp_path)


def test_for_memory_convolutions_are_packed_too():
    assert "0" in packed(goal="memory", budget=0.1).plan.forms


def test_a_metric_that_falls_too_far_undoes_what_was_packed():
    def quality(found: nn.Module) -> float:
        return 90.0 if isinstance(found[3], nn.Linear) else 80.0

    assert "3" in packed(metric=quality, max_loss=15.0).plan.forms
    refused = packed(metric=quality, max_loss=0.5).plan
    assert "3" not in refused.forms
    assert refused.quality == (90.0, 90.0)


def test_the_plan_follows_its_schema_and_repeats_exactly():
    first, second = (json.dumps(packed().to_dict()) for _ in range(2))

    assert first == second
    jsonschema.Draft202012Validator(schema()).validate(json.loads(first))


def test_a_saved_network_comes_back_to_the_bit(tmp_path):
    answer = packed()
    answer.save(tmp_path / "made")
    again = load_packed(network(), tmp_path / "made")

    assert torch.equal(again(images()), answer.network(images()))


@pytest.mark.parametrize("damage", ["{", '{"format": "other"}', '{"format": "headroom-packing", "version": 1}'])
def test_a_damaged_description_is_one_sentence(tmp_path, damage):
    packed().save(tmp_path)
    (tmp_path / "packing.json").write_text(damage)

    with pytest.raises(ModelError, match=r"packing\.json"):
        load_packed(network(), tmp_path)


def test_a_description_of_another_network_is_refused(tmp_path):
    packed().save(tmp_path)

    with pytest.raises(ModelError, match="does not fit the network"):
        load_packed(nn.Sequential(nn.Linear(2, 2)), tmp_path)


def test_the_example_on_the_page_runs():
    page = Path(__file__).resolve().parents[2] / "docs" / "pack.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    names: dict = {}

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        exec(code, names)

    assert names["answer"].plan.forms
    assert torch.equal(names["again"](torch.ones(1, 512)), names["answer"].network(torch.ones(1, 512)))


def test_arguments_that_do_not_go_together_are_named():
    with pytest.raises(UsageError, match="give both or neither"):
        packed(max_loss=1.0)
    with pytest.raises(UsageError, match="no format is called"):
        packed(forms=("int3",))
    with pytest.raises(UsageError, match="is no budget"):
        packed(budget=2.0)
    with pytest.raises(ModelError, match="fails on the calibration data"):
        packed(calibration=[torch.zeros(1, 5)])
    with pytest.raises(UsageError, match="nothing can be packed"):
        hr.pack(nn.ReLU(), "h200", example_inputs=torch.zeros(1, 4))
