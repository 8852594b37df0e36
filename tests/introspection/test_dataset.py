"""What the experimenter is given: exact densities, streams of their own, noise, control pairings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from waves import current, tunnelling_integral

from emergence import settings
from emergence.introspection import dataset, potentials, schrodinger

SITES = {"train": 50, "test": 50, "long": 120}
SYSTEMS = {"train": 30, "test": 20, "long": 5}


@pytest.fixture
def chosen(build_settings):
    """Settings with three datasets; keywords replace keys of the section."""

    def chosen(**changes):
        content = build_settings()
        content["introspection"] |= {
            "training_windows": SYSTEMS["train"],
            "test_windows": SYSTEMS["test"],
            "test_systems": SYSTEMS["long"],
            "extrapolation": [100, 120],
        }
        content["introspection"]["datasets"] |= {
            "alike": {"families": ["rough"], "start": "single"},
            "moving": {"families": ["shallow", "deep", "rough"], "start": "current"},
            "lattice": {
                "families": ["strong"],
                "start": "arc",
                "solver": "central_difference",
                "strong_range": [-0.2, 0.05],
            },
        }
        content["introspection"] |= changes
        return settings.parse(content, "these settings").introspection

    return chosen


@pytest.mark.parametrize("name", ["waves", "alike", "moving", "lattice"])
def test_every_split_holds_exact_solutions_family_by_family(chosen, name):
    section = chosen()
    entry = section.datasets[name]
    arrays = dataset.make(section, name, 3)
    assert arrays["families"].tolist() == entry.families
    for split in dataset.SPLITS:
        potential, density, lead, state, family = (
            arrays[f"{split}_{key}"] for key in ("potential", "density", "lead", "state", "family")
        )
        systems = SYSTEMS[split] * len(entry.families)
        assert potential.shape == density.shape == (systems, SITES[split])
        assert lead.shape == (systems, 3)
        assert state.shape == (systems, SITES[split] + 1, 2)
        assert np.bincount(family).tolist() == [SYSTEMS[split]] * len(entry.families)
        exact = schrodinger.propagate(potential, state[:, 0], section.spacing, entry.solver)
        np.testing.assert_array_equal(state[:, 1:], exact)
        np.testing.assert_array_equal(density, np.abs(state[:, 1:, 0]) ** 2)
        detected = schrodinger.lead_densities(state[:, 0], section.spacing, section.lead_sites)
        np.testing.assert_array_equal(lead, detected)
    assert arrays["unit"] == 0.5 * np.abs(arrays["train_potential"]).max()


def test_families_stand_in_the_order_of_their_names(chosen):
    arrays = dataset.make(chosen(), "moving", 3)
    shallow, deep, rough = (
        arrays["train_potential"][arrays["train_family"] == i] for i in range(3)
    )
    assert shallow.max() < 0.0
    assert tunnelling_integral(deep, 0.1).min() >= potentials.DEEP_ACTION_RANGE[0]
    neighbours = np.corrcoef(rough[:, 1:].ravel(), rough[:, :-1].ravel())[0, 1]
    assert abs(neighbours) < 0.15


def test_the_strong_family_keeps_to_the_range_of_its_dataset(chosen):
    x = 0.1**2 * dataset.make(chosen(), "lattice", 3)["train_potential"]
    assert -0.2 <= x.min() < -0.19
    assert 0.04 < x.max() <= 0.05


def test_only_a_single_start_is_the_same_for_every_system(chosen):
    alike = dataset.make(chosen(), "alike", 3)
    starts = np.concatenate([alike[f"{split}_state"][:, 0] for split in dataset.SPLITS])
    assert len(np.unique(starts, axis=0)) == 1
    arrays = dataset.make(chosen(), "waves", 3)
    start = arrays["train_state"][:, 0]
    assert len(np.unique(start, axis=0)) == len(start)
    # On the circle (ψ, ψ′/k₀) has unit length: what is left is the amplitude.
    amplitude = np.hypot(start[:, 0], start[:, 1] / 2.0)
    low, high = dataset.AMPLITUDE_RANGE
    assert low <= amplitude.min() < low + 0.15
    assert high - 0.15 < amplitude.max() <= high


def test_a_current_flows_only_where_it_is_asked_for(chosen):
    moving = current(dataset.make(chosen(), "moving", 3)["test_state"])
    assert moving.min() > 0.0
    assert not np.iscomplexobj(dataset.make(chosen(), "waves", 3)["test_state"])


def test_splits_share_no_system(chosen):
    arrays = dataset.make(chosen(), "waves", 3)
    stretches = np.concatenate([arrays[f"{s}_potential"][:, :50] for s in dataset.SPLITS])
    assert len(np.unique(stretches, axis=0)) == len(stretches)
    starts = np.concatenate([arrays[f"{split}_state"][:, 0] for split in dataset.SPLITS])
    assert len(np.unique(starts, axis=0)) == len(starts)


def test_one_split_does_not_depend_on_the_size_of_another(chosen):
    before = dataset.make(chosen(), "waves", 3)
    after = dataset.make(chosen(training_windows=9, test_systems=4), "waves", 3)
    for key in ("test_potential", "test_density", "test_lead", "test_state"):
        np.testing.assert_array_equal(after[key], before[key])
    assert len(after["train_potential"]) == 18


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def test_data_of_a_seed_of_their_own_stay_whatever_the_run_s_seed(chosen):
    first, other = (dataset.make(chosen(data_seed=5), "waves", seed) for seed in (1, 2))
    assert same(first, other)
    assert same(first, dataset.make(chosen(), "waves", 5))


def test_numbers_are_fixed_by_the_seed_and_the_name_alone(chosen):
    section = chosen()
    before = dataset.make(section, "waves", 3)
    assert same(before, dataset.make(section, "waves", 3))
    waves = section.datasets["waves"].model_dump()
    more = chosen(datasets={"another": waves | {"start": "arc"}, "waves": waves, "twin": waves})
    assert same(before, dataset.make(more, "waves", 3))
    assert not same(before, dataset.make(more, "twin", 3))
    assert not same(before, dataset.make(section, "waves", 4))


def test_a_family_added_changes_nothing_of_the_others(chosen):
    before = dataset.make(chosen(), "waves", 3)
    entry = chosen().datasets["waves"].model_dump()
    wider = chosen(datasets={"waves": entry | {"families": ["rough", "shallow", "deep"]}})
    after = dataset.make(wider, "waves", 3)
    for split in dataset.SPLITS:
        old = after[f"{split}_family"] > 0
        for key in ("potential", "density", "lead", "state"):
            name = f"{split}_{key}"
            np.testing.assert_array_equal(after[name][old], before[name])


class TestNoise:
    density = np.random.default_rng(0).uniform(0.1, 5.0, (40, 50))

    def test_is_relative_and_of_the_stated_size_for_each_seed(self):
        noisy = dataset.with_noise(self.density, 0.03, 3, np.random.default_rng(1))
        deviation = (noisy / self.density - 1.0) / 0.03
        assert noisy.shape == (3, 40, 50)
        # 2000 samples per seed: their spread is known to 1.6 %, their mean to 2.2 %.
        np.testing.assert_allclose(deviation.std(axis=(1, 2)), 1.0, atol=0.08)
        np.testing.assert_allclose(deviation.mean(axis=(1, 2)), 0.0, atol=0.11)
        kurtosis = np.mean(deviation**4) / np.mean(deviation**2) ** 2
        assert kurtosis == pytest.approx(3.0, abs=0.4)

    def test_is_independent_between_seeds_and_sites(self):
        noisy = dataset.with_noise(self.density, 0.03, 2, np.random.default_rng(1))
        deviation = noisy / self.density - 1.0
        between = np.corrcoef(deviation[0].ravel(), deviation[1].ravel())[0, 1]
        along = np.corrcoef(deviation[0, :, 1:].ravel(), deviation[0, :, :-1].ravel())[0, 1]
        assert max(abs(between), abs(along)) < 0.1

    def test_none_is_one_copy_for_all_seeds_and_draws_nothing(self):
        rng = np.random.default_rng(1)
        clean = dataset.with_noise(self.density, 0.0, 5, rng)
        np.testing.assert_array_equal(clean, self.density[None])
        assert rng.random() == np.random.default_rng(1).random()


@given(st.integers(2, 60), st.integers(0, 2**31))
def test_shuffled_systems_are_others_and_each_is_used_once(systems, seed):
    values = np.arange(3 * systems).reshape(systems, 3)
    shuffled = dataset.shuffle_systems(values, np.random.default_rng(seed))
    assert np.all(shuffled[:, 0] != values[:, 0])
    np.testing.assert_array_equal(np.sort(shuffled[:, 0]), values[:, 0])
    np.testing.assert_array_equal(shuffled - shuffled[:, :1], values - values[:, :1])


class TestWhitening:
    def hidden(self, sizes, seed=0):
        """States ``[2 seeds, windows, sites, len(sizes)]`` of such sizes, turned seed by seed."""
        rng = np.random.default_rng(seed)
        states = rng.standard_normal((2, 40, 21, len(sizes))) * np.array(sizes)
        turns = [np.linalg.qr(rng.standard_normal((len(sizes),) * 2))[0] for _ in range(2)]
        return np.einsum("snta,sab->sntb", states, np.stack(turns))

    def whitened_covariance(self, hidden):
        mapped = np.einsum("snta,sab->sntb", hidden, dataset.whitening(hidden))
        # Each window counts the same: in units of its own size before the map.
        mapped = mapped / np.sqrt(np.mean(hidden**2, axis=(2, 3), keepdims=True))
        flat = mapped.reshape(2, -1, hidden.shape[-1])
        return np.einsum("sna,snb->sab", flat, flat) / flat.shape[1]

    def test_gives_unit_variance_in_every_direction(self):
        found = self.whitened_covariance(self.hidden([3.0, 0.2, 1e-3]))
        np.testing.assert_allclose(found, np.broadcast_to(np.eye(3), found.shape), atol=1e-8)

    def test_maps_dead_directions_to_zero(self):
        hidden = self.hidden([3.0, 0.2, 0.0, 1e-7])
        found = np.linalg.eigvalsh(self.whitened_covariance(hidden))
        np.testing.assert_allclose(found, [[0, 0, 1, 1]] * 2, atol=1e-8)

    def test_weighs_every_window_the_same_however_it_grew(self):
        hidden = self.hidden([3.0, 0.2, 0.1])
        growth = np.geomspace(1e-4, 1e4, 40)[:, None, None]
        np.testing.assert_allclose(
            np.abs(dataset.whitening(growth * hidden)), np.abs(dataset.whitening(hidden)), rtol=1e-6
        )

    def test_of_one_seed_does_not_look_at_the_others(self):
        hidden = self.hidden([3.0, 0.2, 0.1])
        both = dataset.whitening(hidden)
        for seed in range(2):
            np.testing.assert_array_equal(both[seed], dataset.whitening(hidden[seed : seed + 1])[0])
