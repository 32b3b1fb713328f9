"""Sections of ``docs/trained.md`` about networks that nothing is made of: what the images allow, and EfficientNet."""

from __future__ import annotations

from collections.abc import Iterator

from page_tables import table
from trained_networks import ENLARGED
from training_study.jobs import UNPRUNED
from training_study.told import Rows, accuracy, of


def ceiling(trained: Rows) -> Iterator[str]:
    yield from ("## What the images allow", "")
    yield (
        "A ResNet-18 for 32x32 images, known for about 95 % on the original, is trained on these images, and on the "
        "same images encoded once more with their blocks elsewhere: the first says how much accuracy is to be had "
        "here, the second what one more such encoding costs."
    )
    yield ""
    names = {"resnet18": "as they are", "resnet18-again": "encoded once more"}
    rows = [(told, accuracy(of(trained, network, UNPRUNED))) for network, told in names.items()]
    yield from table(("images", "accuracy, %"), rows)


def enlarged(trained: Rows) -> Iterator[str]:
    yield from ("## EfficientNet, in small", "")
    yield (
        "EfficientNet-B0 from the start on enlarged images: what width and resolution are worth where batch 1 does not "
        "pay for them ([efficientnet.md](efficientnet.md) has the times)."
    )
    yield ""
    rows = []
    for width, side in ENLARGED:
        own = of(trained, f"efficientnet-{width}-{side}", UNPRUNED)
        macs = f"{own[0]['macs'] / 1e6:.0f}" if own else ""
        rows.append((f"{width:g}", f"{side}", macs, accuracy(own)))
    yield from table(("width", "side, pixels", "macs, M", "accuracy, %"), rows)
