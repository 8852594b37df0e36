"""The geometry of the bulk, read off how its mutual information decays within and across layers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from emergence.analysing import Found
from emergence.errors import SettingsError
from emergence.holography import geometry
from emergence.holography.bulk import BulkCovariance
from emergence.holography.bulk_pairs import PairInformation, pair_information
from emergence.holography.bulk_readings import Study, studies
from emergence.holography.bulk_stored import MAPS, stored_pairs
from emergence.holography.decay import DecayFit
from emergence.holography.information import free_field_covariance
from emergence.holography.linear_map import LinearMap
from emergence.statistics import Measurement

CUTS = {"half": 0.5, "quarter": 0.25}
"""Same-layer pairs are taken up to these shares of the side."""


PAIRS = ["bulk", "map", "kind", "level", "other", "separation", "x", "value", "error"]
"""What the figure reads of the pairs."""


def decays(results) -> Found:
    """Mutual information of pairs in the coordinates in which one ξ gives both slopes."""
    rows = []
    for study in studies(results):
        for name in MAPS:
            pairs = stored_pairs(study.arrays, name, study.size)
            within, across = geometry.same_layer(pairs), geometry.vertical(pairs)
            for kind, chosen, x in (
                ("same layer", within, within.separation / within.z),
                ("vertical", across, 2.0 ** (across.other - across.level)),
            ):
                frame = pd.DataFrame(
                    {
                        "kind": kind, "level": chosen.level, "other": chosen.other,
                        "separation": chosen.separation, "x": x, "value": chosen.value,
                        "error": chosen.error,
                    }
                )  # fmt: skip
                rows.append(frame.assign(**study.row(map=name)))
    yield "geometry_pairs", pd.concat(rows or [pd.DataFrame(columns=PAIRS)], ignore_index=True)


FITS = ["bulk", "map", "kind", "cut", "group", "rate", "rate_error", "intercept"]
"""What the figure reads of the fits."""


EXACT_SIDE = 32
MASSES = {"massless": 1e-4, "gapped": 4.0}
"""m² of the exact free fields, in units of the hopping: ξ of 100 sites, and of half a site."""


def fits(results) -> Found:
    """Both slopes of every map at both cuts: do they give one ξ?

    Beside them those of Haar wavelets on the free field, exactly: one length if it is massless.
    """
    rows = []
    for study in studies(results):
        for name in MAPS:
            pairs = stored_pairs(study.arrays, name, study.size)
            for cut, farthest in CUTS.items():
                found = slopes(pairs, farthest)
                rows += [study.row(map=name, cut=cut, **row) for row in _fit_rows(*found)]
                yield from _measurements(study.measured, f"{name}_%s_{cut}", *found)
    for mass, squared in MASSES.items() if rows else ():
        pairs = haar_pairs(EXACT_SIDE, squared)
        about = {"bulk": f"free_{mass}", "size": EXACT_SIDE, "shipped": False, "map": "free"}
        for cut, farthest in CUTS.items():
            found = slopes(pairs, farthest)
            rows += [about | {"cut": cut} | row for row in _fit_rows(*found)]
            yield from _measurements(_exactly, f"haar_%s_{mass}_{cut}", *found)
    # With no fit at all the figure still asks for these.
    yield "geometry_fits", pd.DataFrame(rows) if rows else pd.DataFrame(columns=FITS)


def haar_pairs(side: int, mass_squared: float) -> PairInformation:
    """What the cells of Haar wavelets share of the free field with this m², exactly."""
    haar = LinearMap.haar(side)
    covariance = haar.covariance(free_field_covariance(side, mass_squared))
    return pair_information(BulkCovariance.exact(covariance, haar.table))


def _exactly(name: str, value: float | None, error: float | None, **more: str) -> Found:
    """A measurement ``exact.<name>``, of no run."""
    yield f"exact.{name}", Measurement(f"exact.{name}", value, error, source="exact", **more)


def slopes(pairs: PairInformation, farthest: float) -> tuple[DecayFit | None, DecayFit | None]:
    """Fits of the same layer and of the vertical; None where too few pairs are above the noise."""
    found = []
    for fit, options in (
        (geometry.fit_same_layer, {"farthest": farthest}),
        (geometry.fit_vertical, {}),
    ):
        try:
            found.append(fit(pairs, **options))
        except SettingsError:
            found.append(None)
    return found[0], found[1]


def _fit_rows(within: DecayFit | None, across: DecayFit | None) -> list[dict[str, object]]:
    """A row per fit and intercept, that of a level, so that a figure can draw it."""
    rows = []
    for kind, fit in (("same layer", within), ("vertical", across)):
        if fit is None:
            continue
        for group, intercept in zip(fit.groups, fit.intercepts, strict=True):
            rows.append(
                {
                    "kind": kind, "group": group, "intercept": intercept, "rate": fit.rate,
                    "rate_error": fit.error, "length": 1.0 / fit.rate,
                    "length_error": abs(fit.relative_error / fit.rate), "scatter": fit.scatter,
                }
            )  # fmt: skip
    return rows


def _measurements(
    measured: Callable[..., Found], name: str, within: DecayFit | None, across: DecayFit | None
) -> Found:
    """Slopes, their ratio and the scatter about the laws; a slope that no pair tells has no value."""
    for kind, fit in (("same_rate", within), ("vertical_rate", across)):
        value, error = (fit.rate, fit.error) if fit else (None, None)
        note = "" if fit else "too few pairs above the noise"
        yield from measured(name % kind, value, error, note=note)
        scatter = (fit.scatter, 0.0) if fit else (None, None)
        yield from measured(name % f"{kind}_scatter", *scatter, note=note)
    if not (within and across):
        note = "a slope has too few pairs above the noise"
        yield from measured(name % "slope_gap", None, None, note=note)
    else:
        pair = geometry.OneLength(within, across)
        scale = 0.5 * (abs(within.rate) + abs(across.rate))
        yield from measured(
            name % "slope_gap", pair.difference / scale, pair.difference_error / scale,
            note=pair.verdict,
        )  # fmt: skip


GEOMETRIES = ["bulk", "map", "geometry", "aic", "bic", "scatter", "length", "length_error"]
"""What a reader of the table is told even where no map has pairs enough to compare them."""


def geometries(results) -> Found:
    """Which distance describes all pairs best: hyperbolic, flat, or a stack of layers."""
    rows = []
    for study in studies(results):
        for name in MAPS:
            pairs = stored_pairs(study.arrays, name, study.size)
            try:
                found = geometry.compare_geometries(pairs)
            except SettingsError:
                continue
            for kind, fit in found.items():
                rows.append(
                    study.row(
                        map=name, geometry=kind, aic=fit.aic, bic=fit.bic, scatter=fit.scatter,
                        length=1.0 / fit.rate, length_error=abs(fit.relative_error / fit.rate),
                    )
                )  # fmt: skip
            yield from _preference(study, name, found)
    yield "geometries", pd.DataFrame(rows) if rows else pd.DataFrame(columns=GEOMETRIES)


def _preference(study: Study, name: str, found: dict[str, DecayFit]) -> Found:
    """How much better the hyperbolic distance is than the best of the others, by Schwarz."""
    others = min(fit.bic for kind, fit in found.items() if kind != "hyperbolic")
    fit = found["hyperbolic"]
    # Differences of log-likelihoods of P points scatter by about √P of their mean per point.
    gap = others - fit.bic
    yield from study.measured(f"{name}_hyperbolic_preference", gap, abs(gap) / np.sqrt(fit.points))
    yield from study.measured(f"{name}_hyperbolic_scatter", fit.scatter, 0.0)


PARTS = (decays, fits, geometries)
