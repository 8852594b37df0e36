"""How long it takes from densities to the law, by three roads, all that a reader waits for counted.

Ours: translator, distiller, and the reading of the trained update. The network-free baseline. And
PySINDy, where it is installed.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from emergence.errors import HostError
from emergence.introspection import experiments, peers, potentials, reading, schrodinger, spectral
from emergence.introspection.comparison import Row, Sizes
from emergence.randomness import generator
from emergence.settings import Settings

SPACING_TOLERANCE, FORM_TOLERANCE = 1e-3, 1e-3
"""The law is reached when a² is within the first and the similarity ratio below the second."""


def time_to_law(sizes: Sizes, chosen: Settings, data: dict[str, np.ndarray]) -> list[Row]:
    """Translator and distiller against the spectral baseline and PySINDy."""
    seconds, outcome = _law_by_networks(chosen, data)
    baseline, baseline_outcome = _law_by_hankel(chosen)
    ours = "the law by translator and distiller"
    return [
        Row(
            f"{ours} / spectral baseline",
            seconds,
            baseline,
            f"One seed, compiling included, a wave function found: {outcome}. The baseline: "
            f"{baseline_outcome}; it cannot use these densities, but needs designed experiments "
            "of its own (every prefix with every suffix, one start, 7 values of V).",
        ),
        _against_pysindy(f"{ours} / PySINDy", seconds, chosen, data),
    ]


def _judge(spacing_error: float, form: float, form_name: str) -> str:
    reached = spacing_error <= SPACING_TOLERANCE and form <= FORM_TOLERANCE
    verdict = "law reached" if reached else "law not reached"
    return f"{verdict}, a² off by {spacing_error:.1g}, {form_name} {form:.1g}"


def _law_by_networks(chosen: Settings, data: dict[str, np.ndarray]) -> tuple[float, str]:
    """Seconds from densities to the law's invariants, and what they are."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        folders = Path(folder) / "translator", Path(folder) / "distiller"
        first, _ = experiments.train_translators(chosen, "main", data, folders[0])
        second, _ = experiments.train_distillers(chosen, "main", data, first, folders[1])
    law = reading.read_wave_law(
        second["n2/p/update"], second["n2/latent"], data, float(second["unit"]),
        chosen.introspection.spacing,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    similarity = float(law["similarity"][0])
    return seconds, _judge(float(law["spacing_error"][0]), similarity, "similarity ratio")


def _law_by_hankel(chosen: Settings) -> tuple[float, str]:
    """The same of the network-free baseline on its own noise-free experiments."""
    system, options = chosen.introspection, chosen.introspection.spectral
    start = schrodinger.draw_starts(
        generator(chosen.seed, "start"), 1, "single", system.start_wavenumber, 0.0
    )[0]
    letters = spectral.chebyshev_nodes(potentials.ROUGH_RANGE, options.letters)
    hankel = spectral.measure(
        generator(chosen.seed, "words"),
        letters,
        options.words,
        options.length,
        start,
        system.spacing,
    )
    began = time.perf_counter()
    law = spectral.read_law(spectral.fit(hankel), system.spacing)
    seconds = time.perf_counter() - began
    error = abs(float(law["spacing_ratio"]) - 1.0)
    return seconds, _judge(error, float(law["form_ratio"]), "ratio of the invariant form")


def _against_pysindy(
    what: str, seconds: float, chosen: Settings, data: dict[str, np.ndarray]
) -> Row:
    """PySINDy on the training densities of each family; its best case, shallow, is timed."""
    found = {}
    try:
        for index, family in enumerate(potentials.FAMILIES):
            rows = data["train_family"] == index
            found[family] = peers.sparse_regression(
                data["train_potential"][rows], data["train_density"][rows],
                chosen.introspection.spacing,
            )  # fmt: skip
    except HostError as error:
        return Row(what, seconds, None, str(error))
    best = found.pop("shallow")
    form = "the right form" if best.form_right else "not the right form"
    others = "; ".join(f"{family}: {law}" for family, law in found.items())
    note = (
        f"On the same training densities of the shallow family alone: {best} ({form}; exact: "
        f"4 Vρ' + 2 V'ρ, so a² is off by {best.spacing_error:.1g}). It is told the variables and "
        "the spacing and handed V', and finds an equation of the density, no wave function. "
        f"On the families ours is trained on as well, {others}."
    )
    return Row(what, seconds, best.seconds, note)
