"""Captions: what a figure shows, which figure of the original it stands for, and what it decides."""

import re
import shutil
from pathlib import Path

import pytest

from emergence.verification.claims import load_ledger
from emergence.verification.page_figures import caption

ROOT = Path(__file__).parents[2]
LEDGERS = ROOT / "claims"
SYSTEMS = ("introspection", "holography", "retraining")


@pytest.mark.parametrize("system", SYSTEMS)
def test_names_every_claim_that_the_figure_decides_and_no_other(system):
    claims = load_ledger(LEDGERS / f"{system}.yaml").claims
    figures = {claim.figure for claim in claims if claim.figure.startswith(f"{system}/")}
    assert len(figures) > 3
    for figure in figures:
        told = caption(system, figure.split("/")[1], LEDGERS)
        (decided,) = re.findall(r"It decides (.+?)\.$", told)
        assert decided.split(", ") == [claim.id for claim in claims if claim.figure == figure]


def test_tells_the_place_and_the_number_of_the_original():
    claims = load_ledger(LEDGERS / "holography.yaml").claims
    one = next(c for c in claims if c.published != "none given" and not c.place.startswith("ours"))
    told = caption("holography", one.figure.split("/")[1], LEDGERS)
    assert f"{one.place} ({one.id}: {one.published})" in told


def test_a_figure_that_decides_nothing_says_so():
    """What it shows is told all the same, and that the original has none of the kind."""
    claims = load_ledger(LEDGERS / "holography.yaml").claims
    assert "holography/layers" not in {claim.figure for claim in claims}
    told = caption("holography", "layers", LEDGERS)
    assert told.endswith(
        "The original shows no such figure; it is of this project. No claim is decided by it."
    )


@pytest.mark.parametrize("broken", ["missing", "corrupt"])
def test_without_ledgers_only_what_it_shows_is_told(broken, tmp_path):
    folder = tmp_path / "claims"
    if broken == "corrupt":
        shutil.copytree(LEDGERS, folder)
        (folder / "retraining.yaml").write_text("claims: [")
    told = caption("holography", "layers", folder)
    assert told and "decide" not in told and "original" not in told
    assert caption("holography", "layers", LEDGERS).startswith(told)


def test_of_a_figure_that_nobody_draws_nothing_is_shown():
    assert caption("holography", "no_such_figure", LEDGERS).startswith(" ")
