"""``headroom``: the commands, and one line on stderr for whatever goes wrong."""

from __future__ import annotations

import errno
import io
import sys
import traceback
from typing import Annotated

import typer
from typer.exceptions import TyperException

from headroom._version import __version__
from headroom.cli.analyze import analyze
from headroom.cli.calibrate import calibrate
from headroom.cli.compare import compare
from headroom.cli.complain import complain
from headroom.cli.db import db
from headroom.cli.explore import explore
from headroom.cli.export_benchmarks import export_benchmarks
from headroom.cli.fit import fit
from headroom.cli.fleet import fleet
from headroom.cli.gpus import gpus
from headroom.cli.measure import measure
from headroom.cli.pack import pack
from headroom.cli.predict import predict
from headroom.cli.profile import profile
from headroom.cli.selftest import selftest
from headroom.cli.slim import slim
from headroom.cli.staircase import staircase
from headroom.errors import HeadroomError, UsageError
from headroom.files import flush_stdout, forget_stdout

INTERNAL_FAILURE = 70
INTERRUPTED = 130
DEBUG = "--debug"

#: What a device that takes no more says. Files are written elsewhere, with an error of their own.
_FULL = frozenset({errno.ENOSPC, errno.EFBIG, errno.EIO})

app = typer.Typer(
    name="headroom",
    help="How fast could this network run on this GPU, what stands in the way, and what to change.",
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command()(analyze)
app.command()(predict)
app.command()(explore)
app.command()(compare)
app.command()(measure)
app.command()(profile)
app.command("export-benchmarks")(export_benchmarks)
app.command()(staircase)
app.command()(pack)
app.command()(fit)
app.command()(slim)
app.command()(calibrate)
app.command()(selftest)
app.add_typer(db)
app.add_typer(gpus)
app.add_typer(fleet)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"headroom {__version__}")
        raise typer.Exit


@app.callback()
def headroom(
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of a failure.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Find the headroom of a neural network on a GPU."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the code that the contract gives each outcome."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows a question mark; that is no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """Run one command; whatever it raises becomes one line on stderr and an exit code."""
    try:
        # Whoever is told to run again with --debug puts it at the end, where it is no option of the command.
        wanted = [argument for argument in arguments if argument != DEBUG]
        code = app(args=wanted or ["--help"], prog_name="headroom", standalone_mode=False)
        flush_stdout()
    except HeadroomError as error:
        return _fail(str(error), error.exit_code, arguments)
    except TyperException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "headroom"
        # Typer names Python's class of error on the way, which tells a user nothing.
        message = error.format_message().replace("Value error, ", "")
        return _fail(f"{message} (see {command} --help)", error.exit_code, arguments)
    except (typer.Abort, KeyboardInterrupt):
        return _fail("interrupted", INTERRUPTED, arguments)
    except Exception as error:  # noqa: BLE001 - the last resort of a command line
        if isinstance(error, OSError) and error.errno in _FULL:
            forget_stdout()
            reason = f"cannot write to standard output: {error.strerror}; free the device or choose a file"
            return _fail(reason, UsageError.exit_code, arguments)
        text = " ".join(str(error).split())
        return _fail(
            f"internal failure: {type(error).__name__}: {text} (run again with --debug for the traceback)",
            INTERNAL_FAILURE,
            arguments,
        )
    if code == INTERRUPTED:
        return _fail("interrupted", INTERRUPTED, arguments)
    return code if isinstance(code, int) else 0


def _fail(sentence: str, code: int, arguments: list[str]) -> int:
    if DEBUG in arguments:
        traceback.print_exc()
    complain(sentence)
    return code
