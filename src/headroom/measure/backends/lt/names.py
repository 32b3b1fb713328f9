"""Names of algorithms, exact enough to run one again.

An algorithm is 64 opaque bytes. Nine attributes of it can be read and set; where they alone give the same bytes the
name holds them (``algo66_tile20_stages36_splitk1_…``), else it also holds the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

#: What a name calls each attribute, and the library's name of it, in the order in which they are set.
ATTRIBUTES = {
    "algo": "ID",
    "tile": "TILE_ID",
    "stages": "STAGES_ID",
    "splitk": "SPLITK_NUM",
    "reduction": "REDUCTION_SCHEME",
    "swizzle": "CTA_SWIZZLING",
    "custom": "CUSTOM_OPTION",
    "inner": "INNER_SHAPE_ID",
    "cluster": "CLUSTER_SHAPE_ID",
}

_FAST = "_fastacc"


@dataclass(frozen=True, slots=True)
class Algorithm:
    """An algorithm's attributes by the names above, and its bytes where these say more.

    ``fast_accumulation`` is a choice of the product that fp8 kernels offer: sums stay in the tensor cores' registers.
    """

    attributes: Mapping[str, int]
    opaque: bytes = b""
    fast_accumulation: bool = False

    @property
    def name(self) -> str:
        text = "_".join(f"{key}{self.attributes[key]}" for key in ATTRIBUTES)
        text += f"_x{self.opaque.hex()}" if self.opaque else ""
        return text + _FAST if self.fast_accumulation else text


_PATTERN = re.compile("_".join(rf"{key}(-?\d+)" for key in ATTRIBUTES) + r"(?:_x([0-9a-f]{128}))?")


def parsed(name: str) -> Algorithm:
    """The algorithm of that name.

    Raises:
        ValueError: it is no name of :class:`Algorithm`.
    """
    match = _PATTERN.fullmatch(name.removesuffix(_FAST))
    if match is None:
        raise ValueError(f"{name!r} names no algorithm of cuBLASLt")
    *numbers, opaque = match.groups()
    attributes = dict(zip(ATTRIBUTES, map(int, numbers), strict=True))
    return Algorithm(attributes, bytes.fromhex(opaque or ""), name.endswith(_FAST))
