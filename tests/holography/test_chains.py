"""Chains as the workflow runs them, by trajectories or refreshed latents: exact for any flow."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from emergence.artifacts import write_arrays
from emergence.errors import ArtifactError
from emergence.holography import chains
from emergence.holography.actions import ComplexPhi4
from emergence.holography.arms import problem_of
from emergence.holography.autocorrelation import estimate_all, estimate_mean
from emergence.holography.chain_records import Store
from emergence.holography.exact import small_torus
from emergence.holography.ising_exact import sum_over_spins
from emergence.holography.observables import PRIMARY, formulas
from emergence.settings import Settings

Build = Callable[[], dict[str, Any]]

HOLOGRAPHY: dict[str, Any] = {
    "precision": "float64",
    "samples": 16,
    "chunk": 16,
    "theories": {
        "disc": {"model": "phi4", "t": 1.0, "mu": 1.0, "lam": 1.0},
        "line": {"model": "phi4", "t": [0.1, 1.0], "mu": [-199.8, -198.0], "lam": 25.0},
        "spins": {"model": "ising", "temperature": 3.0},
    },
    "stages": {"brief": [{"update": "adam", "steps": 2, "batch": 4}]},
    "flows": {
        "disc": {"theory": "disc", "network": "real_nvp", "couplings": 2, "width": 4,
                 "radial": False, "sizes": {2: "brief"}},
        "line": {"theory": "line", "network": "spline", "width": 4, "sizes": {2: "brief"}},
        "spins": {"theory": "spins", "network": "real_nvp", "couplings": 2, "width": 4,
                  "symmetrised": True, "sizes": {2: "brief"}},
    },
    "diagram": {"t": [0.2, 0.9], "sides": [2], "sweeps": 10},
}  # fmt: skip

RUN = {"size": 2, "chains": 32, "tuning": 100, "trajectories": 600, "leapfrogs": 5}


def settings_of(build: Build, **runs: dict[str, Any]) -> Settings:
    holography = HOLOGRAPHY | {"chains": {name: RUN | run for name, run in runs.items()}}
    return Settings.model_validate(build() | {"holography": holography})


def crooked(settings: Settings, flow: str, spread: float = 0.1) -> chains.Arrays:
    """Random weights in every layer: a flow that is neither the identity nor near the theory."""
    rng = np.random.default_rng(5)
    start = problem_of(settings, flow, 2).initial_parameters()
    return {
        name: value + spread * rng.standard_normal(value.shape) for name, value in start.items()
    }


@pytest.mark.parametrize("space", ["bulk", "boundary"])
def test_both_spaces_have_the_exact_small_torus(build_settings: Build, space: str) -> None:
    settings = settings_of(build_settings, run={"flow": "disc", "space": space})
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


def test_refreshed_latents_have_the_exact_small_torus(build_settings: Build) -> None:
    run = REFRESHED | {"flow": "disc", "cold": 40}
    settings = settings_of(build_settings, run=run)
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


def test_refreshed_latents_of_splines_follow_every_hopping(build_settings: Build) -> None:
    run = REFRESHED | {"flow": "line", "t": "diagram"}
    settings = settings_of(build_settings, run=run)
    arrays, _ = chains.run(settings, "run", crooked(settings, "line"))
    for index, t in enumerate((0.2, 0.9)):
        action = ComplexPhi4(t, -200.0 + 2.0 * t, 25.0)
        found = estimate_all({name: arrays[name][index] for name in PRIMARY}, formulas(2))
        exact = small_torus(action).neighbour
        assert found["bond"].equilibrated
        assert found["bond"].value == pytest.approx(exact, abs=4.0 * found["bond"].error)
        assert found["bond"].error < 0.1 * exact


def test_a_symmetrised_flow_keeps_the_exact_magnetisation(build_settings: Build) -> None:
    settings = settings_of(build_settings, run={"flow": "spins", "space": "bulk"})
    weights = crooked(settings, "spins")
    arrays, _ = chains.run(settings, "run", weights)
    exact = sum_over_spins(2, 3.0)
    found = estimate_mean(arrays["magnetisation_squared"][0])
    assert found.value == pytest.approx(exact.magnetisation_squared, abs=4.0 * found.error)
    assert found.error < 0.01
    assert "correlation" not in arrays


def test_every_hopping_has_its_own_step_and_its_own_theory(build_settings: Build) -> None:
    run = {"flow": "line", "space": "boundary", "t": "diagram", "leapfrogs": 20, "chains": 16}
    settings = settings_of(build_settings, run=run)
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


def test_runs_are_the_same_bit_for_bit_and_follow_their_seed(build_settings: Build) -> None:
    brief = {"flow": "spins", "tuning": 3, "trajectories": 30, "cold": 7, "chains": 3, "step": 0.1}
    runs = {space: brief | {"space": space} for space in ("bulk", "boundary")}
    settings = settings_of(build_settings, **runs)
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


def test_both_spaces_start_cold_at_the_same_field(build_settings: Build) -> None:
    runs = {
        f"{flow}_{space}": {"flow": flow, "space": space, "chains": 2}
        for flow in ("line", "spins")
        for space in ("bulk", "boundary")
    }
    settings = settings_of(build_settings, **runs)
    told = settings.holography.theories
    for flow, theory in (("line", "line"), ("spins", "spins")):
        problem = problem_of(settings, flow, 2)
        weights = {k: tf.constant(v[:1]) for k, v in crooked(settings, flow).items()}
        cold = {}
        for space in ("bulk", "boundary"):
            entry = settings.holography.chains[f"{flow}_{space}"]
            points = chains.points_for(settings.holography, entry)
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


def test_other_weights_and_impossible_settings_are_refused(build_settings: Build) -> None:
    settings = settings_of(build_settings, run={"flow": "disc", "space": "bulk"})
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
    ):
        with pytest.raises(ValidationError, match=message):
            settings_of(build_settings, run={"space": "bulk"} | run)


def whole(arrays: chains.Arrays) -> dict[str, bytes]:
    return {name: values.tobytes() for name, values in arrays.items()}


class TestRecords:
    """A run that is killed goes on; one may go on later, with another flow."""

    BRIEF: ClassVar = {"trajectories": 60, "tuning": 30, "cold": 30}

    def settings(self, build: Build, **changes: Any) -> Settings:
        latents = {"flow": "disc", "space": "bulk", "leapfrogs": None, "refreshes": 2}
        found = settings_of(build, run=latents | self.BRIEF | changes)
        return found.model_copy(update={"checkpoint_seconds": 0.0})

    def stopped(self, settings, weights, file, after: int) -> None:
        """Run until so many segments were kept, then stop without a word."""
        kept = Store.keep

        def keep(store, records):
            kept(store, records)
            if sum(len(found) for found in records.series.values()) == after:
                raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Store, "keep", keep)
            with pytest.raises(KeyboardInterrupt):
                chains.run(settings, "run", weights, file)

    @pytest.mark.parametrize("after", [1, 3, 4])
    def test_interrupted_they_end_with_the_same_bytes(self, build_settings, tmp_path, after):
        settings = self.settings(build_settings)
        weights = crooked(settings, "disc")
        quiet, _ = chains.run(settings, "run", weights)
        self.stopped(settings, weights, tmp_path / "kept.npz", after)
        drawn = []
        segment = chains.Batch._segment
        with pytest.MonkeyPatch.context() as patch:
            counted = lambda *given: drawn.append(1) or segment(*given)  # noqa: E731
            patch.setattr(chains.Batch, "_segment", counted)
            again, timing = chains.run(settings, "run", weights, tmp_path / "kept.npz")
        assert whole(again) == whole(quiet)
        assert len(drawn) == 5 - after, "Three segments and two from the cold start."
        assert timing["seconds_per_trajectory"] > 0.0

    def test_other_weights_or_a_damaged_file_begin_anew(self, build_settings, tmp_path, capfd):
        settings = self.settings(build_settings)
        weights, file = crooked(settings, "disc"), tmp_path / "kept.npz"
        quiet, _ = chains.run(settings, "run", weights)
        self.stopped(settings, crooked(settings, "disc", 0.05), file, 2)
        assert whole(chains.run(settings, "run", weights, file)[0]) == whole(quiet)
        assert "is of other settings or weights and is not continued." in capfd.readouterr().err
        file.write_bytes(b"PK")
        assert whole(chains.run(settings, "run", weights, file)[0]) == whole(quiet)
        assert "cannot be read and is not continued" in capfd.readouterr().err

    def test_continued_from_records_drawn_beforehand(self, build_settings, tmp_path):
        settings = self.settings(build_settings, chains=512, trajectories=40, cold=0)
        first, _ = chains.run(settings, "run", crooked(settings, "disc"))
        write_arrays(tmp_path / "before.npz", first)
        # With another flow: its latents of the same fields.
        later, _ = chains.run(
            settings, "run", crooked(settings, "disc", 0.02), before=tmp_path / "before.npz"
        )  # fmt: skip
        assert later["order"].shape == (1, 512, 80)
        assert np.array_equal(later["order"][..., :40], first["order"])
        assert np.array_equal(later["tuned"], first["tuned"])
        assert not np.array_equal(later["order"][..., 40:], first["order"])
        halves = [half.mean(axis=2)[0] for half in np.split(later["density"], 2, axis=2)]
        error = np.hypot(*(half.std() / np.sqrt(512) for half in halves))
        assert abs(halves[1].mean() - halves[0].mean()) < 5.0 * error
        assert later["acceptance"] != first["acceptance"]
        assert (first["segments"], later["segments"]) == (2, 4)

    def test_a_third_run_does_not_draw_the_second_one_s_segments_again(
        self, build_settings, tmp_path
    ):
        settings = self.settings(build_settings, trajectories=30, cold=0)
        weights = crooked(settings, "disc")
        drawn, segment = [], chains.Batch._segment

        def told(batch, records, states, part, seed):
            drawn.append(seed)
            return segment(batch, records, states, part, seed)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chains.Batch, "_segment", told)
            found = chains.run(settings, "run", weights)[0]
            for name in ("second.npz", "third.npz"):
                write_arrays(tmp_path / name, found)
                found = chains.run(settings, "run", weights, before=tmp_path / name)[0]
        assert len(set(drawn)) == len(drawn) == 6
        assert found["order"].shape == (1, 32, 90)

    def test_a_single_segment_is_timed_by_another(self, build_settings, tmp_path):
        settings = self.settings(build_settings, trajectories=20, cold=0)
        weights, file = crooked(settings, "disc"), tmp_path / "kept.npz"
        self.stopped(settings, weights, file, 1)
        found, timing = chains.run(settings, "run", weights, file)
        assert timing["seconds_per_trajectory"] > 0.0
        assert whole(found) == whole(chains.run(settings, "run", weights)[0])

    def test_another_theory_or_other_records_begin_anew(self, build_settings, tmp_path, capfd):
        settings = self.settings(build_settings)
        weights, file = crooked(settings, "disc"), tmp_path / "kept.npz"
        self.stopped(settings, weights, file, 2)
        theory = settings.holography.theories["disc"].model_copy(update={"lam": 2.0})
        theories = settings.holography.theories | {"disc": theory}
        chosen = settings.holography.model_copy(update={"theories": theories})
        changed = settings.model_copy(update={"holography": chosen})
        chains.run(changed, "run", weights, file)
        assert "is of other settings or weights" in capfd.readouterr().err

    def test_records_of_another_run_are_refused(self, build_settings, tmp_path):
        settings = self.settings(build_settings)
        weights = crooked(settings, "disc")
        found, _ = chains.run(settings, "run", weights)
        write_arrays(tmp_path / "few.npz", found | {"field": found["field"][:, 1:]})
        with pytest.raises(
            ArtifactError, match="of other couplings, moves or sides, or of another number"
        ):
            chains.run(settings, "run", weights, before=tmp_path / "few.npz")
        write_arrays(tmp_path / "old.npz", {k: v for k, v in found.items() if k != "field"})
        with pytest.raises(ArtifactError, match="lacks the array 'field'"):
            chains.run(settings, "run", weights, before=tmp_path / "old.npz")
        write_arrays(tmp_path / "spins.npz", {k: v for k, v in found.items() if k != "density"})
        with pytest.raises(ArtifactError, match="drawn beforehand lack density"):
            chains.run(settings, "run", weights, before=tmp_path / "spins.npz")
        write_arrays(tmp_path / "steps.npz", found | {"tuned": found["tuned"][0]})
        with pytest.raises(ArtifactError, match="of other couplings, moves or sides"):
            chains.run(settings, "run", weights, before=tmp_path / "steps.npz")


def test_an_untrained_flow_is_that_before_its_training(build_settings: Build) -> None:
    brief = {"flow": "disc", "space": "bulk", "leapfrogs": None, "refreshes": 2, "trajectories": 30}
    settings = settings_of(build_settings, run=brief | {"untrained": True}, trained=brief)
    weights = crooked(settings, "disc")
    start = problem_of(settings, "disc", 2).initial_parameters()
    found, _ = chains.run(settings, "run", weights)
    again, _ = chains.run(settings, "run", start)
    other, _ = chains.run(settings, "trained", weights)
    assert whole(found) == whole(again)
    assert found["acceptance"] != other["acceptance"]
    with pytest.raises(ValidationError, match="know nothing of a flow"):
        settings_of(build_settings, run={"flow": "disc", "space": "boundary", "untrained": True})
