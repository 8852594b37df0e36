"""The figures of holography, each drawn from the tables of the analysis and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from emergence import plotting
from emergence.holography import (
    bulk_figures,
    diagram_figures,
    flow_figures,
    geometry_figures,
    sampling_figures,
)

FIGURES: dict[str, Callable[[Path, Path], None]] = {
    **flow_figures.FIGURES,
    **diagram_figures.FIGURES,
    **sampling_figures.FIGURES,
    **bulk_figures.FIGURES,
    **geometry_figures.FIGURES,
}
"""Name → function(tables, stem); the workflow draws each under its name."""


def draw(name: str, tables: Path, stem: Path) -> None:
    """Draw one figure of :data:`FIGURES` as ``stem``.png, .svg and .csv, in the house's style.

    Raises:
        ArtifactError: a table is missing or corrupt, or the figure cannot be written.
    """
    with plotting.style():
        FIGURES[name](tables, stem)
