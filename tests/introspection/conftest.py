"""Small worlds for translator and distiller, the exact law as weights to place in them, and whole
runs made up of both."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from experiment_arms import parse_arms

from emergence import artifacts, settings
from emergence.introspection import analysis, dataset, polynomial, potentials, schrodinger

HOUSE = Path(__file__).parents[2]
SPACING, WAVENUMBER, DETECTOR_SITES = 0.1, 2.0, 8
UNIT = 4.0


@pytest.fixture(scope="session")
def make_world():
    """Makes potentials, the densities they produce and all that is known of their waves."""

    # Imported here, because it loads TensorFlow, which most tests of this folder do without.
    from emergence.introspection.translator import lead_coordinates

    def make(family="rough", start="circle", solver="transfer_matrix", batch=5, sites=20, seed=0):
        rng = np.random.default_rng(seed)
        potential = potentials.GENERATORS[family](rng, batch, sites, SPACING)
        first = schrodinger.draw_starts(rng, batch, start, WAVENUMBER, 60.0)
        states = schrodinger.propagate(potential, first, SPACING, solver)
        states = np.concatenate([first[:, None], states], axis=1)
        psi, slope = states[..., 0], states[..., 1] / WAVENUMBER
        lead = schrodinger.lead_densities(first, SPACING, DETECTOR_SITES)
        return SimpleNamespace(
            potential=potential,
            density=np.abs(states[:, 1:, 0]) ** 2,
            lead=lead_coordinates(lead, SPACING * DETECTOR_SITES, WAVENUMBER),
            start=first,
            waves=np.stack([psi, slope], -1),
            # (ρ, s/k₀, t/k₀²), at the start and after every site.
            bilinears=np.stack(
                [np.abs(psi) ** 2, (np.conj(psi) * slope).real, np.abs(slope) ** 2], -1
            ),
            unit=UNIT,
        )

    return make


@pytest.fixture(scope="session")
def exact_weights():
    """Makes W_k ``[1, degree + 1, size, size]`` that follow the exact law as well as they can.

    ``size`` 2 updates (ψ, ψ′/k₀), 3 their bilinears; the polynomial meets the law at Chebyshev
    nodes of the rough family's range. Central difference is a polynomial of degree ``size`` − 1.
    """

    def make(size, degree, solver="transfer_matrix"):
        low, high = potentials.ROUGH_RANGE
        nodes = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
        nodes = 0.5 * (low + high) + 0.5 * (high - low) * nodes
        update = schrodinger.step_matrix(nodes, SPACING, solver)
        scale = WAVENUMBER ** -np.arange(float(size))
        update = schrodinger.density_matrix(update) if size == 3 else update
        update = update * scale[:, None] / scale[None, :]
        powers = np.vander(nodes / UNIT, degree + 1, increasing=True)
        weights = np.linalg.solve(powers, update.reshape(degree + 1, -1))
        return weights.reshape(1, degree + 1, size, size)

    return make


SMALL = {
    "seeds": 10,
    "training_windows": 8,
    "test_windows": 8,
    "test_systems": 4,
}


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory, exact_weights):
    """Makes the results of a scale as its trainings would leave them, and returns its settings.

    The arms are those of ``config/<scale>.yaml``, with few seeds and systems; keywords replace keys
    of the baseline's settings. Weights follow the exact law in random bases; those of shuffled arms
    follow none.
    """
    made = {}

    def make(scale, **baseline):
        key = (scale, repr(baseline))
        if key not in made:
            content = yaml.safe_load((HOUSE / "config" / f"{scale}.yaml").read_text("utf-8"))
            content["introspection"] |= SMALL
            small = {"words": 12, "length": 6, "letters": 5}
            content["introspection"]["spectral"] |= small | baseline
            chosen = settings.parse(content, scale)
            folder = tmp_path_factory.mktemp(scale)
            _make_up(chosen, folder, exact_weights)
            made[key] = SimpleNamespace(settings=chosen, folder=folder)
        return made[key]

    return make


def _make_up(chosen, folder, exact_weights):
    """Write data, translators, distillers and the spectral baseline of a run."""
    section = chosen.introspection
    rng = np.random.default_rng(0)
    data = {name: dataset.make(section, name, chosen.seed) for name in section.datasets}
    for name, arrays in data.items():
        artifacts.write_arrays(folder / "data" / f"{name}.npz", arrays)
    for name, arm in section.translators.items():
        artifacts.write_arrays(
            folder / "translators" / name / "arrays.npz",
            _translators(section, arm, data[arm.dataset], exact_weights, rng),
        )
    for name, arm in section.distillers.items():
        artifacts.write_arrays(
            folder / "distillers" / name / "arrays.npz",
            _distillers(section, arm, data[arm.dataset], exact_weights, rng),
        )
    spectral = analysis.spectral_baseline(chosen)
    artifacts.write_arrays(folder / "spectral" / "arrays.npz", spectral)


def _translators(section, arm, data, exact_weights, rng):
    """What a translator's arm leaves: good where three hidden variables or more are not misled."""
    seeds, lengths = section.seeds, 1 + len(section.extrapolation)
    tests, systems = len(data["test_family"]), len(data["long_family"])
    sites = data["long_potential"].shape[1]
    first = [int(np.argmax(data["long_family"] == f)) for f in range(len(data["families"]))]
    arrays = {"unit": np.array(UNIT), "families": data["families"]}
    for hidden in arm.hidden:
        size = 1.0 if arm.shuffled or hidden < 3 else max(arm.noise, 1e-5)

        def errors(*shape, size=size):
            return size * rng.uniform(0.5, 2.0, (seeds, *shape))

        noise = errors(len(first), sites) * rng.choice([-1.0, 1.0], (seeds, len(first), sites))
        arrays |= {
            f"h{hidden}/error_test": errors(tests),
            f"h{hidden}/error_long": errors(systems, lengths),
            f"h{hidden}/error_segment": errors(systems, sites // section.window),
            f"h{hidden}/prediction": data["long_density"][first] * (1.0 + noise),
        }
        if hidden == 3:
            basis = rng.uniform(-1, 1, (seeds, 1, 3, 3)) + 2 * np.eye(3)
            exact = exact_weights(3, arm.degree)
            arrays["h3/p/update"] = np.linalg.inv(basis) @ exact @ basis
    return arrays


def _distillers(section, arm, data, exact_weights, rng):
    """What a distiller's arm leaves: the bottleneck is at two, three or four variables."""
    seeds, start = section.seeds, section.datasets[arm.dataset].start
    enough = 3 if arm.decoder == "linear" else {"current": 4, "circle": 3}.get(start, 2)
    solver = section.datasets[arm.dataset].solver
    arrays = {"unit": np.array(UNIT)}
    for latent in arm.latent:
        size = 1e-7 if latent >= enough and not arm.shuffled else 0.5
        arrays[f"n{latent}/loss"] = size * rng.uniform(0.5, 2.0, seeds)
        if arm.cell != "linear" or latent not in (2, 3):
            continue
        untrained = polynomial.near_identity(rng, seeds, arm.degree, latent, 1.0, 0.05)
        basis = rng.uniform(-1, 1, (seeds, latent, latent)) + 2 * np.eye(latent)
        exact = exact_weights(latent, arm.degree, solver)
        update = np.linalg.inv(basis)[:, None] @ exact @ basis[:, None]
        if arm.shuffled:
            update = polynomial.near_identity(rng, seeds, arm.degree, latent, 1.0, 0.2)
        psi, slope = np.moveaxis(data["test_state"].real, -1, 0)
        slope = slope / section.start_wavenumber
        physical = [psi, slope] if latent == 2 else [psi**2, psi * slope, slope**2]
        arrays |= {
            f"n{latent}/p/update": update,
            f"n{latent}/untrained/update": untrained,
            f"n{latent}/latent": np.einsum(
                "sab,ntb->snta", np.linalg.inv(basis), np.stack(physical, axis=-1)
            ),
        }
    return arrays


@pytest.fixture(scope="session")
def run(build_settings):
    """Settings of :mod:`experiment_arms`; keywords replace keys of the section."""
    return lambda **changes: parse_arms(build_settings(), **changes)


@pytest.fixture(scope="session")
def data(run):
    """The arrays of both datasets of :func:`run`."""
    chosen = run()
    return {n: dataset.make(chosen.introspection, n, chosen.seed) for n in ("waves", "alike")}
