"""Tables of answers as text: heads with their units, numbers with as many digits as a view shows."""

from __future__ import annotations

from headroom import figures
from headroom.advise.questions.answer import Cell, Table
from headroom.text import view

#: Longest text of a cell, in characters: a name with its module, not a sentence of a stranger's making.
CELL_LIMIT = 120

#: Numbers below this are what a sum of floats leaves behind, in any unit of a head.
_NEXT_TO_NOTHING = 5e-4

#: How a unit is written in a head, and how a reader sees it.
_UNITS = {
    "us": "µs", "ms": "ms", "s": "s", "pct": "%", "%": "%", "x": "×", "bytes": "bytes", "b": "bytes", "kb": "kB",
    "mb": "MB", "gb": "GB", "mhz": "MHz", "gb/s": "GB/s", "tflops": "TFLOP/s", "tflop/s": "TFLOP/s", "mj": "mJ",
    "samples/s": "samples/s", "inferences/s": "inferences/s",
}  # fmt: skip


def label_and_unit(head: str) -> tuple[str, str]:
    """A head's words and its unit, which is its last word where that is one.

    >>> label_and_unit("saved time us"), label_and_unit("layer"), label_and_unit("us")
    (('saved time', 'µs'), ('layer', ''), ('us', ''))
    """
    words = view(head, CELL_LIMIT).split()
    if len(words) < 2:
        return " ".join(words), ""
    unit = _UNITS.get(words[-1].strip("()[]").lower(), "")
    return (" ".join(words[:-1]).rstrip(","), unit) if unit else (" ".join(words), "")


def titled(label: str) -> str:
    """A head's words with a capital in front; a name of code stays as it is.

    >>> titled("best plan"), titled("cudnn.benchmark recovers")
    ('Best plan', 'cudnn.benchmark recovers')
    """
    first = label.split(" ", 1)[0]
    return label[:1].upper() + label[1:] if first.rstrip(",:").isalpha() else label


def number_text(value: float) -> str:
    """Whole numbers as they are, others with three digits; what is next to nothing is 0, and exact in the JSON answer.

    >>> number_text(1234), number_text(45.123), number_text(-0.5), number_text(2e-9)
    ('1,234', '45.1', '−0.500', '0')
    """
    if isinstance(value, int):
        text = f"{value:,d}"
    else:
        text = figures.significant(value if abs(value) >= _NEXT_TO_NOTHING else 0.0, figures.VIEW_DIGITS)
    return text.replace("-", "\N{MINUS SIGN}")


def cell_text(cell: Cell) -> str:
    """A cell as a reader sees it; a dash is unknown."""
    if cell is None:
        return figures.NOTHING
    return view(cell, CELL_LIMIT) if isinstance(cell, str) else number_text(cell)


def number_columns(table: Table) -> tuple[bool, ...]:
    """Which columns hold numbers and nothing else (unknown cells apart), so that they line up at the right."""
    columns = [[row[index] for row in table.rows if row[index] is not None] for index in range(len(table.heads))]
    return tuple(bool(cells) and not any(isinstance(cell, str) for cell in cells) for cells in columns)
