"""What works on PyTorch networks is tested where PyTorch is."""

from __future__ import annotations

import importlib.util

collect_ignore = [] if importlib.util.find_spec("torch") else ["test_networks.py", "test_stored.py"]
