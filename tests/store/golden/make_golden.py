"""Makes ``schema-N.sqlite`` with the Headroom that is installed: run once per released schema, then never again.

usage: python tests/store/golden/make_golden.py
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))


def make() -> None:
    from headroom.store.migrations import SCHEMA
    from headroom.store.store import Store
    from store.factory import BF16, OTHER, SYSTEM, make_chain, make_counters, make_network, make_sweep

    with Store.open(HERE / f"schema-{SCHEMA}.sqlite") as store:
        for number in range(3):
            store.record(make_sweep(number))
        store.record(make_sweep(0, system=OTHER, plans="heuristic"))
        store.record_network(SYSTEM, make_network())
        store.record_counters(SYSTEM, make_chain(), BF16, [make_counters()])


if __name__ == "__main__":
    make()
