"""Which shipped weights a number is read from, and whether an evaluation reaches it."""

from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest

from emergence.introspection import reading
from emergence.settings import load
from emergence.shipped import Entry, read_manifest
from emergence.statistics import read_measurements
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
