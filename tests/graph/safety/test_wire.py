"""Weights are cut out of a file before it is parsed, and damaged files are told apart from models."""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress
from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from graph.safety import hostile
from headroom.errors import ModelError
from headroom.graph.graph import Graph
from headroom.graph.onnx import limits
from headroom.graph.onnx.client import ReaderWorker
from headroom.graph.onnx.wire import read_skeleton

MIB = 1 << 20


def skeleton(content: bytes, folder: Path) -> bytes:
    path = folder / "file"
    path.write_bytes(content)
    with path.open("rb") as file:
        return read_skeleton(file.fileno(), len(content))


def skeleton_model(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    return onnx.ModelProto.FromString(skeleton(model.SerializeToString(), folder))


def embedded(name: str, kind: int, count: int) -> onnx.TensorProto:
    width = 8 if kind in (TensorProto.INT64, TensorProto.DOUBLE) else 4
    return onnx.TensorProto(name=name, data_type=kind, dims=[count], raw_data=bytes(width * count))


def with_constants(*constants: onnx.TensorProto) -> onnx.ModelProto:
    return hostile.model([hostile.node("Relu", ["x"], ["y"])], constants=constants)


def test_a_model_without_weights_is_copied_as_it_is(shared_models: Path, tmp_path: Path) -> None:
    for path in sorted(shared_models.glob("*.onnx")):
        content = path.read_bytes()
        assert onnx.ModelProto.FromString(skeleton(content, tmp_path)) == onnx.ModelProto.FromString(content)


def test_weights_are_cut_and_say_so(tmp_path: Path) -> None:
    cut = skeleton_model(with_constants(embedded("w", TensorProto.FLOAT, 10_000)), tmp_path)
    tensor = cut.graph.initializer[0]
    assert (tensor.name, list(tensor.dims), tensor.raw_data) == ("w", [10_000], b"")
    assert tensor.data_location == TensorProto.EXTERNAL


@pytest.mark.parametrize(
    "tensor",
    [
        helper.make_tensor("w", TensorProto.FLOAT, [2000], [1.0] * 2000),
        helper.make_tensor("w", TensorProto.DOUBLE, [2000], [1.0] * 2000),
        helper.make_tensor("w", TensorProto.FLOAT16, [2000], [1.0] * 2000),
        helper.make_tensor("w", TensorProto.STRING, [2000], [b"text"] * 2000),
    ],
    ids=lambda tensor: TensorProto.DataType.Name(tensor.data_type),
)
def test_weights_in_every_form_are_cut(tensor: onnx.TensorProto, tmp_path: Path) -> None:
    cut = skeleton_model(with_constants(tensor), tmp_path).graph.initializer[0]
    assert cut.ByteSize() < 50
    assert list(cut.dims) == [2000]


def test_shapes_and_scales_are_kept(tmp_path: Path) -> None:
    shape = numpy_helper.from_array(onnx.numpy_helper.to_array(embedded("s", TensorProto.INT64, 100_000)), "s")
    scales = helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 2, 2])
    kept = skeleton_model(with_constants(shape, scales), tmp_path)
    assert list(kept.graph.initializer) == [shape, scales]


def test_long_tables_of_integers_are_cut(tmp_path: Path) -> None:
    table = embedded("t", TensorProto.INT64, limits.INTEGER_DATA_BYTES // 8 + 1)
    assert skeleton_model(with_constants(table), tmp_path).ByteSize() < 300


def test_weights_in_attributes_subgraphs_and_functions_are_cut(tmp_path: Path) -> None:
    weights = embedded("w", TensorProto.FLOAT, 10_000)
    constant = hostile.node("Constant", [], ["c"], value=weights)
    branch = hostile.graph([constant], outputs=["c"], constants=[weights])
    nodes = [constant, hostile.node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)]
    model = hostile.model(nodes, functions=[hostile.function("f", [constant])])
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(weights)
    cut = skeleton_model(model, tmp_path)
    assert cut.ByteSize() < 2_000
    assert cut.graph.node[1].attribute[0].g.initializer[0].name == "w"
    assert cut.functions[0].node[0].attribute[0].t.dims == [10_000]


def test_training_graphs_beside_the_model_are_dropped(tmp_path: Path) -> None:
    model = with_constants()
    model.training_info.add().algorithm.node.add(op_type="Adam")
    assert not skeleton_model(model, tmp_path).training_info


def write_sparse_model(path: Path, weight_bytes: int) -> None:
    """A matrix product with its weights inside the file; the file's blocks are holes, so it costs no disk."""
    width = weight_bytes // 4 // 1024
    model = hostile.model([hostile.node("MatMul", ["x", "w"], ["y"])], [hostile.value("x", (1, 1024))])
    structure = model.SerializeToString(deterministic=True)
    tensor = onnx.TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1024, width]).SerializeToString()
    payload = 1024 * width * 4
    with path.open("wb") as file:
        # Messages merge: a second graph field adds its initializer to the first.
        raw = tensor + b"\x4a" + _varint(payload)
        inner = b"\x2a" + _varint(len(raw) + payload) + raw
        file.write(structure + b"\x3a" + _varint(len(inner) + payload) + inner)
        file.seek(payload, os.SEEK_CUR)
        file.truncate()


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])


@pytest.mark.alone
@pytest.mark.parametrize("weight_bytes", [400 * MIB, 3072 * MIB])
def test_gigabytes_of_weights_are_stepped_over(weight_bytes: int, tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    write_sparse_model(path, weight_bytes)
    assert path.stat().st_size > weight_bytes
    start = time.monotonic()
    with ReaderWorker(memory_bytes=256 * MIB) as worker:
        graph = worker.read(path)
    assert time.monotonic() - start < 3.0
    assert isinstance(graph, Graph)
    assert graph.macs == weight_bytes // 4


DAMAGED = {
    "an empty file": (b"", "the file is empty"),
    "zeros": (bytes(100), "a field numbered 0"),
    "text": (b"# a readme\nthis is not a model\n", "is not an ONNX model"),
    "an endless number": (b"\xff" * 20, "the number at byte 0 does not end"),
    "a length past the end": (b"\x3a\xff\xff\xff\xff\x0f", "a field that ends 4294967295 bytes after its message"),
    "a group": (b"\x0b\x0c", "a field of wire type 3, which ONNX does not use"),
    "only a version": (b"\x08\x09", "holds no ONNX graph"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_named_as_such(name: str, tmp_path: Path) -> None:
    content, sentence = DAMAGED[name]
    with pytest.raises(ModelError) as caught:
        skeleton(content, tmp_path)
    assert sentence in str(caught.value)


def test_a_file_cut_anywhere_is_refused_or_parsed(shared_models: Path, tmp_path: Path) -> None:
    content = (shared_models / "light_zfnet512.onnx").read_bytes()
    for length in random.Random(7).sample(range(len(content)), 200):
        with suppress(ModelError):
            assert len(skeleton(content[:length], tmp_path)) == length


def test_structure_beyond_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "file"
    length = limits.SKELETON_BYTES + 1
    with path.open("wb") as file:  # one doc_string as long as the limit
        file.write(b"\x3a\x00\x32" + _varint(length))
        file.truncate(file.tell() + length)
        size = path.stat().st_size
    with path.open("rb") as file, pytest.raises(ModelError, match="more than 64 MiB besides its weights"):
        read_skeleton(file.fileno(), size)


@given(content=st.binary(max_size=300))
def test_any_bytes_are_walked_or_refused(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    with suppress(ModelError):
        whole = b"\x3a\x00" + content
        assert len(skeleton(whole, tmp_path_factory.getbasetemp())) <= len(whole)
