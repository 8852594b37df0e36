"""Which ln Z a distance is measured from, on synthetic weights whose ln Z is zero."""

import numpy as np
import pandas as pd
import pytest

from emergence import artifacts
from emergence.holography.actions import ComplexPhi4
from emergence.holography.analysis import Results
from emergence.holography.partition import best_partition, exact_log_partition
from emergence.holography.readings import flows, symmetry
from emergence.settings import parse

POINT = (1.0, 1.0)


def write_flow(folder, arm: str, spread: float, samples: int, pace: float = 0.25) -> None:
    """ln w Gaussian with ⟨w⟩ = 1: the distance is half of the variance."""
    rng = np.random.default_rng(len(arm))
    noise = spread * rng.standard_normal((1, 1, samples))
    place = folder / "flows" / arm / "4"
    artifacts.write_arrays(
        place / "arrays.npz",
        {
            "t": np.array([POINT[0]]), "mu": np.array([POINT[1]]),
            "log_weights": noise - 0.5 * spread**2,
            "log_density": rng.standard_normal((1, 1, samples)),
            "untrained_log_weights": np.full((1, 16), -30.0),
            "parameters": np.array(7), "steps": np.array(100), "batch": np.array(8),
            "shipped": np.array(0.0),
        },
    )  # fmt: skip
    artifacts.write_numbers(place / "timing.json", {"seconds_per_step": pace})
    history = {"stage": 0, "step": [50, 100], "seed": 0, "loss": [1.0, 0.5 * spread**2]}
    history |= {"log_weight_variance": spread**2, "effective_fraction": 0.1}
    artifacts.write_table(place / "history.csv", pd.DataFrame(history))


@pytest.fixture
def results(build_settings, tmp_path):
    """Flows of one theory, by name → spread of ln w and samples."""

    def results(**arms: tuple[float, int]) -> Results:
        content = build_settings()
        arm = {"theory": "disc", "network": "spline", "width": 4, "sizes": {4: "brief"}}
        content["holography"]["flows"] = dict.fromkeys(arms, arm)
        for name, (spread, samples) in arms.items():
            write_flow(tmp_path, name, spread, samples)
        return Results(parse(content, "settings of a test"), tmp_path)

    return results


def test_a_poor_flow_is_measured_from_the_ln_z_of_a_good_one(results):
    found = results(good=(0.1, 5000), poor=(4.0, 500))
    poor = found.flow("poor", 4)
    best = best_partition(found, poor, POINT)
    assert best.source == "flows/good/4"
    assert abs(best.value) < 4.0 * best.error < 0.02
    measured = dict(flows(found))
    assert measured["poor.divergence_4"].value == pytest.approx(8.0, abs=0.6)
    assert measured["poor.divergence_4"].error > 0.1
    own = found.flow("poor", 4).arrays["log_weights"][0, 0]
    assert np.log(np.mean(np.exp(own))) < -1.0, "By itself it would look closer."


def test_without_a_good_one_it_is_a_lower_bound_without_an_error(results):
    found = results(poor=(5.0, 500))
    assert best_partition(found, found.flow("poor", 4), POINT).low
    measured = dict(flows(found))["poor.divergence_4"]
    assert measured.value < 12.5
    assert measured.error is None
    assert "lower bound" in measured.note


def test_true_samples_tell_it_better_than_any_flow(results, build_settings, tmp_path):
    found = results(poor=(3.0, 2000))
    content = found.settings.model_dump(mode="json")
    content["holography"]["bulks"] = {"study": {"flow": "poor", "size": 4, "samples": 100}}
    rng = np.random.default_rng(5)
    # Of true samples ln w is Gaussian about half of the variance above ln Z.
    of_theory = 3.0 * rng.standard_normal(2000) + 4.5
    arrays = {"t": np.array(POINT[0]), "mu": np.array(POINT[1]), "log_weights": of_theory}
    artifacts.write_arrays(tmp_path / "bulks" / "study.npz", arrays)
    found = Results(parse(content, "settings of a test"), tmp_path)
    best = best_partition(found, found.flow("poor", 4), POINT)
    assert best.source == "bulks/study"
    assert not best.low
    assert abs(best.value) < 4.0 * best.error < 1.0


def test_the_smallest_torus_is_exact():
    assert exact_log_partition(ComplexPhi4(1.0, 1.0, 1.0), 2) == pytest.approx(3.0537613043)
    assert exact_log_partition(ComplexPhi4(1.0, 1.0, 1.0), 4) is None


def test_networks_are_compared_by_the_same_ln_z_along_the_time_they_took(results, tmp_path):
    found = results(critical=(0.1, 5000), real_nvp=(1.0, 5000))
    write_flow(tmp_path, "real_nvp", 1.0, 5000, pace=0.5)
    measured = dict(symmetry(Results(found.settings, tmp_path)))
    assert measured["symmetry.time_ratio_4"].value == 2.0
    curves = measured["symmetry"].set_index(["arm", "step"])
    assert curves["seconds"]["critical", 100] == 25.0
    assert curves["seconds"]["real_nvp", 50] == 25.0
    offset = 0.5 * (1.0 - 0.01)
    gap = curves["divergence"]["real_nvp", 100] - curves["divergence"]["critical", 100]
    assert gap == pytest.approx(offset)


def test_samples_too_few_for_the_chunks_of_true_ones_are_taken_alone(
    results, build_settings, tmp_path
):
    found = results(poor=(0.1, 19))
    content = found.settings.model_dump(mode="json")
    content["holography"]["bulks"] = {"study": {"flow": "poor", "size": 4, "samples": 100}}
    arrays = {"t": np.array(POINT[0]), "mu": np.array(POINT[1]), "log_weights": np.zeros(800)}
    artifacts.write_arrays(tmp_path / "bulks" / "study.npz", arrays)
    found = Results(parse(content, "settings of a test"), tmp_path)
    assert best_partition(found, found.flow("poor", 4), POINT).source == "flows/poor/4"
