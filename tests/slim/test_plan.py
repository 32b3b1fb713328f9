"""The plan: which layers, which ways, what they take and lose, and the front over them."""

from __future__ import annotations

import itertools
import sys

import jsonschema
import pytest
import torch

import headroom as hr
from headroom.change.synapses.planning.study import LossKind
from headroom.change.synapses.vectors import Grain
from headroom.predict.prediction import Source
from headroom.report.slim import from_dict, schema, to_json

PREDICTED = {"source": "predicted", "batch": 512}


def layers(found: hr.Slimming) -> dict:
    return {layer.name: layer for layer in found.study.layers}


def test_every_layer_has_its_dense_way_first_and_only_faster_ones_after_it(planned) -> None:
    assert set(layers(planned)) == {"first", "second", "left", "right", "hidden", "last"}
    for layer in planned.study.layers:
        assert layer.dense.grain is None
        assert layer.dense.loss_points == 0
        for way in layer.ways[1:]:
            assert way.time_us < layer.dense.time_us
            assert 0 < way.retained < way.vectors
            assert way.source is Source.PREDICTED
            assert way.error_pct > 0
            assert 0 < way.output_error < 1


def test_some_layers_lose_channels_and_features(planned) -> None:
    grains = {way.grain for layer in planned.study.layers for way in layer.ways}
    assert grains == {None, Grain.CHANNEL, Grain.FEATURE}


def test_the_column_grain_has_no_time_until_it_is_measured_and_that_is_said(planned) -> None:
    assert any("unknown until measured" in note for note in layers(planned)["second"].notes)
    assert not any("unknown until measured" in note for note in layers(planned)["last"].notes)


def test_producers_are_named_where_nobody_else_reads_them(planned) -> None:
    found = layers(planned)
    assert found["second"].producers == ("first",)
    assert found["last"].producers == ("hidden",)
    # Two layers read what the normalisation gives.
    assert found["left"].producers == found["right"].producers == ()


def test_features_that_a_flattening_makes_of_one_channel_go_together_and_with_its_filters(planned) -> None:
    hidden = layers(planned)["hidden"]
    assert hidden.producers == ("left", "right")
    assert hidden.ways[1:]
    assert all(way.retained % 16 == 0 for way in hidden.ways)


def test_what_selects_its_inputs_pays_for_it(planned) -> None:
    found = layers(planned)
    assert all(way.gather_us > 0 for name in ("left", "right") for way in found[name].ways[1:])
    assert all(way.gather_us == 0 for name in ("second", "hidden") for way in found[name].ways[1:])


def test_labels_tell_accuracy_and_halves_are_kept_apart(planned) -> None:
    loss = planned.study.loss
    assert (loss.kind, loss.samples, loss.random, loss.dense_accuracy) == (LossKind.ACCURACY, 64, False, 100.0)


def test_the_front_is_undominated_and_ends_with_the_dense_network(planned) -> None:
    front = planned.study.front
    assert front[-1] == planned.study.dense
    times = [point.time_us for point in front]
    losses = [point.loss_points for point in front]
    assert times == sorted(times)
    assert losses == sorted(losses, reverse=True)
    # The dense network is shown even where a faster one loses nothing either.
    assert len(set(losses[:-1])) == len(losses) - 1


def test_a_producer_without_its_filters_makes_the_whole_faster_than_its_parts(planned) -> None:
    study = planned.study
    point = next(point for point in study.front if point.ways[1])
    parts = study.rest_us + sum(layer.ways[way].time_us for layer, way in zip(study.layers, point.ways, strict=True))
    assert point.time_us < parts
    dense = study.rest_us + sum(layer.dense.time_us for layer in study.layers)
    assert study.dense.time_us == pytest.approx(dense)


def test_choosing_by_speedup_and_by_loss(planned) -> None:
    fastest = planned.study.front[0]
    speedup = planned.study.speedup(fastest)
    found = planned.for_speedup(0.5 * (1 + speedup)).study
    assert found.speedup(found.chosen) >= 0.5 * (1 + speedup)
    assert planned.for_speedup(1.0).study.chosen.loss_points <= 0
    assert planned.for_loss(0.0).study.chosen.loss_points <= 0
    assert planned.for_loss(1e6).study.chosen == fastest
    with pytest.raises(hr.UsageError, match="no combination is 50 times as fast"):
        planned.for_speedup(50)
    with pytest.raises(hr.UsageError, match="a loss of -1 points means nothing"):
        planned.for_loss(-1)
    with pytest.raises(hr.UsageError, match="speedup of 0"):
        planned.for_speedup(0)


def test_the_json_follows_its_schema_and_comes_back_as_it_was(planned) -> None:
    answer = planned.to_dict()
    jsonschema.Draft202012Validator(schema()).validate(answer)
    again = from_dict(answer, "here")
    assert to_json(again) == to_json(hr.Slimming(again, planned._kept).study)
    assert [point.ways for point in again.front] == [point.ways for point in planned.study.front]


def test_an_answer_looked_at_in_a_session_is_one_short_line(planned) -> None:
    assert repr(planned).startswith("<Slimming of Net on H200")


def test_a_threshold_gives_one_way_per_layer_and_takes_them_all(nets) -> None:
    found = hr.slim(nets.net(), nets.pair()[1], data=nets.inputs, threshold=0.3, correlate="inputs", **PREDICTED)
    study = found.study
    assert all(len(layer.ways) <= 2 for layer in study.layers)
    assert all(way.alpha == 0.3 for layer in study.layers for way in layer.ways[1:])
    assert study.chosen == study.front[0]
    assert study.loss.kind is LossKind.DECISIONS


def test_without_data_random_inputs_are_said_to_say_little(nets) -> None:
    study = hr.slim("slim_nets:pair", speedup=1.0, **PREDICTED).study
    assert study.loss.random
    assert {layer.correlated for layer in study.layers} == {"weights"}
    assert {layer.transform for layer in study.layers} == {"fold"}
    assert any("random inputs, which say little" in note for note in study.notes)


def test_a_network_without_example_inputs_takes_the_data_s(nets) -> None:
    found = hr.slim("slim_nets:alone", data="slim_nets:inputs", correlate="weights", transform="scale", **PREDICTED)
    assert {layer.transform for layer in found.study.layers} == {"scale"}


def test_layers_with_groups_or_of_another_kind_stay_dense_with_the_reason() -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(16, 16, 3, groups=4), torch.nn.Conv2d(16, 64, 3), torch.nn.ReLU(), torch.nn.Conv2d(64, 64, 3)
    )
    study = hr.slim(network, torch.randn(1, 16, 12, 12), speedup=1.0, **PREDICTED).study
    assert dict(study.stays) == {"0": "it has 4 groups, each with synapse vectors of its own"}
    assert study.loss.kind is LossKind.OUTPUTS


class Tied(torch.nn.Module):
    """A language model's usual knot: what reads tokens and what names them are one matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.body = torch.nn.Embedding(512, 256), torch.nn.Linear(256, 256)
        self.head, self.again = torch.nn.Linear(256, 512, bias=False), self.body
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        return self.head(self.again(self.body(self.embedding(tokens)).relu()))


def test_a_weight_that_another_layer_has_too_is_left_whole() -> None:
    with pytest.raises(hr.UsageError, match=r"body: again has the same weight; head: embedding has the same weight"):
        hr.slim(Tied(), torch.randint(512, (1, 16)), **PREDICTED)


def test_no_more_is_lost_than_there_is() -> None:
    draw = torch.Generator().manual_seed(0)
    network = torch.nn.Sequential(*(torch.nn.Linear(1024, width) for width in (1024, 1024, 10)))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw))
    study = hr.slim(network, torch.zeros(1, 1024), correlate="weights", transform="truncate", **PREDICTED).study
    assert sum(max(way.loss_points for way in layer.ways) for layer in study.layers) > 100
    assert all(point.loss_points <= 100 for point in study.front)


def test_the_network_itself_stays_as_it_is(nets) -> None:
    network = nets.net().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    hr.slim(network, nets.pair()[1], speedup=1.0, **PREDICTED)
    assert network.training
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"correlate": "guess"}, "correlate is 'guess'"),
        ({"transform": "magic"}, "transform is 'magic'"),
        ({"source": "measured"}, "source is 'measured'"),
        ({"threshold": 0.0}, "a threshold of 0 means nothing"),
        ({"threshold": 0.5, "correlate": "least-damage"}, "least-damage has none"),
        ({"speedup": 2.0, "max_loss": 1.0}, "speedup and max_loss each choose a point"),
        ({"samples": 1}, "1 samples cannot be divided"),
        ({"db": "x.sqlite", "source": "predicted"}, "asks no database"),
    ],
)
def test_what_does_not_go_together_is_said(nets, options, sentence) -> None:
    with pytest.raises(hr.UsageError, match=sentence):
        hr.slim(nets.net(), nets.pair()[1], **options)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("slim_nets:broken", "RuntimeError: the disk is gone"),
        ("slim_nets:nothing", "holds no batch"),
        ("slim_nets:number", "could not be read"),
        ([1.5], "the data gave a float"),
        ([(torch.zeros(2, 3, 8, 8), torch.zeros(3))], "labels of shape"),
        ([torch.zeros(2, 3, 8, 8), (torch.zeros(2, 3, 8, 8), torch.zeros(2, dtype=torch.int64))], "some have none"),
        ([torch.zeros(2, 5)], "does not run on these batches"),
        (itertools.repeat(torch.zeros(0, 3, 8, 8)), r"a batch of shape \(0, 3, 8, 8\), which holds no sample"),
        ([torch.full((2, 3, 8, 8), float("nan"))], "a number that is not finite; clean them"),
        (lambda: sys.exit(4), "could not be read: SystemExit: 4"),
    ],
)
def test_data_that_are_none_are_said(nets, data, sentence) -> None:
    with pytest.raises(hr.ModelError, match=sentence):
        hr.slim(nets.net(), nets.pair()[1], data=data, **PREDICTED)


def test_weights_that_are_no_numbers_are_said_with_their_layer(nets) -> None:
    network = nets.net()
    with torch.no_grad():
        network.hidden.weight[0, 3] = float("inf")
    with pytest.raises(hr.ModelError, match="hidden: synapse vector 0 holds a value that is not finite"):
        hr.slim(network, nets.pair()[1], correlate="weights", **PREDICTED)


def test_networks_that_slim_cannot_look_at_are_said(nets) -> None:
    with pytest.raises(hr.UsageError, match="needs data"):
        hr.slim("slim_nets:alone")
    with pytest.raises(hr.UsageError, match="one input tensor"):
        hr.slim(nets.net(), (torch.zeros(1), torch.zeros(1)))
    with pytest.raises(hr.UsageError, match="not a int"):
        hr.slim(3, torch.zeros(1))
    with pytest.raises(hr.UsageError, match="no linear layer or convolution"):
        hr.slim(torch.nn.ReLU(), torch.zeros(1, 4), **PREDICTED)
    with pytest.raises(hr.UsageError, match="go with a module"):
        hr.slim("slim_nets:pair", torch.zeros(1))
