"""What the crate says that a job read, against the workflow itself: planned by Snakemake, not run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emergence.settings import load
from emergence.verification.lineage import LAST, Job, planned_jobs, read_by

ROOT = Path(__file__).parents[2]
FOLDERS = {"tables": "analysis", "measurements.json": "analysis"}


def name_of(output: str, scale: str) -> str:
    """The job that writes a file of the workflow."""
    place, _, rest = output.partition(f"/{scale}/")
    if place == "figures":
        system, file = rest.split("/")
        return f"{system}/figures/{Path(file).stem}"
    path = Path(rest)
    if path.parent == Path():
        return next(name for name, files in LAST.items() if rest in files)
    if path.name in FOLDERS:
        return (path.parent / FOLDERS[path.name]).as_posix()
    single = path.parts[1] in ("data", "reference", "bulks")
    return (path.with_suffix("") if single else path.parent).as_posix()


@pytest.fixture(scope="module", params=["smoke", "laptop", "paper"])
def planned(request, tmp_path_factory) -> tuple[str, dict[str, set[str]]]:
    """Of one scale, job → what Snakemake would give it; rules without messages are told whole."""
    house = tmp_path_factory.mktemp("house")
    for name in ("Snakefile", "workflow", "claims", "config", "weights", "figures"):
        copied = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copied(ROOT / name, house / name)
    for rules in house.glob("workflow/*.smk"):
        text = re.sub(r"    message:\n +f?\".*\n", "", rules.read_text())
        rules.write_text(text)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SNAKEMAKE_", "EMERGENCE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--nolock", "--cores", "1"],
        cwd=house, env=kept | {"SCALE": request.param, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = {}
    for block in re.split(r"\n(?:local)?rule ", done.stdout + done.stderr)[1:]:
        told = dict(re.findall(r"^    (input|output): (.*)$", block, re.MULTILINE))
        if "output" in told:
            name = name_of(told["output"].split(", ")[0], request.param)
            found[name] = set(filter(None, told.get("input", "").split(", ")))
    return request.param, found


def test_every_planned_job_and_no_other_is_one_of_the_run(planned):
    scale, found = planned
    drawn = {name for name in found if "/figures/" in name}
    assert len(drawn) > 25
    settings = load(ROOT / f"config/{scale}.yaml")
    assert planned_jobs(settings) == found.keys() - drawn - LAST.keys()


def test_a_job_reads_what_its_rule_names(planned):
    scale, found = planned
    settings = load(ROOT / f"config/{scale}.yaml")
    for name, given in found.items():
        told = set(read_by(Job(name, ""), settings, found))
        plain = {re.sub(f"^(results|figures)/{scale}/", r"\1/", path) for path in given}
        if name in LAST:
            # The page embeds the pictures, and reads the record of costs, which no rule waits for;
            # the verdicts link to the figures, and are of the certificate of drift where there is one.
            plain = {path for path in plain if not re.search(r"^figures/.*(csv|svg|png)$", path)}
            told = {path for path in told if not path.startswith(("config/", "figures/"))}
        assert told == plain, name


def test_an_evaluation_reads_the_shipped_weights_too():
    settings = load(ROOT / "config/laptop.yaml")
    taken = {"trained": {"folder": "weights/laptop", "commit": "c0ffee"}}
    job = Job("holography/flows/disc/2", "holography flow", entry={"extra": taken})
    assert read_by(job, settings, [])[-1] == "weights/laptop/holography/flows/disc/2.npz"
    sampled = {"sampled": {"folder": "weights/laptop", "commit": "c0ffee"}}
    drawn = read_by(Job("holography/chains/line_32", "holography chains"), settings, [])
    job = Job("holography/chains/line_32", "holography chains", entry={"extra": sampled})
    # The records themselves, not those that the chains would have gone on from.
    assert drawn[1:] == ["weights/holography/chains/line_32.npz"]
    assert read_by(job, settings, [])[1:] == ["weights/laptop/holography/chains/line_32.npz"]
