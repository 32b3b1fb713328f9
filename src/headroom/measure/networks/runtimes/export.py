"""A network as an ONNX file with its weights, which is what other runtimes read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from headroom.measure.bench import UnsupportedError
from headroom.measure.networks.network import Network

if TYPE_CHECKING:
    import torch


@contextmanager
def exported(network: Network) -> Iterator[Path]:
    """An ONNX file of ``network`` in its own data type, there as long as the context lasts.

    Raises:
        UnsupportedError: PyTorch cannot export it.
    """
    import torch

    with TemporaryDirectory(prefix="headroom-") as folder:
        path = Path(folder) / "network.onnx"
        try:
            torch.onnx.export(
                network.module, network.args, str(path), kwargs=network.kwargs, dynamo=True, verbose=False
            )
        except Exception as error:  # the exporter raises what its parts raise
            raise UnsupportedError(f"PyTorch cannot export it to ONNX ({type(error).__name__}: {error})") from error
        yield path


def input_tensors(network: Network) -> list[torch.Tensor]:
    """The tensors among the arguments in the order in which the exporter names its inputs."""
    import torch
    from torch.utils import _pytree as pytree

    leaves = pytree.tree_leaves((network.args, network.kwargs))
    return [leaf.contiguous() for leaf in leaves if isinstance(leaf, torch.Tensor)]
