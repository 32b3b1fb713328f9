"""Small networks in which every idiom of the large ones occurs, without a number that a graph does not keep."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def _image(channels: int = 6, size: int = 12) -> Tensor:
    return torch.randn(2, channels, size, size)


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm = nn.Conv2d(6, 10, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(10)
        self.two, self.down = nn.Conv2d(10, 10, 3, padding=1), nn.Conv2d(6, 10, 1, stride=2)
        self.head = nn.Linear(10, 7)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm(self.one(x)))
        y = functional.relu(self.two(y) + self.down(x))
        return self.head(functional.adaptive_avg_pool2d(functional.max_pool2d(y, 3, 2, 1), 1).flatten(1))


class _Concat(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = nn.Conv2d(6, 4, 1), nn.Conv2d(6, 9, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = functional.avg_pool2d(x, 3, 1, 1)
        return torch.cat([self.small(x), functional.relu(self.large(x)), pooled], 1)


class _Depthwise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.expand, self.norm = nn.Conv2d(6, 24, 1, bias=False), nn.BatchNorm2d(24)
        self.deep, self.project = nn.Conv2d(24, 24, 5, 2, 2, groups=24), nn.Conv2d(24, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(functional.relu6(self.deep(functional.hardswish(self.norm(self.expand(x))))))


class _Squeeze(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.less, self.more = nn.Conv2d(6, 16, 3, padding=1), nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.silu(self.conv(x))
        scale = torch.sigmoid(self.more(functional.relu(self.less(functional.adaptive_avg_pool2d(y, 1)))))
        return y * scale


class _Attention(nn.Module):
    """Three projections, heads, and a residual, on (batch, length, features)."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(24, 24) for _ in range(3))
        self.out, self.norm = nn.Linear(24, 24), nn.LayerNorm(24)

    def forward(self, x: Tensor) -> Tensor:
        heads = [p(x).view(2, 10, 3, 8).transpose(1, 2) for p in (self.query, self.key, self.value)]
        mixed = functional.scaled_dot_product_attention(*heads).transpose(1, 2).reshape(2, 10, 24)
        return self.norm(x + self.out(mixed))


class _Mixer(nn.Module):
    """Layer normalisation, a product along the tokens, and a GELU."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.tokens, self.wide, self.back = (
            nn.LayerNorm(20), nn.Linear(9, 13), nn.Linear(20, 50), nn.Linear(50, 20),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        y = self.tokens(self.norm(x).transpose(1, 2)).transpose(1, 2)
        return self.back(functional.gelu(self.wide(y)))


#: Name to a module in evaluation mode and its inputs.
NETWORKS: dict[str, Any] = {
    "residual": lambda: (_Residual().eval(), (_image(),)),
    "concat": lambda: (_Concat().eval(), (_image(),)),
    "depthwise": lambda: (_Depthwise().eval(), (_image(),)),
    "squeeze": lambda: (_Squeeze().eval(), (_image(),)),
    "attention": lambda: (_Attention().eval(), (torch.randn(2, 10, 24),)),
    "layernorm": lambda: (_Mixer().eval(), (torch.randn(2, 9, 20),)),
}
