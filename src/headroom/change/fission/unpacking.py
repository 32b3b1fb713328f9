"""The reference's unpacking in PyTorch, on any device and to the same bits. Importing it loads PyTorch."""

from __future__ import annotations

from functools import cache

import torch

from headroom.change.fission.formats import FORMATS, Deft16, Deft16Q, Format, Half
from headroom.change.fission.formats.scaled import Scaled


def unpack_weights(words: torch.Tensor, scales: torch.Tensor | None, form: Format, count: int) -> torch.Tensor:
    """Rows of packed values as fp32, (rows, count).

    Args:
        words: (rows, words) of 32 bits as whole numbers.
        scales: (rows, groups), where the format has scales.
        count: values of a row.
    """
    values = _values(words, form)[:, :count]
    if scales is None:
        return values.contiguous()
    each = scales.repeat_interleave(max(form.group_of(count) or 1, 1), dim=1)[:, :count]
    return values * each


def _values(words: torch.Tensor, form: Format) -> torch.Tensor:
    if isinstance(form, Half):
        return words.view(torch.float16).float()
    if isinstance(form, Deft16):
        return words.view(torch.bfloat16).float()
    if isinstance(form, Deft16Q):
        return torch.stack((words << 16, words), dim=-1).view(torch.float32).flatten(1)
    assert isinstance(form, Scaled)
    codes = words.view(torch.uint8)
    if form.bits == 4:
        codes = torch.stack((codes & 15, codes >> 4), dim=-1).flatten(1)
    return _table(form.name, words.device)[codes.long()]


@cache
def _table(form: str, device: torch.device) -> torch.Tensor:
    """What codes mean. Kept: a copy to a GPU cannot be captured into a CUDA graph."""
    known = FORMATS[form]
    assert isinstance(known, Scaled)
    return torch.from_numpy(known.code.table()).to(device)
