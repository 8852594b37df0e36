"""Chains as the workflow runs them, by trajectories or refreshed latents: exact for any flow."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from ising_sums import sum_over_spins
from pydantic import ValidationError

from emergence import evaluating
from emergence.errors import ArtifactError
from emergence.holography import chains
from emergence.holography.actions import ComplexPhi4
from emergence.holography.arms import problem_of
from emergence.holography.autocorrelation import estimate_all, estimate_mean
from emergence.holography.exact import small_torus
from emergence.holography.improved import IMPROVED
from emergence.holography.observables import PRIMARY, formulas
from emergence.holography.points import points_for
from emergence.settings import EvaluationSettings, Settings

Of = Callable[..., Settings]
Weights = Callable[..., chains.Arrays]


@pytest.mark.parametrize("space", ["bulk", "boundary"])
def test_both_spaces_have_the_exact_small_torus(
    settings_of: Of, crooked: Weights, space: str
) -> None:
    settings = settings_of(run={"flow": "disc", "space": space})
    arrays, timing = chains.run(settings, "run", crooked(settings, "disc"))
    action = ComplexPhi4(1.0, 1.0, 1.0)
    exact = small_torus(action)
    series = {name: arrays[name][0] for name in PRIMARY}
    assert series["order"].shape == (32, 600)
    measured = estimate_all(series, formulas(2, action))
    for name, value in (
        ("susceptibility", exact.susceptibility),
        ("bond", exact.neighbour),
        ("density", exact.density),
    ):
        assert measured[name].value == pytest.approx(value, abs=4.0 * measured[name].error), name
        assert measured[name].error < 0.05 * value
    along = arrays["correlation"][0]
    assert along.shape[1] == 2
    np.testing.assert_allclose(along.mean(axis=0), [exact.density, exact.neighbour], rtol=0.1)
    assert arrays["acceptance"][0] == pytest.approx(0.8, abs=0.15)
    assert min(timing.values()) > 0.0
    assert timing["seconds_per_force"] == timing["seconds_per_trajectory"] / 5


REFRESHED = {"space": "bulk", "leapfrogs": None, "refreshes": 8}


def test_refreshed_latents_have_the_exact_small_torus(settings_of: Of, crooked: Weights) -> None:
    run = REFRESHED | {"flow": "disc", "cold": 40}
    settings = settings_of(run=run)
    arrays, timing = chains.run(settings, "run", crooked(settings, "disc"))
    action = ComplexPhi4(1.0, 1.0, 1.0)
    exact = small_torus(action)
    measured = estimate_all({n: arrays[n][0] for n in PRIMARY}, formulas(2, action))
    for name, value in (
        ("susceptibility", exact.susceptibility),
        ("bond", exact.neighbour),
        ("density", exact.density),
    ):
        assert measured[name].equilibrated, name
        assert measured[name].value == pytest.approx(value, abs=4.0 * measured[name].error), name
        assert measured[name].error < 0.05 * value
    # From the ordered field the chains come to the same mean.
    start, end = (
        np.square(arrays["cold_order"][0][:, part]).mean() for part in (0, slice(8, None))
    )
    here = np.square(arrays["order"][0]).mean()
    assert abs(end - here) < 0.25 * abs(start - here)
    assert timing["evaluations"] == 8 * 2
    assert arrays["step"].shape == (1,)


@pytest.mark.parametrize(
    ("moves", "same"),
    [
        # Its momenta are drawn outside of what is compiled.
        ({"space": "bulk"}, True),
        ({"space": "boundary"}, False),
        (REFRESHED | {"refreshes": 2}, False),
    ],
)
def test_without_compilation_nothing_is_and_only_xlas_own_draws_are_others(
    settings_of: Of, crooked: Weights, moves: dict, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    brief = {"flow": "disc", "chains": 4, "tuning": 4, "trajectories": 4, "precision": "float64"}
    settings = settings_of(run=brief | moves)
    compiled, made = tf.function, []

    def noted(*arguments: object, **options: object) -> object:
        made.append(options.get("jit_compile"))
        return compiled(*arguments, **options)

    monkeypatch.setattr(tf, "function", noted)
    before, _ = chains.run(settings, "run", crooked(settings, "disc"))
    assert any(made)
    made.clear()
    evaluating.want(EvaluationSettings(compiled=False))
    try:
        after, _ = chains.run(settings, "run", crooked(settings, "disc"))
    finally:
        evaluating.want(EvaluationSettings())
    assert made
    assert not any(made)
    assert np.ptp(before["order"]) > 0.0
    assert np.allclose(after["order"], before["order"], rtol=1e-6) == same
    assert np.allclose(after["tuned"], before["tuned"], rtol=1e-6) == same


@pytest.mark.parametrize(
    "moves",
    [
        {},
        {"exchanges": 1},
        {"exchanges": 2, "shifts": 2, "precision": "float64"},
        {"shifts": 1, "reflections": 3, "precision": "float64"},
    ],
)
def test_refreshed_latents_of_splines_follow_every_hopping(
    settings_of: Of, crooked: Weights, moves: dict
) -> None:
    run = REFRESHED | {"flow": "line", "t": "diagram"} | moves
    settings = settings_of(run=run)
    arrays, _ = chains.run(settings, "run", crooked(settings, "line"))
    for index, t in enumerate((0.2, 0.9)):
        action = ComplexPhi4(t, -200.0 + 2.0 * t, 25.0)
        names = (*PRIMARY, *IMPROVED)
        found = estimate_all({name: arrays[name][index] for name in names}, formulas(2))
        torus = small_torus(action)
        exact = torus.neighbour
        assert found["susceptibility"].value == pytest.approx(
            torus.susceptibility, abs=4.0 * found["susceptibility"].error
        )
        assert found["bond"].equilibrated
        assert found["bond"].value == pytest.approx(exact, abs=4.0 * found["bond"].error)
        assert found["bond"].error < 0.1 * exact


def test_a_symmetrised_flow_keeps_the_exact_magnetisation(
    settings_of: Of, crooked: Weights
) -> None:
    settings = settings_of(run={"flow": "spins", "space": "bulk"})
    weights = crooked(settings, "spins")
    arrays, _ = chains.run(settings, "run", weights)
    exact = sum_over_spins(2, 3.0)
    found = estimate_mean(arrays["magnetisation_squared"][0])
    assert found.value == pytest.approx(exact.magnetisation_squared, abs=4.0 * found.error)
    assert found.error < 0.01
    assert "correlation" not in arrays


def test_every_hopping_has_its_own_step_and_its_own_theory(
    settings_of: Of, crooked: Weights
) -> None:
    run = {"flow": "line", "space": "boundary", "t": "diagram", "leapfrogs": 20, "chains": 16}
    settings = settings_of(run=run)
    arrays, _ = chains.run(settings, "run", crooked(settings, "line", 0.0))
    np.testing.assert_allclose(arrays["t"], [0.2, 0.9])
    np.testing.assert_allclose(arrays["mu"], [-199.6, -198.2])
    assert arrays["step"].shape == (2,) and arrays["step"][0] != arrays["step"][1]
    np.testing.assert_allclose(arrays["acceptance"], 0.8, atol=0.15)
    for index, t in enumerate((0.2, 0.9)):
        action = ComplexPhi4(t, -200.0 + 2.0 * t, 25.0)
        found = estimate_all({name: arrays[name][index] for name in PRIMARY}, formulas(2))
        exact = small_torus(action).neighbour
        assert found["bond"].value == pytest.approx(exact, abs=4.0 * found["bond"].error)
        assert found["bond"].error < 0.1 * exact


def test_runs_are_the_same_bit_for_bit_and_follow_their_seed(
    settings_of: Of, crooked: Weights
) -> None:
    brief = {"flow": "spins", "tuning": 3, "trajectories": 30, "cold": 7, "chains": 3, "step": 0.1}
    runs = {space: brief | {"space": space} for space in ("bulk", "boundary")}
    settings = settings_of(**runs)
    weights = crooked(settings, "spins")
    for name in runs:
        first, timing = chains.run(settings, name, weights)
        again, _ = chains.run(settings, name, weights)
        assert first.keys() == again.keys()
        for key, value in first.items():
            np.testing.assert_array_equal(value, again[key], err_msg=key)
        assert first["cold_energy"].shape == (1, 3, 7)
        assert first["step"] == [0.1]
        assert ("seconds_per_sample" in timing) == (name == "bulk")
    other = settings.model_copy(update={"seed": 8})
    moved, _ = chains.run(other, "boundary", weights)
    assert not np.array_equal(moved["energy"], first["energy"])


def test_both_spaces_start_cold_at_the_same_field(settings_of: Of, crooked: Weights) -> None:
    runs = {
        f"{flow}_{space}": {"flow": flow, "space": space, "chains": 2}
        for flow in ("line", "spins")
        for space in ("bulk", "boundary")
    }
    settings = settings_of(**runs)
    told = settings.holography.theories
    for flow, theory in (("line", "line"), ("spins", "spins")):
        problem = problem_of(settings, flow, 2)
        weights = {k: tf.constant(v[:1]) for k, v in crooked(settings, flow).items()}
        cold = {}
        for space in ("bulk", "boundary"):
            entry = settings.holography.chains[f"{flow}_{space}"]
            points = points_for(settings.holography, entry)
            batch = chains.Batch(entry, problem, told[theory], points, weights)
            cold[space] = batch.cold_start()
        couplings = tf.repeat(tf.constant(points, tf.float64), 2, axis=0)[None]
        field = problem.flow.generate(weights, cold["bulk"][None], couplings)[0][0]
        np.testing.assert_allclose(field, cold["boundary"], atol=1e-9)
        assert np.ptp(cold["boundary"], axis=(1, 2)).max() == 0.0
    # |φ|² is the mean field's; the middle of the line is t = 0.55.
    np.testing.assert_allclose(
        np.sum(chains.ordered_field(told["line"], [(0.55, -198.9)], 2) ** 2, axis=-1), 4.0
    )


def test_other_weights_and_impossible_settings_are_refused(
    settings_of: Of, crooked: Weights
) -> None:
    settings = settings_of(run={"flow": "disc", "space": "bulk"})
    weights = crooked(settings, "disc")
    with pytest.raises(ArtifactError, match="another flow"):
        chains.run(settings, "run", crooked(settings, "spins"))
    name = next(iter(weights))
    with pytest.raises(ArtifactError, match="not finite"):
        chains.run(settings, "run", weights | {name: np.full_like(weights[name], np.nan)})
    for run, message in (
        ({"flow": "disc", "t": [1.0]}, "is not told t"),
        ({"flow": "line", "t": [1.5]}, "outside the flow's"),
        ({"flow": "nothing"}, "nothing"),
        ({"flow": "disc", "size": 4}, "has no size 4"),
        ({"flow": "disc", "leapfrogs": 0}, "leapfrogs"),
        ({"flow": "disc", "refreshes": 5}, "either leapfrogs or refreshes"),
        ({"flow": "disc", "leapfrogs": None}, "either leapfrogs or refreshes"),
        (REFRESHED | {"flow": "disc", "space": "boundary"}, "refreshed in the bulk"),
        (REFRESHED | {"flow": "disc", "step": 0.1}, "refreshed in the bulk"),
        (REFRESHED | {"flow": "disc", "exchanges": 1}, "exchanged between hoppings"),
        (REFRESHED | {"flow": "disc", "shifts": 7}, "share the sweeps"),
        (REFRESHED | {"flow": "line", "t": "diagram", "exchanges": 7}, "share the sweeps"),
        (REFRESHED | {"flow": "disc", "shifts": 2}, "shifts need the precision float64"),
        (REFRESHED | {"flow": "disc", "reflections": 2}, "reflected before it is shifted"),
        (
            REFRESHED | {"flow": "spins", "shifts": 1, "reflections": 2, "precision": "float64"},
            "reflections are of complex",
        ),
    ):
        with pytest.raises(ValidationError, match=message):
            settings_of(run={"space": "bulk"} | run)


def test_an_untrained_flow_is_that_before_its_training(settings_of: Of, crooked: Weights) -> None:
    brief = {"flow": "disc", "space": "bulk", "leapfrogs": None, "refreshes": 2, "trajectories": 30}
    settings = settings_of(run=brief | {"untrained": True}, trained=brief)
    weights = crooked(settings, "disc")
    start = problem_of(settings, "disc", 2).initial_parameters()
    found, _ = chains.run(settings, "run", weights)
    again, _ = chains.run(settings, "run", start)
    other, _ = chains.run(settings, "trained", weights)
    for name, values in found.items():
        np.testing.assert_array_equal(values, again[name], err_msg=name)
    assert found["acceptance"] != other["acceptance"]
    with pytest.raises(ValidationError, match="know nothing of a flow"):
        settings_of(run={"flow": "disc", "space": "boundary", "untrained": True})
