"""Past the paper: remove, one by one, the synapse vector whose absence can be made up for best.

The paper's search asks which vectors are alike, whatever they add to the outputs. With a sample of inputs the question
itself can be answered: how far do the outputs move if this vector goes and all others make up for it? It is the step of
Optimal Brain Surgeon (Hassibi and Stork 1993) for whole synapse vectors, exact for each step and greedy over them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headroom.change.synapses.correlation import VectorCorrelation
from headroom.change.synapses.search import Selection
from headroom.change.synapses.transform import RIDGE
from headroom.change.synapses.vectors import Floats, Indices, flat
from headroom.errors import UsageError


def least_damage(weight: Floats, inputs: Floats, count: int, *, ridge: float = RIDGE) -> Selection:
    """Keep ``count`` vectors, removing each time the one without which the outputs move least.

    What stays is to be given the weights of :func:`headroom.change.synapses.transform.solve`, which are those that the
    steps lead to. Whoever goes is represented by the retained vector whose inputs are most like its own; ``alpha`` is
    the least such correlation, for no threshold decided.

    Time grows as K^2 per removed vector, memory is (K P)^2 float64: for layers of a few thousand vectors.

    Args:
        weight: (M, K, P).
        inputs: (samples, K, P); more samples than K P.
        count: how many stay.
        ridge: as in ``solve``.

    Raises:
        UsageError: so many cannot stay, or the two do not fit each other.
    """
    return least_damage_all(weight, inputs, [count], ridge=ridge)[0]


def least_damage_all(weight: Floats, inputs: Floats, counts: Sequence[int], *, ridge: float = RIDGE) -> list[Selection]:
    """A selection per count, of one descent: who goes first does not depend on how many follow."""
    vectors = weight.shape[1]
    if not all(0 < count <= vectors for count in counts) or inputs.shape[1:] != weight.shape[1:]:
        asked = ", ".join(map(str, counts))
        raise UsageError(
            f"{asked} of {vectors} vectors cannot stay by inputs of shape {inputs.shape}; keep 1 to {vectors} and give"
            f" (samples, {vectors}, {weight.shape[2]})"
        )
    if not counts:
        return []
    gone = _steps(weight.astype(np.float64), _inverse_gram(inputs, ridge), min(counts))
    correlation = VectorCorrelation(flat(inputs))
    return [_represented(np.setdiff1d(np.arange(vectors), gone[: vectors - count]), correlation) for count in counts]


def _inverse_gram(inputs: Floats, ridge: float) -> Floats:
    """(K P, K P): the inverse of the inputs' covariance and the ridge."""
    samples = inputs.reshape(len(inputs), -1).astype(np.float64)
    samples -= samples.mean(0)
    gram = samples.T @ samples
    gram[np.diag_indices_from(gram)] += ridge * float(gram.trace()) / len(gram) or 1.0
    inverse: Floats = np.linalg.inv(gram)
    return inverse


def _steps(weight: Floats, inverse: Floats, count: int) -> Indices:
    """Indices that go until ``count`` are left, in order. Both arrays are worked in: ``inverse`` always is that of the
    vectors that are left."""
    _, vectors, places = weight.shape
    blocks = inverse.reshape(vectors, places, vectors, places)
    alive, each = np.ones(vectors, np.bool_), np.arange(vectors)
    gone = []
    for _ in range(vectors - count):
        own = blocks[each, :, each, :]
        own[~alive] = np.eye(places)
        own = np.linalg.inv(own)
        # By how much the squared error grows at least: tr(w_k [G^-1]_kk^-1 w_k^T).
        damage = np.einsum("mkp,mkp->k", weight, np.einsum("mkp,kpq->mkq", weight, own))
        damage[~alive] = np.inf
        goes = int(damage.argmin())
        alive[goes] = False
        gone.append(goes)
        column = blocks[:, :, goes, :].reshape(-1, places)
        step = column @ own[goes]
        weight -= (weight[:, goes] @ step.T).reshape(weight.shape)
        inverse -= step @ column.T
    return np.array(gone, np.intp)


def _represented(retained: Indices, correlation: VectorCorrelation) -> Selection:
    whole = slice(0, correlation.count)
    values = correlation.block(whole, whole)[:, retained]
    nearest = values.argmax(1)
    representative = retained[nearest]
    found = values[np.arange(len(values)), nearest].astype(np.float64)
    representative[retained], found[retained] = retained, 1.0
    return Selection(float(np.clip(found.min(), 1e-6, 1)), retained, representative, found)
