"""Looking through a database: chains by words, a bounded number of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, or_, select

from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.store.rows import METHOD, System
from headroom.store.tables import chains, systems, timings
from headroom.store.walk import to_chain

#: More chains than this are never looked through at once.
MOST_CHAINS = 20_000


@dataclass(frozen=True)
class ChainFound:
    """A chain that there are rows of. ``layers`` is JSON: most of what is found is never shown."""

    digest: str
    title: str
    kind: str
    macs: int
    layers: str

    @property
    def chain(self) -> Chain:
        """Its layers.

        Raises:
            StoreError: they are none, or not those that the digest stands for.
        """
        return to_chain(self.digest, self.layers)


def select_chains(
    connection: Connection, system: System, dtype: DataType, l2: str, words: Sequence[str]
) -> tuple[ChainFound, ...]:
    """Chains with a row in this data type and state of the L2 cache, those with most macs first.

    Args:
        words: each of them is in the title or the kind, or the digest begins with it; upper and lower case are one.
    """
    visited = (
        select(timings.c.chains_key)
        .join(systems)
        .where(systems.c.id == system.id, timings.c.method == METHOD)
        .where(timings.c.dtype == str(dtype), timings.c.l2 == l2)
    )
    columns = (chains.c[name] for name in ("digest", "title", "kind", "macs", "layers"))
    query = select(*columns).where(chains.c.key.in_(visited))
    for word in words:
        text = word.lower()
        query = query.where(
            or_(
                func.lower(chains.c.title).contains(text, autoescape=True),
                func.lower(chains.c.kind).contains(text, autoescape=True),
                chains.c.digest.startswith(text, autoescape=True),
            )
        )
    query = query.order_by(chains.c.macs.desc(), chains.c.digest).limit(MOST_CHAINS)
    return tuple(ChainFound(**row) for row in connection.execute(query).mappings())
