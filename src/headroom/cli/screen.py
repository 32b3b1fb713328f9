"""Where commands print: a terminal, a file, or a pipe whose reader may leave at any moment."""

from __future__ import annotations

from rich.console import Console

from headroom.files import forget_stdout

#: Columns that the widest table needs for its figures.
LEAST_WIDTH = 72


class Screen(Console):
    """Standard output without guessed colours; a reader that has gone (``| head``) ends the printing, not the command.

    Exit codes keep their meaning that way: a threshold is still checked, and a file still written.
    """

    def __init__(self) -> None:
        super().__init__(highlight=False)
        # Squeezed below this, tables lose figures; a narrower terminal folds the lines itself and shows them all.
        self.width = max(self.width, LEAST_WIDTH)

    def on_broken_pipe(self) -> None:
        self.quiet = True
        forget_stdout()
