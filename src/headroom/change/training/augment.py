"""Random changes of image batches, made where the images lie: each image gets its own crop, flip and hole."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from headroom.change.training.data import per_channel


@dataclass(frozen=True)
class ImageAugmentation:
    """Of images (N, C, H, W): shifted by up to ``shift`` pixels, mirrored, with a square of side ``hole`` cut out.

    Attributes:
        shift: what comes in at the border is a reflection of the image.
        mirror: every second image, left to right.
        hole: side of the square that becomes ``fill``; it may reach over the border (DeVries and Taylor 2017).
        fill: a value per channel as the images are stored, such as their mean.
    """

    shift: int = 4
    mirror: bool = True
    hole: int = 0
    fill: tuple[int, ...] = (0,)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        if self.shift:
            images = self._shifted(images, generator)
        if self.mirror:
            flipped = _draw(2, len(images), images, generator).bool().view(-1, 1, 1, 1)
            images = torch.where(flipped, images.flip(-1), images)
        return self._holed(images, generator) if self.hole else images

    def _shifted(self, images: Tensor, generator: torch.Generator) -> Tensor:
        count, channels, height, width = images.shape
        # Reflection is not there for integers on every device.
        padded = functional.pad(images.float(), [self.shift] * 4, mode="reflect").to(images.dtype)
        top, left = (_draw(2 * self.shift + 1, count, images, generator) for _ in range(2))
        rows = (top[:, None] + torch.arange(height, device=images.device)).view(count, 1, height, 1)
        columns = (left[:, None] + torch.arange(width, device=images.device)).view(count, 1, 1, width)
        samples = torch.arange(count, device=images.device).view(-1, 1, 1, 1)
        return padded[samples, torch.arange(channels, device=images.device).view(1, -1, 1, 1), rows, columns]

    def _holed(self, images: Tensor, generator: torch.Generator) -> Tensor:
        inside = []
        for size in images.shape[-2:]:
            first = _draw(size, len(images), images, generator) - self.hole // 2
            along = torch.arange(size, device=images.device) - first[:, None]
            inside.append((along >= 0) & (along < self.hole))
        hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
        return torch.where(hole, per_channel(self.fill, images, images.dtype), images)


def _draw(below: int, count: int, like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randint(below, (count,), generator=generator, device=like.device)
