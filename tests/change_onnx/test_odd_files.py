"""Files that exporters and strangers write: the function stays, or the file is refused by a sentence that names why."""

from __future__ import annotations

import importlib.util

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from headroom.change.widths.onnx import grow_onnx, onnx_width_groups
from headroom.errors import ModelError

runtime = pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="needs ONNX Runtime")
node = helper.make_node


def stored(name, *shape, dtype=np.float32):
    values = np.random.default_rng(len(name) + sum(shape)).uniform(0.1, 1.0, shape)
    return numpy_helper.from_array(values.astype(dtype), name)


FIRST, BIAS, LAST = stored("w1", 6, 3, 1, 1), stored("b1", 6), stored("w2", 4, 6, 1, 1)
CONVOLUTION, READER = node("Conv", ["x", "w1", "b1"], ["a"]), node("Conv", ["r", "w2"], ["y"])
RELU = node("Relu", ["a"], ["r"])

HALF = (("w1", (6, 3, 1, 1)), ("b1", (6,)), ("w2", (4, 6, 1, 1)))


def written(folder, nodes, initializers, outputs=("y",), kind=TensorProto.FLOAT, opset=17):
    ends = [helper.make_tensor_value_info(name, kind, None) for name in outputs]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", kind, (1, 3, 8, 8))], ends, initializers)
    path = folder / "model.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


FORMS = {
    "weights behind two identities": (
        [
            node("Identity", ["w1"], ["i"]),
            node("Identity", ["i"], ["j"]),
            node("Conv", ["x", "j", "b1"], ["a"]),
            RELU,
            READER,
        ],
        [FIRST, BIAS, LAST],
        {},
    ),
    "weights in constants": (
        [
            node("Constant", [], ["w1"], value=FIRST),
            node("Constant", [], ["b1"], value=BIAS),
            CONVOLUTION,
            RELU,
            READER,
        ],
        [LAST],
        {},
    ),
    "one bias for two layers": (
        [CONVOLUTION, node("Conv", ["a", "w3", "b1"], ["c"]), node("Relu", ["c"], ["r"]), READER],
        [FIRST, BIAS, LAST, stored("w3", 6, 6, 1, 1)],
        {},
    ),
    "half precision": (
        [CONVOLUTION, RELU, READER],
        [stored(name, *shape, dtype=np.float16) for name, shape in HALF],
        {"kind": TensorProto.FLOAT16},
    ),
    "three parts whose sizes are not written": (
        [
            CONVOLUTION,
            node("Split", ["a"], ["p", "q", "s"], axis=1),
            node("Mul", ["p", "q"], ["m"]),
            node("Add", ["m", "s"], ["r"]),
            node("Conv", ["r", "w3"], ["y"]),
        ],
        [FIRST, BIAS, stored("w3", 4, 2, 1, 1)],
        {"opset": 13},
    ),
    "a mean over no axes": (
        [CONVOLUTION, node("ReduceMean", ["a"], ["r"], noop_with_empty_axes=1), READER],
        [FIRST, BIAS, LAST],
        {"opset": 18},
    ),
}


@runtime
@pytest.mark.parametrize("form", FORMS)
def test_odd_forms_of_the_same_thing_are_read_and_grow(tmp_path, form):
    nodes, initializers, options = FORMS[form]
    source = written(tmp_path, nodes, initializers, **options)
    groups = onnx_width_groups(source)

    grow_onnx(source, tmp_path / "wider.onnx", groups, {each.name: each.width + each.unit for each in groups.free})

    assert groups["layers.a"].frozen is None


STATISTICS = [stored(name, 6) for name in ("scale", "offset", "mean", "variance")]
TRAINED = ["a", "scale", "offset", "mean", "variance"]


@pytest.mark.parametrize(
    ("nodes", "more", "sentence", "opset"),
    [
        ([CONVOLUTION, node("BatchNormalization", TRAINED, ["r", "m2", "v2"], training_mode=1), READER], STATISTICS,
         "normalises as in training", 17),
        ([node("Add", ["b1", "b1"], ["b2"]), node("Conv", ["x", "w1", "b2"], ["a"]), RELU, READER], [],
         "a bias that is computed", 17),
        ([CONVOLUTION, node("Pad", ["a", "pads", "", "axes"], ["r"]), READER],
         [numpy_helper.from_array(np.array(each), name) for name, each in (("pads", [0, 1, 0, 1]), ("axes", [1, 2]))],
         "a Pad names its axes", 18),
        ([node("ConvTranspose", ["x", "w3"], ["r"], strides=[2, 2], output_shape=[16, 16]), READER],
         [stored("w3", 3, 6, 3, 3)], "asks for an output shape", 17),
    ],
)  # fmt: skip
def test_what_pytorch_would_compute_otherwise_is_refused_by_name(tmp_path, nodes, more, sentence, opset):
    source = written(tmp_path, nodes, [FIRST, BIAS, LAST, *more], opset=opset)

    with pytest.raises(ModelError, match=sentence):
        onnx_width_groups(source)


def test_a_weight_that_is_returned_besides_is_fixed(tmp_path):
    groups = onnx_width_groups(written(tmp_path, [CONVOLUTION, RELU, READER], [FIRST, BIAS, LAST], ("y", "w1")))

    assert groups.free == ()


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "nothing.bin"])
def test_constants_outside_the_models_folder_are_never_opened(tmp_path, location, monkeypatch):
    folder = tmp_path / "model"
    folder.mkdir()
    for place in (tmp_path / "secret.bin", tmp_path / "nothing.bin"):
        place.write_bytes(bytes(72))
    monkeypatch.chdir(tmp_path)
    constant = node("Constant", [], ["w1"], value=FIRST)
    tensor = constant.attribute[0].t
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)

    with pytest.raises(ModelError):
        onnx_width_groups(written(folder, [constant, CONVOLUTION, RELU, READER], [BIAS, LAST]))


def test_weights_of_the_wrong_length_are_refused(tmp_path):
    short = onnx.TensorProto()
    short.CopyFrom(FIRST)
    short.raw_data = short.raw_data[:-4]

    with pytest.raises(ModelError):
        onnx_width_groups(written(tmp_path, [CONVOLUTION, RELU, READER], [short, BIAS, LAST]))
