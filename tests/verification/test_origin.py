"""Shipped weights trained anew: the laptop run with what was done beforehand put back in."""

from pathlib import Path

import pytest

from emergence.errors import SettingsError
from emergence.settings import load, parse
from emergence.verification.jobs import begun_elsewhere, jobs_of
from emergence.verification.origin import PREFIX, trained_anew

ROOT = Path(__file__).parents[2]
LAPTOP, ORIGIN = (load(ROOT / f"config/{name}.yaml") for name in ("laptop", "shipped"))


@pytest.fixture(scope="module")
def anew():
    return trained_anew(LAPTOP, ORIGIN)


def test_nothing_starts_from_what_was_shipped(anew):
    assert begun_elsewhere(LAPTOP)
    assert not begun_elsewhere(anew)
    assert not any(run.shipped for run in anew.holography.chains.values())


def test_flows_grow_by_their_own_stages_from_the_smallest_side(anew):
    made = ORIGIN.holography.flows["critical"].sizes
    assert anew.holography.flows["critical_32"].sizes == {s: PREFIX + n for s, n in made.items()}
    for stages in made.values():
        assert anew.holography.stages[PREFIX + stages] == ORIGIN.holography.stages[stages]
    assert list(anew.holography.flows["line_16"].sizes) == [4, 8, 16], "Not beyond its own side."
    needed = jobs_of(anew, "holography", ["bulks/critical_32"])
    assert {f"holography/flows/critical_32/{side}" for side in (4, 8, 16, 32)} < needed


def test_a_chain_of_sizes_goes_on_beyond_what_was_shipped(anew):
    sizes = anew.retraining.chains["paper_chain"].sizes
    assert sizes == {8: f"{PREFIX}original", 16: "original_grow"}


def test_records_are_all_drawn(anew):
    for name, run in LAPTOP.holography.chains.items():
        found = anew.holography.chains[name]
        if not run.shipped:
            assert found == run
            continue
        made = ORIGIN.holography.chains[run.shipped]
        first = ORIGIN.holography.chains[made.shipped].trajectories if made.shipped else 0
        assert found.trajectories == made.trajectories + first
        assert (found.flow, found.cold) == (run.flow, run.cold)


def test_everything_else_stays(anew):
    assert anew.introspection == LAPTOP.introspection
    assert anew.holography.bulks == LAPTOP.holography.bulks
    own = {n: arm for n, arm in LAPTOP.holography.flows.items() if not arm.shipped}
    assert {n: arm for n, arm in anew.holography.flows.items() if n in own} == own


@pytest.mark.parametrize(("kind", "key"), [("arms", "flows"), ("chains", "chains")])
def test_what_nobody_made_is_told(kind, key):
    content = ORIGIN.model_dump(mode="json")
    content["holography"][key] = {
        name: entry
        for name, entry in content["holography"][key].items()
        if not name.startswith("line")
    }
    content["holography"]["chains"] = {
        name: entry
        for name, entry in content["holography"]["chains"].items()
        if entry["flow"] in content["holography"]["flows"]
    }
    with pytest.raises(SettingsError, match=f"of none of the {kind}"):
        trained_anew(LAPTOP, parse(content, "a test"))
