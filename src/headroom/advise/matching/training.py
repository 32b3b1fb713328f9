"""Steps that train: their forward passes would match the model, and their times would tell nothing of inference."""

from __future__ import annotations

import re

from headroom.errors import ProfileError
from headroom.graph.graph import Graph
from headroom.measure.profiles.profile import Profile, Step
from headroom.text import plain_line

#: What only training calls in PyTorch: gradients (``aten::convolution_backward``, ``ReluBackward0``) and the
#: optimizer's step.
_CALLS = re.compile(
    r"_backward$|Backward\d*$|^autograd::engine::|^torch::autograd::|^Optimizer\.step\b|\b_fused_(adam|sgd)"
)
#: The same among ONNX Runtime's operators: ``ConvGrad``, ``BiasGeluGrad_dX``, ``AdamWOptimizer``, sums of gradients.
_OPERATORS = re.compile(r"[a-z\d]Grad(?:_\w+|V?\d+)?$|\w{2}Optimizer(?:V\d+)?$|^InPlaceAccumulator")
#: The same among kernels, which is all that a replayed CUDA graph has: gradients of weights are never a forward pass.
_KERNELS = re.compile(r"wgrad|backward", re.IGNORECASE)

_SHOWN = 60


#: What to record instead, by the recorder.
_INSTEAD = {"onnxruntime": "in an InferenceSession of the model without its gradients"}
_OTHERWISE = "under torch.inference_mode()"


def refuse_training(profile: Profile, step: Step, graph: Graph) -> None:
    """Refuse a step that computes gradients or updates weights, unless ``graph`` itself has such layers.

    Raises:
        ProfileError: it does; the sentence names the operator.
    """
    if any(_OPERATORS.search(layer.operator) for layer in graph.layers):
        return
    trains = _OPERATORS if profile.recorder == "onnxruntime" else _CALLS
    called = [call.name for call in step.calls if trains.search(call.name)]
    launched = (launch.name for launch in step.launches if _KERNELS.search(launch.name))
    # The operator says more than the engine's node around it.
    operators = (name for name in called if name.startswith(("aten::", "Optimizer")))
    found = next(operators, None) or next(iter(called), None) or next(launched, None)
    if found is None:
        return
    raise ProfileError(
        f"{plain_line(profile.title)} holds training: {plain_line(step.name)} runs {plain_line(found, _SHOWN)}, which "
        f"{plain_line(graph.name, _SHOWN)} has no layer for; bounds are of inference, so record the forward pass "
        f"alone, {_INSTEAD.get(profile.recorder, _OTHERWISE)}"
    )
