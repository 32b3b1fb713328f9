"""Layers of the paper's networks as products: linear layers (outputs, K), and all of them at batch 32 as (M, N, K)."""

from __future__ import annotations

#: Linear layers that pay today, largest first.
LINEAR = (
    ("vgg16 fc6", 4096, 25088),
    ("alexnet fc6", 4096, 9216),
    ("alexnet fc7", 4096, 4096),
    ("alexnet fc8", 1000, 4096),
    ("cifarnet fc", 64, 1024),
    ("lenet5 fc1", 500, 800),
)

_BATCH = 32
#: Convolutions by im2col: places of the output, output channels, input channels times the window.
_CONVOLUTIONS = (
    ("alexnet conv1", 55 * 55, 96, 363),
    ("alexnet conv2", 27 * 27, 256, 1200),
    ("alexnet conv3", 13 * 13, 384, 2304),
    ("alexnet conv4", 13 * 13, 384, 1728),
    ("alexnet conv5", 13 * 13, 256, 1728),
    ("vgg16 conv1_2", 224 * 224, 64, 576),
    ("vgg16 conv2_2", 112 * 112, 128, 1152),
    ("vgg16 conv3_2", 56 * 56, 256, 2304),
    ("vgg16 conv4_2", 28 * 28, 512, 4608),
    ("vgg16 conv5_2", 14 * 14, 512, 4608),
    ("cifarnet conv2", 15 * 15, 32, 800),
    ("lenet5 conv2", 8 * 8, 50, 500),
)

PRODUCTS = (
    ("square 4096", 4096, 4096, 4096),
    *((name, _BATCH * places, n, k) for name, places, n, k in _CONVOLUTIONS),
    *((name, _BATCH, n, k) for name, n, k in LINEAR),
)
