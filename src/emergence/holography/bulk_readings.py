"""What is read off a bulk: massive under a critical boundary, local and yet global, and its prior.

Each function takes :class:`analysis.Results` and yields tables and measurements by name. What a
scale does not have is left out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from emergence.analysing import Found
from emergence.artifacts import Arrays
from emergence.errors import SettingsError
from emergence.holography import footprint
from emergence.holography.bridge import CHUNKS, divergences
from emergence.holography.bulk_stored import FOOTPRINT_MAPS, MAPS, stored_pairs
from emergence.holography.footprint import Footprint
from emergence.holography.mutual_information import Estimate, jackknife
from emergence.holography.partition import exact_log_partition
from emergence.holography.points import Point, action_of
from emergence.holography.prior_readings import gains, trained_after
from emergence.statistics import Measurement

if TYPE_CHECKING:
    from emergence.holography.analysis import Results


class Study(NamedTuple):
    """One study of a bulk, with what its tables call it."""

    name: str
    size: int
    flow: str
    shipped: bool
    arrays: Arrays

    @property
    def source(self) -> str:
        return f"bulks/{self.name}"

    def row(self, **values: object) -> dict[str, object]:
        """A row of a table."""
        t = float(self.arrays["t"])
        return {"bulk": self.name, "size": self.size, "t": t, "shipped": self.shipped} | values

    def measured(self, name: str, value: float | None, error: float | None, **more: str) -> Found:
        """A measurement ``bulk.<study>.<name>``."""
        name = f"bulk.{self.name}.{name}"
        yield name, Measurement(name, value, error, source=self.source, **more)


def studies(results: Results) -> list[Study]:
    """Every study of this scale."""
    found = []
    for name, study in results.chosen.bulks.items():
        arm = results.chosen.flows[study.flow]
        found.append(Study(name, study.size, study.flow, bool(arm.shipped), results.bulk(name)))
    return found


def lengths(results: Results) -> Found:
    """Correlation lengths: of the boundary in sites, of each layer of latents in its own cells."""
    rows = []
    for study in studies(results):
        blocks = study.arrays["boundary"][..., None, None]
        try:
            boundary = footprint.correlation_length(blocks)
        except SettingsError as why:
            yield from study.measured("boundary_length", None, None, note=why.message)
            boundary = None
        else:
            found = {"length": boundary.value, "error": boundary.error}
            rows.append(study.row(map="boundary", level=-1, **found))
            yield from study.measured("boundary_length", *found.values(), unit="lattice units")
        for name in MAPS:
            table = study.arrays[f"{name}_length"]
            for level, length, error in table:
                rows.append(study.row(map=name, level=int(level), length=length, error=error))
            if np.isfinite(table[:, 1]).any():
                yield from longest(study, name, boundary, table[np.isfinite(table[:, 1])])
    yield "bulk_lengths", pd.DataFrame(rows)


def longest(study: Study, name: str, boundary: Estimate | None, table: np.ndarray) -> Found:
    """The longest of the layers, and the boundary's over it: in the layer's own cells, and in sites.

    A level's cells are 2^(level + 1) sites wide, so the longest need not be the same in both. Layers of
    fewer than four cells a side have no length.
    """
    levels = ", ".join(f"{level:.0f}" for level in table[:, 0])
    boundary_told = boundary is not None and boundary.value > 0.0
    for label, unit, width in (
        ("length", "cells", 1.0),
        ("length_in_sites", "lattice units", 2.0 ** (table[:, 0] + 1.0)),
    ):
        in_unit = table[:, 1:] * np.reshape(width, (-1, 1))
        length, error = in_unit[np.argmax(in_unit[:, 0])]
        note = f"the longest of levels {levels}"
        yield from study.measured(f"{name}_{label}", length, error, unit=unit, note=note)
        if length > 0.0 and boundary_told:
            ratio = boundary.value / length
            spread = ratio * np.hypot(boundary.relative_error, error / length)
            note = f"sites of the boundary over {unit} of the layers, levels {levels}"
            yield from study.measured(f"{name}_{label}_ratio", ratio, spread, note=note)


def correlations(results: Results) -> Found:
    """Mutual information within a layer against the distance in its own cells, and the boundary's."""
    rows = []
    for study in studies(results):
        value, error = boundary_information(study.arrays["boundary"])
        for distance, (v, e) in enumerate(zip(value, error, strict=True), start=1):
            rows.append(study.row(map="boundary", level=-1, cells=distance, value=v, error=e))
        for name in MAPS:
            found = stored_pairs(study.arrays, name, study.size)
            chosen = found.select(found.level == found.other)
            for level, separation, v, e in zip(
                chosen.level, chosen.separation, chosen.value, chosen.error, strict=True
            ):
                cells = separation / min(2 ** (level + 1), study.size)
                rows.append(study.row(map=name, level=level, cells=cells, value=v, error=e))
    yield "bulk_correlations", pd.DataFrame(rows)


def boundary_information(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """−ln(1 − |corr|²) of two sites 1 … L/2 apart along an axis, and its error, ``[L/2]``.

    Args:
        blocks: covariance by displacement, ``[chunks, L, L]``.
    """
    chunks, side = blocks.shape[:2]

    def value(covariance: np.ndarray) -> np.ndarray:
        along = 0.5 * (covariance[..., 0, :] + covariance[..., :, 0])[..., : side // 2 + 1]
        return -np.log1p(-np.square(along[..., 1:] / along[..., :1]))

    mean = blocks.mean(axis=0)
    return jackknife(value(mean), value((chunks * mean - blocks) / (chunks - 1)))


def footprints(results: Results) -> Found:
    """Where one latent of each level moves the boundary, and how its area grows."""
    maps, areas = [], []
    for study in studies(results):
        for name in FOOTPRINT_MAPS:
            prints = stored_footprints(study.arrays, name)
            for one in prints:
                areas.append(
                    study.row(
                        map=name, level=one.level, share=one.share,
                        participation=one.participation.value,
                        participation_error=one.participation.error,
                        half_maximum=one.half_maximum.value,
                        half_maximum_error=one.half_maximum.error,
                    )
                )  # fmt: skip
                y, x = np.indices(one.mean.shape)
                maps.append(
                    pd.DataFrame({"x": x.ravel(), "y": y.ravel(), "moved": one.mean.ravel()})
                    .assign(**study.row(map=name, level=one.level))
                )  # fmt: skip
            # The core, where the field moves by more than half of the most, beside the whole.
            cores = [replace(one, participation=one.half_maximum) for one in prints]
            for label, chosen in (("footprint", prints), ("core", cores)):
                measurement = f"{name}_{label}_exponent"
                try:
                    exponent = footprint.growth(chosen)
                except SettingsError as why:
                    yield from study.measured(measurement, None, None, note=why.message)
                    continue
                yield from study.measured(measurement, exponent.value, exponent.error)
    yield "footprints", pd.concat(maps, ignore_index=True) if maps else pd.DataFrame()
    yield "footprint_areas", pd.DataFrame(areas)


def stored_footprints(arrays: Arrays, name: str) -> list[Footprint]:
    """The footprints of one map, level by level."""
    parts = (arrays[f"{name}_{key}"] for key in ("footprint", "participation", "half_maximum"))
    return [
        Footprint(level, mean, Estimate(*map(float, area)), Estimate(*map(float, half)))
        for level, (mean, area, half) in enumerate(zip(*parts, strict=True))
    ]


def layers(results: Results) -> Found:
    """Fields of every level of a few true samples: angle, modulus and vorticity, site by site."""
    rows = []
    for study in studies(results):
        for level in range(study.size.bit_length() - 1):
            for sample, field in enumerate(study.arrays[f"layer_{level}"]):
                y, x = np.indices(field.shape)
                part = {"x": x, "y": y, "angle": np.angle(field), "modulus": np.abs(field)}
                part["vorticity"] = vorticity(np.angle(field))
                frame = pd.DataFrame({key: value.ravel() for key, value in part.items()})
                rows.append(frame.assign(**study.row(level=level, sample=sample)))
    yield "layers", pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def vorticity(angle: np.ndarray) -> np.ndarray:
    """Turns of the angle around the plaquette right of and below each site, integers ``[L, L]``."""
    right, below = (np.roll(angle, -1, axis=axis) for axis in (1, 0))
    corner = np.roll(right, -1, axis=0)
    steps = [right - angle, corner - right, below - corner, angle - below]
    wrapped = [step - 2.0 * np.pi * np.round(step / (2.0 * np.pi)) for step in steps]
    return np.round(np.sum(wrapped, axis=0) / (2.0 * np.pi)).astype(int)


PRIORS = ["bulk", "fit", "value", "error"]
"""What the figure reads of the learnt priors; ``fit`` may also be the divergence that there is.

``trained`` is one that was trained, of whose KL the flow comes first.
"""
COUPLINGS = ["bulk", "size", "t", "level", "other", "separation", "coupling", "error"]
"""And of their couplings."""


def prior(results: Results) -> Found:
    """The learnt prior: nats of KL(theory ‖ flow) that it removes, and its couplings.

    ``gain`` of the samples that it was fitted to, less its bias; ``held_out`` of others; ``selected``
    of others, with the couplings above the noise only.
    """
    rows, couplings = [], []
    for study in studies(results):
        arrays = study.arrays
        if "prior_gain" not in arrays:
            continue
        found = forward_divergence(results, study)
        fits = {name: arrays[f"prior_{name}"] for name in ("gain", "held_out")}
        # Not in arrays that were stored before it was fitted.
        if "prior_selected" in arrays:
            fits["selected"] = arrays["prior_selected"]
        for name, (value, error) in fits.items():
            rows.append(study.row(fit=name, value=value, error=error))
            yield from study.measured(f"prior_{name}", value, error, unit="nats")
        if "selected" in fits:
            yield from study.measured("prior_kept", float(arrays["prior_kept"]), 0.0)
        if found is not None:
            rows.append(study.row(fit="forward", value=found.value, error=found.error))
            yield from study.measured("forward_divergence", found.value, found.error, unit="nats")
            for name, (value, spread) in fits.items():
                share = value / found.value
                error = np.hypot(spread / found.value, share * found.relative_error)
                label = "share" if name == "gain" else f"{name}_share"
                yield from study.measured(f"prior_{label}", share, error)
        for flow in trained_after(results, study.flow, study.size):
            if np.allclose([flow.arrays["t"][0], flow.arrays["mu"][0]], _point(study)):
                gain = gains(flow)["gain"]
                rows.append(study.row(fit="trained", value=gain.value, error=gain.error))
        names = ("level", "other", "separation", "coupling", "error")
        frame = pd.DataFrame({name: arrays[f"prior_{name}"] for name in names})
        frame = frame.sort_values("coupling", ascending=False, kind="stable")
        couplings.append(frame.assign(**study.row()))
    yield "bulk_prior", pd.DataFrame(rows) if rows else pd.DataFrame(columns=PRIORS)
    none = [pd.DataFrame(columns=COUPLINGS)]
    yield "bulk_couplings", pd.concat(couplings or none, ignore_index=True)


def forward_divergence(results: Results, study: Study) -> Estimate | None:
    """KL(theory ‖ flow) of a studied flow.

    None if it was not evaluated at the study's point, or by too few samples.
    """
    flow, point = results.flow(study.flow, study.size), _point(study)
    at = np.flatnonzero(np.isclose(flow.arrays["t"], point[0], atol=1e-9))
    if not at.size or flow.arrays["log_weights"].shape[-1] < CHUNKS:
        return None
    theory = results.chosen.theories[results.chosen.flows[study.flow].theory]
    return divergences(
        study.arrays["log_weights"],
        flow.arrays["log_weights"][at[0], 0],
        known=exact_log_partition(action_of(theory, point), study.size),
    ).forward


def _point(study: Study) -> Point:
    return float(study.arrays["t"]), float(study.arrays["mu"])


PARTS = (lengths, correlations, footprints, layers, prior)
