"""What the small-batch kernel uses of an SM, by its machine code."""

from __future__ import annotations

import pytest

from change_fission.cubin import usage
from headroom.change.fission.kernels.sources import LinearVariant, compile_entries


@pytest.mark.parametrize("name", ["deft16q", "deft8e4", "int8", "int4_g128"])
def test_four_ctas_fit_an_sm_of_hopper_and_nothing_spills(name):
    variant = LinearVariant(name, "bf16", 2, 1, 1)
    (used,) = usage(compile_entries((variant.entry,), "linear.cu", (9, 0)).code).values()

    assert used.local_bytes == 0
    assert used.registers * 256 * 4 <= 65536
