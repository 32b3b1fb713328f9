"""Packing networks and data that nobody developed with: right, or one sentence."""

from __future__ import annotations

import json

import jsonschema
import pytest

import headroom as hr
from headroom.errors import ModelError, UsageError

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from headroom.change.fission.calibration import output_error, outputs_of, relative_norm  # noqa: E402
from headroom.change.fission.modules import PackedLinear  # noqa: E402
from headroom.change.fission.stored import load_packed  # noqa: E402
from headroom.report.packing import schema  # noqa: E402
from headroom.report.packing_terminal import summary  # noqa: E402


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


ROW = torch.linspace(-1, 1, 64)[None]


def packed(network, inputs=ROW, **options):
    options = {"goal": "memory", "forms": ("int8",), "budget": 0.05} | options
    answer = hr.pack(network, "h200", example_inputs=inputs, **options)
    document = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    jsonschema.Draft202012Validator(schema()).validate(document)
    return answer


def filled(layer, value):
    with torch.no_grad():
        layer.weight.fill_(value)
    return layer


class Shared(nn.Module):
    """One layer under two names, called twice."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(64, 64)
        self.second = self.first

    def forward(self, x):
        return self.second(self.first(x).relu())


class Tied(nn.Module):
    """A head that multiplies the embedding's own table."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(1000, 64)
        self.head = nn.Linear(64, 1000, bias=False)
        self.head.weight = self.table.weight

    def forward(self, x):
        return self.head(self.table(x))


class Named(nn.Module):
    """Gives its layer the inputs by name, and hides some outputs behind minus infinity."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 64)

    def forward(self, x):
        return self.layer(input=x).masked_fill(torch.arange(64) > 60, float("-inf"))


@pytest.mark.parametrize("layer", [nn.Linear(64, 64), nn.Conv2d(4, 8, 3, groups=2, bias=False)])
def test_a_network_that_is_one_layer_is_packed_itself(tmp_path, layer):
    inputs = ROW if isinstance(layer, nn.Linear) else torch.randn(1, 4, 9, 9)
    answer = packed(layer, inputs)
    change = outputs_of(answer.network, [inputs]) - outputs_of(layer, [inputs])

    if isinstance(layer, nn.Linear):
        assert answer.plan.forms == {"": "int8"}
        assert answer.plan.output_error == pytest.approx(relative_norm(change, outputs_of(layer, [inputs])))
        assert answer.plan.output_error > 0
    answer.save(tmp_path)
    assert torch.equal(load_packed(layer, tmp_path)(inputs), answer.network(inputs))


def test_a_layer_under_two_names_is_packed_under_both_and_comes_back_so(tmp_path):
    answer = packed(Shared())
    answer.save(tmp_path)
    again = load_packed(Shared(), tmp_path)

    assert answer.plan.forms == {"first": "int8"}
    for network in (answer.network, again):
        assert isinstance(network.second, PackedLinear)
        assert network.second is network.first
    assert torch.equal(again(ROW), answer.network(ROW))
    assert len(hr.load(Shared(), ROW).layers) == 3
    once = packed(nn.Sequential(nn.Linear(64, 64))).plan.layers[0].time_us
    assert answer.plan.layers[0].time_us == pytest.approx(2 * once), "both calls take time"


def test_a_weight_that_others_own_too_frees_no_memory():
    tokens = torch.zeros(1, 1, dtype=torch.long)
    kept = packed(Tied(), tokens).plan

    assert kept.forms == {}
    (layer,) = kept.layers
    assert layer.held_bytes == 0 < layer.dense_bytes
    fast = packed(Tied(), tokens, goal="time", dtype="fp32").plan
    assert fast.bytes == (0, fast.layers[0].options[0].bytes if fast.forms else 0)


def test_inputs_given_by_name_and_masked_outputs_are_understood():
    answer = packed(Named())

    assert answer.plan.forms == {"layer": "int8"}
    assert 0 < answer.plan.output_error < 0.05


def test_outputs_that_become_infinite_or_change_their_number_are_no_small_error():
    wanted = torch.tensor([1.0, float("-inf"), 2.0])

    assert output_error(wanted.clone(), wanted) == 0
    assert output_error(torch.tensor([1.0, 0.0, 2.0]), wanted) == float("inf")
    assert output_error(torch.tensor([float("nan"), float("-inf"), 2.0]), wanted) == float("inf")
    assert output_error(torch.ones(4), wanted) == float("inf")


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), "padded by reflect"),
        (nn.Conv1d(4, 4, 3), "Conv1d is no plain"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(9, 4)), "ParametrizedLinear is no plain"),
        (filled(nn.Linear(9, 4), 1e30).double(), None),
        (nn.Linear(9, 4).bfloat16(), None),
    ],
)
def test_what_is_left_out_is_named_with_its_reason(layer, reason):
    inputs = torch.randn(1, 4, 9) if isinstance(layer, nn.Conv1d) else torch.randn(1, 4, 9, 9)
    inputs = inputs.to(next(layer.parameters()).dtype)
    if reason is None:
        assert packed(nn.Sequential(layer), inputs).plan.left_out == {}
        return
    with pytest.raises(UsageError, match=f"nothing can be packed: 0 is left out because .*{reason}"):
        packed(nn.Sequential(layer), inputs)
    rest = nn.Sequential(layer, nn.Flatten(), nn.LazyLinear(64))
    rest(inputs)
    plan = packed(rest, inputs).plan
    assert plan.forms == {"2": "int8"}
    assert reason in plan.left_out["0"]
    assert any(line.startswith("Left out: 0 (") for line in summary(plan))


def test_a_layer_with_hooks_keeps_them():
    layer = nn.Linear(64, 64)
    layer.register_forward_hook(lambda *_: None)

    with pytest.raises(UsageError, match="it has forward hooks"):
        packed(layer)


def test_data_that_say_nothing_of_a_layer_pack_nothing():
    with pytest.raises(UsageError, match="reach it as zeros alone"):
        packed(nn.Linear(64, 64), torch.zeros(1, 64))
    plan = packed(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64)), torch.zeros(1, 64)).plan
    assert list(plan.left_out) == ["0"]
    with pytest.raises(ModelError, match="no floating-point number to compare"):
        packed(nn.Linear(64, 64), calibration=[torch.zeros(0, 64)])
    with pytest.raises(ModelError, match="no finite number"):
        packed(nn.Linear(64, 64), calibration=[ROW * float("nan")])


def test_a_tensor_and_named_arguments_are_one_batch():
    several = packed(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
        torch.randn(1, 3, 8, 8),
        calibration=torch.randn(4, 3, 8, 8),
    )

    assert several.plan.calibration == "a batch of the caller's data"
    assert packed(Named(), calibration={"x": ROW}).plan.forms == {"layer": "int8"}


def test_weights_at_the_ends_of_fp32_are_packed_or_left():
    assert packed(filled(nn.Linear(64, 64), 1e-30)).plan.forms == {"": "int8"}
    assert packed(filled(nn.Linear(64, 64, bias=False), 0)).plan.output_error == 0
    assert packed(filled(nn.Linear(64, 64, bias=False), 1e-44), ROW.abs()).plan.forms == {}
    large = packed(filled(nn.Linear(64, 64), 1e6), forms=("half", "int8")).plan
    assert [option.form for option in large.layers[0].options] == ["int8"], "1e6 is infinite in half"
    literal = packed(filled(nn.Linear(64, 64, bias=False), 0), forms=("deft8e4_paper",))
    assert literal.to_dict()["layers"][0]["options"][0]["output_error"] is None


def test_a_network_with_a_packed_layer_is_packed_on_and_comes_back(tmp_path):
    def make():
        return nn.Sequential(hr.PackedLinear(64, 64), nn.Linear(64, 64))

    network = make()
    network[0] = hr.PackedLinear.from_float(nn.Linear(64, 64))
    answer = packed(network)
    answer.save(tmp_path)

    assert answer.plan.forms == {"1": "int8"}
    assert torch.equal(load_packed(make(), tmp_path)(ROW), answer.network(ROW))


def test_a_network_that_cannot_be_copied_is_one_sentence():
    network = nn.Sequential(nn.Linear(64, 64))
    network[0].seen = network[0].weight * 2

    with pytest.raises(ModelError, match="cannot be copied"):
        packed(network)


def test_formats_are_named_in_one_word_or_several():
    assert packed(nn.Linear(64, 64), forms="int8, half,int8").plan.layers[0].options[1].form == "half"
    with pytest.raises(UsageError, match="no format to look at"):
        packed(nn.Linear(64, 64), forms=())


@pytest.mark.parametrize("loss", [float("nan"), -1.0])
def test_a_loss_and_a_metric_that_are_no_numbers_are_refused(loss):
    with pytest.raises(UsageError, match="a metric cannot lose"):
        packed(nn.Linear(64, 64), metric=lambda _: 1.0, max_loss=loss)
    with pytest.raises(UsageError, match="the metric gave nan"):
        packed(nn.Linear(64, 64), metric=lambda _: float("nan"), max_loss=1.0)
