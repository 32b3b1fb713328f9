"""What a layer's weights become when synapse vectors go: cut, scaled up, folded, or solved for again.

All take the weight as (M, K, P), see :func:`headroom.change.synapses.vectors.by_vector`, and give back (M, K - D, P) in
the order of ``retained``. Inputs are a sample of what the layer reads, (samples, K, P).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from headroom.change.synapses.search import Selection
from headroom.change.synapses.vectors import Floats, Indices, flat
from headroom.errors import UsageError

#: What is added to the diagonal of the normal equations, as a share of its mean: inputs can be copies of each other.
RIDGE = 1e-4


class Transform(StrEnum):
    """What becomes of the removed vectors."""

    TRUNCATE = "truncate"
    """They are cut off."""
    SCALE = "scale"
    """Cut off, and the rest is scaled by K / (K - D): the paper's way."""
    FOLD = "fold"
    """Each is added to its representative, times a factor; see :func:`fold`."""
    SOLVE = "solve"
    """What they added is fitted to all retained ones; see :func:`solve`."""


@dataclass(frozen=True, eq=False)
class Reduced:
    """A layer without its removed synapse vectors.

    Attributes:
        weight: (M, K - D, P).
        shift: (M,) to be added to the layer's bias; zeros where the transform changes none.
        retained: (K - D,) which input each weight meets.
    """

    weight: Floats
    shift: Floats
    retained: Indices


def truncate(weight: Floats, retained: Indices) -> Reduced:
    """The first K - D terms of equation 2."""
    return Reduced(weight[:, retained], np.zeros(len(weight), weight.dtype), retained)


def scale(weight: Floats, retained: Indices, *, dead: int = 0) -> Reduced:
    """Equation 5: the retained terms times K / (K - D). The bias is no term of the sum and stays.

    ``dead`` vectors add nothing, so they are among neither K nor D: without them the expected value is what it was.

    Raises:
        UsageError: no vector is retained, which leaves nothing to scale.
    """
    if not len(retained):
        raise UsageError("a layer without any synapse vector cannot be scaled; keep one at least")
    factor = (weight.shape[1] - dead) / len(retained)
    return Reduced(weight[:, retained] * weight.dtype.type(factor), np.zeros(len(weight), weight.dtype), retained)


def fold(weight: Floats, selection: Selection, inputs: Floats | None = None) -> Reduced:
    """Add each removed vector to its representative, times what its input is of the representative's.

    Past the paper. A removed input x_k that is about b x_r + a is replaced by just that: its weights, times b, go to
    those of the representative, times a to the bias. With a sample of inputs, a and b are least squares, vector by
    vector. Without one, b is the correlation of the search and a is 0: that would be least squares if inputs had equal
    spread and correlated as their weights do.

    At the channel grain a and b are those of the channel, whatever the place in the window.
    """
    removed = selection.represented
    target = selection.representative[removed]
    slope: Floats
    offset: Floats
    if inputs is None:
        slope, offset = selection.correlation[removed], np.zeros(len(removed))
    else:
        slope, offset = _regressed(flat(inputs), removed, target)
    whole = weight.swapaxes(0, 1).astype(np.float64)
    np.add.at(whole, target, weight[:, removed].swapaxes(0, 1) * slope[:, None, None])
    shift = weight[:, removed].sum(2) @ offset
    kept = selection.retained
    return Reduced(whole[kept].swapaxes(0, 1).astype(weight.dtype), shift.astype(weight.dtype), kept)


def _regressed(samples: Floats, removed: Indices, target: Indices) -> tuple[Floats, Floats]:
    """Slope and offset of each removed column over its representative's; slope 0 where that one is constant."""
    mean = samples.mean(0, dtype=np.float64)
    centred = samples - mean
    square = np.einsum("ni,ni->i", centred, centred)[target]
    shared = np.einsum("ni,ni->i", centred[:, removed], centred[:, target])
    slope = np.divide(shared, square, out=np.zeros(len(removed)), where=square > 0)
    return slope, mean[removed] - slope * mean[target]


def solve(weight: Floats, retained: Indices, inputs: Floats, *, ridge: float = RIDGE) -> Reduced:
    """The retained weights and the bias that come closest to the layer's outputs on a sample, by the normal equations.

    Past the paper. What the removed vectors added, W_D X_D, is fitted by all retained inputs and a constant, and the
    fit is added to W_S. The ridge pulls it towards no correction, so that few samples or equal inputs do no harm.

    Args:
        inputs: (samples, K, P); more samples than (K - D) P, or the fit follows their noise.
        ridge: added to the diagonal, as a share of its mean.
    """
    lost = np.setdiff1d(np.arange(weight.shape[1]), retained)
    shape = (len(weight), len(retained), weight.shape[2])
    samples = inputs.astype(np.float64)
    kept_inputs = samples[:, retained].reshape(len(samples), -1)
    lost_inputs = samples[:, lost].reshape(len(samples), -1)
    kept_mean, lost_mean = kept_inputs.mean(0), lost_inputs.mean(0)
    kept_inputs = kept_inputs - kept_mean
    gram = kept_inputs.T @ kept_inputs
    lost_weight = weight[:, lost].reshape(len(weight), -1).astype(np.float64)
    outputs = (lost_inputs - lost_mean) @ lost_weight.T
    largest = float(gram.trace()) / max(1, len(gram))
    # A sample of constants says nothing; any positive diagonal then gives no correction.
    gram[np.diag_indices_from(gram)] += ridge * largest or 1.0
    correction = np.linalg.solve(gram, kept_inputs.T @ outputs).T
    shift = lost_weight @ lost_mean - correction @ kept_mean
    changed = weight[:, retained] + correction.reshape(shape)
    return Reduced(changed.astype(weight.dtype), shift.astype(weight.dtype), retained)


def transformed(kind: Transform, weight: Floats, selection: Selection, inputs: Floats | None = None) -> Reduced:
    """The layer's weights by one of the four.

    Raises:
        UsageError: solving without a sample of inputs, or scaling a layer of which nothing is left.
    """
    match kind:
        case Transform.TRUNCATE:
            return truncate(weight, selection.retained)
        case Transform.SCALE:
            return scale(weight, selection.retained, dead=int((selection.representative < 0).sum()))
        case Transform.FOLD:
            return fold(weight, selection, inputs)
        case Transform.SOLVE:
            if inputs is None:
                raise UsageError("solving for the weights needs a sample of the layer's inputs; give one, or fold")
            return solve(weight, selection.retained, inputs)


def output_error(weight: Floats, reduced: Reduced, inputs: Floats) -> float:
    """How far the reduced layer's outputs are from the layer's on these inputs, as a share of the latter (Frobenius).

    The bias, which both have, is left out. 0 where both give only zeros.
    """
    samples, kept = inputs.astype(np.float64), inputs[:, reduced.retained].astype(np.float64)
    before = np.tensordot(samples, weight.astype(np.float64), ((1, 2), (1, 2)))
    after = np.tensordot(kept, reduced.weight.astype(np.float64), ((1, 2), (1, 2))) + reduced.shift
    size, error = np.linalg.norm(before), np.linalg.norm(after - before)
    return float(error / size) if size else float(error and np.inf)
