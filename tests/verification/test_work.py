"""What a job costs, told from others by its work: on the laptop scale's own jobs, and where it cannot be."""

import math
from pathlib import Path

import pytest

from emergence.settings import load
from emergence.verification.costs import CALIBRATION, recorded_costs
from emergence.verification.jobs import training_jobs
from emergence.verification.lineage import planned_jobs
from emergence.verification.work import FARTHEST, likeness, scaled, total, work_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def laptop():
    return load(ROOT / "config/laptop.yaml")


@pytest.fixture(scope="module")
def paper():
    return load(ROOT / "config/paper.yaml")


@pytest.fixture(scope="module")
def known():
    costs = recorded_costs(ROOT / "config/costs.csv", "laptop")
    return {job: cost.cpu_s for job, cost in costs.items() if job != CALIBRATION}


def test_three_quarters_of_the_jobs_are_told_by_others_within_a_factor_of_two(laptop, known):
    off = []
    for job in planned_jobs(laptop) & known.keys():
        others = {other: seconds for other, seconds in known.items() if other != job}
        if work_of(laptop, job) and (told := scaled(job, laptop, others, laptop)):
            off.append(abs(math.log(told / known[job])))
    assert len(off) > 100
    assert sum(each < math.log(2.0) for each in off) > 0.75 * len(off)


def test_the_same_job_costs_the_same(laptop, known):
    for job in sorted(training_jobs(laptop) & known.keys()):
        assert scaled(job, laptop, known, laptop) == pytest.approx(known[job]), job


@pytest.mark.parametrize(
    ("job", "change", "factor"),
    [
        ("holography/chains/plane", {"trajectories": 280}, 2.0),  # 40 tune them
        ("holography/chains/critical_boundary", {"leapfrogs": 200}, 2.0),
        ("holography/bulks/critical_32", {"samples": 1500}, 3.0),
    ],
)
def test_work_grows_with_what_is_asked_for(laptop, job, change, factor):
    system, kind, name = job.split("/")
    content = laptop.model_dump()
    content[system][kind][name] |= change
    more = type(laptop).model_validate(content)
    assert work_of(more, job) == pytest.approx(factor * work_of(laptop, job))


def test_chains_are_alike_where_they_move_in_the_same_way(laptop):
    told = {
        name: likeness(laptop, f"holography/chains/{name}")
        for name in ("critical_boundary", "ising_boundary", "line_8", "critical_bulk", "ising_bulk")
    }
    assert told["critical_boundary"] == told["ising_boundary"]
    assert told["line_8"] == told["critical_bulk"] != told["ising_bulk"]


def test_what_is_too_far_or_of_no_kind_is_not_told(paper, laptop, known):
    far = "retraining/chains/paper_square/38"
    alone = "retraining/analysis"
    near = {"retraining/chains/paper_square/4": 100.0}
    assert scaled(far, paper, near, laptop) is None
    works = [work_of(*each) for each in ((paper, far), (laptop, next(iter(near))))]
    assert works[0] > FARTHEST * works[1]
    assert scaled("holography/bulks/free", paper, {}, laptop) is None
    assert scaled(alone, paper, known, laptop) == known[alone]
    seconds, unknown = total([far, alone], paper, near, laptop)
    assert (seconds, sorted(unknown)) == (0.0, sorted([far, alone]))


def test_of_the_flows_of_the_paper_scale_it_tells_what_their_steps_do(paper, laptop, known):
    """Neither was told by the other."""
    from emergence.verification.rehearsal import read_steps

    steps = read_steps(ROOT / "config/steps.csv")
    steps = steps[steps["device"].str.startswith("CPU")]
    timed, told = 0.0, 0.0
    for row in steps.itertuples():
        found = scaled(f"holography/flows/{row.flow}/{row.side}", paper, known, laptop)
        if found is not None:
            timed, told = timed + row.hours, told + found / 3600.0
    assert timed > 10.0
    assert 0.5 < told / timed < 2.0, (told, timed)
