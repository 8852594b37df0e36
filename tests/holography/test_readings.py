"""Readings of flows against synthetic weights whose every answer is known."""

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from emergence import artifacts
from emergence.holography.actions import ComplexPhi4
from emergence.holography.analysis import Results, analyse
from emergence.holography.exact import small_torus
from emergence.holography.partition import exact_log_partition
from emergence.holography.readings import LOW, PAIR, equal_time, flows, over_couplings
from emergence.settings import parse
from emergence.statistics import Measurement
from emergence.verification.criteria import Criterion
from emergence.verification.outcomes import evaluate

ADAPTER = TypeAdapter(Criterion)
SPREAD = 0.1
EXACT = small_torus(ComplexPhi4(1.0, 1.0, 1.0)).log_partition


def ask(measure: str, **demanded: object) -> object:
    """A criterion of the ledger."""
    common = {"measure": measure, "basis": "choice", "justification": "as made"}
    return ADAPTER.validate_python(common | demanded)


@pytest.fixture
def results(build_settings, tmp_path) -> Results:
    """A flow whose ln w is Gaussian about ln Z, and whose densities vary."""
    content = build_settings()
    del content["holography"]["flows"]["line"]
    rng = np.random.default_rng(0)
    folder = tmp_path / "flows" / "disc" / "2"
    noise = SPREAD * rng.standard_normal((1, 1, 20_000))
    artifacts.write_arrays(
        folder / "arrays.npz",
        {
            "t": np.array([1.0]), "mu": np.array([1.0]),
            "log_weights": EXACT - 0.5 * SPREAD**2 + noise,
            "log_density": rng.standard_normal((1, 1, 20_000)),
            "untrained_log_weights": np.full((1, 16), EXACT - 3.0),
            "parameters": np.array(7), "steps": np.array(100), "batch": np.array(8),
            "shipped": np.array(0.0),
        },
    )  # fmt: skip
    artifacts.write_numbers(folder / "timing.json", {"seconds_per_step": 0.25})
    return Results(parse(content, "settings of a test"), tmp_path)


def test_every_number_is_that_of_the_weights(results):
    found = dict(flows(results))
    row = found["flows"].iloc[0]
    assert row["divergence"] == pytest.approx(0.5 * SPREAD**2, abs=4 * SPREAD / 141)
    assert row["effective_fraction"] == pytest.approx(np.exp(-(SPREAD**2)), abs=2e-3)
    share = found["disc.effective_fraction_2"]
    # Of Gaussian ln w to first order in its variance s²: s² is known to √(2/n) of itself.
    assert share.error == pytest.approx(SPREAD**2 * np.sqrt(2.0 / 20_000), rel=0.2)
    assert row["untrained_divergence"] == pytest.approx(3.0)
    assert row["seconds"] == 25.0
    deviation = found["disc.ln_z_deviation_2"]
    assert isinstance(deviation, Measurement)
    assert deviation.value < 4.0 * deviation.error
    assert deviation.error == pytest.approx(SPREAD / np.sqrt(20_000), rel=0.05)


def test_mixed_up_densities_miss_the_partition_function(results):
    """ln⟨e^(x − y)⟩ of two independent normal numbers is one."""
    found = dict(flows(results))
    assert found["disc.shuffled_ln_z_deviation_2"].value == pytest.approx(1.0, abs=0.15)


def test_fewer_than_ten_effective_samples_decide_nothing(results):
    """However close the number happens to be to its bound."""
    path = results.folder / "flows" / "disc" / "2" / "arrays.npz"
    arrays = dict(artifacts.read_arrays(path))
    one = np.full((1, 1, 500), EXACT - 20.0)
    one[..., 0] = EXACT + np.log(500.0)
    other = np.random.default_rng(0).standard_normal((1, 1, 500))
    artifacts.write_arrays(path, arrays | {"log_weights": one, "log_density": other})
    found = dict(flows(Results(results.settings, results.folder)))
    assert found["flows"]["underpowered"].all()
    assert found["disc.ln_z_deviation_2"].value < 1e-6
    for name, demanded in (
        ("ln_z_deviation", {"test": "at_most", "bound": 1e-3}),
        ("shuffled_ln_z_deviation", {"test": "at_most", "bound": 1e-3}),
        ("effective_fraction", {"test": "at_least", "bound": 1e-4}),
    ):
        criterion = ask(f"disc.{name}_2", **demanded)
        outcome = evaluate(criterion, found.__getitem__)
        assert outcome.verdict == "underpowered", name
        assert "fewer than ten effective samples" in outcome.note
    # What needs no weights is known all the same.
    assert found["disc.divergence_2"].error > 0.0
    assert found["disc.parameters_2"].error == 0.0


def test_enough_of_them_do(results):
    found = dict(flows(results))
    for name, bound in (("ln_z_deviation", 1e-2), ("divergence", 0.1)):
        criterion = ask(f"disc.{name}_2", test="at_most", bound=bound)
        assert evaluate(criterion, found.__getitem__).verdict == "reproduced", name


def test_only_some_theories_are_known(results):
    chosen = results.chosen
    assert exact_log_partition(ComplexPhi4(1.0, 1.0, 1.0), 4) is None
    assert chosen.theories["disc"].lam == 1.0


def test_of_a_flow_told_its_couplings_the_extremes_are_measured():
    """With an error where ln Z is known, as a bound where it is not."""
    frame = {"t": [0.1, 0.2, 0.3, 0.4], "mu": [-199.8, -199.6, -199.4, -199.2]}
    frame |= {"divergence": [2.0, 0.5, 9.0, np.nan], "divergence_error": [0.1, 0.2, 0.3, 0.4]}
    part = pd.DataFrame(frame | {"divergence_low": [False, False, True, True]})
    found = dict(over_couplings("line", 8, part))
    least, largest = (found[f"line.{word}_divergence_8"] for word in ("least", "largest"))
    assert (least.value, least.error, least.note) == (0.5, 0.2, "at t = 0.2, μ = -199.6")
    assert largest.value == 9.0 and largest.error is None and LOW in largest.note
    nothing = dict(over_couplings("line", 8, part.iloc[3:]))
    assert all(one.value is None and one.error is None for one in nothing.values())


def test_what_a_scale_leaves_out_gives_empty_tables(results):
    tables = dict(_tables(results))
    assert tables["symmetry"].empty
    assert tables["plane"].empty


def _tables(results):
    from emergence.holography import plane, readings

    for part in (readings.symmetry, plane.plane):
        yield from part(results)


def curves_of(briefer: float) -> pd.DataFrame:
    """Trainings of a hundred checkpoints that lose a nat a second from 100 and from 200 on, side 8."""
    parts = []
    for arm, start, seconds in zip(PAIR, (100.0, 200.0), (80.0, briefer), strict=True):
        step = 20 * np.arange(1, 101)
        time = 20.0 + step / step[-1] * seconds
        frame = {"arm": arm, "size": 8, "step": step, "seconds": time, "divergence": start - time}
        parts.append(pd.DataFrame(frame))
    return pd.concat(parts)


@pytest.mark.parametrize("briefer", [40.0, 160.0])
def test_at_equal_time_neither_training_has_more(briefer):
    found = dict(equal_time(curves_of(briefer), 8))
    time = 20.0 + min(80.0, briefer)
    for arm, start in zip(PAIR, (100.0, 200.0), strict=True):
        value = found[f"symmetry.{arm}_equal_time_8"]
        # Averaged over the last few checkpoints, each up to two seconds apart.
        assert start - time < value.value < start - time + 4.0
        assert 0.0 < value.error < 2.0
    assert found["symmetry.gap_equal_time_8"].value == pytest.approx(100.0, abs=4.0)
    assert f"after {time:.0f} s" in found["symmetry.gap_equal_time_8"].note


def test_trainings_that_share_no_time_at_a_side_tell_nothing_there():
    late = curves_of(40.0)
    late.loc[late["arm"] == PAIR[0], "seconds"] += 100.0
    found = dict(equal_time(late, 8))["symmetry.gap_equal_time_8"]
    assert found.value is None and "too few checkpoints" in found.note


def test_a_missing_flow_is_named(results):
    (results.folder / "flows" / "disc" / "2" / "arrays.npz").unlink()
    with pytest.raises(artifacts.ArtifactError, match=r"arrays\.npz is missing"):
        analyse(results.settings, results.folder)
