"""What jobs cost: read from benchmarks as Snakemake writes them, recorded, compared."""

import os
import time

import pytest

from emergence.artifacts import write_numbers
from emergence.errors import ArtifactError
from emergence.verification import costs
from emergence.verification.costs import Cost, measured_costs, recorded_costs

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


@pytest.fixture
def benchmark(tmp_path):
    def write(job, text):
        system, _, rest = job.partition("/")
        path = tmp_path / "results" / system / "benchmarks" / f"{rest}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_benchmarks_are_read_by_job(tmp_path, benchmark):
    benchmark("holography/flows/disc/2", f"{HEAD}9.5\t0:00:09\t320\t1\t1\t1\t1\t1\t1\t8.25\n")
    benchmark("retraining/analysis", f"{HEAD}0.1\t0:00:00\tNA\tNA\tNA\tNA\tNA\tNA\tNA\tNA\n")
    found = measured_costs(tmp_path / "results")
    assert found == {
        "holography/flows/disc/2": Cost("holography/flows/disc/2", 8.25, 9.5, 320.0),
        "retraining/analysis": Cost("retraining/analysis", 0.0, 0.1, 0.0),
    }
    assert found["holography/flows/disc/2"].system == "holography"


def test_a_job_tells_what_was_done_after_snakemake_last_looked(tmp_path, benchmark):
    benchmark("holography/flows/disc/2", f"{HEAD}45\t0:00:45\t320\t1\t1\t1\t1\t1\t1\t16.5\n")
    folder = tmp_path / "results/holography/flows/disc/2"
    for name, seconds, age in (("history", 30.0, 20), ("arrays", 43.5, 1), ("weights", 900.0, 600)):
        path = folder / f"{name}.provenance.json"
        write_numbers(path, {"processor_time_s": seconds})
        os.utime(path, (time.time() - age,) * 2)
    # 900 s are of an earlier process, whose weights this one evaluated.
    assert measured_costs(tmp_path / "results")["holography/flows/disc/2"].cpu_s == 43.5


@pytest.mark.parametrize(
    "text",
    ["", HEAD, f"{HEAD}9\t0\tmany\t0\t0\t0\t0\t0\t0\t1\n", f"{HEAD}-1\t0\t1", "\0\1\n\2", "a\nb\n"],
)
def test_a_damaged_benchmark_is_told_in_one_sentence(tmp_path, benchmark, text):
    path = benchmark("holography/analysis", text)
    with pytest.raises(ArtifactError) as told:
        measured_costs(tmp_path / "results")
    assert str(path) in told.value.message
    assert told.value.remedy


def test_a_record_holds_every_scale_and_replaces_one(tmp_path):
    record = tmp_path / "costs.csv"
    costs.record(record, "laptop", [Cost("b/x", 2.0, 3.0, 40.0), Cost("a/x", 1.0, 1.5, 30.0)])
    costs.record(record, "smoke", [Cost("a/x", 0.5, 0.5, 20.0)])
    before = record.read_bytes()
    costs.record(record, "smoke", [Cost("a/x", 0.5, 0.5, 20.0)])
    assert record.read_bytes() == before
    costs.record(record, "laptop", [Cost("a/x", 7.0, 1.5, 30.0)])
    assert recorded_costs(record, "laptop") == {"a/x": Cost("a/x", 7.0, 1.5, 30.0)}
    assert recorded_costs(record, "smoke") == {"a/x": Cost("a/x", 0.5, 0.5, 20.0)}
    assert recorded_costs(record, "paper") == {}


@pytest.mark.parametrize(
    "text", ["", "scale,job\nlaptop,x\n", "scale,job,cpu_s,wall_s,memory_mib\nlaptop,x,one,1,1\n"]
)
def test_a_malformed_record_is_told(tmp_path, text):
    record = tmp_path / "costs.csv"
    record.write_text(text)
    for use in (
        lambda: recorded_costs(record, "laptop"),
        lambda: costs.record(record, "smoke", [Cost("a/x", 1.0, 1.0, 1.0)]),
    ):
        with pytest.raises(ArtifactError, match=r"costs\.csv"):
            use()
    assert record.read_text() == text


def test_a_missing_record_is_told(tmp_path):
    with pytest.raises(ArtifactError, match="cannot be read"):
        recorded_costs(tmp_path / "costs.csv", "laptop")


def test_the_calibration_takes_a_moment_and_repeats(record_property):
    first, second = costs.calibrate(), costs.calibrate()
    record_property("seconds", first.cpu_s)
    assert 0.001 < first.cpu_s < 5
    assert 0.3 < first.cpu_s / second.cpu_s < 3
