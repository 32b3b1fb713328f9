"""The pages: systems, one of them, its layers, the rows of a layer, and whole models."""

from __future__ import annotations

from collections.abc import Sequence

from headroom import figures
from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.report.html.charts import Bar, BarChart, DataTable, Segment, tip
from headroom.report.serve.asked import L2_STATES, PAGE_ROWS, Asked, NotThere
from headroom.report.serve.page import Choice, Form, Link, Page, Section, Table, cells
from headroom.report.shapes import shape_text
from headroom.store.browse import ChainFound
from headroom.store.rows import NetworkTiming, Status, System, Timing
from headroom.store.several import Stores
from headroom.text import view

#: Rows of a layer, and runs of models, that a page shows at most; an export has all.
_MOST_ROWS, _MOST_RUNS = 200, 200

_MOST_BARS = 20


def systems_page(stores: Stores) -> Page:
    """Every system, with how much is known of it."""
    summaries = stores.systems()
    rows = tuple(
        cells(
            each.system.id, each.system.title, f"{each.layers:,}", f"{each.rows:,}", each.last_measured[:16],
            href=f"/systems/{each.system.id}",
        )
        for each in summaries
    )  # fmt: skip
    bars = [(view(each.system.gpu, 60), float(each.layers), f"{each.layers:,}", each.system.id) for each in summaries]
    table = Table(("System", "GPU, driver, libraries", "Layers", "Rows", "Last measured"), rows)
    known = Section("Systems", table=table)
    chart = Section("Layers with a time", bars=_bars("layers", "Layers by system", bars)) if bars else None
    note = "" if rows else "Nothing was measured yet: headroom measure fills the database."
    return Page("Performance database", (known, chart) if chart else (known,), note)


def system_page(stores: Stores, system: System, asked: Asked) -> Page:
    """One system: what is known by data type, and its layers by words.

    Raises:
        StoreError: the database cannot be read.
    """
    holdings = stores.holdings(system)
    dtype = asked.dtype or next((each.dtype for each in reversed(holdings) if each.l2 == asked.l2), DataType.BF16)
    found = stores.chains(system, dtype, asked.l2, asked.words)
    shown = found[asked.first : asked.first + PAGE_ROWS]
    best = stores.best(system, dtype, asked.l2, [each.digest for each in shown])
    there = Table(
        ("Data type", "L2", "Layers", "What became of the rows"),
        tuple(
            cells(str(h.dtype), h.l2, f"{h.layers:,}", ", ".join(f"{n:,} {status}" for status, n in h.statuses.items()))
            for h in holdings
        ),
    )
    layers = Section(
        f"Layers in {dtype}, L2 {asked.l2}",
        f"{len(found):,} layers and chains, those with most macs first.",
        _layer_bars(shown, best),
        None,
        Table(("Layer", "Shape", "Macs", "Best time", "Implementation"), tuple(_layer_rows(system, shown, best))),
        _pages(f"/systems/{system.id}", asked, len(found)),
    )
    choices = (
        Choice("dtype", "Data type", tuple(DataType), str(dtype)),
        Choice("l2", "L2 cache", L2_STATES, asked.l2),
    )
    steps = Link("Staircases", f"/systems/{system.id}/staircases{asked.query()}")
    return Page(
        view(system.title),
        (layers, Section("What is known", table=there)),
        crumbs=(*Page("").crumbs, steps),
        chips=(system.id,),
        form=Form(f"/systems/{system.id}", " ".join(asked.words), choices),
    )


def chain_page(stores: Stores, system: System, digest: str) -> Page:
    """Every row of one layer or chain.

    Raises:
        NotThere: nothing is known of it on this system.
        StoreError: the database cannot be read.
    """
    sections, chain = [], None
    for dtype in DataType:
        for l2 in L2_STATES:
            if rows := stores.timings(digest, system, dtype, l2):
                chain = chain or _found(stores, system, dtype, l2, digest)
                sections.append(_rows_section(rows, dtype, l2))
    if not sections:
        raise NotThere(f"nothing is known of chain {digest} on system {system.id}")
    crumbs = (*Page("").crumbs, Link(view(system.gpu, 60), f"/systems/{system.id}"))
    title, shapes = ("Chain", ()) if chain is None else (chain.title, tuple(shape_text(each) for each in chain.layers))
    return Page(view(title), tuple(sections), chips=(digest, *(view(shape) for shape in shapes[:8])), crumbs=crumbs)


def models_page(stores: Stores) -> Page:
    """Whole models as frameworks ran them, on every system."""
    runs = [(each.system, run) for each in stores.systems() for run in stores.networks(each.system)]
    runs.sort(key=lambda item: (item[1].model, item[1].batch, str(item[1].dtype), item[1].median_us or float("inf")))
    rows = tuple(
        cells(
            run.model, str(run.batch), str(run.dtype), run.mode, _run_time(run), system.gpu,
            href=f"/systems/{system.id}",
        )
        for system, run in runs[:_MOST_RUNS]
    )  # fmt: skip
    timed = [(run, system) for system, run in runs if run.median_us is not None and run.status is Status.OK]
    bars = [
        (f"{view(run.model, 40)}, batch {run.batch}, {run.dtype}", run.median_us or 0.0, _run_time(run), run.mode)
        for run, _ in timed[:_MOST_BARS]
    ]
    note = "" if runs else "No model was run as a whole: headroom measure --network does it."
    more = f"The first {_MOST_RUNS} of {len(runs):,} runs." if len(runs) > _MOST_RUNS else ""
    chart = (Section("The first of them", bars=_bars("runs", "Time of a run", bars)),) if bars else ()
    table = Table(("Model", "Batch", "Data type", "Mode", "Time", "GPU"), rows)
    return Page("Models", (Section("Runs of whole models", more, table=table), *chart), note)


def message_page(title: str, sentence: str) -> Page:
    """A page that says why there is no other."""
    return Page(title, note=sentence)


def _rows_section(rows: Sequence[Timing], dtype: DataType, l2: str) -> Section:
    timed = [row for row in rows if row.median_us is not None][:_MOST_BARS]
    bars = [(_way(row), row.median_us or 0.0, _time(row), str(row.status)) for row in timed]
    table = Table(
        ("Implementation", "Time", "Spread", "Samples", "Status", "Measured"),
        tuple(
            cells(
                _way(row), _time(row), "" if row.noise is None else figures.percent(row.noise), str(row.samples),
                str(row.status) if row.status is Status.OK else f"{row.status}: {row.reason}", row.measured_at[:16],
            )
            for row in rows[:_MOST_ROWS]
        ),
    )  # fmt: skip
    note = f"The first {_MOST_ROWS} of {len(rows)} rows." if len(rows) > _MOST_ROWS else ""
    chart = _bars(f"{dtype}-{l2}", "The fastest", bars) if bars else None
    return Section(f"{dtype}, L2 {l2}", note, chart, table=table)


def _layer_rows(system: System, shown: Sequence[ChainFound], best: dict[str, Timing]) -> tuple[tuple[Link, ...], ...]:
    return tuple(
        cells(
            each.title, shape_text(each.chain.anchor), figures.amount(each.macs),
            _time(best[each.digest]) if each.digest in best else figures.NOTHING,
            _way(best[each.digest]) if each.digest in best else "",
            href=f"/systems/{system.id}/chains/{each.digest}",
        )
        for each in shown
    )  # fmt: skip


def _layer_bars(shown: Sequence[ChainFound], best: dict[str, Timing]) -> BarChart | None:
    timed = [(each, best[each.digest]) for each in shown if each.digest in best][:_MOST_BARS]
    bars = [
        (shape_text(each.chain.anchor), row.median_us or 0.0, _time(row), row.implementation.backend)
        for each, row in timed
    ]
    return _bars("times", "Best time of the first on this page", bars) if bars else None


def _bars(key: str, title: str, values: Sequence[tuple[str, float, str, str]]) -> BarChart:
    """Bars of (label, value, value as text, note), all against the longest."""
    most = max((value for _, value, _, _ in values), default=0.0) or 1.0
    return BarChart(
        key,
        title,
        "",
        tuple(
            Bar(
                view(label, 80), text, (Segment(0.0, 100 * value / most, "c-plain", tip(view(label), text)),), note=note
            )
            for label, value, text, note in values
        ),
        DataTable(("", title), tuple((view(label), text) for label, _, text, _ in values)),
    )


def _bar(label: str, width_pct: float, text: str, note: str) -> Bar:
    segment = Segment(0.0, width_pct, "c-plain", tip(view(label), text))
    return Bar(view(label, 80), text, (segment,), note=view(note))


def _pages(path: str, asked: Asked, count: int) -> tuple[Link, ...]:
    last = max(1, -(-count // PAGE_ROWS))
    links = [("Previous", asked.page - 1)] if asked.page > 1 else []
    links += [("Next", asked.page + 1)] if asked.page < last else []
    return tuple(Link(f"{word} (page {page} of {last})", path + asked.query(page)) for word, page in links)


def _found(stores: Stores, system: System, dtype: DataType, l2: str, digest: str) -> Chain | None:
    found = stores.chains(system, dtype, l2, [digest])
    return found[0].chain if found else None


def _way(row: Timing) -> str:
    way = row.implementation
    return " ".join(filter(None, (way.backend, way.name, way.layout, way.math)))


def _time(row: Timing) -> str:
    return figures.time(row.median_us, 100 * (row.noise or 0.0))


def _run_time(run: NetworkTiming) -> str:
    return str(run.status) if run.median_us is None else figures.time(run.median_us)
