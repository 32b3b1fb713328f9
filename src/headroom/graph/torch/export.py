"""Running ``torch.export`` on fake tensors, without touching the user's module, and naming what it cannot do."""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headroom.errors import ModelError
from headroom.graph.torch.example_inputs import ExampleInputs

if TYPE_CHECKING:
    from torch.export import ExportedProgram

#: Words in PyTorch's messages that mean: the Python code looks at the value of a tensor.
_DATA_DEPENDENT = ("data-dependent", "unbacked", "Dynamic control flow", "GuardOnDataDependent")


def export_program(module: Any, inputs: ExampleInputs, name: str) -> ExportedProgram:
    """Export ``module`` for inference, undecomposed. Nothing is computed and no parameter is copied.

    Raises:
        ModelError: PyTorch cannot export the module; says where and what to do.
    """
    import torch

    with _for_inference(module), _quiet():
        try:
            with torch.device("meta") if lives_on_meta(module) else _nothing():
                return torch.export.export(module, inputs.args, inputs.kwargs or None, strict=False)
        except Exception as error:  # a stranger's forward can raise anything
            raise ModelError(_sentence(error, module, name)) from error


def lives_on_meta(module: Any) -> bool:
    """Whether every parameter and buffer (at least one) is on the meta device."""
    tensors = [*module.parameters(), *module.buffers()]
    return bool(tensors) and all(tensor.is_meta for tensor in tensors)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _for_inference(module: Any) -> Iterator[None]:
    """Evaluation mode, with gradients as the caller has them; every flag is put back afterwards.

    The fused encoder of ``nn.TransformerEncoderLayer`` is switched off meanwhile: it hides a whole block in
    one operator, and only where gradients are off, so that one model would give two graphs.
    """
    import torch

    training = [(part, part.training) for part in module.modules()]
    fused_encoder = torch.backends.mha.get_fastpath_enabled()
    try:
        module.eval()
        torch.backends.mha.set_fastpath_enabled(False)
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused_encoder)
        for part, flag in training:
            part.training = flag


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep PyTorch's own reports of a failed export off the terminal; the error's sentence says it once."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _sentence(error: Exception, module: Any, name: str) -> str:
    message = next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
    where = failing_module(error, module)
    line = _line_of_the_user(error)
    place = (f"in module {where!r} of {name}" if where else f"in {name}") + (f" ({line})" if line else "")
    if any(word in f"{type(error).__name__} {error}" for word in _DATA_DEPENDENT):
        advice = "its Python code depends on a tensor's value: use torch.where or torch.cond there"
    else:
        advice = "check that the module runs on its example inputs, in the shapes given"
    return f"torch.export stopped {place}: {type(error).__name__}: {message.rstrip('.')}; {advice}"


def failing_module(error: BaseException, module: Any) -> str:
    """Dotted path of the innermost of the user's modules that was running when ``error`` was raised."""
    paths = {id(part): path for path, part in module.named_modules()}
    found = ""
    trace = error.__traceback__
    while trace is not None:
        owner = trace.tb_frame.f_locals.get("self")
        found = paths.get(id(owner), found)
        trace = trace.tb_next
    return found


def _line_of_the_user(error: BaseException) -> str:
    """``net.py:12``, the innermost line outside PyTorch that was running; empty if there is none."""
    import torch

    library, here = str(Path(torch.__file__).parent), __file__
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_absolute()]
    own = [f for f in frames if f.filename != here and not f.filename.startswith((library, sys.base_prefix))]
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
