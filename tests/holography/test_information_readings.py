"""Budgets of a step and what bulks share, against determinants and sums written out here."""

import numpy as np
import pandas as pd
import pytest
from made_bulks import MadeResults

from emergence.holography import information_readings
from emergence.holography.bulk_information import BUDGET
from emergence.holography.bulk_stored import MAPS

SIDE, MASS = information_readings.REFERENCE_SIDE, information_readings.REFERENCE_MASS


def half_log_det(covariance):
    return 0.5 * np.linalg.slogdet(covariance)[1]


@pytest.fixture(scope="module")
def covariance():
    """⟨φφ⟩ of the reference field: the inverse of m² − Δ on the torus, sites in row-major order."""
    operator = (MASS + 4.0) * np.eye(SIDE**2)
    for site in range(SIDE**2):
        y, x = divmod(site, SIDE)
        for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            operator[site, (y + dy) % SIDE * SIDE + (x + dx) % SIDE] -= 1.0
    return np.linalg.inv(operator)


@pytest.fixture(scope="module")
def budgets():
    return information_readings.exact_budgets(7)


class TestExactBudgets:
    def test_are_of_every_map_and_of_many_random_ones(self, budgets):
        assert {name: len(found) for name, found in budgets.items()} == {
            "haar": 1, "untrained": 1, "random": information_readings.RANDOM_MAPS, "optimal": 1,
        }  # fmt: skip

    def test_the_total_is_that_of_a_block_and_the_rest_whatever_the_map(self, budgets, covariance):
        block = np.array([0, 1, SIDE, SIDE + 1])
        rest = np.setdiff1d(np.arange(SIDE**2), block)
        inside, outside = (covariance[np.ix_(part, part)] for part in (block, rest))
        total = half_log_det(inside) + half_log_det(outside) - half_log_det(covariance)
        for found in budgets.values():
            np.testing.assert_allclose([one.total for one in found], total, rtol=1e-10)

    def test_what_haar_s_coarse_site_keeps_is_that_of_the_block_s_sum(self, budgets, covariance):
        block = [0, 1, SIDE, SIDE + 1]
        rest = np.setdiff1d(np.arange(SIDE**2), block)
        rows = np.vstack([np.isin(np.arange(SIDE**2), block) / 2.0, np.eye(SIDE**2)[rest]])
        joint = rows @ covariance @ rows.T
        kept = half_log_det(joint[:1, :1]) + half_log_det(joint[1:, 1:]) - half_log_det(joint)
        assert budgets["haar"][0].coarse == pytest.approx(kept, rel=1e-10)

    def test_the_chain_rule_is_exact_and_the_slides_identity_is_not(self, budgets):
        for found in budgets.values():
            for one in found:
                assert one.total == pytest.approx(one.coarse + one.conditional, rel=1e-11)
        for name in ("haar", "untrained", "optimal"):
            assert abs(budgets[name][0].slides_defect) > 0.02

    def test_are_fixed_by_the_seed(self, budgets):
        again, other = (information_readings.exact_budgets(seed)["random"] for seed in (7, 8))
        assert again == budgets["random"]
        assert other != budgets["random"]


def test_the_reference_spectrum_is_that_of_the_lattice_laplacian():
    k = 2.0 * np.pi * np.arange(SIDE) / SIDE
    laplacian = 4.0 * (np.sin(k[:, None] / 2.0) ** 2 + np.sin(k / 2.0) ** 2)
    found = information_readings.reference_spectrum()
    np.testing.assert_allclose(found, 1.0 / (MASS + laplacian), rtol=1e-12)


def test_details_of_another_step_break_the_chain_rule(budgets):
    """Haar's coarse site, and what three sites tell beyond the fourth."""
    haar, sites = budgets["haar"][0], budgets["untrained"][0]
    expected = abs(haar.total - haar.coarse - sites.conditional)
    assert information_readings.mismatched() == pytest.approx(expected, rel=1e-12)
    assert expected > 0.1 * haar.total


@pytest.fixture(scope="module")
def multi():
    return information_readings.exact_multi_informations(7)


class TestExactMultiInformations:
    def test_of_the_sites_is_half_the_log_of_their_variances_over_the_determinant(
        self, multi, covariance
    ):
        expected = 0.5 * np.sum(np.log(np.diag(covariance))) - half_log_det(covariance)
        assert multi["untrained"] == [pytest.approx(expected, rel=1e-10)]

    def test_of_haar_is_that_of_the_wavelets_variances(self, multi, covariance):
        """The transform written out by levels; it is orthogonal and keeps the determinant."""
        rows, sums = [], np.eye(SIDE**2).reshape(SIDE, SIDE, -1)
        while len(sums) > 1:
            a, b, c, d = sums[::2, ::2], sums[::2, 1::2], sums[1::2, ::2], sums[1::2, 1::2]
            details = [(a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2]
            rows += [part.reshape(-1, SIDE**2) for part in details]
            sums = (a + b + c + d) / 2
        wavelets = np.vstack([*rows, sums.reshape(1, -1)])
        variances = np.einsum("li,ij,lj->l", wavelets, covariance, wavelets)
        expected = 0.5 * np.sum(np.log(variances)) - half_log_det(covariance)
        assert multi["haar"] == [pytest.approx(expected, rel=1e-9)]

    def test_the_better_the_map_the_less_is_left(self, multi):
        (whole,), (tree,), (haar,) = (multi[name] for name in ("optimal", "optimal_tree", "haar"))
        assert 0.0 < 1.5 * whole < tree
        assert tree == pytest.approx(haar, rel=1e-6), "No tree of blocks is better than Haar's."
        assert haar < min(multi["random"])


@pytest.fixture(scope="module")
def measured():
    return dict(information_readings.exact(MadeResults({})))


class TestExact:
    def test_budgets_are_measured_by_map_and_quantity(self, measured, budgets):
        for name, found in budgets.items():
            for quantity in BUDGET:
                values = [getattr(one, quantity) for one in found]
                entry = measured[f"budget.{name}_{quantity}"]
                assert entry.value == pytest.approx(np.median(values), rel=1e-9, abs=1e-15)
                assert (entry.error > 0.0) == (len(values) > 1 and np.ptp(values) > 0.0)
                assert entry.unit == "nats"

    def test_the_slides_sum_and_its_share_of_the_total(self, measured, budgets):
        haar = budgets["haar"][0]
        assert measured["budget.haar_slides_sum"].value == pytest.approx(haar.coarse + haar.bulk)
        share = abs(haar.slides_defect) / haar.total
        assert measured["budget.haar_relative_defect"].value == pytest.approx(share)

    def test_the_worst_defect_of_the_chain_rule_is_rounding_and_its_control_is_not(self, measured):
        assert 0.0 <= measured["budget.worst_chain_defect"].value < 1e-12
        assert measured["budget.mismatched_chain_defect"].value > 0.1


def table(rng):
    """Values and errors of a budget, ``[6, 2]``."""
    return np.stack([rng.uniform(-1.0, 1.0, len(BUDGET)), rng.uniform(0.0, 0.1, len(BUDGET))], -1)


@pytest.fixture(scope="module")
def arrays():
    """A study of made-up numbers."""
    rng, arrays = np.random.default_rng(0), {}
    for name in MAPS:
        for key in ("budget", "budget_whole"):
            arrays[f"{name}_{key}"] = table(rng)
            arrays[f"{name}_{key}"][0] = 2.0, 0.1
        arrays[f"{name}_multi"] = np.array([3.0, 0.2])
        arrays[f"{name}_pair_count"] = np.array([4.0, 2.0])
        arrays[f"{name}_pair_value"] = np.array([0.5, 0.25])
        arrays[f"{name}_pair_replicas"] = np.array([[0.4, 0.2], [0.6, 0.2], [0.5, 0.2]])
    arrays["optimal_multi"] = np.array([np.nan, np.nan])
    return arrays


@pytest.fixture(scope="module")
def tabled(arrays):
    return dict(information_readings.budgets(MadeResults(arrays)))


class TestBudgets:
    def test_the_exact_ones_and_both_steps_of_every_map_are_tabled(self, tabled):
        rows = tabled["budgets"]
        assert set(rows[rows["bulk"] == "exact"]["map"]) == {
            "haar",
            "untrained",
            "random",
            "optimal",
        }
        assert len(rows[rows["bulk"] == "made"]) == 2 * len(MAPS) * len(BUDGET)
        assert set(rows["quantity"]) == set(BUDGET)

    def test_a_study_s_numbers_are_tabled_as_they_were_stored(self, tabled, arrays):
        rows = tabled["budgets"]
        part = rows[
            (rows["bulk"] == "made") & (rows["map"] == "trained") & (rows["step"] == "whole")
        ]
        assert list(part["quantity"]) == list(BUDGET)
        np.testing.assert_array_equal(part[["value", "error"]], arrays["trained_budget_whole"])

    @pytest.mark.parametrize(("label", "key"), [("", "budget"), ("whole_", "budget_whole")])
    def test_defects_are_relative_to_the_total_of_two_nats(self, tabled, arrays, label, key):
        for defect in ("chain_defect", "slides_defect"):
            value, error = arrays[f"haar_{key}"][BUDGET.index(defect)]
            entry = tabled[f"bulk.made.haar_{label}relative_{defect}"]
            assert (entry.value, entry.error) == pytest.approx((abs(value) / 2.0, error / 2.0))
        value, error = arrays[f"haar_{key}"][BUDGET.index("coarse")]
        entry = tabled[f"bulk.made.haar_{label}coarse"]
        assert (entry.value, entry.error, entry.unit) == (value, error, "nats")


class TestBulkInformation:
    def test_pairs_are_summed_by_their_number_and_their_error_is_the_replicas(self, arrays):
        found = dict(information_readings.bulk_information(MadeResults(arrays)))
        entry = found["bulk.made.haar_pairs"]
        # 4 · ½ + 2 · ¼, and replicas of 2, 2.8 and 2.4.
        assert (entry.value, entry.error) == pytest.approx((2.5, 0.4))
        multi = found["bulk.made.haar_multi"]
        assert (multi.value, multi.error) == (3.0, 0.2)

    def test_what_could_not_be_measured_is_left_out(self, arrays):
        found = dict(information_readings.bulk_information(MadeResults(arrays)))
        assert "bulk.made.optimal_multi" not in found
        assert "bulk.made.optimal_pairs" in found
        rows = found["bulk_information"]
        assert list(rows[rows["map"] == "optimal"]["quantity"]) == ["pairs"]
        assert "radial" not in set(rows["quantity"])

    def test_radial_information_is_the_trained_map_s(self, arrays):
        radial = arrays | {"radial_multi": np.array([0.7, 0.05])}
        found = dict(information_readings.bulk_information(MadeResults(radial)))
        entry = found["bulk.made.trained_radial_multi"]
        assert (entry.value, entry.error) == (0.7, 0.05)
        rows = found["bulk_information"]
        assert list(rows[rows["quantity"] == "radial"]["map"]) == ["trained"]


def test_single_pairs_are_told_by_both_estimators_and_averaged():
    arrays = {
        "trained_link_levels": np.array([[0, 0], [0, 1]]),
        "trained_link_neighbour": np.array([[0.5, 0.03, 0.001], [0.1, 0.04, -0.002]]),
        "trained_link_gaussian": np.array([[0.7, 0.06, 0.0], [0.3, 0.08, 0.0]]),
    }
    found = dict(information_readings.single_pairs(MadeResults(arrays)))
    entry = found["bulk.made.trained_link_neighbour"]
    assert (entry.value, entry.error) == pytest.approx((0.3, 0.025))
    assert found["bulk.made.trained_link_neighbour_resolution"].value == 0.04
    assert found["bulk.made.trained_link_gaussian"].value == pytest.approx(0.5)
    rows = found["bulk_links"].set_index(["estimator", "level", "other"])
    assert set(found["bulk_links"]["map"]) == {"trained"}
    told = rows.loc[("neighbour", 0, 1), ["value", "error", "floor"]]
    assert list(told) == [0.1, 0.04, -0.002]
    assert "bulk.made.haar_link_neighbour" not in found


def test_a_scale_without_bulks_still_has_the_exact_budgets():
    found = dict(information_readings.budgets(MadeResults({})))
    assert set(found) == {"budgets"}
    assert set(found["budgets"]["bulk"]) == {"exact"}
    empty = dict(information_readings.bulk_information(MadeResults({})))
    assert isinstance(empty["bulk_information"], pd.DataFrame) and empty["bulk_information"].empty
    links = dict(information_readings.single_pairs(MadeResults({})))["bulk_links"]
    assert links.empty and list(links.columns) == information_readings.LINKS
