"""The page about GPUs is the one the script writes today."""

from __future__ import annotations

import runpy
import tomllib
from pathlib import Path

from headroom.gpu.sheets import load_gpu

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "gpus.md"


def test_the_page_about_gpus_is_fresh() -> None:
    script = runpy.run_path(str(ROOT / "benchmarks" / "gpu_sheets.py"))
    assert PAGE.read_text("utf-8") == script["page"](), "run python benchmarks/gpu_sheets.py"


def test_every_sheet_that_the_page_shows_loads(tmp_path: Path) -> None:
    blocks = PAGE.read_text("utf-8").split("```toml\n")[1:]
    assert len(blocks) == 2
    for number, block in enumerate(blocks):
        path = tmp_path / f"shown{number}.toml"
        path.write_text(block.partition("```")[0], "utf-8")
        assert load_gpu(path).sms == tomllib.loads(path.read_text("utf-8"))["sms"]
