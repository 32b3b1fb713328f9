"""The stopwatch's own test in a terminal."""

from __future__ import annotations

import json

from rich.console import Console
from rich.table import Table
from rich.text import Text

from headroom import figures
from headroom.measure.trust import SelfTest
from headroom.text import plain_line

_VERDICTS = {True: ("right", "green"), False: ("WRONG", "bold red")}


def render_selftest(test: SelfTest, console: Console) -> None:
    """A line per known duration, then a line per claim."""
    console.print(Text(f"stopwatch on {plain_line(test.system)}", style="bold"))
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for title in ("known", "read", "off by", "allowed"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("L2")
    table.add_column("")
    for duration in test.durations:
        table.add_row(
            _time(duration.known_us),
            _time(duration.read_us),
            _time(duration.error_us),
            _time(duration.allowed_us),
            duration.l2,
            _verdict(duration.held),
        )
    console.print(table)
    for claim in test.claims:
        console.print(Text.assemble(_verdict(claim.held), f"  {claim.name}: ", (plain_line(claim.seen), "dim")))


def selftest_json(test: SelfTest) -> str:
    """The same as a JSON object; ``passed`` says whether everything held."""
    return json.dumps(test.to_json(), indent=1) + "\n"


def _verdict(held: bool) -> Text:
    return Text(*_VERDICTS[held])


def _time(value_us: float) -> str:
    """Microseconds with four digits, one more than views elsewhere: it is these that are under test."""
    return f"{figures.significant(value_us, 4 if abs(value_us) >= 100 else 3)} us"
