"""What every figure says of its points: whose weights and records they rest on, and which mean little.

Tables have a column ``shipped``: whether the flow's weights were trained beforehand and continued by the
run for a moment. Those of chains also say how many ``records`` each chain has, and how many of these are
``shipped_records``, drawn beforehand.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from emergence.holography.weights import FEW
from emergence.plotting import ROLES

SHIPPED = "shipped weights"
SCRATCH = "trained from scratch"


def weights(table: pd.DataFrame) -> str:
    """Whose weights all rows of a table rest on."""
    return SHIPPED if is_shipped(table) else SCRATCH


def is_shipped(table: pd.DataFrame) -> bool:
    """Whether weights of a table were trained beforehand."""
    return bool(table["shipped"].astype(bool).any())


def records(table: pd.DataFrame) -> str:
    """How many of each chain's records were drawn beforehand; nothing where none was."""
    drawn = table[table["shipped_records"].fillna(0) > 0]
    if not len(drawn):
        return ""
    one = drawn.iloc[0]
    return f"{one['shipped_records']:.0f} of {one['records']:.0f} records shipped"


def origin(table: pd.DataFrame) -> str:
    """Both, for a title."""
    told = (weights(table), records(table) if "shipped_records" in table else "")
    return ", ".join(each for each in told if each)


def cross_out(axis: Axes, x: object, y: object) -> None:
    """Cross out points of fewer than ten effective samples."""
    axis.plot(x, y, "x", color=ROLES["control"], markersize=6, zorder=4, label=FEW)
