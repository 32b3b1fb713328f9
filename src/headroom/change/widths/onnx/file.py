"""An ONNX file with its weights, read so that a stranger's file can do no harm, and written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from headroom.change.widths.onnx.unshare import unshare
from headroom.errors import ModelError, UsageError
from headroom.graph.onnx.client import read_onnx

#: The protobuf format ends at 2 GiB; a file is refused before that.
_LARGEST_BYTES = 2_000_000_000


def read_with_weights(path: Path) -> onnx.ModelProto:
    """The model with every weight in memory, and weights of its own for every node.

    The file passes the reader's checks in its child process first. External weights are read only from regular files
    inside the model's own folder.

    Raises:
        ModelError: the file cannot be read, or asks for weights elsewhere.
    """
    read_onnx(path)
    model = onnx.load(str(path.resolve()), load_external_data=False)
    constants = (attribute.t for node in model.graph.node for attribute in node.attribute if attribute.HasField("t"))
    for tensor in (*model.graph.initializer, *constants):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _load(tensor, path.resolve().parent)
    unshare(model)
    return model


def _load(tensor: onnx.TensorProto, folder: Path) -> None:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    place = (folder / entries.get("location", "")).resolve()
    if not place.is_relative_to(folder) or not place.is_file():
        raise ModelError(
            f"the weights of {tensor.name} lie at {entries.get('location')!r}, which is no file in the model's folder; "
            "put them beside the model"
        )
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    wanted = int(np.prod(tensor.dims, dtype=np.int64)) * dtype.itemsize
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", wanted))
    except ValueError as error:
        raise ModelError(f"the weights of {tensor.name} have no whole offset and length: {error}") from error
    if length != wanted or offset < 0 or offset + length > place.stat().st_size:
        raise ModelError(f"the weights of {tensor.name} do not fit {place.name}: {wanted} bytes wanted at {offset}")
    with place.open("rb") as file:
        file.seek(offset)
        tensor.raw_data = file.read(length)
    del tensor.external_data[:]
    tensor.data_location = onnx.TensorProto.DEFAULT


def arrays(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Every initializer by name.

    Raises:
        ModelError: one of them is damaged.
    """
    found = {}
    for each in model.graph.initializer:
        try:
            found[each.name] = numpy_helper.to_array(each)
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(f"the weights of {each.name} cannot be read: {error}; save the model again") from error
    return found


def write_model(path: Path, model: onnx.ModelProto) -> None:
    """Write through a temporary file and replace.

    Raises:
        UsageError: the place cannot be written, or the model is too large for one file.
    """
    if model.ByteSize() > _LARGEST_BYTES:
        raise UsageError(f"the wider model has {model.ByteSize()} bytes, more than one ONNX file holds")
    temporary: str | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(model.SerializeToString())
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}; choose another path or free it") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
