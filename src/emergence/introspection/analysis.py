"""From trained arms to numbers: the tables behind the figures and the measurements of the ledger.

Arms are found by the names of ``config/laptop.yaml``; an arm that a scale leaves out is left out of
the tables and its measurements, and the ledger then says that its claim was not run.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from emergence import artifacts
from emergence.analysing import WORST, Found, Tables, gather, named
from emergence.artifacts import Arrays
from emergence.introspection import parsimony, reading, spectral, translation
from emergence.introspection.law import curvature, has_node
from emergence.randomness import derive_seed
from emergence.settings import Settings
from emergence.statistics import Measurement


class Results:
    """The arrays of a finished run, read when they are needed and once."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.chosen = settings.introspection
        self._read: dict[Path, Arrays] = {}

    def _arrays(self, path: Path) -> Arrays:
        if path not in self._read:
            self._read[path] = artifacts.read_arrays(path)
        return self._read[path]

    def data(self, name: str) -> Arrays:
        return self._arrays(self.folder / "data" / f"{name}.npz")

    def translator(self, arm: str) -> Arrays:
        return self._arrays(self.folder / "translators" / arm / "arrays.npz")

    def distiller(self, arm: str) -> Arrays:
        return self._arrays(self.folder / "distillers" / arm / "arrays.npz")

    def has(self, kind: str, arm: str, size: int | None = None) -> bool:
        """Whether this scale trains the arm (at that hidden or latent dimension)."""
        arms = getattr(self.chosen, kind)
        if arm not in arms:
            return False
        sizes = arms[arm].hidden if kind == "translators" else arms[arm].latent
        return size is None or size in sizes

    def wave_law(self, arm: str) -> Arrays:
        """:func:`reading.read_wave_law` of the two-variable distiller of an arm."""
        trained = self.distiller(arm)
        dataset = self.chosen.distillers[arm].dataset
        return reading.read_wave_law(
            trained["n2/p/update"],
            trained["n2/latent"],
            self.data(dataset),
            float(trained["unit"]),
            self.chosen.spacing,
            self.chosen.datasets[dataset].solver,
        )


def per_seed(
    name: str, values: np.ndarray, source: str, large_is_good: bool = False
) -> Measurement:
    """A measurement with one value per seed; one that is not finite counts as very bad."""
    values = np.where(np.isfinite(values), values, -WORST if large_is_good else WORST)
    return Measurement.from_seeds(name, values, unit="", source=source, note="")


LARGE_IS_GOOD = {"psi_r2", "slope_r2", "node_fraction", "regression_r2", "signature_right"}


OF_NODES = ("node_fraction", "spurious_nodes")
NO_NODE = "no test window is long enough to hold a node"


def analyse(settings: Settings, folder: Path) -> tuple[Tables, list[Measurement]]:
    """Tables and measurements of everything that this scale trained.

    Raises:
        ArtifactError: a result is missing or corrupt.
    """
    results = Results(settings, folder)
    chosen = settings.introspection
    # What the figures' reference curves and panels depend on.
    lattice = pd.DataFrame([{"spacing": chosen.spacing, "window": chosen.window}])
    parts = (
        translation.read,
        parsimony.read,
        wave_law,
        density_form,
        discretisation,
        noise,
        network_free,
    )
    tables, measurements = gather(parts, results)
    return {"lattice": lattice} | tables, measurements


def wave_law(results: Results) -> Found:
    """The two-variable law: its invariants, its gauge, its latents, and where it must fail."""
    source = "distillers/quadratic"
    law = results.wave_law("quadratic")
    trained = results.distiller("quadratic")
    data = results.data(results.chosen.distillers["quadratic"].dataset)
    nodes = has_node(data["test_state"][:, 1:, 0].real)
    for key in (
        "spacing_error", "det_error", "similarity", "word_error", "euler_similarity", "gauge_error",
        "rank_one_defect", "psi_r2", "slope_r2", "node_fraction", "spurious_nodes",
        "regression_ratio", "regression_r2",
    ):  # fmt: skip
        if key in OF_NODES and not nodes:
            yield from named(Measurement(f"law.{key}", None, source=source, note=NO_NODE))
            continue
        yield from named(per_seed(f"law.{key}", law[key], source, key in LARGE_IS_GOOD))
    spacing = results.chosen.spacing
    controls = reading.similarity_controls(
        trained["n2/p/update"], trained["n2/untrained/update"], law["potential"],
        float(trained["unit"]), spacing, results.settings.seed,
    )  # fmt: skip
    for key, values in controls.items():
        yield from named(per_seed(f"control.similarity_{key}", values, source))
    shuffled = reading.wave_r2_of_shuffled(law["wave"], data)
    yield from named(per_seed("control.psi_r2_of_other_systems", shuffled, source, True))
    yield "law", _law_table(law)
    yield "latents", _latents_table(law, data, results.chosen.spacing)
    for arm in ("degree_1", "degree_2", "general", "shuffled"):
        if results.has("distillers", arm, 2):
            other = results.wave_law(arm)
            for key in ("spacing_error", "det_error", "similarity", "gauge_error"):
                yield from named(per_seed(f"{arm}.{key}", other[key], f"distillers/{arm}"))


def _law_table(law: Arrays) -> pd.DataFrame:
    """V, seed and the invariants and gauge elements of the learnt update."""
    seeds, grid = law["trace"].shape
    columns = {
        "seed": np.repeat(np.arange(seeds), grid),
        "potential": np.tile(law["potential"], seeds),
        "trace": law["trace"].ravel(),
        "determinant": law["determinant"].ravel(),
    }
    for row, column in np.ndindex(2, 2):
        columns[f"gauge_{row + 1}{column + 1}"] = law["gauge"][:, :, row, column].ravel()
    return pd.DataFrame(columns)


def _latents_table(law: Arrays, data: Arrays, spacing: float) -> pd.DataFrame:
    """(ψ, ψ′) and every seed's latents in the readout's gauge, for one window of each family."""
    frames = []
    for index, family in enumerate(data["families"]):
        window = int(np.argmax(data["test_family"] == index))
        state = data["test_state"][window].real
        for seed, wave in enumerate(law["wave"][:, window]):
            frames.append(
                pd.DataFrame(
                    {
                        "family": str(family),
                        "seed": seed,
                        "x": spacing * np.arange(len(state)),
                        "psi": state[:, 0],
                        "slope": state[:, 1],
                        "learnt_psi": wave[:, 0],
                        "learnt_slope": wave[:, 1],
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def density_form(results: Results) -> Found:
    """The three-variable law, in the translator itself and in the distiller with a linear decoder."""
    data = results.data("arc")
    frames = []
    for label, arrays, key in (
        ("translator", results.translator("main"), "h3/p/update"),
        ("distiller", results.distiller("linear"), "n3/p/update"),
    ):
        law = reading.read_density_law(
            arrays[key], data, float(arrays["unit"]), results.chosen.spacing
        )
        for name in ("e1_e2_error", "e3_error", "form_ratio", "signature_right", "spacing_error"):
            yield from named(
                per_seed(f"density_form.{label}.{name}", law[name], label, name in LARGE_IS_GOOD)
            )
        seeds, grid = law["e1"].shape
        frames.append(
            pd.DataFrame(
                {
                    "network": label,
                    "seed": np.repeat(np.arange(seeds), grid),
                    "potential": np.tile(law["potential"], seeds),
                    **{name: law[name].ravel() for name in ("e1", "e2", "e3")},
                }
            )
        )
    untrained = results.distiller("linear")["n3/untrained/update"]
    law = reading.read_density_law(untrained, data, float(arrays["unit"]), results.chosen.spacing)
    for name in ("e1_e2_error", "form_ratio"):
        yield from named(per_seed(f"control.untrained.{name}", law[name], "untrained"))
    yield "density_form", pd.concat(frames, ignore_index=True)


def discretisation(results: Results) -> Found:
    """Which discretisation was learnt, from the curvature of the trace in a strong potential."""
    frames = []
    for arm in ("strong", "lattice"):
        if not results.has("distillers", arm, 2):
            continue
        law = results.wave_law(arm)
        yield from named(per_seed(f"{arm}.curvature", law["curvature"], f"distillers/{arm}"))
        yield from named(
            per_seed(f"{arm}.spacing_error", law["spacing_error"], f"distillers/{arm}")
        )
        trained = results.distiller(arm)
        untrained = curvature(
            trained["n2/untrained/update"], float(trained["unit"]), law["potential"]
        )
        yield from named(per_seed(f"control.{arm}.curvature", untrained, f"distillers/{arm}"))
        seeds, grid = law["trace"].shape
        frames.append(
            pd.DataFrame(
                {
                    "data": arm,
                    "seed": np.repeat(np.arange(seeds), grid),
                    "x": results.chosen.spacing**2 * np.tile(law["potential"], seeds),
                    "normalised_trace": law["normalised_trace"].ravel(),
                }
            )
        )
    columns = ["data", "seed", "x", "normalised_trace"]
    yield (
        "discretisation",
        pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns),
    )


def noise(results: Results) -> Found:
    """How the law's slope and the translation degrade with noise on every density.

    ``noise_*`` start every system alike, so that noise on the profiles alone matters;
    ``noisy_start_*`` also take the start from noisy detectors, which dilutes the law (errors in
    variables): the two are kept apart.
    """
    rows = []
    for name, arm in results.chosen.translators.items():
        if not (name.startswith("noise_") and results.has("distillers", name, 2)):
            continue
        fixed = results.chosen.datasets[arm.dataset].start == "single"
        law = results.wave_law(name)
        translator = results.translator(name)
        errors = np.median(translator["h3/error_test"], axis=1)
        columns = (law["spacing_squared"] / results.chosen.spacing**2, law["det_error"], errors)
        method = "networks, one start" if fixed else "networks, noisy detectors"
        rows += [
            (method, arm.noise, seed, *row) for seed, row in enumerate(zip(*columns, strict=True))
        ]
        key = f"noise_{arm.noise:g}" if fixed else f"noisy_start_{arm.noise:g}"
        yield from named(per_seed(f"{key}.spacing_error", law["spacing_error"], name))
        yield from named(per_seed(f"{key}.translation_error", errors, name))
    columns = ["method", "noise", "seed", "spacing_ratio", "det_error", "translation_error"]
    yield "noise", pd.DataFrame(rows, columns=columns)


def spectral_baseline(settings: Settings) -> Arrays:
    """:func:`spectral.experiments` with the run's settings: a fresh experiment for every seed."""
    chosen = settings.introspection
    return spectral.experiments(
        chosen.spectral,
        chosen.spacing,
        chosen.seeds,
        derive_seed(settings.seed, "spectral"),
        chosen.start_wavenumber,
    )


def network_free(results: Results) -> Found:
    """The spectral baseline beside the network: singular values, prediction error, law."""
    arrays = artifacts.read_arrays(results.folder / "spectral" / "arrays.npz")
    levels, values = arrays["noise"], arrays["singular_values"]
    rows = [
        (level, seed, index + 1, value)
        for level, by_seed in zip(levels, values, strict=True)
        for seed, spectrum in enumerate(by_seed)
        for index, value in enumerate(spectrum[:12] / spectrum[0])
    ]
    columns = ["noise", "seed", "index", "singular_value"]
    yield "spectral_spectrum", pd.DataFrame(rows, columns=columns)
    rows = []
    for level, errors, spacings in zip(
        levels, arrays["prediction_error"], arrays["spacing_ratio"], strict=True
    ):
        name = "clean" if level == 0.0 else f"noise_{level:g}"
        yield from named(per_seed(f"spectral.{name}.prediction_error", errors, "spectral"))
        deviation = np.abs(spacings - 1.0)
        yield from named(per_seed(f"spectral.{name}.spacing_error", deviation, "spectral"))
        rows += [(level, s, e, r) for s, (e, r) in enumerate(zip(errors, spacings, strict=True))]
    columns = ["noise", "seed", "prediction_error", "spacing_ratio"]
    yield "spectral", pd.DataFrame(rows, columns=columns)
