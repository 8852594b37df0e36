"""Cluster estimators on given fields: the means of the plain ones, with less noise, or visibly not."""

import numpy as np
import pytest

from emergence.holography.actions import ComplexPhi4, FreeField
from emergence.holography.autocorrelation import estimate
from emergence.holography.cluster import draw_phi4
from emergence.holography.exact import free_sample, small_torus
from emergence.holography.improved import IMPROVED, improved
from emergence.holography.observables import formulas, primary


def both(field: np.ndarray, t: float, drawn_at: float, seed: int = 1) -> tuple[dict, dict]:
    """Plain quantities of complex fields ``[samples, L, L]`` and the improved ones."""
    plain = primary(field, t)
    parts = np.stack([field.real, field.imag], axis=-1)
    hoppings = np.full(len(field), drawn_at)
    return plain, improved(parts, hoppings, plain["bond"], np.random.default_rng(seed))


def pulls(plain: dict, better: dict) -> dict[str, float]:
    """Mean differences in their own standard errors; samples are independent."""
    differences = {name: better[name] - plain[name.removeprefix("improved_")] for name in IMPROVED}
    return {
        name: float(values.mean() / values.std() * np.sqrt(len(values)))
        for name, values in differences.items()
    }


@pytest.fixture(scope="module", params=[0.12, 0.22, 0.30], ids=["gapped", "near", "ordered"])
def drawn(request) -> tuple[float, np.ndarray]:
    """A hopping, and nearly independent fields of it on 8 × 8."""
    action = ComplexPhi4.recalled(request.param)
    counts = {"chains": 8, "samples": 250, "thinning": 25, "thermalisation": 200}
    return request.param, draw_phi4(action, 8, **counts, seed=2).reshape(-1, 8, 8)


def test_they_have_the_means_of_the_plain_ones(drawn) -> None:
    t, field = drawn
    plain, better = both(field, t, drawn_at=t)
    assert all(abs(pull) < 4.0 for pull in pulls(plain, better).values())
    for name in ("square", "structure", "helicity"):
        assert better[f"improved_{name}"].std() < plain[name].std(), name


def test_bonds_of_another_theory_are_seen(drawn) -> None:
    t, field = drawn
    wrong = pulls(*both(field, t, drawn_at=1.2 * t))
    assert abs(wrong["improved_square"]) > 6.0
    assert abs(wrong["improved_structure"]) > 6.0


def test_where_clusters_are_small_little_noise_is_left() -> None:
    action = ComplexPhi4.recalled(0.12)
    field = draw_phi4(action, 16, chains=4, samples=50, thinning=20, thermalisation=100, seed=3)
    plain, better = both(field.reshape(-1, 16, 16), 0.12, drawn_at=0.12)
    for name in ("square", "fourth", "helicity"):
        assert better[f"improved_{name}"].std() < 0.2 * plain[name].std(), name


def test_the_small_torus_has_its_exact_susceptibility() -> None:
    action = ComplexPhi4(1.0, 1.0, 1.0)
    field = draw_phi4(action, 2, chains=8, samples=2000, thinning=5, thermalisation=50, seed=4)
    _, better = both(field.reshape(-1, 2, 2), 1.0, drawn_at=1.0)
    means = {name: values.mean() for name, values in better.items()}
    sites = 4
    error = sites * better["improved_square"].std() / np.sqrt(16_000)
    found = formulas(2)["susceptibility"](means | {"square": np.nan})
    assert found == pytest.approx(small_torus(action).susceptibility, abs=4.0 * error)


def test_a_free_field_has_its_exact_modes_and_a_gaussian_fourth_moment() -> None:
    free = FreeField(t=0.4, mu=1.0)
    field = free_sample(free, 4, 20_000, np.random.default_rng(5))
    _, better = both(field, 0.4, drawn_at=0.4)
    eigenvalues = free.eigenvalues(4)
    for name, exact in (
        ("square", 1.0 / eigenvalues[0, 0] / 16.0),
        ("structure", 1.0 / eigenvalues[0, 1] / 16.0),
        ("fourth", 2.0 / eigenvalues[0, 0] ** 2 / 256.0),
    ):
        values = better[f"improved_{name}"]
        error = values.std() / np.sqrt(len(values))
        assert values.mean() == pytest.approx(exact, abs=4.0 * error), name
        assert error < 0.02 * exact


def test_four_projections_leave_a_uniform_field_its_exact_powers() -> None:
    # All bonds are set: one cluster, whose powers of cosines average to those of the length.
    field = np.full((3, 4, 4), 2.0 * np.exp(0.7j))
    plain, better = both(field, 0.25, drawn_at=1e9)
    for name in ("square", "fourth"):
        np.testing.assert_allclose(better[f"improved_{name}"], plain[name], rtol=1e-12)
    np.testing.assert_allclose(better["improved_structure"], 0.0, atol=1e-12)


def test_the_same_generator_gives_the_same_and_fields_stay(drawn) -> None:
    t, field = drawn
    before = field.copy()
    first, again, other = (both(field, t, t, seed)[1] for seed in (1, 1, 2))
    for name in IMPROVED:
        np.testing.assert_array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])
    np.testing.assert_array_equal(field, before)


def test_shapes_that_do_not_fit_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="samples, L, L, 2"):
        improved(np.zeros((3, 4, 5, 2)), np.zeros(3), np.zeros(3), rng)
    with pytest.raises(ValueError, match="need a hopping"):
        improved(np.zeros((3, 4, 4, 2)), np.zeros(2), np.zeros(3), rng)


def test_the_order_parameter_keeps_its_mean_and_loses_noise(drawn) -> None:
    t, field = drawn
    plain, better = both(field, t, drawn_at=t)
    # Two independent halves: one with, one without what is improved, each as one chain of samples.
    order = formulas(8)["order"]
    half = len(field) // 2
    without = estimate({"order": plain["order"][None, :half]}, order)
    series = {name: values[None] for name, values in (plain | better).items()}
    with_it = estimate({name: values[:, half:] for name, values in series.items()}, order)
    difference = with_it.value - without.value
    assert abs(difference) < 4.0 * np.hypot(with_it.error, without.error)
    assert with_it.error < 0.8 * without.error
    wrong = {name: values[None, half:] for name, values in both(field, 1.2 * t, 1.2 * t)[1].items()}
    biased = estimate({name: values[:, half:] for name, values in series.items()} | wrong, order)
    assert abs(biased.value - with_it.value) > 4.0 * np.hypot(biased.error, with_it.error)
