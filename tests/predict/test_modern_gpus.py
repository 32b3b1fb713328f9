"""What the manual says of the clock under load is what the shipped rows show."""

from __future__ import annotations

import sqlite3

from headroom.gpu.sheets import load_gpu
from headroom.store.default import shipped_files

_SLOWER = "SELECT sum(sm_clock_mhz < ?), count(*) FROM timings WHERE status = 'ok' AND sm_clock_mhz IS NOT NULL"


def test_hardly_a_shipped_row_was_timed_below_the_boost_clock() -> None:
    (file,) = [file for file in shipped_files() if "h200" in file.name]
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    slower, rows = connection.execute(_SLOWER, (0.98 * load_gpu("h200").clock_mhz,)).fetchone()
    connection.close()
    assert rows > 10_000
    assert slower < rows / 1000
