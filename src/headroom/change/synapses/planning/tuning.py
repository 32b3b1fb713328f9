"""Fine-tuning copies of networks with a trainer, the user's or the recipe's. Importing it loads PyTorch."""

from __future__ import annotations

import copy

from torch import nn

from headroom.change.training import Trainer
from headroom.errors import HeadroomError, ModelError
from headroom.text import plain_line


def finetuned(network: nn.Module, finetune: Trainer) -> nn.Module:
    """A trained copy of ``network``, on the CPU and in evaluation mode.

    Raises:
        ModelError: the trainer failed, or left other tensors behind.
    """
    trained = copy.deepcopy(network).train()
    shapes = {name: value.shape for name, value in trained.state_dict().items()}
    try:
        finetune(trained)
    except HeadroomError:
        raise
    # The user's code runs here, which may fail with anything.
    except (Exception, SystemExit) as error:
        reason = plain_line(f"{type(error).__name__}: {error}")
        raise ModelError(f"fine-tuning failed with {reason}; repair its function") from error
    if {name: value.shape for name, value in trained.state_dict().items()} != shapes:
        raise ModelError("fine-tuning changed the sizes of tensors; train the network in place, as it is")
    return trained.cpu().eval()


def tuned_alone(trial: nn.Module, name: str, finetune: Trainer) -> nn.Module:
    """The layer of that name, trained while everything else stays: so that it goes with any other layer's ways.

    Section 4.1.3 of the DeftNN paper: "each <layer, correlation threshold> pair is fine-tuned independently".

    Raises:
        ModelError: as :func:`finetuned`.
    """
    held = copy.deepcopy(trial)
    for parameter in held.parameters():
        parameter.requires_grad_(False)
    for parameter in held.get_submodule(name).parameters():
        parameter.requires_grad_(True)
    layer = finetuned(held, finetune).get_submodule(name)
    for parameter in layer.parameters():
        parameter.requires_grad_(True)
    return layer
