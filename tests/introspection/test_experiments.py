"""The trainings as experiments: what reaches them, what they leave, and how they go on."""

import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from experiment_arms import ARMS, LENGTHS, SEEDS, WINDOW

from emergence import training
from emergence.introspection import dataset, distiller, experiments, translator
from emergence.randomness import derive_seed
from emergence.statistics import relative_rms

COMPILED = []
"""Shapes of networks met so far: while one lives, TensorFlow does not compile its like anew."""


@pytest.fixture(scope="module")
def trained(run, data, tmp_path_factory):
    """One arm of translators and one of distillers, really trained, and their checkpoints.

    ``killed`` is what a kill between the two stages of the translators would have left.
    """
    folder = tmp_path_factory.mktemp("trained")
    original = training._run_stage

    def copied(problem, stages, tensors, position, *others):
        if position.stage == 1:
            shutil.copytree(folder / "t", folder / "killed")
        return original(problem, stages, tensors, position, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_run_stage", copied)
        free, free_history = experiments.train_translators(
            run(), "free", data["waves"], folder / "t"
        )
    born, born_history = experiments.train_distillers(
        run(), "born", data["waves"], free, folder / "d"
    )
    return SimpleNamespace(
        folder=folder, free=free, free_history=free_history, born=born, born_history=born_history
    )


@pytest.fixture
def untrained(monkeypatch):
    """Replaces the training by its start; the problems it was asked to train, and how."""
    asked = []

    def train(problem, stages, **options):
        COMPILED.append(problem.shape)
        asked.append(SimpleNamespace(problem=problem, stages=stages, **options))
        loss = np.zeros(problem.seeds)
        history = pd.DataFrame({"step": 0, "seed": range(problem.seeds), "loss": loss})
        start = {f"p/{name}": value for name, value in problem.initial_parameters().items()}
        return training.Trained(start, loss, history, seconds_per_step=0.0)

    monkeypatch.setattr(training, "train", train)
    return asked


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


class TestTranslators:
    def test_leave_weights_and_errors_of_every_seed(self, trained, data):
        shapes = {name: value.shape for name, value in trained.free.items()}
        systems = len(data["waves"]["test_family"])
        assert shapes == {
            "unit": (),
            "families": (2,),
            "h3/p/update": (SEEDS, 2, 3, 3),
            "h3/p/start": (SEEDS, 3, 3),
            "h3/p/readout": (SEEDS, 3),
            "h3/loss": (SEEDS,),
            "h3/error_test": (SEEDS, systems),
            "h3/error_long": (SEEDS, systems, len(LENGTHS)),
            "h3/error_segment": (SEEDS, systems, 2),
            "h3/prediction": (SEEDS, 2, LENGTHS[-1]),
        }
        assert trained.free["unit"] == data["waves"]["unit"]
        assert trained.free["families"].tolist() == ["shallow", "deep"]

    def test_learn(self, trained):
        history = trained.free_history
        assert set(history["arm"]) == {"free"}
        assert set(history["size"]) == {3}
        assert set(history["seed"]) == {0, 1}
        first, last = (history[history["step"] == step]["loss"] for step in (20, 310))
        assert last.max() < 0.1 * first.min()
        assert trained.free["h3/loss"].tolist() == last.tolist()
        assert np.median(trained.free["h3/error_test"]) < 0.1

    def test_errors_are_those_of_the_predictions(self, run, trained, data):
        waves, found = data["waves"], trained.free
        shape = translator.Shape(3, 1, "linear", False, float(waves["unit"]))
        weights = {k.removeprefix("h3/p/"): v for k, v in found.items() if "/p/" in k}
        distance, wavenumber = 8 * 0.1, 2.0

        def predict(split):
            lead = translator.lead_coordinates(waves[f"{split}_lead"], distance, wavenumber)
            return translator.evaluate(shape, weights, lead[None], waves[f"{split}_potential"])[0]

        def error(predicted, split, start, stop):
            truth = np.stack([waves[f"{split}_density"]] * SEEDS)[..., start:stop]
            return relative_rms(predicted[..., start:stop], truth, axis=2)

        inside, longer = predict("test"), predict("long")
        np.testing.assert_allclose(found["h3/error_test"], error(inside, "test", 0, WINDOW))
        for column, length in enumerate(LENGTHS):
            expected = error(longer, "long", 0, length)
            np.testing.assert_allclose(found["h3/error_long"][..., column], expected)
        for column in range(2):
            expected = error(longer, "long", column * WINDOW, (column + 1) * WINDOW)
            np.testing.assert_allclose(found["h3/error_segment"][..., column], expected)
        first = [np.flatnonzero(waves["long_family"] == family)[0] for family in range(2)]
        np.testing.assert_array_equal(found["h3/prediction"], longer[:, first])

    def test_take_densities_and_leads_of_the_training_windows(self, run, data, untrained, tmp_path):
        arrays, history = experiments.train_translators(run(), "pair", data["waves"], tmp_path)
        two, three = untrained
        assert [ask.problem.shape.hidden for ask in untrained] == [2, 3]
        assert {ask.checkpoint for ask in untrained} == {
            tmp_path / "hidden-2", tmp_path / "hidden-3",
        }  # fmt: skip
        assert two.seed != three.seed
        assert two.identity != three.identity
        assert [stage.steps for stage in two.stages] == [300, 10]
        assert {"h2/p/update", "h3/p/update"} < arrays.keys()
        assert history["size"].tolist() == [2, 2, 3, 3]
        waves = data["waves"]
        np.testing.assert_array_equal(two.problem._potential, waves["train_potential"])
        np.testing.assert_array_equal(two.problem._density[0], waves["train_density"])
        # In the lead ψ is a straight line: the coordinates are (ρ, ψψ′/k₀, ψ′²/k₀²) of the start.
        psi, slope = np.moveaxis(waves["train_state"][:, 0], -1, 0)
        expected = np.stack([psi**2, psi * slope / 2.0, (slope / 2.0) ** 2], axis=-1)
        np.testing.assert_allclose(two.problem._lead[0], expected, atol=1e-10)

    def test_noise_is_each_seed_s_own_and_never_in_the_errors(self, run, data, untrained, tmp_path):
        waves = data["waves"]
        arrays, _ = experiments.train_translators(run(), "noisy", waves, tmp_path)
        problem = untrained[0].problem
        deviation = problem._density.numpy() / waves["train_density"] - 1.0
        assert deviation.shape == (SEEDS, *waves["train_density"].shape)
        np.testing.assert_allclose(deviation.std(axis=(1, 2)), 0.1, rtol=0.15)
        assert not np.array_equal(deviation[0], deviation[1])
        assert problem._lead.shape == (SEEDS, len(waves["train_lead"]), 3)
        assert not np.array_equal(problem._lead[0], problem._lead[1])
        clean, _ = experiments.train_translators(
            run(translators=ARMS["translators"] | {"noisy": ARMS["translators"]["free"]}),
            "noisy", waves, tmp_path,
        )  # fmt: skip
        # The same start and the same clean test data: not even the noise level shows.
        assert same(arrays, clean)

    def test_the_control_is_shown_densities_of_other_systems(self, run, data, untrained, tmp_path):
        waves = data["waves"]
        experiments.train_translators(run(), "wrong", waves, tmp_path)
        problem = untrained[0].problem
        shown = problem._density.numpy()[0]
        assert not np.any(np.all(shown == waves["train_density"], axis=1))
        np.testing.assert_array_equal(np.sort(shown[:, 0]), np.sort(waves["train_density"][:, 0]))
        np.testing.assert_array_equal(problem._potential, waves["train_potential"])

    def test_only_where_every_system_starts_alike_is_the_start_learnt(
        self, run, data, untrained, tmp_path
    ):
        arrays, _ = experiments.train_translators(run(), "lone", data["alike"], tmp_path)
        assert untrained[0].problem.shape.learnt_start
        assert arrays["h3/p/start"].shape == (SEEDS, 3, 1)

    def test_arms_differ_by_their_names_and_other_arms_change_nothing(
        self, run, data, untrained, tmp_path
    ):
        arms = ARMS["translators"]
        one, _ = experiments.train_translators(run(), "free", data["waves"], tmp_path)
        more = run(translators={"twin": arms["free"]} | arms)
        again, _ = experiments.train_translators(more, "free", data["waves"], tmp_path)
        twin, _ = experiments.train_translators(more, "twin", data["waves"], tmp_path)
        assert same(one, again)
        assert not np.array_equal(one["h3/p/update"], twin["h3/p/update"])
        first, second, third = untrained
        assert (first.seed, first.identity) == (second.seed, second.identity)
        assert third.seed != first.seed


class TestDistillers:
    def test_leave_weights_losses_and_narrow_latents_of_every_seed(self, trained, data):
        shapes = {name: value.shape for name, value in trained.born.items()}
        width, systems = distiller.ENCODER_WIDTH, len(data["waves"]["test_family"])
        assert shapes == {
            "unit": (),
            "whitening": (SEEDS, 3, 3),
            "n2/p/encoder_in": (SEEDS, 3, width),
            "n2/p/encoder_bias": (SEEDS, width),
            "n2/p/encoder_out": (SEEDS, width, 2),
            "n2/p/encoder_linear": (SEEDS, 3, 2),
            "n2/p/encoder_constant": (SEEDS, 2),
            "n2/p/update": (SEEDS, 2, 2, 2),
            "n2/p/decoder": (SEEDS, 3, 3),
            "n2/loss": (SEEDS,),
            "n2/training_loss": (SEEDS,),
            "n2/latent": (SEEDS, systems, WINDOW + 1, 2),
            "n2/untrained/update": (SEEDS, 2, 2, 2),
        }
        assert trained.born["unit"] == trained.free["unit"]
        before, after = trained.born["n2/untrained/update"], trained.born["n2/p/update"]
        assert not np.array_equal(before, after)

    def test_learn(self, trained):
        history = trained.born_history
        assert set(history["arm"]) == {"born"}
        first, last = (history[history["step"] == step]["loss"] for step in (20, 400))
        assert last.max() < 0.5 * first.min()
        assert trained.born["n2/training_loss"].tolist() == last.tolist()
        assert np.isfinite(trained.born["n2/loss"]).all()

    def test_read_the_whitened_states_of_their_own_seed_s_translator(
        self, run, trained, data, untrained, tmp_path
    ):
        waves = data["waves"]
        experiments.train_distillers(run(), "born", waves, trained.free, tmp_path)
        problem = untrained[0].problem
        shape = translator.Shape(3, 1, "linear", False, float(waves["unit"]))
        weights = {k.removeprefix("h3/p/"): v for k, v in trained.free.items() if "/p/" in k}
        lead = translator.lead_coordinates(waves["train_lead"], 8 * 0.1, 2.0)[None]
        _, hidden = translator.evaluate(shape, weights, lead, waves["train_potential"])
        expected = hidden[1] @ dataset.whitening(hidden)[1]
        np.testing.assert_allclose(problem._hidden[1], expected, rtol=1e-8, atol=1e-8)
        np.testing.assert_array_equal(problem._potential, waves["train_potential"])
        scaled = problem._hidden.numpy() / np.sqrt(np.mean(hidden**2, axis=(2, 3), keepdims=True))
        variance = np.mean(scaled.reshape(SEEDS, -1, 3) ** 2, axis=1)
        np.testing.assert_allclose(variance, 1.0, rtol=1e-8)

    def test_take_the_size_of_translator_that_they_name(self, run, data, untrained, tmp_path):
        pair, _ = experiments.train_translators(run(), "pair", data["waves"], tmp_path)
        wide, history = experiments.train_distillers(run(), "wide", data["waves"], pair, tmp_path)
        general, _ = experiments.train_distillers(run(), "general", data["waves"], pair, tmp_path)
        named, first = untrained[2].problem.shape, untrained[4].problem.shape
        assert (named.hidden, named.latent) == (3, 1)
        # Without a name it is the first of the arm.
        assert (first.hidden, first.cell, first.decoder) == (2, "general", "general")
        assert history["size"].tolist() == [1, 1, 4, 4]
        assert "n1/latent" in wide
        assert "n4/latent" not in wide
        assert "n4/untrained/update" in wide
        # A general cell has no matrix to compare with.
        assert "n1/untrained/update" not in general
        assert untrained[2].checkpoint == tmp_path / "latent-1"

    def test_the_control_pairs_hidden_states_with_other_potentials(
        self, run, trained, data, untrained, tmp_path
    ):
        waves = data["waves"]
        arrays, _ = experiments.train_distillers(run(), "wrong", waves, trained.free, tmp_path)
        shown = untrained[0].problem._potential.numpy()
        assert not np.any(np.all(shown == waves["train_potential"], axis=1))
        honest, _ = experiments.train_distillers(run(), "born", waves, trained.free, tmp_path)
        np.testing.assert_array_equal(untrained[0].problem._hidden, untrained[1].problem._hidden)
        np.testing.assert_array_equal(arrays["whitening"], honest["whitening"])


class TestGoingOn:
    def test_a_finished_arm_is_read_from_its_checkpoints(self, run, trained, data, monkeypatch):
        def never(*_):
            raise AssertionError("a finished stage was trained again")

        monkeypatch.setattr(training, "_run_stage", never)
        free, history = experiments.train_translators(
            run(), "free", data["waves"], trained.folder / "t"
        )
        assert same(free, trained.free)
        pd.testing.assert_frame_equal(history, trained.free_history)
        born, _ = experiments.train_distillers(
            run(), "born", data["waves"], free, trained.folder / "d"
        )
        assert same(born, trained.born)

    def test_an_arm_killed_between_stages_ends_with_the_same_numbers(
        self, run, trained, data, monkeypatch
    ):
        original, stages = training._run_stage, []

        def noted(problem, all_stages, tensors, position, *others):
            stages.append(position.stage)
            return original(problem, all_stages, tensors, position, *others)

        monkeypatch.setattr(training, "_run_stage", noted)
        free, history = experiments.train_translators(
            run(), "free", data["waves"], trained.folder / "killed"
        )
        assert stages == [1]
        assert same(free, trained.free)
        pd.testing.assert_frame_equal(history, trained.free_history)

    def test_other_data_start_anew(self, run, trained, data, monkeypatch, capsys):
        def reached(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(training, "_run_stage", reached)
        other = dataset.make(run().introspection, "waves", 99)
        with pytest.raises(KeyboardInterrupt):
            experiments.train_translators(run(), "free", other, trained.folder / "t")
        with pytest.raises(KeyboardInterrupt):
            translators = trained.free | {"h3/p/update": 1.001 * trained.free["h3/p/update"]}
            experiments.train_distillers(
                run(), "born", data["waves"], translators, trained.folder / "d"
            )
        told = capsys.readouterr()
        assert (told.out + told.err).count("of other settings") == 2


def test_seeds_of_arms_are_streams_of_the_run_s_seed(run, data, untrained, tmp_path):
    experiments.train_translators(run(), "free", data["waves"], tmp_path)
    root = derive_seed(run().seed, "translator", "free")
    assert untrained[0].problem.seed == root
    assert untrained[0].seed == derive_seed(root, 3)
