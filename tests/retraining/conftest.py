"""A finished run of every arm, made up of exact ground states and a little noise."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from emergence import artifacts, settings
from emergence.retraining import free_fermions, profiles
from emergence.retraining.ordering import Moves

SEEDS, SAMPLES = 3, 256
ISING = {"model": "ising", "geometry": "chain", "field": 1.0, "network": "gated"}
HEISENBERG = {"model": "heisenberg", "geometry": "chain", "network": "gated"}
J1J2 = {"model": "j1j2", "geometry": "chain", "network": "gated"}
SQUARE = {"geometry": "square", "network": "tensor"}
ARMS = {
    "ising": (ISING, [10, 20, 40, 80, 160], [10, 80]),
    "ising_scratch": (ISING, [40, 80], []),
    "heisenberg": (HEISENBERG, [10, 20, 40, 80, 200], [10]),
    "heisenberg_200": (HEISENBERG | {"shipped": "heisenberg_200"}, [200], []),
    "j1j2": (J1J2 | {"j2": 0.2}, [8, 12], []),
    "majumdar_ghosh": (J1J2 | {"j2": 0.5}, [8, 32], []),
    "ising_square": (SQUARE | {"model": "ising", "field": 3.0, "boundary": "periodic"}, [3, 6], []),
    "heisenberg_square": (SQUARE | {"model": "heisenberg"}, [2, 6], []),
    "paper_chain": (HEISENBERG | {"network": "original_chain", "averaged": False}, [10, 20], []),
    "paper_square": (SQUARE | {"model": "heisenberg", "network": "original_square"}, [2], []),
}  # fmt: skip


def _terms(model, energy):
    """Diagonal and moving terms of a chain whose profile is exact, or as good as it can be."""
    moves = Moves(model).pairs
    pairs = model.bonds.pairs
    diagonal, moving = np.zeros(len(pairs)), np.zeros(len(moves))
    if model.name == "ising" and model.lattice.geometry == "chain":
        matrix = free_fermions.correlation_matrix(model)
        diagonal = free_fermions.bond_energies(model, matrix)
        moving = free_fermions.field_energies(model, matrix)
    elif model.lattice.geometry == "square":
        diagonal += energy / len(diagonal)
    else:
        # Alternating about the bulk value, the ends carrying the rest.
        near = np.flatnonzero(np.abs(pairs[:, 1] - pairs[:, 0]) == 1)
        bulk = 0.25 - np.log(2.0) if model.name == "heisenberg" else energy / model.sites
        diagonal[near] = (bulk - 0.01 * (-1.0) ** np.arange(len(near))) / 3.0
        moving[near] = 2.0 * diagonal[near]
        rest = energy - diagonal.sum() - moving.sum()
        diagonal[[near[0], near[-1]]] += rest / 2.0
    return diagonal, moving


def _measured(values, rng, error=1e-4):
    """Values with noise for every seed, and their errors."""
    return values + rng.normal(0.0, error, (SEEDS, len(values))), np.full(
        (SEEDS, len(values)), error
    )


def _chain(model, terms, rng, bias):
    """Energies of bonds, left minus right and in the middle; tilted by ``bias``."""
    profile = profiles.bond_profile(model, *terms)
    bonds, error = _measured(profile + bias * np.linspace(-1.0, 1.0, len(profile)), rng)
    sides = profiles.sides(bonds[..., None])[..., 0]
    return {
        "bonds": bonds,
        "bonds_error": error,
        "sides": sides,
        "sides_error": np.full(sides.shape, np.sqrt(2.0) * 1e-4),
        "central": bonds @ profiles.central_bonds(model.sites),
        "central_error": np.full(SEEDS, 1e-5),
    }


def _energies(reference, before, rank, rng, scratch, shuffled):
    scale = abs(reference)
    worse = 40.0 if scratch else 1.0
    levels = {"": worse * 1e-5 / (1 + rank), "zero_shot_": 3e-3, "untrained_": 0.3, "plain_": 4e-4}
    levels["shuffled_"] = shuffled
    arrays = {}
    for kind, level in levels.items():
        if kind in ("zero_shot_", "shuffled_") and before is None:
            continue
        spread = 1.0 + 0.01 * rng.random(SEEDS)
        arrays[f"{kind}energy"] = reference + scale * level * spread
        name = f"{kind}error" if kind else "energy_error"
        arrays[name] = np.full(SEEDS, 0.01 * scale * level)
    return arrays


def _probes(model, rng):
    from emergence.retraining import entanglement, exact_memory

    response = exact_memory.exact_response(model) if model.sites <= 20 else None
    distances = np.arange(1, exact_memory.longest_distance(model.sites) + 1)
    if response is None:
        response = 0.5 * distances**-2.0
    lengths = entanglement.cut_lengths(model.sites)
    entropy = entanglement.exact_entropy(model, lengths)
    gradient = np.exp(-0.2 * distances)
    return {
        "distances": distances,
        "response": response * np.exp(rng.normal(0.0, 0.02, (SEEDS, len(distances)))),
        "response_error": np.tile(0.02 * response, (SEEDS, 1)),
        "response_untrained": np.tile(1e-2 * np.exp(-1.0 * distances), (SEEDS, 1)),
        "gradient": np.tile(gradient, (SEEDS, 1)),
        "gradient_untrained": np.tile(gradient**5, (SEEDS, 1)),
        "lengths": lengths,
        "renyi": entropy + rng.normal(0.0, 0.003, (SEEDS, len(lengths))),
        "renyi_error": np.full((SEEDS, len(lengths)), 0.003),
    }


def _history(energy, scale):
    steps = np.arange(20, 401, 20)
    variance = 1e-4 * scale * (1.0 + 20.0 / (1.0 + steps / 20.0))
    frames = [
        pd.DataFrame(
            {"stage": 0, "window": 8, "step": steps, "seed": seed, "loss": value + 0.5 * variance,
             "variance": variance}
        )
        for seed, value in enumerate(energy)
    ]  # fmt: skip
    return pd.concat(frames).sort_values(["step", "seed"])


def _arrays(arm, model, size, before, rank, probed, rng):
    from emergence.retraining import analysis

    reference = analysis.reference(model).energy
    # Shuffled weights come closer than fresh ones for the Ising chain, and for it alone.
    shuffled = 0.1 if model.name == "ising" else 0.9
    arrays = _energies(reference, before, rank, rng, arm == "ising_scratch", shuffled)
    terms = _terms(model, reference)
    for name, values in zip(("diagonal", "moving"), terms, strict=True):
        arrays[name], arrays[f"{name}_error"] = _measured(values, rng)
    if profiles.has_two_ends(model):
        arrays |= _chain(model, terms, rng, 0.0)
        biased = _chain(model, terms, rng, 2e-3)
        arrays |= {f"plain_{name}": value for name, value in biased.items()}
        for name in ("sides", "sides_error"):
            arrays[f"mirrored_{name}"] = 1e-12 * arrays[name]
    arrays["variance"] = np.full(SEEDS, 1e-4 * abs(reference))
    spins = rng.choice(np.array([-1, 1], np.int8), (SEEDS, SAMPLES, model.sites))
    arrays["samples"] = spins
    # At 80 sites the two sizes of the one have cost as much as the four of the other.
    cost = 2e6 if arm == "ising_scratch" else 1e6
    arrays |= {"cost": np.array(cost), "cost_total": np.array(cost * (rank + 1))}
    arrays["shipped"] = np.array(int(arm == "heisenberg_200"))
    if size in probed:
        arrays |= _probes(model, rng)
    return arrays


@pytest.fixture(scope="session")
def finished_growth(build_settings, tmp_path_factory):
    """Makes (once for each set of arms) the settings and the folder of a finished run."""
    made = {}

    # Imported here, because it loads TensorFlow, which most tests of this folder do without.
    from emergence.retraining import analysis

    def make(*arms):
        arms = arms or tuple(ARMS)
        if arms in made:
            return made[arms]
        raw, folder = build_settings(), Path(tmp_path_factory.mktemp("growth"))
        raw["retraining"]["chains"] = {}
        for arm in arms:
            chosen, sizes, probed = ARMS[arm]
            raw["retraining"]["chains"][arm] = chosen | {
                "seeds": SEEDS, "sizes": dict.fromkeys(sizes, "brief"), "probes": probed,
            }  # fmt: skip
        checked = settings.Settings.model_validate(raw)
        rng = np.random.default_rng(3)
        for arm in arms:
            _, sizes, probed = ARMS[arm]
            for rank, size in enumerate(sizes):
                model = analysis.model_of(checked.retraining.chains[arm], size)
                before = sizes[rank - 1] if rank else None
                arrays = _arrays(arm, model, size, before, rank, probed, rng)
                place = folder / "chains" / arm / str(size)
                place.mkdir(parents=True)
                artifacts.write_arrays(place / "arrays.npz", arrays)
                history = _history(arrays["energy"], abs(analysis.reference(model).energy))
                artifacts.write_table(place / "history.csv", history)
        made[arms] = SimpleNamespace(settings=checked, folder=folder)
        return made[arms]

    return make


@pytest.fixture(scope="session")
def analysed_growth(finished_growth):
    """Tables and measurements by name of such a run."""
    found = {}

    from emergence.retraining import analysis

    def analysed(*arms):
        if arms not in found:
            run = finished_growth(*arms)
            tables, measurements = analysis.analyse(run.settings, run.folder)
            found[arms] = SimpleNamespace(
                run=run, tables=tables, measurements=measurements,
                named={m.name: m for m in measurements},
            )  # fmt: skip
        return found[arms]

    return analysed
