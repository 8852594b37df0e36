"""One side of a flow grown from another: what it writes, what it continues from, what it refuses."""

import re
from pathlib import Path

import numpy as np
import pytest

from emergence.errors import ArtifactError, DivergenceError
from emergence.holography import growth
from emergence.holography.actions import ComplexPhi4
from emergence.holography.arms import problem_of
from emergence.holography.exact import small_torus
from emergence.holography.flow import compile_weigher
from emergence.holography.observables import PRIMARY
from emergence.holography.weights import Evaluation
from emergence.settings import load, parse

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def settings(build_settings):
    content = build_settings()
    flows = content["holography"]["flows"]
    flows["disc"] |= {
        "depth": 1,
        "bins": 4,
        "samples": 16384,
        "observed": False,
        "sizes": {2: "brief", 4: "brief"},
    }
    flows["line"] |= {"depth": 1, "bins": 4}
    # At t = 1 the weights of a flow this brief have no variance.
    content["holography"]["theories"]["disc"]["t"] = 0.5
    content["holography"]["chunk"] = 16
    return parse(content, "settings of a test")


@pytest.fixture(scope="module")
def grown(settings, tmp_path_factory):
    """Sides 2 and 4 of the same flow."""
    folder = tmp_path_factory.mktemp("grown")
    first = growth.grow(settings, "disc", 2, None, folder / "2")
    return first, growth.grow(settings, "disc", 4, (first[2], 2), folder / "4")


def test_samples_carry_the_exact_partition_function(grown):
    found = Evaluation(grown[0][0]["log_weights"][0, 0])
    exact = small_torus(ComplexPhi4(0.5, 1.0, 1.0)).log_partition
    assert found.samples == 16384
    assert found.log_partition == pytest.approx(exact, abs=5.0 * found.error)
    assert found.error < 0.05


def test_weights_and_densities_are_of_the_same_samples(grown):
    """−S = ln w + ln q: its mean is finite, and mixing up the samples spreads the weights."""
    arrays = grown[0][0]
    weights, density = (arrays[name][0, 0] for name in ("log_weights", "log_density"))
    mixed = weights + density - np.roll(density, 1)
    assert np.var(mixed) > 4.0 * np.var(weights)


def test_what_is_not_observed_is_not_kept(grown):
    assert not set(PRIMARY) & grown[0][0].keys()


def test_a_conditional_flow_is_measured_at_every_point_of_the_line(settings, tmp_path):
    arrays, _, _, _ = growth.grow(settings, "line", 2, None, tmp_path / "c")
    np.testing.assert_allclose(arrays["t"], [0.2, 0.4])
    np.testing.assert_allclose(arrays["mu"], [-199.6, -199.2])
    for name in (*PRIMARY, "log_weights"):
        assert arrays[name].shape == (2, 1, 16)
        assert np.isfinite(arrays[name]).all()
    assert arrays["correlation"].shape == (2, 1, 16, 2)
    np.testing.assert_allclose(arrays["correlation"][..., 0], arrays["density"], rtol=1e-9)


def test_the_second_side_starts_from_the_levels_of_the_first(
    settings, grown, tmp_path, monkeypatch
):
    first, second = grown
    seen = []

    def train(*arguments, start, **options):
        seen.append(start)
        raise KeyboardInterrupt

    monkeypatch.setattr(growth.training, "train", train)
    for side, before in ((2, None), (4, (first[2], 2))):
        with pytest.raises(KeyboardInterrupt):
            growth.grow(settings, "disc", side, before, tmp_path / str(side))
    assert seen[0] is None
    kept = {key: value for key, value in seen[1].items() if key.startswith("p/0/")}
    assert kept.keys() == {f"p/{key}" for key in first[2]}
    for key, value in kept.items():
        np.testing.assert_array_equal(value, first[2][key.removeprefix("p/")])
    assert {name.split("/")[0] for name in second[2]} == {"0", "1"}
    assert second[0]["parameters"] == 2 * first[0]["parameters"]
    assert list(second[1]["window"].unique()) == [16]


def test_an_interrupted_training_ends_with_the_same_numbers(settings, grown, tmp_path, monkeypatch):
    evaluate = growth.evaluate

    def killed(draws, parameters, *names):
        if "final" in names:
            raise KeyboardInterrupt
        return evaluate(draws, parameters, *names)

    monkeypatch.setattr(growth, "evaluate", killed)
    with pytest.raises(KeyboardInterrupt):
        growth.grow(settings, "disc", 2, None, tmp_path / "c")
    monkeypatch.setattr(growth, "evaluate", evaluate)
    again = growth.grow(settings, "disc", 2, None, tmp_path / "c")
    for name, value in grown[0][0].items():
        np.testing.assert_array_equal(again[0][name], value, err_msg=name)


def test_weights_come_back_with_their_side(grown, tmp_path):
    from emergence import artifacts

    growth.write_flow(tmp_path / "weights", grown[0][2], 2)
    with pytest.raises(ArtifactError):
        growth.read_flow(tmp_path / "weights")
    artifacts.record_provenance(
        [tmp_path / "weights"], stage="test", settings={}, seed=0, started=0.0, device="CPU"
    )
    parameters, side = growth.read_flow(tmp_path / "weights")
    assert side == 2
    assert list(parameters) == list(grown[0][2])
    for name, value in grown[0][2].items():
        np.testing.assert_array_equal(parameters[name], value)


@pytest.mark.parametrize("fault", ["other network", "not finite", "other side"])
def test_what_cannot_be_continued_is_refused(settings, grown, tmp_path, fault):
    parameters, side = dict(grown[0][2]), 2
    name = next(iter(parameters))
    if fault == "other network":
        parameters[name] = parameters[name][..., :1]
    elif fault == "not finite":
        parameters[name] = np.full_like(parameters[name], np.nan)
    else:
        side = 4
    with pytest.raises(ArtifactError, match=r"weights|Weights"):
        growth.grow(settings, "disc", 4, (parameters, side), tmp_path / "c")


def test_a_weight_that_is_no_number_ends_the_evaluation(settings, grown):
    problem = problem_of(settings, "disc", 2)
    weigh = compile_weigher(problem, 1, 16)
    draws = growth.Draws(settings, problem, weigh, [(1.0, 1.0)], 16)
    bad = {name: np.full_like(value, np.nan) for name, value in grown[0][2].items()}
    with pytest.raises(DivergenceError, match="not a finite number"):
        growth.evaluate(draws, bad, "bad")


def test_weights_that_are_all_but_one_negligible_are_told(capsys):
    rng = np.random.default_rng(1)
    log_weights = rng.standard_normal((2, 1, 500)) * np.array([0.1, 30.0])[:, None, None]
    growth.tell_underpowered([(0.2, -199.6), (0.28, -199.44)], log_weights)
    told = capsys.readouterr().err
    assert re.fullmatch(
        r"At t = 0\.28 only 1\.\d of 500 samples are effective: numbers reweighted .+\.\n", told
    )


@pytest.mark.parametrize("lam", [25.0, 20.0])
def test_shipped_weights_of_another_coupling_are_told_of(lam, capsys):
    content = load(ROOT / "config" / "laptop.yaml").model_dump(mode="json")
    # The diagram's, and of every flow that is studied on its line.
    content["holography"]["diagram"]["lam"] = lam
    for name in ("line", "critical"):
        content["holography"]["theories"][name]["lam"] = lam
    growth.tell_other_theory(
        ROOT / "weights/holography/line_32", parse(content, "another"), "line_32"
    )
    assert ("lam = 25.0; this training goes on with lam = 20.0" in capsys.readouterr().err) == (
        lam != 25.0
    )


@pytest.fixture(scope="module")
def coupled(settings, grown, tmp_path_factory):
    """The settings with a prior after the flow's side 4, and what its training left."""
    content = settings.model_dump(mode="json")
    flows = content["holography"]["flows"]
    flows["prior"] = flows["disc"] | {"after": "disc", "prior": 1, "sizes": {4: "prior"}}
    flows["prior"]["samples"] = 1024
    stage = {"update": "adam", "steps": 3, "batch": 8, "rate": 1e-4, "estimator": "score"}
    content["holography"]["stages"]["prior"] = [stage]
    chosen = parse(content, "settings of a test")
    folder = tmp_path_factory.mktemp("coupled") / "4"
    return chosen, growth.grow(chosen, "prior", 4, (grown[1][2], 4), folder)


def test_a_prior_is_trained_and_its_map_kept_to_the_last_bit(grown, coupled):
    parameters = coupled[1][2]
    plain = grown[1][2]
    own = [name for name in parameters if name not in plain]
    assert own and all(name.startswith("prior/") for name in own)
    assert all(np.abs(parameters[name]).max() > 0.0 for name in own)
    for name, value in plain.items():
        np.testing.assert_array_equal(parameters[name], value, err_msg=name)


def test_without_its_couplings_it_is_the_map(settings, grown, coupled):
    chosen, (arrays, *_) = coupled
    problem = problem_of(settings, "disc", 4)
    weigh = compile_weigher(problem, 1, 16)
    samples = chosen.holography.flows["prior"].samples
    draws = growth.Draws(chosen, problem, weigh, [(0.5, 1.0)], samples)
    expected = growth.evaluate(draws, grown[1][2], "prior", "final")["log_weights"]
    np.testing.assert_allclose(arrays["map_log_weights"], expected[0], rtol=0, atol=1e-8)
    # The same random numbers: nearly the same samples.
    change = arrays["log_weights"][0] - arrays["map_log_weights"]
    assert 0.0 < np.std(change) < 0.2 * np.std(arrays["map_log_weights"])
    opposite = arrays["reversed_log_weights"] - arrays["map_log_weights"]
    assert np.corrcoef(change.ravel(), opposite.ravel())[0, 1] < -0.9


def test_a_prior_of_another_map_is_refused(grown, coupled):
    parameters = coupled[1][2]
    other = {name: value + 1e-3 for name, value in grown[1][2].items()}
    with pytest.raises(ArtifactError, match="prior was not trained for the map"):
        growth.check_kept(other, parameters, "prior")
    with pytest.raises(ArtifactError, match="prior was not trained for the map"):
        growth.check_kept(None, parameters, "prior")


def test_what_a_prior_depends_on_is_also_what_its_map_does(settings, coupled):
    chosen = coupled[0]
    content = chosen.model_dump(mode="json")
    content["holography"]["stages"]["brief"][0]["steps"] += 1
    other = parse(content, "settings of a test")
    assert growth.identity(other, "prior", 4) != growth.identity(chosen, "prior", 4)
    assert growth.identity(chosen, "disc", 4) == growth.identity(settings, "disc", 4)
