"""One size grown from another: what it writes, what it continues from, what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from spin_models import ising_chain

from emergence.errors import ArtifactError, DivergenceError, SettingsError
from emergence.randomness import generator
from emergence.retraining import evaluation, free_fermions, growth
from emergence.retraining.cells import GatedUnit
from emergence.settings import load, parse
from emergence.steps import parameters_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def settings(build_settings):
    content = build_settings()
    content["retraining"]["chains"]["ising"]["probes"] = [6]
    return parse(content, "settings of a test")


@pytest.fixture(scope="module")
def grown(settings, tmp_path_factory):
    """Sizes 4 and 6 of the same network."""
    folder = tmp_path_factory.mktemp("grown")
    first = growth.grow(settings, "ising", 4, None, 0.0, folder / "4")
    spent = float(first[0]["cost_total"])
    return first, growth.grow(settings, "ising", 6, first[2], spent, folder / "6")


def test_every_size_brings_its_energies_terms_samples_and_history(grown):
    for sites, (arrays, history, tensors) in zip((4, 6), grown, strict=True):
        for kind in ("", "plain_", "untrained_"):
            energy = arrays[f"{kind}energy"]
            assert energy.shape == (1,)
            assert energy >= free_fermions.energy(ising_chain(sites, 1.0)) - 0.5
        total = arrays["diagonal"].sum(axis=1) + arrays["moving"].sum(axis=1)
        np.testing.assert_allclose(total, arrays["energy"])
        assert set(np.unique(arrays["samples"])) == {-1, 1}
        assert arrays["samples"].shape == (1, 16, sites)
        assert list(history["window"].unique()) == [sites]
        assert {name[:2] for name in tensors} == {"p/", "c/"}


def test_the_second_size_tells_its_energy_before_any_step_and_what_went_into_it(grown):
    first, second = grown[0][0], grown[1][0]
    assert not [name for name in first if name.startswith("zero_shot")]
    assert np.isfinite(second["zero_shot_energy"]).all()
    assert np.isfinite(second["shuffled_energy"]).all()
    assert (second["shuffled_energy"] != second["zero_shot_energy"]).all()
    assert second["cost_total"] == first["cost"] + second["cost"]
    assert len(second["renyi"][0]) == len(second["lengths"])
    assert second["response"].shape == (1, 3)


def test_the_weights_do_not_depend_on_the_size(grown):
    shapes = [{name: value.shape for name, value in parameters_of(g[2]).items()} for g in grown]
    assert shapes[0] == shapes[1]


def test_a_chain_that_was_interrupted_ends_with_the_same_numbers(
    settings, grown, tmp_path, monkeypatch
):
    """Stopped after its training, as a killed job is, and begun again in the same folder."""

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(growth, "probe", stop)
        growth.grow(settings, "ising", 6, grown[0][2], 0.0, tmp_path / "6")
    again = growth.grow(settings, "ising", 6, grown[0][2], 0.0, tmp_path / "6")
    for name, value in grown[1][2].items():
        np.testing.assert_array_equal(value, again[2][name])
    np.testing.assert_array_equal(again[0]["energy"], grown[1][0]["energy"])


def test_weights_of_another_width_are_refused_in_one_sentence(settings, tmp_path):
    wider = GatedUnit(5).initial_parameters(generator(0, "other"), 1)
    wider = {f"p/{name}": value.astype(np.float32) for name, value in wider.items()}
    with pytest.raises(ArtifactError, match="another network: hidden/bias has the shape"):
        growth.grow(settings, "ising", 4, wider, 0.0, tmp_path / "4")


def test_weights_with_numbers_that_are_not_finite_are_refused(settings, grown, tmp_path):
    broken = {name: np.array(value) for name, value in grown[0][2].items()}
    broken["p/odds/bias"][:] = np.nan
    with pytest.raises(ArtifactError, match="not finite"):
        growth.grow(settings, "ising", 6, broken, 0.0, tmp_path / "6")


def test_exploding_local_energies_are_told(settings, grown):
    weights = {name: np.nan * value for name, value in parameters_of(grown[0][2]).items()}
    with pytest.raises(DivergenceError, match="local energies of ising at size 4 are not finite"):
        evaluation.evaluate(settings, "ising", 4, weights, "final", True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sizes": {6: "brief", 4: "brief"}}, "4 follows 6, but a size must exceed"),
        ({"model": "heisenberg", "field": None, "sizes": {5: "brief"}}, "odd number of spins"),
        ({"model": "potts"}, "has the value 'potts'"),
        ({"field": None}, "the model ising needs field"),
        ({"network": "tensor"}, "the network tensor is for a square"),
        ({"probes": [5]}, "the probes name the size 5"),
        ({"sizes": {4: "long"}}, "'long' is not one of"),
    ],
)
def test_what_cannot_be_grown_is_refused_before_any_work(build_settings, change, told):
    content = build_settings()
    content["retraining"]["chains"]["ising"] |= change
    with pytest.raises(SettingsError, match=told):
        parse(content, "mine.yaml")


@pytest.mark.parametrize("boundary", ["open", "periodic"])
def test_shipped_weights_of_another_lattice_are_told_of(boundary, capsys):
    content = load(ROOT / "config" / "laptop.yaml").model_dump(mode="json")
    content["retraining"]["chains"]["paper_chain"]["boundary"] = boundary
    growth.tell_other_model(
        ROOT / "weights/retraining/paper_chain", parse(content, "another"), "paper_chain"
    )
    told = capsys.readouterr().err
    assert ("this training goes on with boundary = periodic" in told) == (boundary != "open")
