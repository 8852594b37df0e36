"""How narrow a bottleneck may become, decided from made-up losses."""

import numpy as np
import pandas as pd
import pytest

from emergence import artifacts, settings
from emergence.analysing import WORST
from emergence.errors import ArtifactError
from emergence.introspection import parsimony
from emergence.introspection.analysis import Results
from emergence.statistics import Measurement

THIRD = parsimony.LOSS_THRESHOLD


@pytest.fixture
def results(build_settings, tmp_path):
    """A finished run of distillers with such losses, arm → {latent dimension: [seeds]}."""

    def results(losses):
        content = build_settings()
        arm = content["introspection"]["distillers"]["born"]
        decoders = {name: "linear" if name.endswith("linear") else "quadratic" for name in losses}
        content["introspection"]["distillers"] = {
            name: arm | {"latent": list(sizes), "decoder": decoders[name]}
            for name, sizes in losses.items()
        }
        for name, sizes in losses.items():
            arrays = {f"n{size}/loss": np.array(values) for size, values in sizes.items()}
            artifacts.write_arrays(tmp_path / "distillers" / name / "arrays.npz", arrays)
        return Results(settings.parse(content, "these settings"), tmp_path)

    return results


def read(results):
    """Everything that parsimony finds: its table, and the measurements by name."""
    found = dict(parsimony.read(results))
    tables = {name: item for name, item in found.items() if isinstance(item, pd.DataFrame)}
    measured = {name: item for name, item in found.items() if isinstance(item, Measurement)}
    assert list(tables) == ["bottleneck"]
    assert all(name == item.name for name, item in measured.items())
    return tables["bottleneck"], measured


class TestThreshold:
    def test_is_the_smallest_dimension_that_suffices_seed_by_seed(self, results):
        losses = {
            1: [0.5, 1e-9, 0.5, 0.5],
            2: [1e-7, 1e-9, 0.4, 0.5],
            3: [1e-8, 1e-9, 1e-6, 0.5],
        }
        found = parsimony.threshold(results({"born": losses}), "born")
        np.testing.assert_array_equal(found, [2, 1, 3, 4])

    def test_a_loss_at_the_threshold_suffices(self, results):
        losses = {1: [THIRD, np.nextafter(THIRD, 1.0)], 2: [0.0, 0.0]}
        found = parsimony.threshold(results({"born": losses}), "born")
        np.testing.assert_array_equal(found, [1, 2])

    def test_does_not_depend_on_the_order_of_the_dimensions(self, results):
        losses = {4: [1e-9, 1e-9], 2: [0.5, 1e-9], 3: [1e-9, 0.5]}
        found = parsimony.threshold(results({"born": losses}), "born")
        np.testing.assert_array_equal(found, [3, 2])

    def test_a_seed_that_was_lost_never_suffices(self, results):
        losses = {1: [np.nan, np.inf], 2: [np.nan, 1e-9]}
        found = parsimony.threshold(results({"born": losses}), "born")
        np.testing.assert_array_equal(found, [3, 2])


def test_the_table_has_a_row_for_each_arm_dimension_and_seed(results):
    table, _ = read(
        results({"quadratic": {1: [0.5, 0.6], 2: [1e-7, 2e-7]}, "a_linear": {3: [0.1, 0.2]}})
    )
    assert table.columns.tolist() == [
        "arm", "dataset", "decoder", "cell", "latent", "seed", "loss",
    ]  # fmt: skip
    assert table.to_numpy().tolist() == [
        ["quadratic", "waves", "quadratic", "linear", 1, 0, 0.5],
        ["quadratic", "waves", "quadratic", "linear", 1, 1, 0.6],
        ["quadratic", "waves", "quadratic", "linear", 2, 0, 1e-7],
        ["quadratic", "waves", "quadratic", "linear", 2, 1, 2e-7],
        ["a_linear", "waves", "linear", "linear", 3, 0, 0.1],
        ["a_linear", "waves", "linear", "linear", 3, 1, 0.2],
    ]


def test_ratios_are_taken_seed_by_seed_between_neighbouring_dimensions(results):
    losses = {1: [0.5, 0.4, 0.3], 2: [1e-3, 1e-4, 1e-5], 3: [1e-4, 1e-4, 1e-6]}
    _, measured = read(results({"quadratic": losses}))
    assert set(measured) == {
        "quadratic.loss_ratio_1_2", "quadratic.loss_ratio_2_3", "quadratic.threshold", "quadratic.loss_2",
    }  # fmt: skip
    assert measured["quadratic.loss_ratio_1_2"].values == pytest.approx([500, 4e3, 3e4])
    assert measured["quadratic.loss_ratio_1_2"].value == pytest.approx(4e3)
    assert measured["quadratic.loss_ratio_2_3"].values == pytest.approx([10, 1, 10])
    assert measured["quadratic.threshold"].values == (2.0, 2.0, 2.0)


def test_dimensions_left_out_have_no_ratio_and_one_alone_no_threshold(results):
    _, measured = read(
        results({"quadratic": {2: [0.1, 0.1]}, "wide": {1: [0.1] * 2, 3: [0.1] * 2}})
    )
    assert set(measured) == {"wide.threshold", "quadratic.loss_2"}


def test_the_sign_is_an_obstruction_against_the_arc_seed_by_seed(results):
    arms = {
        "quadratic": {2: [1e-7, 1e-8]},
        "circle": {2: [1e-3, 1e-2]},
        "single": {2: [2e-7, 1e-8]},
        "circle_linear": {3: [1e-6, 3e-6]},
    }
    _, measured = read(results(arms))
    assert set(measured) == {
        "circle.loss_over_arc", "single.loss_over_arc", "circle_linear.loss_3", "quadratic.loss_2",
    }  # fmt: skip
    assert measured["circle.loss_over_arc"].values == pytest.approx([1e4, 1e6])
    assert measured["single.loss_over_arc"].values == pytest.approx([2.0, 1.0])
    assert measured["circle_linear.loss_3"].values == pytest.approx([1e-6, 3e-6])


def test_what_is_lost_counts_as_very_bad_whichever_way_good_lies(results):
    arms = {
        "quadratic": {1: [np.nan, 0.5], 2: [1e-7, 1e-7]},
        "circle_linear": {3: [np.inf, 1e-6]},
    }
    _, measured = read(results(arms))
    assert measured["quadratic.loss_ratio_1_2"].values[0] == -WORST
    assert measured["circle_linear.loss_3"].values[0] == WORST


def test_an_arm_that_was_never_trained_is_named(results, tmp_path):
    run = results({"quadratic": {2: [0.1, 0.1]}})
    (tmp_path / "distillers" / "quadratic" / "arrays.npz").unlink()
    with pytest.raises(ArtifactError, match=r"quadratic.arrays\.npz is missing"):
        list(parsimony.read(run))
