"""Refreshed latents: the prior where nothing is weighed, known Gaussians where something is."""

import numpy as np
import pytest
import tensorflow as tf

from emergence.errors import DivergenceError, SettingsError
from emergence.holography.autocorrelation import estimate_mean
from emergence.holography.bijectors import PlaneChart, PolarChart
from emergence.holography.densities import RadialLaw
from emergence.holography.latent_moves import Scattered, Subtrees
from emergence.holography.positions import bulk_positions
from emergence.holography.refresh import RefreshSampler

SIDE, CHAINS = 4, 64
LEVELS = bulk_positions(SIDE)["level"]
CHART = PlaneChart(components=1)


def neighbours() -> np.ndarray:
    """Graph Laplacian of the torus, ``[sites, sites]``."""
    sites = np.arange(SIDE**2).reshape(SIDE, SIDE)
    matrix = 4.0 * np.eye(SIDE**2)
    for axis in (0, 1):
        for shift in (-1, 1):
            matrix[sites.ravel(), np.roll(sites, shift, axis).ravel()] -= 1.0
    return matrix


def coupled(strength: float):
    """ln w = −k/2 Σ (differences)²: with the prior a Gaussian of precision 1 + k·Laplacian."""
    laplacian = tf.constant(neighbours(), tf.float64)

    def evaluate(latents, couplings):
        flat = tf.reshape(latents, [latents.shape[0], -1])
        weight = -0.5 * strength * tf.reduce_sum(flat * (flat @ laplacian), axis=1)
        return weight, latents + 0.0 * couplings[0, 0]

    return evaluate


def moments(field, couplings):
    """Square of a boundary latent, of the last one of the bulk, and their product."""
    fine, top = field[:, 1, 1, 0], field[:, 0, 0, 0]
    return {"fine": fine**2, "top": top**2, "both": fine * top}


def started(chart, seed: int = 1):
    return chart.sample(tf.constant([seed, 2]), [CHAINS, SIDE, SIDE], tf.float64)


def context():
    return (tf.zeros([CHAINS, 2], tf.float64),)


def run(sampler, start, **options):
    options = {"trajectories": 200, "seed": 3, "context": context()} | options
    options.setdefault("strength", sampler.first_strength(2))
    return sampler.run(start, **options)


@pytest.mark.parametrize(
    ("strength", "refreshes", "moves"),
    [(0.3, 3, Scattered), (3.0, 30, Scattered), (3.0, 10, Subtrees)],
)
def test_a_coupled_gaussian_has_its_exact_covariance(strength, refreshes, moves) -> None:
    sampler = RefreshSampler(coupled(strength), moves(LEVELS, CHART.move), moments, refreshes)
    tuned = run(sampler, started(CHART), trajectories=60, tuned=0)
    found = run(sampler, tuned.state, strength=tuned.strength, seed=4)
    exact = np.linalg.inv(np.eye(SIDE**2) + strength * neighbours())
    for name, value in (("fine", exact[5, 5]), ("top", exact[0, 0]), ("both", exact[5, 0])):
        measured = estimate_mean(found.series[name])
        assert measured.equilibrated
        assert measured.value == pytest.approx(value, abs=4.0 * measured.error), name
        assert measured.error < 0.05 * exact[0, 0]
    assert abs(exact[5, 5] - 1.0) > 0.3, "The prior alone would be found out."


@pytest.mark.parametrize("moves", [Scattered, Subtrees])
def test_strengths_are_tuned_to_the_acceptance_and_then_kept(moves) -> None:
    sampler = RefreshSampler(coupled(3.0), moves(LEVELS, CHART.move), moments, refreshes=5)
    first = sampler.first_strength(2)
    tuned = run(sampler, started(CHART), trajectories=60, tuned=0)
    assert tuned.strength.shape == first.shape == (2, 3)
    kept = run(sampler, tuned.state, strength=tuned.strength, trajectories=60)
    np.testing.assert_array_equal(kept.strength, tuned.strength)
    assert kept.accepted.mean() == pytest.approx(moves.target, abs=0.1)
    assert np.all((kept.accepted >= 0.0) & (kept.accepted <= 1.0))
    assert sampler.proposals == 5 * 3


def test_what_is_not_weighed_keeps_the_prior_and_is_drawn_afresh() -> None:
    chart = PolarChart(RadialLaw(-2.0, 1.0))

    def flat(latents, couplings):
        return 0.0 * couplings[:, 0], latents

    def observe(field, couplings):
        normal, angle = field[..., 0], field[..., 1]
        return {
            "square": tf.reduce_mean(normal**2, axis=[1, 2]),
            "cosine": tf.reduce_mean(tf.cos(angle), axis=[1, 2]),
            "farthest": tf.reduce_max(tf.abs(angle), axis=[1, 2]),
        }

    sampler = RefreshSampler(flat, Scattered(LEVELS, chart.move), observe, refreshes=2)
    tuned = run(sampler, tf.zeros([CHAINS, SIDE, SIDE, 2], tf.float64), trajectories=40, tuned=0)
    assert np.all(tuned.strength[:, :2] == 0.0), "Everything is accepted, so everything is drawn."
    found = run(sampler, tuned.state, strength=tuned.strength)
    assert np.all(found.accepted > 1.0 - 1e-9)
    for name, value in (("square", 1.0), ("cosine", 0.0)):
        measured = estimate_mean(found.series[name])
        assert measured.value == pytest.approx(value, abs=4.0 * measured.error), name
        assert measured.error < 0.01
    assert found.series["farthest"].max() <= np.pi


def test_a_weight_that_is_not_finite_is_never_accepted() -> None:
    """A wall of NaN at |ζ| = 1: the chains keep the prior inside it."""

    def walled(latents, couplings):
        beyond = tf.reduce_any(tf.abs(latents) > 1.0, axis=[1, 2, 3])
        nan = tf.constant(np.nan, tf.float64)
        return tf.where(beyond, nan, 0.0 * couplings[:, 0]), latents

    sampler = RefreshSampler(walled, Scattered(LEVELS, CHART.move), moments, refreshes=5)
    inside = tf.zeros([CHAINS, SIDE, SIDE, 1], tf.float64)
    tuned = run(sampler, inside, trajectories=40, tuned=0)
    found = run(sampler, tuned.state, strength=tuned.strength)
    assert np.isfinite(found.strength).all()
    assert found.series["fine"].max() <= 1.0
    measured = estimate_mean(found.series["fine"])
    # ⟨x²⟩ of N(0, 1) cut off at ±1: 1 − 2φ(1)/(Φ(1) − Φ(−1)).
    assert measured.value == pytest.approx(0.2911, abs=4.0 * measured.error + 1e-4)
    with pytest.raises(DivergenceError, match="not finite where chains of latents start"):
        run(sampler, inside + 2.0)


def test_runs_are_the_same_bit_for_bit_and_follow_their_seed() -> None:
    sampler = RefreshSampler(coupled(1.0), Scattered(LEVELS, CHART.move), moments, refreshes=1)
    first, again, other = (run(sampler, started(CHART), seed=seed) for seed in (3, 3, 4))
    for name, values in first.series.items():
        np.testing.assert_array_equal(values, again.series[name])
        assert not np.array_equal(values, other.series[name])
        assert values.shape == (CHAINS, 200)


class TestExchange:
    """Three couplings side by side, as many chains each."""

    couplings = np.repeat([0.3, 1.0, 3.0], 2 * CHAINS)

    def context(self):
        return (tf.constant(np.stack([self.couplings] * 2, axis=1)),)

    @staticmethod
    def evaluate(latents, couplings):
        flat = tf.reshape(latents, [latents.shape[0], -1])
        laplacian = tf.constant(neighbours(), tf.float64)
        return -0.5 * couplings[:, 0] * tf.reduce_sum(flat * (flat @ laplacian), axis=1), latents

    def start(self):
        return CHART.sample(tf.constant([1, 2]), [len(self.couplings), SIDE, SIDE], tf.float64)

    def test_every_coupling_keeps_its_exact_covariance(self):
        sampler = RefreshSampler(self.evaluate, Scattered(LEVELS, CHART.move), moments, 5, 3, 5)
        assert sampler.proposals == 5 * 3 + 5
        options = {"context": self.context(), "strength": sampler.first_strength(3)}
        tuned = run(sampler, self.start(), trajectories=60, tuned=0, **options)
        options |= {"strength": tuned.strength}
        found = run(sampler, tuned.state, seed=4, **options)
        alone = RefreshSampler(self.evaluate, Scattered(LEVELS, CHART.move), moments, 5)
        without = run(alone, tuned.state, seed=4, **options)
        for group, strength in enumerate((0.3, 1.0, 3.0)):
            exact = np.linalg.inv(np.eye(SIDE**2) + strength * neighbours())
            own = slice(2 * CHAINS * group, 2 * CHAINS * (group + 1))
            for name, value in (("fine", exact[5, 5]), ("top", exact[0, 0]), ("both", exact[5, 0])):
                measured = estimate_mean(found.series[name][own])
                assert measured.value == pytest.approx(value, abs=4.0 * measured.error), name
                assert measured.error < 0.1 * exact[0, 0]
        # What is slow at the strongest coupling is forgotten at the weakest.
        slow = [estimate_mean(each.series["top"][4 * CHAINS :]).tau for each in (found, without)]
        assert slow[0] < slow[1]

    def test_neighbours_exchange_by_turns_and_both_or_none(self):
        def flat(latents, couplings):
            return 0.0 * couplings[:, 0], latents

        sampler = RefreshSampler(
            flat, Scattered(LEVELS, lambda latents, *_: latents), moments, 1, 3, 1
        )
        start = self.start()
        options = {"context": self.context(), "strength": sampler.first_strength(3)}
        first, second, third = tf.split(start, 3)
        once = run(sampler, start, trajectories=1, **options)
        np.testing.assert_array_equal(once.state, tf.concat([second, first, third], 0))
        twice = run(sampler, start, trajectories=2, **options)
        np.testing.assert_array_equal(twice.state, tf.concat([second, third, first], 0))
        assert np.all(once.accepted == 1.0), "Only refreshed latents are counted."
        thrice = RefreshSampler(
            flat, Scattered(LEVELS, lambda latents, *_: latents), moments, 3, 3, 3
        )
        both = [run(thrice, start, trajectories=n, **options).state for n in (1, 2)]
        np.testing.assert_array_equal(both[0], tf.concat([third, second, first], 0))
        np.testing.assert_array_equal(both[1], start)

    def test_no_latents_are_lost_or_doubled(self):
        sampler = RefreshSampler(
            self.evaluate, Scattered(LEVELS, lambda latents, *_: latents), moments, 2, 3, 2
        )
        start = self.start()
        options = {"context": self.context(), "strength": sampler.first_strength(3)}
        state = run(sampler, start, trajectories=7, **options).state.numpy()
        assert not np.array_equal(state, start)
        before, after = (
            np.sort(each.reshape(len(state), -1)[:, 0]) for each in (start.numpy(), state)
        )
        np.testing.assert_array_equal(before, after)


class TestShifts:
    """A linear flow that knows nothing of the lattice, to a Gaussian that is the same at every site."""

    mixing = np.linalg.qr(np.random.default_rng(5).normal(size=(SIDE**2, SIDE**2)))[
        0
    ] * np.linspace(0.4, 1.6, SIDE**2)
    precision = np.eye(SIDE**2) + neighbours()

    def evaluate(self, latents, couplings):
        flat = tf.reshape(latents, [latents.shape[0], -1])
        field = flat @ tf.constant(self.mixing)
        action = 0.5 * tf.reduce_sum(field * (field @ tf.constant(self.precision)), axis=1)
        weight = 0.5 * tf.reduce_sum(flat**2, axis=1) - action + 0.0 * couplings[:, 0]
        return weight, tf.reshape(field, latents.shape)

    def invert(self, field, couplings):
        flat = tf.reshape(field, [field.shape[0], -1]) @ tf.constant(np.linalg.inv(self.mixing))
        return tf.reshape(flat, field.shape) + 0.0 * couplings[0, 0]

    def sampler(self, move, shifts: int, refreshes: int = 6):
        options = {"shifts": shifts, "invert": self.invert}
        return RefreshSampler(self.evaluate, Scattered(LEVELS, move), moments, refreshes, **options)

    def test_the_field_keeps_its_exact_covariance(self):
        sampler = self.sampler(CHART.move, shifts=2)
        assert sampler.proposals == 6 * 3 + 2
        tuned = run(sampler, started(CHART), trajectories=60, tuned=0)
        found = run(sampler, tuned.state, strength=tuned.strength, trajectories=400, seed=4)
        exact = np.linalg.inv(self.precision)
        for name, value in (("fine", exact[5, 5]), ("top", exact[0, 0]), ("both", exact[5, 0])):
            measured = estimate_mean(found.series[name])
            assert measured.equilibrated
            assert measured.value == pytest.approx(value, abs=4.0 * measured.error), name
            assert measured.error < 0.05 * exact[0, 0]

    def test_a_shift_moves_the_whole_field_and_is_always_accepted(self):
        still = self.sampler(lambda latents, *_: latents, shifts=1, refreshes=1)
        before = self.evaluate(started(CHART), context()[0])[1].numpy()
        found = run(still, started(CHART), trajectories=20)
        vectors = set()
        for record in range(20):
            after = found.fields[:, record]
            fitting = [
                (row, column)
                for row in range(SIDE)
                for column in range(SIDE)
                if np.allclose(np.roll(before, (row, column), axis=(1, 2)), after, atol=1e-9)
            ]
            assert len(fitting) == 1
            vectors |= set(fitting)
            before = after
        assert len(vectors) > 5, "Other vectors every time."

    def test_a_field_that_the_flow_does_not_make_again_is_not_shifted(self):
        def vague(field, couplings):
            return self.invert(field, couplings) + 0.01

        moves = Scattered(LEVELS, lambda latents, *_: latents)
        options = {"shifts": 1, "invert": vague}
        still = RefreshSampler(self.evaluate, moves, moments, 1, **options)
        before = self.evaluate(started(CHART), context()[0])[1].numpy()
        found = run(still, started(CHART), trajectories=5)
        np.testing.assert_array_equal(found.fields, np.repeat(before[:, None], 5, axis=1))

    def test_sweeps_that_shifts_cannot_share_are_refused(self):
        with pytest.raises(SettingsError, match="cannot be shared among 4 shifts"):
            self.sampler(CHART.move, shifts=4)
        with pytest.raises(SettingsError, match="cannot be shared among 4 exchanges"):
            RefreshSampler(self.evaluate, Scattered(LEVELS, CHART.move), moments, 6, 2, 4)

    def test_shifts_without_an_inverse_are_refused(self):
        with pytest.raises(ValueError, match="by the inverse of the flow"):
            RefreshSampler(self.evaluate, Scattered(LEVELS, CHART.move), moments, 6, shifts=2)


@pytest.mark.parametrize("weight", [np.inf, -np.inf, np.nan])
def test_what_has_no_finite_weight_is_never_entered(weight) -> None:
    """A chain that took +∞ would refuse everything from there on."""

    def evaluate(latents, couplings):
        found, field = coupled(0.3)(latents, couplings)
        outside = latents[:, 1, 1, 0] > 0.5
        return tf.where(outside, tf.constant(weight, found.dtype), found), field

    start = started(CHART)
    start = tf.where(start > 0.5, -start, start)
    sampler = RefreshSampler(evaluate, Scattered(LEVELS, CHART.move), moments, 3)
    found = run(sampler, start, trajectories=60)
    assert found.fields[:, :, 1, 1, 0].max() <= 0.5
    assert np.ptp(found.fields[:, -1, 1, 1, 0]) > 0.5, "And they move."
    assert found.accepted[:, -20:].mean() > 0.1


def test_no_refreshes_are_refused() -> None:
    with pytest.raises(SettingsError, match="do not move"):
        RefreshSampler(coupled(1.0), Scattered(LEVELS, CHART.move), moments, refreshes=0)
