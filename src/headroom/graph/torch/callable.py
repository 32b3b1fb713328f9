"""``package.module:callable`` on the command line: the user's own code that makes the model."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headroom.errors import ModelError, UsageError

_WHAT_TO_RETURN = "return (module, example_inputs), example_inputs being a tensor, a tuple or a dict of them"


def is_callable_address(text: str) -> bool:
    """Whether it reads ``package.module:callable``, as opposed to a path (``C:\\model.onnx`` is one)."""
    module, colon, name = text.rpartition(":")
    return bool(colon) and name.isidentifier() and all(part.isidentifier() for part in module.split("."))


def load_callable(reference: str) -> tuple[Any, Any]:
    """Import ``package.module``, call ``callable()`` and return the module and its example inputs.

    The current folder is searched first, as ``python -m`` does. The callable returns
    ``(module, example_inputs)``, or a module that has an ``example_inputs`` attribute; it may itself be a
    module. The user's code runs here: nothing else in Headroom executes anything that belongs to a model.

    Raises:
        UsageError: the reference has no such form, or PyTorch is not installed.
        ModelError: no such module or attribute, or the callable failed or returned something else.
    """
    require_torch(reference)
    made = _called(imported(reference), reference)
    return _split(made, reference)


def load_module(reference: str) -> tuple[Any, Any]:
    """As :func:`load_callable`, but the module may come without example inputs, which are then ``None``.

    Raises:
        UsageError, ModelError: as :func:`load_callable`.
    """
    require_torch(reference)
    import torch

    made = _called(imported(reference), reference)
    if isinstance(made, torch.nn.Module) and getattr(made, "example_inputs", None) is None:
        return made, None
    return _split(made, reference)


def require_torch(subject: str) -> None:
    """Say how to get PyTorch where it is missing.

    Raises:
        UsageError: PyTorch is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise UsageError(f"reading {subject} needs PyTorch; install it with: pip install 'headroom[torch]'")


def imported(reference: str) -> Any:
    """Import ``package.module`` and return its attribute ``callable``, whatever that is; nothing is called.

    Raises:
        UsageError: the reference has no such form.
        ModelError: no such module or attribute, or importing it failed.
    """
    path, colon, attribute = reference.partition(":")
    if not colon or not path or not attribute:
        raise UsageError(f"{reference!r} is no package.module:callable; write for example models.net:make")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        found: Any = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is not None and (path == error.name or path.startswith(f"{error.name}.")):
            raise ModelError(
                f"no module {path!r} for {reference!r} in {here} or on the Python path; check the name or "
                "start Headroom in the folder that holds it"
            ) from error
        raise ModelError(f"importing {path!r} failed: {_one_line(error)}; install it or repair {path}") from error
    except (Exception, SystemExit) as error:  # a stranger's module can raise anything while it is imported
        raise ModelError(f"importing {path!r} failed: {_one_line(error)}; repair {path}") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ModelError(f"module {path!r} has no attribute {attribute!r}; {_choices(found)}")
        found = getattr(found, part)
    return found


def _called(found: Any, reference: str) -> Any:
    import torch

    if isinstance(found, torch.nn.Module) or _is_pair(found):
        return found
    if not callable(found):
        raise ModelError(
            f"{reference} is {_a(found)} and cannot be called; name a function to call, which must {_WHAT_TO_RETURN}"
        )
    return _run(found, reference)


def _run(function: Any, reference: str) -> Any:
    """Call the user's function; whatever it raises becomes one sentence."""
    try:
        return function()
    except (Exception, SystemExit) as error:  # a stranger's function can raise anything
        raise ModelError(
            f"{reference} raised {_one_line(error)}; it is called without arguments and must {_WHAT_TO_RETURN}"
        ) from error


def _split(made: Any, reference: str) -> tuple[Any, Any]:
    import torch

    if _is_pair(made):
        return made[0], made[1]
    if not isinstance(made, torch.nn.Module):
        raise ModelError(f"{reference} returned {_a(made)}; {_WHAT_TO_RETURN}")
    inputs = getattr(made, "example_inputs", None)
    if callable(inputs) and not isinstance(inputs, torch.Tensor | Mapping):
        inputs = _run(inputs, f"{reference}.example_inputs")
    if inputs is None:
        raise ModelError(
            f"{reference} returned a {type(made).__name__} without example inputs; {_WHAT_TO_RETURN}, "
            "or give the module an attribute example_inputs"
        )
    return made, inputs


def _is_pair(made: Any) -> bool:
    import torch

    return isinstance(made, tuple | list) and len(made) == 2 and isinstance(made[0], torch.nn.Module)


def _choices(module: Any) -> str:
    names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
    return f"it has {', '.join(sorted(names)[:8])}" if names else "it has nothing that can be called"


def _a(value: Any) -> str:
    name = type(value).__name__
    return "nothing" if value is None else f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
