"""A scan of learning rates, and the rates that the settings chose by it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind_from_stats

from emergence.errors import ArtifactError, SettingsError
from emergence.holography import rates
from emergence.holography.rates import Choice
from emergence.settings import load

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "config/rates.csv"


@pytest.fixture(scope="module")
def settings():
    return load(ROOT / "config/smoke.yaml")


@pytest.fixture(scope="module")
def laptop():
    return load(ROOT / "config/laptop.yaml")


class TestChoices:
    def test_are_every_combination(self, laptop):
        stages = laptop.holography.stages["start"]
        found = rates.choices(stages, [1e-3, 2e-3], ["path", "reparameterised"], [1, 3])
        assert len(found) == len(set(found)) == 8
        assert {each.rate for each in found} == {1e-3, 2e-3}

    def test_are_as_the_stages_have_it(self, laptop):
        stages = laptop.holography.stages["start"]
        assert rates.choices(stages, [1e-3]) == [Choice(1e-3, "reparameterised", 4)]


class TestChanged:
    def test_all_stages_in_proportion(self, laptop):
        one = rates.changed(laptop, "critical", 4, Choice(1e-2, "path", 1), 3)
        arm = one.holography.flows["critical"]
        stages = one.holography.stages[arm.sizes[4]]
        assert [stage.rate for stage in stages] == pytest.approx([1e-2, 1e-3])
        assert {stage.estimator for stage in stages} == {"path"}
        assert arm.seeds == 3
        assert "critical_prior" not in one.holography.flows, "It has one map, not three."
        assert arm.sizes[8] == laptop.holography.flows["critical"].sizes[8]

    def test_starts_of_what_goes_on_from_weights_are_refused(self, laptop):
        with pytest.raises(SettingsError, match="goes on from weights") as refused:
            rates.changed(laptop, "critical", 8, Choice(1e-3, "path", 2), 1)
        assert "--candidates 1" in refused.value.remedy

    @pytest.mark.parametrize(
        "choice", [Choice(0.0, "path", 1), Choice(2.0, "path", 1), Choice(1e-3, "another", 1)]
    )
    def test_out_of_bounds_is_refused(self, laptop, choice):
        with pytest.raises(SettingsError, match="a scan of critical"):
            rates.changed(laptop, "critical", 4, choice, 1)


FLOW, SIDE = "disc", 2
"""The smallest flow of the smoke scale."""


@pytest.fixture(scope="module")
def scanned(settings, tmp_path_factory):
    record = tmp_path_factory.mktemp("scan") / "rates.csv"
    every = [Choice(rate, "reparameterised", 1) for rate in (1e-2, 1e-5)]
    return rates.scan(
        settings, FLOW, SIDE, every, None, record, record.parent / "checkpoints", seeds=2
    ), record


@pytest.mark.slow
class TestScan:
    def test_tells_a_useful_rate_from_one_that_hardly_moves(self, scanned):
        found, _ = scanned
        better, worse = found["log_weight"]
        assert better > worse + 3.0 * np.hypot(*found["error"])

    def test_is_kept_and_leaves_nothing_else(self, scanned):
        found, record = scanned
        kept = rates.read(record).sort_values("rate", ascending=False, ignore_index=True)
        pd.testing.assert_frame_equal(kept, found, check_dtype=False)
        assert list((record.parent / "checkpoints").iterdir()) == []

    def test_a_choice_made_again_takes_its_old_row(self, settings, scanned):
        found, record = scanned
        again = [Choice(1e-5, "reparameterised", 1)]
        rates.scan(
            settings, FLOW, SIDE, again, None, record, record.parent / "checkpoints", seeds=2
        )
        kept = rates.read(record)
        assert len(kept) == 2
        assert kept["log_weight"].min() == found["log_weight"].min(), "bit for bit"


def test_a_diverged_training_is_kept_as_such(settings, tmp_path, monkeypatch):
    from emergence.errors import DivergenceError

    def diverges(*_):
        raise DivergenceError("It diverged.", "Lower the rate.")

    monkeypatch.setattr(rates.growth, "grow", diverges)
    one = [Choice(1e-2, "reparameterised", 1)]
    row = rates.scan(
        settings, "disc", 2, one, None, tmp_path / "rates.csv", tmp_path / "checkpoints"
    ).iloc[0]
    assert np.isnan(row["log_weight"]) and row["effective_share"] == 0.0
    assert np.isnan(rates.read(tmp_path / "rates.csv")["log_weight"][0])


def test_a_malformed_record_is_refused(tmp_path):
    (tmp_path / "rates.csv").write_text("scale,flow\nlaptop,critical\n")
    with pytest.raises(ArtifactError, match="column"):
        rates.read(tmp_path / "rates.csv")


@pytest.mark.parametrize(
    ("flow", "side"), [("real_nvp", 4), ("real_nvp", 8), ("real_nvp", 16), ("critical", 4)]
)
def test_no_other_rate_of_the_scan_is_clearly_better(laptop, flow, side):
    """Of the same estimator, by Welch's test of the trainings, 5 % for all that it is compared with."""
    stages = laptop.holography.stages[laptop.holography.flows[flow].sizes[side]]
    known = rates.read(RECORD)
    known = known[(known["flow"] == flow) & (known["side"] == side)]
    known = known[known["estimator"] == stages[0].estimator]
    is_own = np.isclose(known["rate"], stages[0].rate)
    assert is_own.sum() == 1 and len(known) >= 3, "The chosen rate stands among others."

    def told(row):
        return row.log_weight, row.error * np.sqrt(row.seeds), row.seeds

    own = told(known[is_own].iloc[0])
    for other in known[~is_own].dropna().itertuples():
        found = ttest_ind_from_stats(*told(other), *own, equal_var=False, alternative="greater")
        assert found.pvalue > 0.05 / (len(known) - 1), other
