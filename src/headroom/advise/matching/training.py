"""Steps that train: their forward passes would match the model, and their times would tell nothing of inference."""

from __future__ import annotations

import re

from headroom.errors import ProfileError
from headroom.measure.profiles.profile import Step
from headroom.text import plain_line

#: What only training calls: gradients (``aten::convolution_backward``, ``ReluBackward0``) and the optimizer's step.
_CALLS = re.compile(
    r"_backward$|Backward\d*$|^autograd::engine::|^torch::autograd::|^Optimizer\.step\b|\b_fused_(adam|sgd)"
)
#: The same among kernels, which is all that a replayed CUDA graph has: gradients of weights are never a forward pass.
_KERNELS = re.compile(r"wgrad|backward", re.IGNORECASE)

_SHOWN = 60


def refuse_training(title: str, step: Step) -> None:
    """Refuse a step that computes gradients or updates weights.

    Raises:
        ProfileError: it does; the sentence names the operator.
    """
    called = [call.name for call in step.calls if _CALLS.search(call.name)]
    launched = (launch.name for launch in step.launches if _KERNELS.search(launch.name))
    # The operator says more than the engine's node around it.
    operators = (name for name in called if name.startswith(("aten::", "Optimizer")))
    found = next(operators, None) or next(iter(called), None) or next(launched, None)
    if found is None:
        return
    raise ProfileError(
        f"{plain_line(title)} holds training: {plain_line(step.name)} runs {plain_line(found, _SHOWN)}; bounds are of "
        "inference, so record the forward pass alone, under torch.inference_mode()"
    )
