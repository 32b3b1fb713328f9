"""``headroom db``: what the performance database holds, and how it travels."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from headroom.cli.options import complete_gpu
from headroom.errors import StoreError
from headroom.files import STDOUT
from headroom.graph.tensor import DataType

db = typer.Typer(name="db", help="List, show, serve, export, import, merge, check or vacuum the performance database.")

Database = Annotated[str | None, typer.Option("--db", help="A file or a PostgreSQL URL; default: your own.")]
Gpu = Annotated[str | None, typer.Option(help="Only this GPU's systems.", autocompletion=complete_gpu)]


class Format(StrEnum):
    JSON = "json"
    CSV = "csv"


@db.command("list")
def list_systems(gpu: Gpu = None, database: Database = None) -> None:
    """One line per system: its id, its versions, and how much is known of it.

    Example: `headroom db list`
    """
    from headroom.cli.screen import Screen
    from headroom.report.store_tables import render_systems
    from headroom.store.default import open_for_reading

    with open_for_reading(database) as stores:
        render_systems(stores.systems(gpu), stores.name, Screen())


@db.command("show")
def show(
    system: Annotated[str, typer.Argument(help="A system's id, or the beginning of one.")],
    chain: Annotated[str | None, typer.Option(help="A chain's digest: show its rows.")] = None,
    dtype: Annotated[DataType | None, typer.Option(help="Only this data type.")] = None,
    database: Database = None,
) -> None:
    """What is known of one system, per data type; or every row of one of its chains.

    Example: `headroom db show 1a2b3c4d --dtype bf16`
    """
    from headroom.cli.screen import Screen
    from headroom.report.store_tables import render_chain, render_system
    from headroom.store.default import open_for_reading

    dtypes = [dtype] if dtype else list(DataType)
    with open_for_reading(database) as stores:
        found = stores.find_system(system)
        if chain is None:
            holdings = [each for each in stores.holdings(found) if each.dtype in dtypes]
            runs = [each for each in stores.networks(found) if each.dtype in dtypes]
            render_system(found, holdings, runs, Screen())
        else:
            render_chain(found, {each: stores.timings(chain, found, each) for each in dtypes}, Screen())


@db.command("export")
def export(
    form: Annotated[Format, typer.Option("--format", help="JSON can be imported again.")] = Format.JSON,
    out: Annotated[Path, typer.Option(help="Where to write; - is stdout.")] = STDOUT,
    gpu: Gpu = None,
    system: Annotated[str | None, typer.Option(help="Only the system with this id.")] = None,
    best: Annotated[int | None, typer.Option(min=1, help="Only the N fastest ways to run each layer.")] = None,
    database: Database = None,
) -> None:
    """Write the database, or a part of it, as JSON or CSV.

    `--best N` keeps, per layer, data type and state of the L2 cache, the N fastest timings and PyTorch's own choices,
    and of a layer without any time every row: they say why.

    Example: `headroom db export --gpu h200 --best 3 --out h200.json`
    """
    from headroom.files import refuse_overwriting, write_to
    from headroom.store import export
    from headroom.store.default import open_for_reading

    with open_for_reading(database) as stores:
        refuse_overwriting(stores.names, {"out": out})
        chosen = export.select(stores, gpu, system, best)
        write_to(out, export.to_json(stores, chosen) if form is Format.JSON else export.to_csv(stores, chosen))


@db.command("import")
def import_files(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="What headroom db export wrote as JSON, or a program of headroom export-benchmarks printed; or "
            "benanza, then Benanza's tables or their folder."
        ),
    ],
    database: Database = None,
) -> None:
    """Take in measurements, all of a file or none: an export's, those that exported benchmarks printed, or Benanza's
    published tables. Of two equal keys the newer row stays.

    Examples: `headroom db import h200.json`, `headroom db import rows.jsonl`, `headroom db import benanza tables/`
    """
    from headroom.store.merge import merge
    from headroom.store.sources import source_of
    from headroom.store.store import Store

    source = source_of(files)
    with Store.open(database) as store:
        typer.echo(merge(store, source).sentence)


@db.command("merge")
def merge_database(
    other: Annotated[str, typer.Argument(help="Another database: a file or a PostgreSQL URL.")],
    database: Database = None,
) -> None:
    """Take in the measurements of another database; of two equal keys the newer row stays.

    Example: `headroom db merge colleague.sqlite`
    """
    from headroom.store.merge import StoreSource, merge
    from headroom.store.store import Store

    with Store.open(other, read_only=True) as theirs, Store.open(database) as store:
        typer.echo(merge(store, StoreSource(theirs)).sentence)


@db.command("check")
def check(database: Database = None) -> None:
    """See that the file is whole and every row satisfies what it must; exit with 5 where not.

    Without `--db`, your own database and those in the package.

    Example: `headroom db check`
    """
    from headroom.store.check import problems
    from headroom.store.default import places_read
    from headroom.store.store import Store

    for place in places_read(database):
        with Store.at(place, read_only=True) as store:
            found = problems(store)
            for problem in found:
                typer.echo(problem)
            if found:
                raise StoreError(
                    f"the database {store.name} is damaged ({len(found)} problems, the first: {found[0]}): "
                    "restore it from a copy or an export"
                )
            typer.echo(f"{store.name} is sound")


@db.command("vacuum")
def vacuum_database(database: Database = None) -> None:
    """Drop rows that no answer uses any more and give the space back.

    Example: `headroom db vacuum`
    """
    from headroom.store.store import Store
    from headroom.store.vacuum import vacuum

    with Store.open(database) as store:
        typer.echo(f"{vacuum(store)} superseded rows dropped from {store.name}")


@db.command("serve")
def serve_pages(
    host: Annotated[str, typer.Option(help="The interface to listen on; others than loopback need a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    token_file: Annotated[Path | None, typer.Option(help="Who asks has to know its token; made if absent.")] = None,
    name: Annotated[list[str] | None, typer.Option(help="Another name of the site, behind a proxy.")] = None,
    database: Database = None,
) -> None:
    """Show the database in a browser, read-only, until Ctrl-C.

    Example: `headroom db serve --port 8080`
    """
    from headroom.report.serve.server import read_token, serve
    from headroom.store.current import CurrentStores

    token = None if token_file is None else read_token(token_file)
    with CurrentStores(database) as stores:
        serve(stores, host, port, token=token, names=name or (), say=typer.echo)
