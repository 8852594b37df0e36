"""The map of t and μ: what agrees with clusters, what does not, and what was not compared."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from emergence.holography.observables import PRIMARY
from emergence.holography.plane import agreement, plane, precision
from emergence.settings import PlaneSettings

POINTS = [(t, mu) for mu in (-200.0, -100.0) for t in (0.1, 0.2, 0.3)]


def map_of(shift: float) -> pd.DataFrame:
    """A map of 8 × 4 points whose order parameter is the hopping, but for noise and a shift in errors."""
    rng = np.random.default_rng(5)
    t, mu = (part.ravel() for part in np.meshgrid(np.arange(8.0), np.arange(4.0)))
    error = 0.1 / np.sqrt(2.0)
    values = t + 0.1 * (shift + rng.standard_normal(t.size))
    table = pd.DataFrame({
        "t": t, "mu": mu, "observable": "order", "reweighted": values, "reweighted_error": error,
        "reference": t, "reference_error": error,
    })  # fmt: skip
    table.loc[3, ["reweighted", "reweighted_error"]] = np.nan  # too few effective samples
    return table.sample(frac=1.0, random_state=1)


def test_a_map_that_is_the_references_agrees_with_it_and_not_with_the_next_hopping():
    found = dict(agreement(map_of(0.0)))
    assert found["plane.p_smallest"].value == found["plane.order_pvalue"].value > 0.01
    assert found["plane.displaced_p_smallest"].value < 1e-12
    assert found["plane.p_smallest"].note.startswith("31 of 32 points")
    assert found["plane.effective_share"].value == 31 / 32


def test_a_map_two_errors_off_everywhere_does_not_agree():
    assert dict(agreement(map_of(2.0)))["plane.p_smallest"].value < 1e-6


def test_a_map_without_effective_samples_agrees_with_nothing():
    table = map_of(0.0).assign(reweighted=np.nan)
    assert dict(agreement(table))["plane.p_smallest"].value is None


def test_of_chains_the_largest_relative_error_is_told():
    table = pd.DataFrame({
        "observable": ["order", "order", "binder"], "corrected": [2.0, -1.0, np.nan],
        "corrected_error": [0.1, 0.08, np.nan],
    })  # fmt: skip
    found = dict(precision(table))
    assert found["plane.corrected_relative_error_order"].value == pytest.approx(0.08)
    assert found["plane.corrected_relative_error_binder"].value is None


@pytest.fixture
def results():
    """A run on 4 × 4: fields of unit modulus, of the order that the hopping is, by clusters and by chains.

    The flow's own samples have too little of it, and at the first point their weights are one sample's.
    """
    rng = np.random.default_rng(2)

    def series(shape, scale=1.0):
        found = {name: np.zeros((len(POINTS), *shape)) for name in PRIMARY}
        for index, (t, _) in enumerate(POINTS):
            order = scale * t + 0.01 * rng.standard_normal(shape)
            for name in PRIMARY:
                power = {"square": 2, "magnetisation_squared": 2, "fourth": 4}.get(name, 1)
                found[name][index] = order**power
        return found

    log_weights = rng.normal(0.0, 0.1, (len(POINTS), 1, 400))
    log_weights[0, 0, 0] += 50.0
    t, mu = np.array(POINTS).T
    flow = SimpleNamespace(
        arrays={"t": t, "mu": mu, "log_weights": log_weights} | series((1, 400), 0.9),
        size=4, shipped=False,
    )  # fmt: skip
    chains = {"t": t, "mu": mu} | series((4, 100))
    # Those of the last point never meet.
    for name in PRIMARY:
        chains[name][-1] += np.arange(4.0)[:, None]
    reference = {"t": t, "mu": mu}
    for name in ("order", "susceptibility", "binder"):
        reference |= {name: np.ones(len(POINTS)), f"{name}_error": np.full(len(POINTS), 1e-3)}
    reference["order"] = t.copy()
    chosen = SimpleNamespace(
        plane=PlaneSettings(flow="plane", side=4, t=[0.1, 0.2, 0.3], mu=[-200, -100], sweeps=10),
        theories={"plane": SimpleNamespace(lam=25.0)},
        flows={"plane": SimpleNamespace(theory="plane")},
    )
    return SimpleNamespace(
        chosen=chosen, plane=lambda: reference, flow=lambda *_: flow,
        chains=lambda name: (chains, {}),
    )  # fmt: skip


def test_chains_serve_the_map_where_they_have_equilibrated(results):
    found = dict(plane(results))
    order = found["plane"][found["plane"]["observable"] == "order"]
    assert list(zip(order["t"], order["mu"], strict=True)) == POINTS
    assert order["corrected"].isna().tolist() == [False] * 5 + [True]
    assert order["reweighted"].isna().tolist() == [True] + [False] * 5
    assert found["plane.corrected_share"].value == pytest.approx(5 / 6)
    assert found["plane.corrected_share"].note == "5 of 6 points have chains that have equilibrated"
    assert found["plane.corrected_order_pvalue"].value > 1e-3
    assert found["plane.order_pvalue"].value < 1e-9
    assert found["plane.corrected_displaced_order_pvalue"].value < 1e-9
    assert 0.0 < found["plane.corrected_relative_error_order"].value < 0.01


def test_without_chains_or_a_map_nothing_is_told_of_them(results):
    results.chains = lambda name: None
    found = dict(plane(results))
    assert "corrected" not in found["plane"] and "plane.order_pvalue" in found
    assert not [name for name in found if "corrected" in name]
    results.plane = lambda: None
    found = dict(plane(results))
    assert list(found) == ["plane"] and found["plane"].empty
