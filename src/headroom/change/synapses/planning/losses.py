"""What a network loses, counted on held-out batches. Importing it loads PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from headroom.change.synapses.planning.batches import Batches
from headroom.change.synapses.planning.study import Loss, LossKind
from headroom.errors import ModelError
from headroom.text import plain_line


class LossMeter:
    """Compares networks with the dense one on the held-out batches, in evaluation mode.

    Raises:
        ModelError: the network does not run on the batches, or returns something else than one tensor.
    """

    def __init__(self, network: nn.Module, batches: Batches) -> None:
        self._batches = batches
        try:
            self._dense = [self._outputs(network, batch.inputs) for batch in batches.held_out]
        except ModelError:
            raise
        # The network's own code runs here, which may fail with anything.
        except Exception as error:
            reason = plain_line(f"{type(error).__name__}: {error}")
            raise ModelError(f"the network does not run on these batches: {reason}; give others") from error
        self._labels = [batch.labels for batch in batches.held_out if batch.labels is not None]
        decides = all(each.dim() == 2 and each.shape[1] > 1 for each in self._dense)
        kind = LossKind.OUTPUTS
        if decides:
            kind = LossKind.ACCURACY if self._labels else LossKind.DECISIONS
        accuracy = _accuracy(self._dense, self._labels) if kind is LossKind.ACCURACY else None
        self.loss = Loss(kind, batches.samples, batches.random, accuracy)

    def of(self, network: nn.Module) -> float:
        """What ``network`` loses, in the points of :attr:`loss`; infinite where its outputs are not finite."""
        outputs = [self._outputs(network, batch.inputs) for batch in self._batches.held_out]
        if not all(bool(torch.isfinite(each).all()) for each in outputs):
            return float("inf")
        match self.loss.kind:
            case LossKind.ACCURACY:
                return (self.loss.dense_accuracy or 0.0) - _accuracy(outputs, self._labels)
            case LossKind.DECISIONS:
                pairs = zip(outputs, self._dense, strict=True)
                changed = sum(int((after.argmax(1) != before.argmax(1)).sum()) for after, before in pairs)
                return 100 * changed / self.loss.samples
            case LossKind.OUTPUTS:
                return 100 * difference(outputs, self._dense)

    def output_difference(self, network: nn.Module) -> float:
        """How far its outputs are from the dense network's, as a share of their size."""
        return difference([self._outputs(network, batch.inputs) for batch in self._batches.held_out], self._dense)

    def _outputs(self, network: nn.Module, inputs: Tensor) -> Tensor:
        training = [each for each in network.modules() if each.training]
        network.eval()
        try:
            with torch.no_grad():
                found = network(inputs)
        finally:
            for each in training:
                each.training = True
        if not isinstance(found, Tensor) or not found.is_floating_point():
            raise ModelError(
                f"the network returns a {type(found).__name__}; slim compares networks of one output tensor"
            )
        return found.float().cpu()


def difference(after: Sequence[Tensor], before: Sequence[Tensor]) -> float:
    """The Frobenius norm of the difference as a share of that of ``before``."""
    apart = sum(float((one - other).double().square().sum()) for one, other in zip(after, before, strict=True))
    size = sum(float(each.double().square().sum()) for each in before)
    return float((apart / size) ** 0.5) if size else float(apart > 0)


def _accuracy(outputs: Sequence[Tensor], labels: Sequence[Tensor]) -> float:
    """Percent of labels met."""
    met = sum(int((each.argmax(1) == label).sum()) for each, label in zip(outputs, labels, strict=True))
    return 100 * met / sum(len(label) for label in labels)
