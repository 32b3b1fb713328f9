"""With nothing to do ``headroom measure`` is done in a moment: what it would measure with is not even imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from measure.chains import script
from measure.processes import environment

MODEL = Path(__file__).resolve().parents[2] / "examples" / "resnet50.onnx"

#: What ranks layers, what answers questions, what measures, what shows tables, and another database's dialect.
NEEDLESS = (
    "headroom.predict", "headroom.advise", "headroom.gpu.sheets", "headroom.api", "headroom.measure.crew",
    "headroom.measure.client", "headroom.measure.extras", "headroom.measure.counters", "headroom.measure.networks",
    "numpy", "pandas", "onnx", "torch", "rich", "alembic", "sqlalchemy.dialects.postgresql",
)  # fmt: skip


#: The command, and what it had imported when it was done.
RUN = "import atexit, sys; from headroom.cli.main import main; atexit.register(lambda: print(*sys.modules)); main()"


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The modules that a run imports which finds everything measured."""
    database = tmp_path_factory.mktemp("measured") / "rows.sqlite"
    words = ("measure", MODEL, "--dtype", "bf16", "--no-fused", "--quiet", "--db", database)
    first, again = (
        subprocess.run(
            [sys.executable, "-c", RUN, *words], env=environment(HEADROOM_BENCH=script()), capture_output=True,
            text=True, check=True, timeout=120,
        )
        for _ in range(2)
    )  # fmt: skip
    assert "headroom.measure.crew" in first.stdout.split()
    return frozenset(again.stdout.split())


def test_it_looks_the_layers_up_in_the_database(imported: frozenset[str]) -> None:
    assert {"headroom.store.notebook", "headroom.measure.plan", "sqlalchemy"} <= imported


@pytest.mark.parametrize("module", NEEDLESS)
def test_it_does_without(module: str, imported: frozenset[str]) -> None:
    assert not [name for name in imported if name == module or name.startswith(f"{module}.")]
