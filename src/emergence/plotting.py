"""One look for every figure: sizes, colours with fixed roles, error bars, and how it is saved.

A figure is drawn inside :func:`style`, made by :func:`figure` and written by :func:`save` as
``.png`` and ``.svg`` beside the ``.csv`` it was drawn from. The same figure gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from cycler import cycler
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from emergence.artifacts import write_bytes, write_table
from emergence.statistics import median_error

Drawing = Callable[[Path, Path], None]
"""What draws a figure: (folder with the tables, path without suffix) → nothing; it saves itself."""

WIDTHS = {"single": 3.4, "double": 7.0}
"""Widths in inches of one and of two columns of a physics journal."""

# Okabe and Ito's palette, which people with any kind of colour blindness can tell apart.
ROLES = {
    "reference": "#000000",
    "learnt": "#0072B2",
    "control": "#D55E00",
    "baseline": "#7F7F7F",
}
"""Colour of each role: the exact or Monte Carlo reference, what the network learnt, the negative
control that must fail, and the usual method that the network is compared with."""
SEQUENCE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F")
"""Colours, in this order, of whatever has no role, such as sizes or couplings."""
ORDERED = "viridis"
"""Colour map of a quantity that has an order, such as a heat map's."""

NOT_RUN = "not run at this scale"
"""What a panel says that has nothing to draw."""

_RC = {
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.prop_cycle": cycler(color=SEQUENCE),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8,
    "errorbar.capsize": 1.5,
    "figure.dpi": 200,
    "figure.titlesize": 8,
    "axes.formatter.min_exponent": 2,  # 0.3, not 3 x 10^-1, on a logarithmic axis
    "font.family": "sans-serif",
    # The first comes with matplotlib, so that every machine has it; the others are for whoever
    # views an .svg without it.
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
    "font.size": 8,
    "image.cmap": ORDERED,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.title_fontsize": 7,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    "savefig.dpi": 200,
    "svg.fonttype": "none",
    # Without a salt the names inside an .svg are random, and two runs would differ.
    "svg.hashsalt": "emergence",
    "xtick.labelsize": 7,
    "xtick.major.size": 3,
    "xtick.major.width": 0.6,
    "xtick.minor.size": 1.5,
    "xtick.minor.width": 0.4,
    "ytick.labelsize": 7,
    "ytick.major.size": 3,
    "ytick.major.width": 0.6,
    "ytick.minor.size": 1.5,
    "ytick.minor.width": 0.4,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the project's style inside this context; outside it nothing changes."""
    look = {**sns.axes_style("ticks"), **sns.plotting_context("paper"), **_RC}
    with mpl.rc_context(look):
        yield


def figure(
    rows: int = 1,
    cols: int = 1,
    width: str = "double",
    height: float | None = None,
    **options: Any,
) -> tuple[Figure, Any]:
    """Return a figure and its axes, as ``matplotlib.pyplot.subplots`` would.

    It is drawn by Agg and known to nobody else: no display is needed and no ``close``.

    Args:
        rows: rows of panels.
        cols: columns of panels.
        width: "single" for one column of a journal (3.4 in), "double" for two (7 in).
        height: inches; by default each panel is three quarters as high as wide.
        options: passed on to ``Figure.subplots`` (sharex, width_ratios, ...).

    Returns:
        The figure, and one ``Axes`` for one panel, an array [cols] or [rows] for one row or
        column of panels, and else an array [rows, cols].
    """
    inches = WIDTHS[width]
    with style():
        fig = Figure(figsize=(inches, height or 0.75 * inches / cols * rows), layout="constrained")
        return fig, fig.subplots(rows, cols, **options)


def draw(figures: Mapping[str, Drawing], name: str, tables: Path, stem: Path) -> None:
    """Draw one of a system's figures as ``stem``.png, .svg and .csv, in the house's style.

    Args:
        figures: a system's table FIGURES.
        tables: folder with the tables of its analysis.

    Raises:
        ArtifactError: a table is missing or corrupt, or the figure cannot be written.
    """
    with style():
        figures[name](tables, stem)


def panel_letters(axes: Axes | ArrayLike) -> None:
    """Mark panels (a), (b), ... row by row, at the left end of their titles' line."""
    for index, axis in enumerate(np.ravel(np.asarray(axes, dtype=object))):
        axis.set_title(f"({chr(ord('a') + index)})", loc="left", fontsize=8, fontweight="bold")


def entries(axes: Iterable[Axes]) -> tuple[list[Artist], list[str]]:
    """Handles and labels of several panels for one legend of the figure, each label once."""
    found: dict[str, Artist] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)


def reference_line(
    axis: Axes,
    x: float | ArrayLike | None = None,
    y: float | ArrayLike | None = None,
    label: str | None = None,
    **options: Any,
) -> None:
    """Draw the reference in black: a curve ``y(x)``, or a straight line at one ``x`` or one ``y``.

    Args:
        axis: where to draw.
        x: abscissae [points] of a curve, or the place of a vertical line.
        y: ordinates [points] of a curve, or the height of a horizontal line.
        label: entry of the legend.
        options: passed on to matplotlib (linestyle, ...).

    Raises:
        ValueError: neither ``x`` nor ``y`` is given.
    """
    # Below the data (zorder 2), so that points that agree with the reference stay visible.
    look = {"color": ROLES["reference"], "linewidth": 1.0, "zorder": 1.5, "label": label, **options}
    if x is not None and y is not None:
        axis.plot(x, y, **look)
    elif x is not None:
        axis.axvline(x, **look)
    elif y is not None:
        axis.axhline(y, **look)
    else:
        raise ValueError("A reference line needs x, y or both.")


def empty(axis: Axes, table: pd.DataFrame, shared: bool = False) -> bool:
    """Whether there is nothing to draw; the panel then says so.

    Args:
        axis: where it would be drawn.
        table: what would be drawn.
        shared: whether other panels share an axis with it, whose ticks they need: they are then
            hidden here, and else taken away.
    """
    if len(table):
        return False
    axis.text(0.5, 0.5, NOT_RUN, transform=axis.transAxes, ha="center")
    if shared:
        axis.xaxis.set_visible(False)
        axis.yaxis.set_visible(False)
    else:
        axis.set(xticks=[], yticks=[])
    return True


def seed_cloud(
    axis: Axes,
    frame: pd.DataFrame,
    x: str,
    y: str,
    hue: str | None = None,
    **options: Any,
) -> None:
    """Draw one faint point per seed, and their median with its standard error.

    A numeric ``x`` keeps its place and scale: set a logarithmic one before calling. Names stand in
    order of appearance, the levels of ``hue`` side by side. Levels that are names of :data:`ROLES`
    have that role's colour. On a logarithmic value axis, set before calling, median and error are
    those of the logarithm.

    Args:
        axis: where to draw.
        frame: tidy table, one row per seed and point.
        x: column of the abscissa, numbers or names.
        y: column of the value.
        hue: column that tells groups apart.
        options: passed on to ``seaborn.pointplot`` (linestyle, markers, ...).
    """
    common = {"data": frame, "x": x, "y": y, "native_scale": True, "ax": axis}
    if hue is None:
        common |= {"color": ROLES["learnt"]}
        levels = []
    else:
        levels = list(pd.unique(frame[hue]))
        common |= {"hue": hue, "hue_order": levels, "palette": colours(levels)}
    # Side by side among names only: a number's place on its axis means something.
    apart = len(levels) > 1 and not pd.api.types.is_numeric_dtype(frame[x])
    sns.stripplot(**common, dodge=apart, jitter=False, size=2.5, alpha=0.35, legend=False, zorder=2)
    dodge = 0.8 - 0.8 / len(levels) if apart else False  # stripplot's own distance
    look = {"linestyle": "none", "marker": "o", "markersize": 3.5, "err_kws": {"linewidth": 1.0}}
    sns.pointplot(
        **common, dodge=dodge, estimator="median", errorbar=_median_bar, zorder=3, **look | options
    )
    places = pd.unique(frame[x])
    if axis.get_xscale() == "log" and len(places) <= 8:
        # Sizes are rarely powers of ten: name the ones measured instead.
        axis.set_xticks(places, [f"{place:g}" for place in places])
        axis.set_xticks([], minor=True)


def colours(levels: list[Any]) -> dict[Any, str]:
    """Return a colour for each level: its role's, or the next of :data:`SEQUENCE`."""
    taken = {ROLES[level] for level in levels if level in ROLES}
    free = [colour for colour in SEQUENCE if colour not in taken]
    others = [level for level in levels if level not in ROLES]
    named = {level: ROLES[level] for level in levels if level in ROLES}
    return named | {level: free[i % len(free)] for i, level in enumerate(others)}


def save(
    fig: Figure, stem: str | Path, tables: pd.DataFrame | Mapping[str, pd.DataFrame]
) -> list[Path]:
    """Write ``stem``.png, ``stem``.svg and ``stem``.csv, each whole or not at all.

    Args:
        fig: a figure of :func:`figure`.
        stem: path without a suffix.
        tables: what was drawn; several tables, by panel, become one with a column ``panel``.

    Returns:
        The three paths.

    Raises:
        ArtifactError: a file cannot be written.
    """
    stem = Path(stem)
    if isinstance(tables, Mapping):
        marked = [table.assign(panel=panel) for panel, table in tables.items()]
        merged = pd.concat(marked, ignore_index=True)
        tables = merged[["panel", *merged.columns.drop("panel")]]
    # Neither a date nor a program's version: the same figure gives the same bytes.
    forgotten = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
    images = {}
    with style():
        for kind, metadata in forgotten.items():
            buffer = io.BytesIO()
            fig.savefig(buffer, format=kind, metadata=metadata)
            images[kind] = buffer.getvalue()
    paths = paths_of(stem)
    write_bytes(paths[0], images["png"])
    write_bytes(paths[1], images["svg"])
    write_table(paths[2], tables)
    return paths


def paths_of(stem: Path) -> list[Path]:
    """Where a figure's image, its drawing and its table lie."""
    # Not with_suffix: a stem may end in a number such as 0.44.
    return [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg", "csv")]


def nothing(table: pd.DataFrame, stem: str | Path) -> bool:
    """Whether a table is empty; the figure then says that its runs are not of this scale.

    Raises:
        ArtifactError: a file cannot be written.
    """
    if len(table):
        return False
    fig, axis = figure(width="single")
    empty(axis, table)
    save(fig, stem, table)
    return True


def _median_bar(values: ArrayLike) -> tuple[float, float]:
    """The median minus and plus its standard error, no further than the values themselves go."""
    middle, error = float(np.median(values)), median_error(values) or 0.0
    return max(middle - error, float(np.min(values))), min(middle + error, float(np.max(values)))
