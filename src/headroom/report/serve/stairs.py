"""Staircases that a database holds: layers that differ in their output width alone, as curves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from headroom.advise.questions.answer import Lines
from headroom.change.widths.staircase.layers import at_widths, has_width, is_tied, widths_of
from headroom.errors import HeadroomError
from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.report.html.lines import line_chart
from headroom.report.serve.asked import L2_STATES, Asked
from headroom.report.serve.page import Choice, Form, Link, Page, Section
from headroom.report.shapes import shape_text
from headroom.store.browse import ChainFound
from headroom.store.rows import System
from headroom.store.several import Stores
from headroom.text import view

#: Fewer widths than this are no staircase; a page has so many curves; so many layers are looked at for them.
_FEWEST_WIDTHS = 4
_CURVES = 12
_MOST_LAYERS = 3000


def staircases_page(stores: Stores, system: System, asked: Asked) -> Page:
    """The staircases with most widths, of layers that the words fit.

    Raises:
        StoreError: the database cannot be read.
    """
    dtype = asked.dtype or DataType.BF16
    families = _families(stores.chains(system, dtype, asked.l2, asked.words))
    begin = (asked.page - 1) * _CURVES
    shown = families[begin : begin + _CURVES]
    path = f"/systems/{system.id}/staircases"
    turns = [("Previous", asked.page - 1)] if asked.page > 1 else []
    turns += [("Next", asked.page + 1)] if begin + _CURVES < len(families) else []
    links = Section("More", pages=tuple(Link(word, path + asked.query(page)) for word, page in turns))
    sections = [_section(stores, system, dtype, asked.l2, family, place) for place, family in enumerate(shown)]
    choices = (
        Choice("dtype", "Data type", tuple(DataType), str(dtype)),
        Choice("l2", "L2 cache", L2_STATES, asked.l2),
    )
    return Page(
        f"Staircases on {view(system.gpu, 60)}",
        (*sections, *([links] if turns else [])),
        f"{len(families)} layers were measured at {_FEWEST_WIDTHS} output widths and more, in {dtype}, L2 {asked.l2}.",
        (system.id,),
        (*Page("").crumbs, Link(view(system.gpu, 60), f"/systems/{system.id}")),
        Form(path, " ".join(asked.words), choices),
    )


def _families(found: Sequence[ChainFound]) -> list[list[tuple[int, Layer, str]]]:
    """Layers by everything but their output width, those with most widths first."""
    families: dict[str, list[tuple[int, Layer, str]]] = defaultdict(list)
    wide = [each for each in found if each.kind in ("convolution", "matmul", "matvec") and " + " not in each.title]
    for each in wide[:_MOST_LAYERS]:
        try:
            layer = each.chain.anchor
            if has_width(layer) and not is_tied(layer):
                # At one width in common, what differs in nothing else is the same chain.
                alike = Chain.of([at_widths(layer, layer.work.groups if hasattr(layer.work, "groups") else 1)])
                families[alike.digest].append((widths_of(layer)[1], layer, each.digest))
        except HeadroomError:
            continue  # groups that do not divide the width
    many = [sorted(family, key=lambda item: item[0]) for family in families.values() if len(family) >= _FEWEST_WIDTHS]
    return sorted(many, key=lambda family: -len(family))


def _section(
    stores: Stores, system: System, dtype: DataType, l2: str, family: Sequence[tuple[int, Layer, str]], place: int
) -> Section:
    best = stores.best(system, dtype, l2, [digest for _, _, digest in family])
    points = tuple((float(width), best[digest].median_us or 0.0) for width, _, digest in family if digest in best)
    _, layer, _ = family[-1]
    chart = line_chart(Lines("Latency", "width", "latency us", (("latency", points),)), f"c{place}", even=True)
    return Section(view(shape_text(layer)), f"{len(points)} output widths, the widest shown above.", lines=chart)
