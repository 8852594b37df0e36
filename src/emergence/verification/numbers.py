"""How a number is written with its error, in every table and page."""

from __future__ import annotations

import math


def number(value: float | None, error: float | None) -> str:
    """Return a value with its standard error, which has two digits; 0 is exact, None unknown.

    Without a value: that the data could not tell it.
    """
    if value is None:
        return "could not be told"
    if not error:
        return f"{value:.6g}" + (" ± ?" if error is None else "")
    size = max(abs(value), error)
    exponent = 0 if 1e-3 <= size < 1e6 else math.floor(math.log10(size))
    unit = 10.0**exponent
    digits = max(0, 1 - math.floor(math.log10(error / unit)))
    if digits > 9:
        return f"{value:.9g} ± {error:.1g}"
    text = f"{value / unit:.{digits}f} ± {error / unit:.{digits}f}"
    return f"({text})e{exponent:+03d}" if exponent else text
