"""What can be fitted: a PyTorch module, or an ONNX file with weights. Importing it loads PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from headroom.change.training.own import Outcome, Trainer, trained_by
from headroom.change.widths.fit.network import Network, network_of
from headroom.change.widths.groups import CRITERIA, Growth, layer_widths, save_widths, set_widths, width_groups
from headroom.change.widths.groups.group import WidthGroups
from headroom.errors import ModelError, UsageError
from headroom.graph.graph import Graph
from headroom.graph.torch.callable import is_callable_address, load_callable


@dataclass(frozen=True)
class Tuning:
    """What else goes into a network that loses channels or is to be trained on.

    ``criterion`` is one of :data:`.CRITERIA`, ``batches`` the data of those that need some. New channels are zeros, or
    ``fresh`` ones that training turns on. ``finetune`` trains the new network before it is written.
    """

    criterion: str = "l1"
    fresh: bool = False
    batches: Iterable[Any] | None = None
    finetune: Trainer | None = None


@dataclass(frozen=True)
class Written:
    """The files of a new network, and the score that its training returned, if it did."""

    paths: tuple[Path, ...]
    score: float | None = None


class Target(Protocol):
    """A network that can have other widths."""

    @property
    def name(self) -> str: ...

    @property
    def lossless_only(self) -> bool:
        """Whether channels can be added only."""

    @property
    def address(self) -> str | None:
        """What a worker finds it by; ``None`` for a module that is in this process alone."""

    def graph(self, batch: int | None) -> Graph:
        """Its layers at this batch.

        Raises:
            ModelError: it cannot be read or run.
        """

    def network(self, batch: int | None) -> Network:
        """Its graph at this batch with its width groups, each proved.

        Raises:
            ModelError: it cannot be read, run or copied.
        """

    def write(self, network: Network, widths: Mapping[str, int], out: Path, tuning: Tuning) -> Written:
        """Make the network with these widths, prove it where no channel is lost, and write it.

        Raises:
            ModelError: it cannot have them, or computes something else; nothing is written then.
            UsageError: the place cannot be written.
        """


@dataclass(frozen=True)
class TorchTarget:
    """A module with its example inputs; ``out`` is a folder that :func:`.load_widths` reads."""

    name: str
    module: nn.Module
    inputs: Any
    lossless_only: bool = False

    @property
    def address(self) -> str | None:
        return self.name if is_callable_address(self.name) else None

    def graph(self, batch: int | None) -> Graph:
        return self._graph_of(self.module, batch)

    def network(self, batch: int | None) -> Network:
        graph = self.graph(batch)
        groups = width_groups(self.module, self.inputs)
        return network_of(graph, groups, layer_widths(self.module, groups))

    def changed(self, groups: WidthGroups, widths: Mapping[str, int], tuning: Tuning | None = None) -> nn.Module:
        """A copy with other widths, not yet trained; the module stays as it is."""
        tuning = tuning or Tuning()
        if tuning.criterion not in CRITERIA:
            raise UsageError(f"unknown criterion {tuning.criterion!r}: choose {', '.join(CRITERIA)}")
        loses = any(width < groups[name].width for name, width in widths.items())
        importance = CRITERIA[tuning.criterion](self.module, groups, tuning.batches) if loses else None
        growth = Growth.FRESH if tuning.fresh else Growth.ZERO
        return set_widths(self.module, self.inputs, groups, widths, importance=importance, growth=growth)

    def write(self, network: Network, widths: Mapping[str, int], out: Path, tuning: Tuning) -> Written:
        changed = self.changed(network.groups, widths, tuning)
        check_foretold(network, widths, self._graph_of(changed, network.graph.batch))
        trained = Outcome(changed) if tuning.finetune is None else trained_by(tuning.finetune, changed)
        _make_folder(out)
        return Written(save_widths(out, self.module, trained.module, widths), trained.score)

    def _graph_of(self, module: nn.Module, batch: int | None) -> Graph:
        from headroom.graph.torch.reader import read_module

        return read_module(module, self.inputs, batch=batch, name=self.name)


@dataclass(frozen=True)
class OnnxTarget:
    """An ONNX file with weights; ``out`` is a new file."""

    path: Path
    lossless_only: bool = True

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def address(self) -> str | None:
        return str(self.path)

    def graph(self, batch: int | None) -> Graph:
        from headroom.graph.onnx.client import read_onnx

        return read_onnx(self.path, batch=batch)

    def network(self, batch: int | None) -> Network:
        from headroom.change.widths.onnx.grow import onnx_layer_widths

        return network_of(self.graph(batch), *onnx_layer_widths(self.path))

    def write(self, network: Network, widths: Mapping[str, int], out: Path, tuning: Tuning) -> Written:
        from headroom.change.widths.onnx import grow_onnx
        from headroom.graph.onnx.client import read_onnx

        if tuning.finetune is not None:
            raise UsageError("an ONNX file is not trained on; leave out finetune")
        written = grow_onnx(self.path, out, network.groups, widths)
        try:
            check_foretold(network, widths, read_onnx(written, batch=network.graph.batch))
        except ModelError:
            written.unlink()
            raise
        return Written((written,))


def target_of(target: object, example_inputs: object = None) -> TorchTarget | OnnxTarget:
    """What the user means by ``target``: an address, a path, or a module with its example inputs.

    Raises:
        UsageError: none of these.
        ModelError: the callable fails or returns something else.
    """
    if isinstance(target, nn.Module):
        if example_inputs is None:
            raise UsageError("a module needs example inputs: fit(module, gpu, example_inputs=inputs)")
        return TorchTarget(type(target).__name__, target, example_inputs)
    if example_inputs is not None:
        raise UsageError("example inputs go with a module, not with a path or an address")
    if isinstance(target, str) and is_callable_address(target):
        module, inputs = load_callable(target)
        return TorchTarget(target, module, inputs)
    if isinstance(target, str | Path) and str(target).endswith(".onnx"):
        return OnnxTarget(Path(target))
    raise UsageError(
        f"cannot fit {target!r}: give package.module:callable, an .onnx file with weights, or a module with inputs"
    )


def check_foretold(network: Network, widths: Mapping[str, int], after: Graph) -> None:
    """Check that the changed network's graph has the widths that the plan timed.

    Raises:
        ModelError: it has others, so that the plan's times are not its own.
    """
    from headroom.change.widths.staircase.layers import has_width, widths_of

    told = {**network.widths, **widths}
    now = [layer for layer in after.layers if has_width(layer)]
    before = [layer for layer in network.graph.layers if has_width(layer)]
    place = {id(layer): number for number, layer in enumerate(before)}
    for wide in network.layers:
        layer = now[place[id(wide.layer)]] if len(now) == len(before) else None
        foretold = (wide.inputs.at(told), wide.outputs.at(told))
        if layer is None or widths_of(layer) != foretold:
            found = "nothing like it" if layer is None else f"{widths_of(layer)[0]} and {widths_of(layer)[1]}"
            raise ModelError(
                f"{wide.name} should have {foretold[0]} inputs and {foretold[1]} outputs after the change, and has "
                f"{found}; the plan does not describe it"
            )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}; choose another") from error
