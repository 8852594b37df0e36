"""What each scale costs here: what was recorded at this machine's pace, of the rest what is known."""

from pathlib import Path

import pytest
import yaml

from emergence.settings import load
from emergence.verification import expected
from emergence.verification.costs import CALIBRATION, Cost, record
from emergence.verification.lineage import planned_jobs
from emergence.verification.work import scaled

ROOT = Path(__file__).parents[2]
COLUMNS = "scale,device,flow,side,batch,seconds_per_step,steps,hours,memory_gib\n"


@pytest.fixture
def costs(tmp_path) -> Path:
    """Two jobs of scale laptop, on a machine twice as fast as the one that `SLOW` is of."""
    jobs = [Cost("a/x", 60.0, 70.0, 2048.0), Cost("b/y", 30.0, 9.0, 10.0)]
    record(tmp_path / "costs.csv", "laptop", [*jobs, Cost(CALIBRATION, 0.1, 0.1, 0.0)])
    return tmp_path / "costs.csv"


SLOW = Cost(CALIBRATION, 0.2, 0.2, 0.0)


@pytest.mark.parametrize(
    ("cores", "wall"),
    [
        (1, 200.0),  # nine tenths of the time the processors are busy
        (2, 120.0),  # the longest job alone takes so long
    ],
)
def test_a_recorded_scale_takes_the_time_of_this_machine(costs, cores, wall):
    (cost,) = expected.expected_costs(costs, cores, SLOW).values()
    assert (cost.cpu_s, cost.memory_gib) == (180.0, 2.0)
    assert cost.wall_s == pytest.approx(wall, rel=1e-12)


def test_both_times_are_told_and_what_is_not_known(costs, monkeypatch):
    monkeypatch.setattr(expected, "calibrate", lambda: SLOW)
    smoke, laptop, paper = expected.cost_lines(costs, 2)
    assert laptop == (
        "laptop: about 3 min 0 s of processor time, 2 min 0 s on 2 processors that are idle, at most "
        "2.0 GiB per job."
    )
    assert smoke == "smoke: not measured yet; meant for a GPU and many hours."
    (costs.parent / "steps.csv").write_text(
        COLUMNS
        + "paper,CPU (4 threads),disc,2,8,0.1,10,30.0,1.5\npaper,CPU (4 threads),line,4,8,1,10,42.4,4.1\n"
        + "paper,GPU,disc,2,8,0.1,10,500.0,1.0\nsmoke,CPU (4 threads),disc,2,8,0.1,10,0.1,1.5\n"
    )
    smoke, _, paper = expected.cost_lines(costs, 2)
    assert paper == (
        "paper: never run; the trainings of its flows take some 72 h of processor time and up to 4.1 GiB, "
        "by a step of each on CPU (4 threads)."
    )
    assert "0 h of processor time" in smoke


def test_the_other_jobs_are_told_by_their_work(tmp_path):
    """Chains of the paper scale that were the laptop's, of twice the length; nothing else was run."""
    for scale in ("laptop", "paper"):
        text = (ROOT / f"config/{scale}.yaml").read_text("utf-8")
        (tmp_path / f"{scale}.yaml").write_text(text)
    content = yaml.safe_load((tmp_path / "laptop.yaml").read_text())
    run = content["holography"]["chains"]["plane"]
    content["scale"] = "paper"
    content["holography"]["chains"]["plane"] = run | {"tuning": 80, "trajectories": 240}
    (tmp_path / "paper.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    record(tmp_path / "costs.csv", "laptop", [Cost("holography/chains/plane", 110.0, 1.0, 1.0)])
    others = expected.of_others(tmp_path / "costs.csv", "paper", 2.0)
    told = [job for job in planned_jobs(load(tmp_path / "paper.yaml")) if "/chains/" in job]
    assert "holography/chains/plane" not in others.unknown
    assert set(others.unknown).isdisjoint(
        {job for job in told if job.startswith("holography/chains")}
    )
    # 10 of the 110 s are no part of the work; each other run of chains has its own share of it.
    alone = scaled("holography/chains/plane", load(tmp_path / "paper.yaml"),
                   {"holography/chains/plane": 110.0}, load(tmp_path / "laptop.yaml"))  # fmt: skip
    assert alone == pytest.approx(210.0)
    assert others.cpu_s > 2.0 * alone
    sentence = expected._never_run("paper", None, others)
    assert f"but for {len(others.unknown)} that are too much work" in sentence


def test_memory_is_that_of_the_dearest_job_with_a_margin(costs):
    assert expected.memory_needed(costs) == {"laptop": 2.4}
    (costs.parent / "steps.csv").write_text(COLUMNS + "paper,CPU,disc,2,8,0.1,10,1.0,4.0\n")
    assert expected.memory_needed(costs) == {"laptop": 2.4, "paper": 4.8}


def test_of_what_is_committed_every_scale_is_known():
    needed = expected.memory_needed(ROOT / "config/costs.csv")
    assert list(needed) == ["smoke", "laptop", "paper"]
    assert sorted(needed.values()) == list(needed.values())
