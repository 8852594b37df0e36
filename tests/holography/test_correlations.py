"""Both laws of the torus against brute force, and fits that must find what was put in."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from free_fields import free_correlation

from emergence.holography import correlations
from emergence.holography.actions import FreeField
from emergence.holography.correlation_laws import (
    LAWS,
    Blocks,
    TooFewBlocks,
    algebraic,
    exponential,
    massive,
    plain,
)


def blocks_of(law: np.ndarray, noise: float, number: int = 64, seed: int = 0) -> np.ndarray:
    """Blocks about a law with errors that are correlated between distances."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((number, 1))
    return law * (1.0 + noise * (common + rng.standard_normal((number, len(law)))))


def test_massive_law_is_the_free_field() -> None:
    # e_k = μ − t(cos k_x + cos k_y) is t/2 (k̂² + m²) with m² = 2μ/t − 4.
    mass, side = 0.7, 8
    action = FreeField(1.0, 0.5 * (4.0 + mass**2))
    exact = free_correlation(action, side)[0, : side // 2 + 1]
    np.testing.assert_allclose(massive(side, mass), 0.5 * exact, rtol=1e-12)


def test_laws_have_their_asymptotic_forms() -> None:
    r = np.array([8, 16])
    power = algebraic(256, 0.2)[r]
    assert np.log(power[0] / power[1]) / np.log(2.0) == pytest.approx(0.2, rel=0.05)
    decay = exponential(64, 2.0)[r] * np.sqrt(r)
    assert np.log(decay[0] / decay[1]) / 8.0 == pytest.approx(0.5, rel=0.05)
    flat = plain(64, 2.0)[r]
    assert np.log(flat[0] / flat[1]) / 8.0 == pytest.approx(0.5, rel=1e-3)
    for law in LAWS.values():
        assert law(16, 1.5)[0] == pytest.approx(1.0)
        assert (np.diff(law(16, 1.5)) < 0.0).all()


@pytest.mark.parametrize(("law", "parameter"), [("algebraic", 0.15), ("exponential", 1.7)])
def test_fits_find_the_law_and_its_parameter(law: str, parameter: float) -> None:
    true = LAWS[law](32, parameter)
    # A massive law of any length comes close to a power law on a torus: little noise is asked for.
    blocks = Blocks(blocks_of(3.0 * true, 0.002))
    own = blocks.fit(law)
    value, error = blocks.jackknife(correlations.parameter(law))
    assert value == own.parameter == pytest.approx(parameter, abs=4.0 * error)
    assert error < 0.05 * parameter
    assert own.amplitude == pytest.approx(3.0, rel=0.01)
    freedom = len(blocks.chosen) - 2
    assert own.chi_square < freedom + 4.0 * np.sqrt(2.0 * freedom)
    others = [blocks.fit(other).chi_square for other in LAWS if other != law]
    assert min(others) > own.chi_square + 10.0


def test_errors_of_the_fit_cover_its_scatter() -> None:
    true = algebraic(16, 0.2)
    pulls = []
    for seed in range(60):
        blocks = Blocks(blocks_of(true, 0.02, seed=seed))
        value, error = blocks.jackknife(correlations.parameter("algebraic"))
        pulls.append((value - 0.2) / error)
    # Of 60 normal numbers within 0.75 and 1.25 in 99 of 100 cases.
    assert 0.75 < np.sqrt(np.mean(np.square(pulls))) < 1.25


def test_too_few_blocks_are_refused() -> None:
    with pytest.raises(TooFewBlocks, match="no covariance"):
        Blocks(blocks_of(algebraic(32, 0.2), 0.01, number=8))
    with pytest.raises(TooFewBlocks, match="stood still"):
        Blocks(np.ones((40, 17)))


def test_needs_no_chains_to_read_the_reference():
    """As where only a part of the workflow was run: the claim on the theory alone is decided."""
    times = np.array([0.16, 0.40])
    distance = np.arange(17)
    shapes = np.stack([np.exp(-distance / 2.0), (1.0 + distance) ** -0.1])
    noise = np.random.default_rng(1).normal(0.0, 1e-3, (2, 40, 17))
    arrays = {"t": times, "correlation": (shapes[:, None] * (1.0 + noise))}
    results = SimpleNamespace(
        has=lambda *_: False,
        chosen=SimpleNamespace(diagram=SimpleNamespace(sides=[4, 32]), chains={}),
        chains=lambda _: None,
        reference=lambda side: (
            arrays | {"correlation": arrays["correlation"][..., : side // 2 + 1]}
        ),
    )
    named, tables = {}, {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(correlations, "_stiffness_exponent", lambda *_: ("eta", None))
        for name, item in correlations.correlations(results):
            (tables if isinstance(item, pd.DataFrame) else named)[name] = item
    assert "correlation.reference_algebraic_advantage" in named
    assert "correlation.reference_exponent_0.37" not in named
    assert not [name for name in named if "corrected" in name]
    assert set(tables["correlations"]["source"]) == {"reference"}
    small = tables["correlations_small"]
    assert (set(small["size"]), set(small["phase"])) == ({4}, {"algebraic", "exponential"})
    assert list(small["r"]) == [0, 1, 2] * 2


def test_controls_are_readings_of_other_hoppings() -> None:
    """Of their own fields: not those of the criteria turned round."""
    times = np.array([0.18, 0.37, 0.40])
    laws = [exponential(32, 2.0), algebraic(32, 0.15), algebraic(32, 0.12)]
    means = np.stack([blocks_of(law, 0.002, seed=seed) for seed, law in enumerate(laws)])
    order = np.random.default_rng(0).standard_normal((3, 8, 400))
    arrays = {"t": times, "correlation": means, "order": order}
    results = SimpleNamespace(
        chosen=SimpleNamespace(diagram=SimpleNamespace(sides=[32]), chains={"line_32": None}),
        reference=lambda side: arrays,
        chains=lambda name: (arrays, {}),
        has=lambda *_: False,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(correlations, "_stiffness_exponent", lambda *_: ("eta", None))
        patch.setattr(correlations, "_origin", lambda *_: {})
        named = dict(correlations.correlations(results))
    for source in ("reference", "corrected"):
        assert named[f"correlation.{source}_algebraic_advantage_0.18"].value < -10.0
        assert named[f"correlation.{source}_exponent"].value == pytest.approx(0.12, abs=0.01)
        assert named[f"correlation.{source}_exponent_0.37"].value == pytest.approx(0.15, abs=0.01)
    order[0] += np.linspace(0.0, 30.0, 400)
    drifting = dict(correlations._beside(arrays, "corrected", "chains/line_32"))
    assert drifting["correlation.corrected_algebraic_advantage_0.18"].error is None
    assert drifting["correlation.corrected_exponent_0.37"].error is not None


def flow_of(spread: float, phases: tuple[float, ...] = (0.16, 0.40)) -> SimpleNamespace:
    """Results whose flow has samples of ⟨c(r)⟩ = 1/(1 + r), all raised by ln w of a given spread."""
    rng = np.random.default_rng(2)
    log_weights = spread * rng.standard_normal((len(phases), 1, 400))
    samples = 1.0 / (1.0 + np.arange(9)) + 0.01 * log_weights[..., None]
    arrays = {"t": np.array(phases), "log_weights": log_weights, "correlation": samples,
              "shipped": np.array(1.0)}  # fmt: skip
    return SimpleNamespace(has=lambda *_: True, flow=lambda *_: SimpleNamespace(arrays=arrays))


def test_the_flows_own_samples_stand_beside_the_chains() -> None:
    """Tilted by e^x of standard normal numbers x, their mean rises by one."""
    found = list(correlations._of_flow(flow_of(1.0), 16, "algebraic", 0.40))
    raw, reweighted = found
    assert [set(each["source"]) for each in found] == [{"raw"}, {"reweighted"}]
    assert raw["shipped"].all() and not raw["shipped_records"].any()
    np.testing.assert_allclose(raw["value"], 1.0 / (1.0 + raw["r"]), rtol=0, atol=0.002)
    np.testing.assert_allclose(reweighted["value"] - raw["value"], 0.01, rtol=0, atol=0.003)


def test_samples_of_no_effect_are_not_reweighted() -> None:
    (raw,) = correlations._of_flow(flow_of(8.0), 16, "algebraic", 0.40)
    assert set(raw["source"]) == {"raw"}
    assert not list(correlations._of_flow(flow_of(1.0), 16, "algebraic", 0.3))
    without = SimpleNamespace(has=lambda *_: False)
    assert not list(correlations._of_flow(without, 16, "algebraic", 0.40))


@pytest.mark.parametrize("blocks", ["few", "still"])
def test_blocks_that_tell_no_covariance_leave_the_numbers_without_a_value(blocks) -> None:
    """Of a few sweeps, or of chains that never moved: the rest of the analysis goes on."""
    means = blocks_of(algebraic(16, 0.2), 0.01, number=4 if blocks == "few" else 32)
    if blocks == "still":
        means = np.repeat(means[:1], 32, axis=0)
    arrays = {"t": np.array([0.16, 0.40]), "correlation": np.stack([means, means])}
    results = SimpleNamespace(
        has=lambda *_: False,
        chosen=SimpleNamespace(diagram=SimpleNamespace(sides=[16]), chains={}),
        reference=lambda side: arrays,
    )
    found = dict(correlations.correlations(results))
    told = {name: item for name, item in found.items() if not isinstance(item, pd.DataFrame)}
    assert set(told) == {
        "correlation.reference_algebraic_advantage",
        "correlation.reference_exponent",
        "correlation.reference_exponential_advantage",
        "correlation.reference_length",
    }
    assert all(item.value is None and "too few blocks" in item.note for item in told.values())
    assert found["correlations"].empty and found["correlation_fits"].empty
