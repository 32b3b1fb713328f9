"""What ``headroom gpus probe`` measured on an H200, as a page.

headroom gpus probe --json benchmarks/results/h200_probe.json     (on the GPU)
python benchmarks/probe_page.py                                   (writes docs/probe-figures.md)
"""

from __future__ import annotations

import json
from typing import Any

from record import RESULTS, ROOT


def text(probe: dict[str, Any]) -> str:
    shipped = {row["name"]: row["shipped"] for row in probe["rows"]}
    lines = [
        "# An H200, probed",
        "",
        f"{probe['gpu']}, driver {probe['driver']}, {probe['date']}, measured in {probe['seconds']:.0f} s by kernels",
        "whose answers were checked ([probe.md](probe.md)), beside what the shipped sheet says. Written by",
        "`benchmarks/probe_page.py`.",
        "",
        "| figure | measured | sheet | difference | how |",
        "|---|---:|---:|---:|---|",
    ]
    for figure in probe["figures"]:
        value, sheet = figure["value"], shipped.get(figure["name"])
        difference = "" if not sheet else f"{100 * (value / sheet - 1):+.1f} %"
        known = "" if sheet is None else f"{sheet:,.5g}"
        unit = f" {figure['unit']}" if figure["unit"] else ""
        lines.append(f"| {figure['name']} | {value:,.5g}{unit} | {known} | {difference} | {figure['how']} |")
    return "\n".join([*lines, ""])


def main() -> None:
    page = text(json.loads((RESULTS / "h200_probe.json").read_text()))
    (ROOT / "docs" / "probe-figures.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
