"""Which shipped weights a number is read from, and whether an evaluation reaches it."""

from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest

from emergence.introspection import reading
from emergence.settings import load
from emergence.shipped import Entry, read_manifest
from emergence.statistics import Measurement, read_measurements
from emergence.verification import underlying
from emergence.verification.jobs import load_needs

ROOT = Path(__file__).parents[2]
SETTINGS = load(ROOT / "config/laptop.yaml")
NEEDS = load_needs(ROOT / "workflow/needs.yaml")
SHIPPED = read_manifest(ROOT / "weights/laptop")


def fingerprints(manifest=SHIPPED):
    return underlying.fingerprints(manifest, SETTINGS, NEEDS, "laptop", ROOT / "claims")


@pytest.mark.parametrize(
    ("job", "changed", "same"),
    [
        (
            "retraining/chains/heisenberg/20",
            ("retraining", "heisenberg.error_10"),
            # S6 is of both chains, but what it has of Ising's S3-raw has too.
            ("retraining", "ising.error_last"),
        ),
        (
            "holography/flows/real_nvp/8",
            ("holography", "critical.divergence_16"),  # ln Z is the best that both know
            ("holography", "ising.divergence_8"),
        ),
        (
            "introspection/distillers/strong",
            ("introspection", "strong.curvature"),
            ("introspection", "law.psi_r2"),
        ),
    ],
)
def test_other_weights_change_the_fingerprint_of_what_is_read_from_them(job, changed, same):
    before = fingerprints()
    other = replace(SHIPPED, jobs={**SHIPPED.jobs, job: Entry("0" * 64, None)})
    after = fingerprints(other)
    assert before.keys() == after.keys()
    assert before[changed] != after[changed]
    assert before[same] == after[same]
    without = {name: entry for name, entry in SHIPPED.jobs.items() if name != job}
    assert fingerprints(replace(SHIPPED, jobs=without))[changed] not in (
        before[changed],
        after[changed],
    )
    # Of weights that are too large to ship the manifest has the hash, and it is the same one.
    withheld = {**SHIPPED.withheld, job: SHIPPED.jobs[job].sha256}
    assert fingerprints(replace(SHIPPED, jobs=without, withheld=withheld)) == before


def test_every_pattern_names_a_shipped_number():
    for system, patterns in underlying.UNEVALUATED.items():
        names = read_measurements(ROOT / "weights/laptop" / system / "measurements.json")
        for pattern in patterns:
            assert [name for name in names if fnmatchcase(name, pattern)], pattern
        assert any(underlying.evaluated(system, name) for name in names)


def test_of_the_wave_law_those_that_its_latents_do_not_change():
    rng = np.random.default_rng(1)
    state = rng.normal(size=(4, 9, 2)) + 0j
    data = {
        "train_potential": np.array([-1.0, 1.0]),
        "test_potential": rng.normal(size=(4, 8)),
        "test_state": state,
    }
    weights = rng.normal(size=(3, 2, 2, 2))
    latent = rng.normal(size=(3, 4, 9, 2))
    one, other = (
        reading.read_wave_law(weights, given, data, 1.0, 0.1)
        for given in (latent, latent + 0.1 * rng.normal(size=latent.shape))
    )
    single = [name for name, values in one.items() if np.shape(values) == (3,)]
    for name in single:
        if name == "spacing_squared":
            continue
        told = underlying.evaluated("introspection", f"law.{name}")
        told &= underlying.evaluated("introspection", f"strong.{name}")
        assert np.array_equal(one[name], other[name], equal_nan=True) != told, name


def continued(name, source):
    """Axes that do not reach a number of the laptop scale."""
    found = {name: Measurement(name, 1.0, 0.1, source=source)}
    return {axis for _, _, axis in underlying.unreached(SETTINGS, found)}


EVERY = set(underlying.SWITCHES)


@pytest.mark.parametrize(
    ("name", "source", "axes"),
    [
        ("diagram.corrected_p_smallest_32", "chains/line_32", EVERY),
        ("diagram.corrected_p_smallest_8", "chains/line_8", set()),
        # The flow's own samples, which are drawn again.
        ("diagram.raw_p_smallest_32", "flows/line_32/32", set()),
        ("correlation.corrected_exponent", "chains/line_32", EVERY),
        ("sampling.ising_16.bulk_mean", "chains/ising_16_bulk, chains/ising_16_boundary", EVERY),
        ("sampling.ising_16.tau_ratio", "chains/ising_16_bulk, chains/ising_16_boundary", set()),
        ("sampling.ising.bulk_mean", "chains/ising_bulk, chains/ising_boundary", set()),
        ("bulk.critical.trained_multi", "bulks/critical", set()),
        ("disc.ln_z_deviation_2", "flows/disc/2", set()),
        ("x", "", set()),
    ],
)
def test_no_axis_reaches_records_drawn_beforehand(name, source, axes):
    assert continued(name, source) == axes


def test_nor_precision_what_only_moves_in_double():
    chains = SETTINGS.holography.chains
    drawn = chains["line_32"].model_copy(update={"shipped": None})
    chosen = SETTINGS.holography.model_copy(update={"chains": chains | {"line_32": drawn}})
    settings = SETTINGS.model_copy(update={"holography": chosen})
    name = "correlation.corrected_exponent"
    found = {name: Measurement(name, 1.0, 0.1, source="chains/line_32/32")}
    fixed = underlying.unreached(settings, found)
    assert fixed == {("holography", name, "precision"): "does not apply"}
    assert underlying.reached("holography", name, "threads", fixed)
    assert not underlying.reached("holography", name, "precision", fixed)


def test_numbers_of_claims_are_told_with_the_axes_that_do_not_reach_them():
    found = fingerprints()
    number = "holography", "correlation.corrected_exponent"
    assert {key[2] for key in found if key[:2] == number and len(key) == 3} == EVERY
    assert {key[:2] for key in found} == {key for key in found if len(key) == 2}
    assert not any(len(key) == 3 for key in fingerprints(replace(SHIPPED, folder=Path("none"))))
