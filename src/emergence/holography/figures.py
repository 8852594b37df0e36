"""The figures of holography, each drawn from the tables of the analysis and nothing else."""

from __future__ import annotations

from emergence.holography import (
    bulk_figures,
    bulk_mass_figures,
    diagram_figures,
    flow_figures,
    geometry_figures,
    plane_figures,
    sampling_figures,
)
from emergence.plotting import Drawing

FIGURES: dict[str, Drawing] = {
    **flow_figures.FIGURES,
    **plane_figures.FIGURES,
    **diagram_figures.FIGURES,
    **sampling_figures.FIGURES,
    **bulk_mass_figures.FIGURES,
    **bulk_figures.FIGURES,
    **geometry_figures.FIGURES,
}
"""Name → function(tables, stem); the workflow draws each under its name."""
