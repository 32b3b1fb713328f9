"""Named designs in a small TOML file.

::

    [designs."twice the SMs"]
    sms = 2
    dram_bw = "@900"
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from headroom.errors import UsageError
from headroom.gpu.toml_file import parse_toml, read_toml_text
from headroom.text import plain_line


def read_designs(path: Path) -> dict[str, dict[str, object]]:
    """Each design's changes by field, in the order of the file.

    Raises:
        UsageError: it cannot be read, or holds anything but a table ``designs`` of tables.
    """
    where = f"designs file {plain_line(str(path))}"
    raw = parse_toml(read_toml_text(path, where, "a TOML file with a table [designs.NAME] per design"), where)
    designs = raw.get("designs")
    if set(raw) != {"designs"} or not isinstance(designs, Mapping) or not designs:
        raise UsageError(f"{where}: expected tables [designs.NAME] and nothing else")
    for name, changes in designs.items():
        if not isinstance(changes, Mapping):
            raise UsageError(f"{where}: design '{plain_line(name, 60)}' is no table of fields")
    return {name: _flat(changes) for name, changes in designs.items()}


def _flat(changes: Mapping[str, object]) -> dict[str, object]:
    """Fields of a design; TOML makes a table of its own from ``plain_tflops.fp32 = 2``."""
    flat: dict[str, object] = {}
    for name, value in changes.items():
        flat.update({f"{name}.{part}": v for part, v in value.items()} if isinstance(value, Mapping) else {name: value})
    return flat
