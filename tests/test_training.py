"""The training loop on toys: it converges, draws, selects and guards."""

import numpy as np
import pytest
import tensorflow as tf
from toys import WALK, Cliff, Lines, adam, assert_same, marquardt, run

from emergence.errors import DivergenceError


class Still(Lines):
    """Losses that are what the starts say: the better the candidate, the lower its number."""

    values = np.array([[3.0, 1.0, 2.0, 4.0], [0.4, 0.3, 0.1, 0.2], [5.0, 8.0, 7.0, 6.0]])

    def initial_parameters(self, candidates):
        return {"value": self.values[:, :candidates].reshape(-1, 1)}

    def objective(self, parameters, batch):
        loss = tf.reduce_sum(parameters["value"], axis=1)
        return 1e-9 * loss, loss


class TestConvergence:
    def test_adam_finds_every_line(self, tmp_path):
        trained = run(Lines(), [adam(300)], tmp_path)
        np.testing.assert_allclose(trained.parameters["slope"], Lines.truth, atol=1e-3)
        assert trained.loss.shape == (3,)
        assert np.all(trained.loss < 1e-5)

    def test_levenberg_marquardt_finds_them_in_two_steps(self, tmp_path):
        trained = run(Lines(), [marquardt(2)], tmp_path)
        np.testing.assert_allclose(trained.parameters["slope"], Lines.truth, atol=1e-12)
        assert np.all(trained.loss < 1e-24)

    def test_adam_alone_does_not_in_two(self, tmp_path):
        assert np.all(run(Lines(), [adam(2)], tmp_path).loss > 0.1)

    def test_the_history_has_a_line_per_seed_and_chunk(self, tmp_path):
        trained = run(Lines(), [adam(50), marquardt(3, window=2)], tmp_path)
        history = trained.history
        assert list(history.columns) == ["stage", "window", "step", "seed", "loss"]
        assert history["step"].tolist() == np.repeat([20, 40, 50, 53], 3).tolist()
        assert history["seed"].tolist() == [0, 1, 2] * 4
        assert history["stage"].tolist() == [0] * 9 + [1] * 3
        assert history["window"].tolist() == [3] * 9 + [2] * 3
        assert np.array_equal(history["loss"].tail(3), trained.loss)

    def test_the_same_seed_gives_the_same_bits_and_another_does_not(self, tmp_path):
        one, same, other = (
            run(Lines(), [adam(40)], tmp_path / name, seed=seed)
            for name, seed in [("one", 5), ("same", 5), ("other", 6)]
        )
        assert_same(one, same)
        assert not np.array_equal(one.loss, other.loss)

    def test_levenberg_marquardt_needs_residuals(self, tmp_path):
        class Bare(Lines):
            residuals = property()

        with pytest.raises(TypeError, match="residuals"):
            run(Bare(), [marquardt(1)], tmp_path)

    def test_says_how_it_goes(self, tmp_path, capsys):
        run(Lines(), [adam(20)], tmp_path)
        assert "Toy: done in" in capsys.readouterr().err


class TestCurriculum:
    def test_each_stage_draws_its_own_windows_and_batches(self, tmp_path):
        problem = Lines()
        stages = [adam(20, window=2, batch=3), adam(20, window=5, batch=2), marquardt(1, window=7)]
        run(problem, stages, tmp_path)
        assert list(dict.fromkeys(problem.drawn)) == [(3, 2), (2, 5), (4, 7)]

    def test_a_stage_starts_where_the_last_one_ended(self, tmp_path):
        first = run(Lines(), [adam(60)], tmp_path / "first")
        still = adam(20, rate=1e-12)
        both = run(Lines(), [adam(60), still], tmp_path / "both")
        np.testing.assert_allclose(
            both.parameters["slope"], first.parameters["slope"], atol=1e-9, rtol=0
        )

    def test_every_step_has_its_own_batch_and_its_own_rate(self, tmp_path):
        class Reporting(Cliff):
            def objective(self, parameters, batch):
                loss, _ = super().objective(parameters, batch)
                return loss, tf.reduce_mean(batch[0], axis=[1, 2])

        stage = adam(50, rate=0.01, final_rate=0.2, clip_norm=1e3)
        trained = run(Reporting(np.inf), [stage, stage], tmp_path)
        # Six chunks of two seeds, and no batch twice.
        assert trained.history["loss"].nunique() == 12
        cosine = 0.5 * (1.0 + np.cos(np.pi * np.arange(50) / 50))
        walked = 2 * np.sum(0.01 * (0.2 + 0.8 * cosine))
        np.testing.assert_allclose(trained.parameters["place"][:, 0], [walked, walked - 0.2])


class TestCandidates:
    def test_the_best_of_each_seed_go_on(self, tmp_path):
        stages = [adam(20, rate=1e-12, candidates=n) for n in (4, 2, 1)]
        trained = run(Still(), stages, tmp_path)
        np.testing.assert_allclose(trained.parameters["value"][:, 0], [1.0, 0.1, 5.0], atol=1e-9)
        # The history tells the best candidate of each seed from the first stage on.
        for _, part in trained.history.groupby("stage"):
            np.testing.assert_allclose(part["loss"], [1.0, 0.1, 5.0], atol=1e-9)

    def test_more_than_one_may_go_on(self, tmp_path):
        stages = [adam(20, rate=1e-12, candidates=n) for n in (4, 2)]
        trained = run(Still(), stages, tmp_path)
        kept = trained.parameters["value"].reshape(3, 2)
        np.testing.assert_allclose(kept, [[1.0, 2.0], [0.1, 0.2], [5.0, 6.0]], atol=1e-9)

    def test_all_candidates_of_a_seed_see_the_same_batches(self, tmp_path):
        trained = run(Lines(), [adam(20, candidates=2)], tmp_path)
        slopes = trained.parameters["slope"].reshape(3, 2, 2)
        assert np.array_equal(slopes[:, 0], slopes[:, 1])
        assert not np.array_equal(slopes[0], slopes[1])

    def test_a_wild_start_of_one_seed_changes_no_other_under_adam(self, tmp_path):
        calm = run(Lines(), [adam(40)], tmp_path / "calm")
        wild = run(Lines([[0, 0], [1e4, -1e4], [0, 0]]), [adam(40)], tmp_path / "wild")
        for seed in (0, 2):
            assert np.array_equal(calm.parameters["slope"][seed], wild.parameters["slope"][seed])
            assert calm.loss[seed] == wild.loss[seed]
        assert wild.loss[1] > 1e4 * calm.loss[1]

    def test_a_seed_lost_from_the_start_changes_no_other_under_marquardt(self, tmp_path):
        calm = run(Lines(), [marquardt(3)], tmp_path / "calm")
        lost = run(Lines([[0, 0], [np.nan, 0], [0, 0]]), [marquardt(3)], tmp_path / "lost")
        for seed in (0, 2):
            assert np.array_equal(calm.parameters["slope"][seed], lost.parameters["slope"][seed])
            assert calm.loss[seed] == lost.loss[seed]
        assert not np.isfinite(lost.loss[1])

    def test_a_lost_candidate_is_left_behind(self, tmp_path):
        class HalfLost(Lines):
            def initial_parameters(self, candidates):
                slope = super().initial_parameters(candidates)["slope"]
                slope[::2] = np.nan
                return {"slope": slope}

        stages = [marquardt(2, candidates=2), marquardt(2)]
        trained = run(HalfLost(), stages, tmp_path)
        np.testing.assert_allclose(trained.parameters["slope"], Lines.truth, atol=1e-12)
        assert np.isfinite(trained.history["loss"]).all()


class TestDivergence:
    def test_goes_back_to_the_start_with_half_the_rate_and_says_so(self, tmp_path, capsys):
        # At the full rate the edge is passed in step 12, at half of it not within 20.
        guarded = run(Cliff(0.11), [WALK.model_copy(update={"steps": 20})], tmp_path / "guarded")
        told = capsys.readouterr().err
        assert (
            "Toy: the loss became non-finite; restarting from step 0 of stage 1 with the rate "
            "times 0.5 (restart 1 of 3)." in told
        )
        assert "restart 2" not in told
        halved = WALK.model_copy(update={"steps": 20, "rate": 0.005})
        assert_same(guarded, run(Cliff(0.11), [halved], tmp_path / "halved"))

    def test_goes_back_to_the_last_good_point_as_often_as_three_times(self, tmp_path, capsys):
        trained = run(Cliff(1.45), [WALK], tmp_path)
        told = [line for line in capsys.readouterr().err.splitlines() if "non-finite" in line]
        assert [line.split("; ")[1] for line in told] == [
            "restarting from step 100 of stage 1 with the rate times 0.5 (restart 1 of 3).",
            "restarting from step 100 of stage 1 with the rate times 0.25 (restart 2 of 3).",
            "restarting from step 200 of stage 1 with the rate times 0.125 (restart 3 of 3).",
        ]
        # 100 steps of a hundredth, 100 of a quarter and 100 of an eighth of it.
        np.testing.assert_allclose(trained.parameters["place"][:, 0], [1.375, 1.175], atol=1e-6)
        history = trained.history
        assert history["step"].tolist() == np.repeat(np.arange(20, 301, 20), 2).tolist()
        assert np.isfinite(history["loss"]).all()

    def test_gives_up_after_the_third_restart(self, tmp_path, capsys):
        with pytest.raises(DivergenceError) as caught:
            run(Cliff(0.0), [WALK], tmp_path)
        assert caught.value.exit_status == 4
        assert "non-finite in stage 1 again after 3 restarts" in str(caught.value)
        assert "Lower the stage's rate" in caught.value.remedy
        assert "\n" not in str(caught.value)
        assert capsys.readouterr().err.count("restart ") == 3

    def test_the_next_stage_has_its_full_rate_and_all_its_restarts(self, tmp_path):
        short = WALK.model_copy(update={"steps": 20})
        trained = run(Cliff(0.15), [short, WALK.model_copy(update={"steps": 1})], tmp_path)
        # Half the rate for 20 steps, which the edge asks for, and one step at the full rate.
        np.testing.assert_allclose(trained.parameters["place"][0, 0], 0.11, atol=1e-7)
