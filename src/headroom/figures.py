"""Numbers as text and as JSON, with no more digits than their error bar justifies."""

from __future__ import annotations

import math

#: Significant digits of floats in files: more than any figure here deserves, few enough to repeat exactly.
FILE_DIGITS = 6

#: Most significant digits in a view.
VIEW_DIGITS = 3

#: What a view shows where there is no figure.
NOTHING = "–"

#: Least value in microseconds, scale, unit. Floors of tiny layers are nanoseconds or less.
_TIME_UNITS = ((1e6, 1e6, "s"), (1e3, 1e3, "ms"), (0.1, 1.0, "µs"), (1e-4, 1e-3, "ns"), (0.0, 1e-6, "ps"))
_BYTE_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_CAPACITY_UNITS = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"))
_COUNT_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def rounded(value: float | None, digits: int = FILE_DIGITS) -> float | None:
    """``value`` with ``digits`` significant digits; ``None`` for what is not finite, which JSON cannot hold."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits - 1}e}")


def whole(value: float) -> int:
    """``value`` as a whole number of bytes, to the digits that a file keeps."""
    return round(rounded(value) or 0.0)


def justified_digits(error_pct: float | None) -> int:
    """Significant digits that a figure with this error bar deserves.

    The last digit shown is the first that the error touches: three below 10 %, two below 100 %, else one.

    >>> [justified_digits(e) for e in (0.0, 5.0, 15.0, 250.0)]
    [3, 3, 2, 1]
    """
    if error_pct is None or not math.isfinite(error_pct):
        return 1
    if error_pct < 10:
        return VIEW_DIGITS
    return 2 if error_pct < 100 else 1


def significant(value: float, digits: int) -> str:
    """``value`` with ``digits`` significant digits, thousands separated, never in exponent notation.

    >>> significant(1234.5, 2), significant(0.04567, 2), significant(9.96, 2)
    ('1,200', '0.046', '10')
    """
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else NOTHING
    value = float(f"{value:.{digits - 1}e}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"


def time(value_us: float | None, error_pct: float | None = 0.0) -> str:
    """A time in the unit that suits it, rounded as its error bar asks.

    >>> time(1234.5, 15.0), time(0.0451, 3.0)
    ('1.2 ms', '45.1 ns')
    """
    if value_us is None or not math.isfinite(value_us):
        return NOTHING
    digits = justified_digits(error_pct)
    value_us = float(f"{value_us:.{digits - 1}e}")
    if value_us == 0:
        return "0 µs"
    scale, unit = _time_unit(value_us)
    return f"{significant(value_us / scale, digits)} {unit}"


def _time_unit(value_us: float) -> tuple[float, str]:
    """The scale, in microseconds, and the name of the unit that suits a time."""
    return next((scale, unit) for least, scale, unit in _TIME_UNITS if abs(value_us) >= least)


def time_change(before: tuple[float, float | None], after: tuple[float, float | None]) -> str:
    """Two times, each with its error bar in percent; a unit that they share is named once.

    >>> time_change((20.1, 30.0), (11.2, 30.0)), time_change((1234.5, 5.0), (999.0, 5.0))
    ('20 → 11 µs', '1.23 ms → 999 µs')
    """
    first, second = time(*before), time(*after)
    number, _, unit = first.partition(" ")
    return f"{number if second.endswith(f' {unit}') else first} → {second}"


def time_with_bar(value_us: float, error_us: float) -> str:
    """A time and its error bar in one unit, to the digit that the bar touches.

    >>> time_with_bar(24.6, 17.2), time_with_bar(-0.01, 7.0), time_with_bar(1235.1, 67.0)
    ('25 ± 17 µs', '0.0 ± 7.0 µs', '1.235 ± 0.067 ms')
    """
    scale, unit = _time_unit(max(abs(value_us), error_us))
    bar = significant(error_us / scale, 2)
    decimals = len(bar.partition(".")[2]) if error_us else VIEW_DIGITS - 1
    # Adding zero makes a negative zero a plain one.
    value = round(value_us / scale, decimals) + 0.0
    return f"{value:,.{decimals}f} ± {bar} {unit}"


def error(error_pct: float | None) -> str:
    """An error bar: ``± 12 %``."""
    if error_pct is None or not math.isfinite(error_pct):
        return "± ?"
    return f"± {significant(error_pct, 1 if error_pct < 1 else 2 if error_pct < 100 else 1)} %"


def time_with_error(value_us: float | None, error_pct: float | None) -> str:
    """``1.2 ms ± 15 %``, or a dash."""
    return NOTHING if value_us is None else f"{time(value_us, error_pct)} {error(error_pct)}"


def size(value_bytes: float) -> str:
    """Bytes that move, in decimal units, as bandwidths are stated.

    >>> size(141e9), size(512)
    ('141 GB', '512 B')
    """
    return _scaled(value_bytes, _BYTE_UNITS, trim=False) or f"{value_bytes:,.0f} B"


def capacity(value_bytes: float) -> str:
    """Bytes of a memory in binary units: what is sold as 80 GB holds 80 GiB.

    >>> capacity(80 * 2**30), capacity(100)
    ('80 GiB', '100 B')
    """
    return _scaled(value_bytes, _CAPACITY_UNITS, trim=True) or f"{value_bytes:,.0f} B"


def amount(value: float) -> str:
    """A count of macs or flops: ``4.09 G``."""
    return _scaled(value, _COUNT_UNITS, trim=False) or f"{value:,.0f}"


def percent(share: float) -> str:
    """A share of one as percent: whole above 1 %, and never rounded to "none" or "all" falsely.

    >>> percent(0.424), percent(0.0004), percent(0.9996), percent(0.0)
    ('42 %', '<1 %', '>99 %', '0 %')
    """
    value = 100 * share
    if 0 < value < 0.5:
        return "<1 %"
    if 99.5 <= value < 100:
        return ">99 %"
    return f"{value:.0f} %"


def ratio(value: float) -> str:
    """A speed-up: ``1.31×``."""
    return f"{significant(value, VIEW_DIGITS)}×" if math.isfinite(value) else NOTHING


def _scaled(value: float, units: tuple[tuple[float, str], ...], *, trim: bool) -> str | None:
    """``value`` in the largest unit that it reaches; ``trim`` drops trailing zeros."""
    # Rounded first, so that 999,999 becomes "1 M" and not "1,000 k".
    value = float(f"{value:.{VIEW_DIGITS - 1}e}")
    for scale, unit in units:
        if abs(value) >= scale:
            number = f"{value / scale:.{VIEW_DIGITS}g}" if trim else significant(value / scale, VIEW_DIGITS)
            return f"{number} {unit}"
    return None
