"""PyTorch is loaded where a module is read, and nowhere else."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["headroom", "headroom.graph.torch.reader", "headroom.graph.torch.callable", "headroom.graph.graph"]
)
def test_importing_does_not_load_torch(module: str) -> None:
    program = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
