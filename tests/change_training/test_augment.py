"""Augmentation: each image is changed by itself, by nothing but a shift, a mirror and a hole."""

from __future__ import annotations

import torch
from torch.nn import functional

from headroom.change.training import ImageAugmentation


def numbered(count: int) -> torch.Tensor:
    """Images whose pixels are all different within an image, the same in all."""
    return torch.arange(2 * 8 * 8, dtype=torch.uint8).view(1, 2, 8, 8).repeat(count, 1, 1, 1)


def test_each_image_is_one_crop_of_its_padded_self() -> None:
    images = numbered(200)
    found = ImageAugmentation(shift=2, mirror=False)(images, torch.Generator().manual_seed(1))
    padded = functional.pad(images[:1].float(), [2] * 4, mode="reflect").to(torch.uint8)[0]
    crops = {(y, x): padded[:, y : y + 8, x : x + 8] for y in range(5) for x in range(5)}
    places = [next(place for place, crop in crops.items() if torch.equal(crop, image)) for image in found]
    assert set(places) == set(crops)  # 200 draws of 25
    assert found.dtype == torch.uint8


def test_about_every_second_image_is_mirrored() -> None:
    images = numbered(400)
    found = ImageAugmentation(shift=0)(images, torch.Generator().manual_seed(1))
    mirrored = sum(torch.equal(image, images[0].flip(-1)) for image in found)
    assert mirrored + sum(torch.equal(image, images[0]) for image in found) == 400
    assert 140 < mirrored < 260


def test_a_hole_is_a_square_of_the_fill_at_its_own_place() -> None:
    images = numbered(100) + 1
    found = ImageAugmentation(shift=0, mirror=False, hole=3, fill=(0, 255))(images, torch.Generator().manual_seed(1))
    gone = found != images
    assert bool((found[:, 0][gone[:, 0]] == 0).all())
    assert bool((found[:, 1][gone[:, 1]] == 255).all())
    assert torch.equal(gone[:, 0], gone[:, 1])
    areas = gone[:, 0].sum((1, 2))
    assert int(areas.max()) == 9
    assert int(areas.min()) >= 4
    assert len({tuple(each.flatten().tolist()) for each in gone[:, 0]}) > 30


def test_the_generator_decides() -> None:
    change = ImageAugmentation(shift=3, hole=2)
    first, second = (change(numbered(20), torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)
