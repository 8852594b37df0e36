"""How a number is written with its error, in every table and page."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from emergence.errors import LedgerError
from emergence.statistics import Measurement, scatter

ROUNDING = 1e-12
"""Of double precision: a relative error below is no error of a measurement."""


def number(value: float | None, error: float | None) -> str:
    """Return a value with its standard error, which has two digits; None is unknown, 0 exact, and so
    is what rounding leaves.

    Without a value: that the data could not tell it.
    """
    if value is None:
        return "could not be told"
    if not error or error < ROUNDING * abs(value):
        return f"{value:.6g}" + (" ± ?" if error is None else "")
    size = max(abs(value), error)
    exponent = 0 if 1e-3 <= size < 1e6 else math.floor(math.log10(size))
    unit = 10.0**exponent
    digits = max(0, 1 - math.floor(math.log10(error / unit)))
    if digits > 9:
        return f"{value:.9g} ± {error:.1g}"
    text = f"{value / unit:.{digits}f} ± {error / unit:.{digits}f}"
    return f"({text})e{exponent:+03d}" if exponent else text


OVER_SEEDS: dict[str, Callable[[Sequence[float]], str]] = {
    "range": lambda values: f"{min(values):.2g} to {max(values):.2g}",
    "factor": lambda values: f"{max(values) / min(values):.2g}" if min(values) > 0 else "∞",
    "scatter": lambda values: f"{scatter(values) or 0.0:.2g}",
}
"""What is told of an ensemble in place of its median."""


def filled(text: str, find: Callable[[str], Measurement], place: str | Path = "The ledger") -> str:
    """The text with each ``{measurement}`` as it came out, so that no sentence tells an old number.

    ``{measurement:.2f}`` is its value alone, in Python's format; ``{measurement:range}`` the least and
    the largest over its seeds, ``{measurement:factor}`` the ratio of these, ``{measurement:scatter}`` how
    much single seeds scatter; without an ensemble these three are the number with its error.

    Args:
        find: the measurement of a name; what it raises is raised.
        place: where the text stands, for the message.

    Raises:
        LedgerError: a format is none.
    """

    def told(match: re.Match[str]) -> str:
        found = find(match[1])
        if match[2] is None or found.value is None:
            return number(found.value, found.error)
        if match[2] in OVER_SEEDS:
            return (
                OVER_SEEDS[match[2]](found.values)
                if found.values
                else number(found.value, found.error)
            )
        try:
            return format(found.value, match[2])
        except ValueError as error:
            raise LedgerError(
                f"{place} has '{match[0]}', of which {match[2]!r} is no format of a number.",
                "Correct it there, such as to '.2f'.",
            ) from error

    return re.sub(r"\{([\w.-]+)(?::([^{}]+))?\}", told, text)
