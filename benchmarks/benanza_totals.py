"""Benanza's published totals out of our database, and what that database says of today's models.

    python benchmarks/benanza_totals.py [DATA_FOLDER]

Imports Benanza's tables into a fresh database, computes every published total from its rows, reads the ``light_``
models with it, and writes ``results/benanza_totals.csv`` (every total), ``results/benanza_totals.json`` (the models)
and ``docs/benanza.md``.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import headroom as hr
from benanza_advised import Excess, differing, equations, fastest_us
from benanza_page import write_page
from benanza_rows import summarise
from headroom.advise.benanza import LayerTimes, Times, layer_times, parallel_path, parallel_us, serial_us, stored_times
from headroom.gpu.sheets import gpu_of_driver
from headroom.store.benanza.published import Published, PublishedTotal, read_published
from headroom.store.benanza.source import BenanzaSource
from headroom.store.merge import merge
from headroom.store.store import Store
from record import RESULTS, read_data_folder, write_result

BATCHES = (1, 32)

#: Published times have six digits after the point, in ms.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Total:
    """A published total and ours, which is ``None`` where the tables do not tell; ``how`` says what ours is made of.

    ``plain_us`` is our own definition of the same bound on the same times: the sum, or the whole critical path.
    ``rows_differ`` is how far the sum of the rows published beside it is from that of the serial total, as a share;
    above rounding, they are ``another_run``'s.
    """

    model: str
    gpu: str
    batch: int
    strategy: str
    choice: str
    complete: bool
    published_us: float
    ours_us: float | None
    plain_us: float | None
    how: str
    rows_differ: float
    another_run: bool


def reproduce(published: Published, times: Times) -> Iterator[Total]:
    """Every published total beside ours."""
    systems = {run: system for system in equations(published, times) for run in system.runs}
    likeliest = {run: system.of_all() for run, system in systems.items()}
    serial_rows = {(total.run, total.choice): total.rows_us for total in published.totals if total.strategy == "serial"}
    for total in published.totals:
        run = total.run
        best = layer_times(published.runs[run], times, advised=False)
        differ = abs(total.rows_us / serial_rows[run, total.choice] - 1)
        if total.choice == "best_measured":
            ours, how = _bound(published, total, best, with_last=differ > ROUNDING), "the database"
            plain = _plain(published, total, best)
        elif total.strategy == "serial":
            ours, how = _advised_serial(published, total, times, systems[run])
            plain = ours
        else:
            solved = layer_times(published.runs[run], {**times, **likeliest[run]}, advised=True)
            same = not differing(published.runs[run])
            ours = _bound(published, total, solved, with_last=differ > ROUNDING)
            how = "the database" if same else "all serial totals"
            plain = _plain(published, total, solved)
        yield Total(
            run.model, run.gpu, run.batch, total.strategy, total.choice, _complete(published, total), total.time_us,
            ours, plain, how, differ, differ > ROUNDING,
        )  # fmt: skip


def _bound(published: Published, total: PublishedTotal, times: LayerTimes, *, with_last: bool) -> float:
    if total.strategy == "serial":
        return serial_us(published.runs[total.run], times)
    return parallel_us(published.graphs[total.run.model], times, with_last=with_last)


def _plain(published: Published, total: PublishedTotal, times: LayerTimes) -> float:
    graph = published.graphs[total.run.model]
    spent = [times.known.get(layer.name, 0.0) for layer in graph.layers]
    return sum(spent) if total.strategy == "serial" else graph.critical_path(spent)[0]


def _advised_serial(
    published: Published, total: PublishedTotal, times: Times, system: Excess
) -> tuple[float | None, str]:
    """The advised serial total without a look at itself: its layers' own rows, or what other models' totals tell."""
    layers = published.runs[total.run]
    if not differing(layers):
        return serial_us(layers, layer_times(layers, times, advised=True)), "the database"
    from_others = system.of_others(total.run)
    if from_others is not None:
        return fastest_us(layers) + from_others, "other models' totals"
    from_parallel = _from_parallel(published, total, times)
    if from_parallel is not None:
        return from_parallel, "its own parallel total"
    own = layer_times(layers, times, advised=True)
    return (None, "not told") if own.unknown else (serial_us(layers, own), "another run's algorithms")


def _from_parallel(published: Published, total: PublishedTotal, times: Times) -> float | None:
    """The advised parallel total of the same run and the layers that its path leaves out.

    ``None`` where a convolution whose advised algorithm is another may be off the path, so that its time is not in. One
    that is on it only makes it longer: it stays the longest.
    """
    layers, graph = published.runs[total.run], published.graphs[total.run.model]
    length, path = parallel_path(graph, layer_times(layers, times, advised=False))
    counted = differing({name: layers[name] for name in path[:-1] if name in layers})
    if counted != differing(layers):
        return None
    parallel = next(
        each
        for each in published.totals
        if (each.run, each.strategy, each.choice) == (total.run, "parallel", "cudnn_advised")
    )
    return parallel.time_us + fastest_us(layers) - length


def _complete(published: Published, total: PublishedTotal) -> bool:
    """Whether every convolution of the model has its row beside the totals."""
    layers = published.runs[total.run]
    return all(layer.name in layers for layer in published.graphs[total.run.model].layers if layer.operator == "Conv")


def shares(models: Path, database: Path, gpus: list[str]) -> Iterator[dict[str, object]]:
    """How much of each ``light_`` model the imported rows answer, layer by layer, on each of the GPUs."""
    for path in sorted(models.glob("light_*.onnx")):
        for batch in BATCHES:
            try:
                graph = hr.load(str(path), batch=batch)
            except hr.ModelError as error:
                yield {"model": path.stem, "batch": batch, "refusal": str(error)}
                continue
            for gpu in gpus:
                answer = hr.analyze(graph, gpu, "fp32", db=str(database))
                yield {
                    "model": path.stem,
                    "batch": batch,
                    "gpu": gpu,
                    "layers": len(graph.working_layers),
                    "measured_layers": answer.measured_layers,
                    "measured_time_share": answer.measured_time_share,
                    "sequential_us": answer.bounds.sequential_us,
                }


def _rounded(row: dict[str, object]) -> dict[str, object]:
    """Times to a tenth of a nanosecond, finer than Benanza published them; shares to a millionth."""
    digits = {"rows_differ": 6, "measured_time_share": 6}
    return {
        name: round(value, digits.get(name, 4)) if isinstance(value, float) else value for name, value in row.items()
    }


def main() -> None:
    data = read_data_folder()
    tables = sorted((data / "tables").glob("benanza_*"))
    published = read_published(tables)
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "benanza.sqlite"
        with Store.open(str(database)) as store:
            tally = merge(store, BenanzaSource(tables))
            times = stored_times(store)
            gpus = sorted({sheet.id for each in store.systems() if (sheet := gpu_of_driver(each.system.gpu))})
        measured = [_rounded(row) for row in shares(data / "models", database, gpus)]
    totals = [_rounded(asdict(total)) for total in reproduce(published, times)]
    write_result("benanza_totals", {"rows": tally.added, "summary": summarise(totals), "models": measured})
    with (RESULTS / "benanza_totals.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, totals[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(totals)
    write_page(totals, tally.added, measured)


if __name__ == "__main__":
    main()
