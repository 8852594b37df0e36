"""The whole workflow at its smallest scale, run once: results, figures, verdicts, provenance."""

import hashlib
import json
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import yaml
from finished_run import benchmarked

from emergence import artifacts
from emergence.introspection.figures import FIGURES
from emergence.settings import load

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.timeout(1800)]

HERE = Path("results/smoke/introspection")
DRAWN = Path("figures/smoke/introspection")
VERDICTS = {"reproduced", "compatible", "deviates", "underpowered", "not run"}


def verdict(folder):
    return json.loads((folder / "results/smoke/verdict.json").read_text())


class TestRun:
    def test_ends_well(self, smoke):
        assert smoke.done.returncode == 0, smoke.done.stdout[-3000:]
        assert "(100%) done" in smoke.done.stdout
        assert "Traceback" not in smoke.done.stdout

    def test_a_second_run_has_nothing_to_do_and_says_so(self, smoke):
        assert smoke.again.returncode == 0
        assert "Nothing to be done" in smoke.again.stdout

    def test_leaves_nothing_half_done(self, finished):
        names = [str(path.relative_to(finished)) for path in finished.rglob("*")]
        assert not [name for name in names if name.endswith(".partial")]
        assert not [name for name in names if "checkpoints" in Path(name).parts]
        logs = [path.read_text() for path in (finished / "results").rglob("*.log")]
        assert len(logs) > len(FIGURES)
        assert not [text for text in logs if "Traceback" in text or "emergence:" in text]

    def test_every_stage_was_measured(self, finished):
        benchmarks = list((finished / "results").rglob("*.tsv"))
        assert len(benchmarks) == len(list((finished / "results").rglob("*.log")))

    def test_a_training_tells_how_it_went(self, finished):
        history = artifacts.read_table(
            finished / HERE / "translators/main/history.csv",
            ("stage", "window", "step", "seed", "loss", "arm", "size"),
        )
        settings = load(finished / "config/smoke.yaml").introspection
        assert set(history["seed"]) == set(range(settings.seeds))
        last = history[history["step"] == history["step"].max()]
        first = history[history["step"] == history["step"].min()]
        assert last["loss"].max() < first["loss"].min()
        log = (finished / HERE / "logs/translators/main.log").read_text()
        assert re.search(r"translator main, hidden dimension \d+: done in", log)


class TestVerdicts:
    def test_every_claim_of_the_ledger_is_decided_or_told_why_not(self, finished):
        ledger = yaml.safe_load((finished / "claims/introspection.yaml").read_text())
        claims = [c for c in verdict(finished)["claims"] if c["system"] == "introspection"]
        assert [claim["id"] for claim in claims] == [claim["id"] for claim in ledger["claims"]]
        for claim in claims:
            assert claim["verdict"] in VERDICTS
            assert claim["verdict"] == claim["expected"], claim["id"]
            if claim["verdict"] in ("not run", "deviates"):
                assert claim["reason"].endswith("."), claim["id"]

    def test_have_what_readers_count_on(self, finished):
        for claim in verdict(finished)["claims"]:
            keys = {"id", "verdict", "expected", "published", "measured", "error", "tolerance"}
            assert keys | {"statement", "criteria", "reason", "figure", "control"} <= claim.keys()
            assert {"name", "measured", "verdict"} <= claim["control"].keys()
            if claim["verdict"] != "not run":
                assert math.isfinite(claim["measured"])
                assert claim["control"]["verdict"] == "deviates", claim["id"]
                assert math.isfinite(claim["control"]["measured"])
                assert claim["criteria"]

    def test_some_claims_have_the_power_already_here(self, finished):
        assert [c["id"] for c in verdict(finished)["claims"] if c["verdict"] != "not run"]

    def test_say_where_they_come_from(self, finished):
        document = verdict(finished)
        assert document["scale"] == "smoke"
        measured = document["provenance"]["measurements_sha256"]["introspection"]
        assert measured == artifacts.sha256(finished / HERE / "measurements.json")
        assert {"commit", "dirty", "lock_sha256", "versions"} <= document["provenance"].keys()

    def test_are_also_a_page_for_people(self, finished):
        page = (finished / "results/smoke/verdict.md").read_text()
        for claim in verdict(finished)["claims"]:
            assert re.search(rf"(?m)^\| {claim['id']} \|.*{claim['verdict']}", page)

    def test_a_smoke_run_changes_no_committed_verdict(self, finished):
        """Those of figures/laptop are a laptop run's."""
        committed = {path.name for path in finished.glob("figures/*")} - {"smoke"}
        assert committed == {path.parts[1] for path in tracked(finished) if "figures/" in str(path)}

    def test_emergence_verify_agrees(self, copy, environment):
        done = subprocess.run(
            [sys.executable, "-m", "emergence.cli", "verify", "--scale", "smoke"],
            cwd=copy,
            env=environment(copy),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")


def tracked(folder):
    listing = subprocess.run(["git", "ls-files"], cwd=folder, capture_output=True, text=True)
    if listing.returncode != 0:
        pytest.skip("There is no git on this machine.")
    return list(map(Path, listing.stdout.splitlines()))


@pytest.mark.parametrize("name", FIGURES)
class TestFigures:
    def test_picture_shows_something(self, finished, name):
        picture = matplotlib.image.imread(finished / DRAWN / f"{name}.png")
        height, width = picture.shape[:2]
        assert width >= 600
        assert height >= 300
        brightness = picture[..., :3].mean(axis=2)
        ink = (brightness < 0.9).mean(), (np.ptp(picture[..., :3], axis=2) > 0.2).mean()
        assert 0.005 < ink[0] < 0.6, "Neither blank nor black."
        assert ink[1] > 1e-4, "Something is drawn in colour."

    def test_drawing_is_the_same_one(self, finished, name):
        root = ElementTree.parse(finished / DRAWN / f"{name}.svg").getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        drawn = [element for element in root.iter() if element.tag.endswith(("}path", "}use"))]
        assert len(drawn) > 50
        picture = matplotlib.image.imread(finished / DRAWN / f"{name}.png")
        _, _, width, height = map(float, root.get("viewBox").split())
        assert width / height == pytest.approx(picture.shape[1] / picture.shape[0], rel=0.02)

    def test_source_has_its_numbers(self, finished, name):
        table = artifacts.read_table(finished / DRAWN / f"{name}.csv")
        assert len(table) >= 3
        numbers = table.select_dtypes("number")
        assert numbers.shape[1] >= 2
        assert numbers.notna().any().any()
        assert not np.isinf(numbers.to_numpy(dtype=float)).any()


class TestProvenance:
    KEYS = frozenset(
        {
            *("stage", "settings", "seed", "commit", "dirty", "lock_sha256", "versions"),
            *("platform", "cpu_count", "device", "wall_time_s", "created_utc"),
            *("peak_memory_mib", "processor_time_s"),
        }
    )

    def artefacts(self, folder):
        """Every result and figure, weights and tables as the folders that they are."""
        here = folder / HERE
        found = [
            *here.glob("data/*.npz"),
            *here.rglob("arrays.npz"),
            *here.rglob("history.csv"),
            *here.rglob("weights"),
            *(here / name for name in ("tables", "measurements.json")),
            *(p for p in (folder / DRAWN).iterdir() if p.suffix in (".png", ".svg", ".csv")),
        ]
        settings = load(folder / "config/smoke.yaml").introspection
        arms = len(settings.translators) + len(settings.distillers)
        assert len(found) == len(settings.datasets) + 3 * arms + 1 + 2 + 3 * len(FIGURES)
        return found

    def test_stands_beside_every_artefact_with_its_hash(self, finished):
        for artefact in self.artefacts(finished):
            path = artifacts.provenance_path(artefact)
            assert path.exists(), f"Nothing says where {artefact.relative_to(finished)} comes from."
            entry = json.loads(path.read_text())
            assert entry["sha256"][artefact.name] == artifacts.sha256(artefact), artefact

    def test_tells_all_that_a_number_may_depend_on(self, finished):
        settings = load(finished / "config/smoke.yaml")
        lock = hashlib.sha256((finished / "requirements.lock").read_bytes()).hexdigest()
        for artefact in self.artefacts(finished):
            entry = json.loads(artifacts.provenance_path(artefact).read_text())
            assert entry.keys() >= self.KEYS
            assert entry["settings"] == settings.model_dump(mode="json")
            assert entry["seed"] == settings.seed
            assert entry["lock_sha256"] == lock
            assert {"python", "numpy", "scipy", "pandas", "tensorflow"} <= entry["versions"].keys()
            assert "not installed" not in entry["versions"].values()
            assert entry["device"]
            assert entry["wall_time_s"] > 0
            assert entry["peak_memory_mib"] > 10

    def test_names_the_commit_that_was_run(self, finished):
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=finished, capture_output=True, text=True
        )
        if head.returncode != 0:
            pytest.skip("There is no git on this machine.")
        for artefact in self.artefacts(finished):
            entry = json.loads(artifacts.provenance_path(artefact).read_text())
            assert (entry["commit"], entry["dirty"]) == (head.stdout.strip(), False)


class TestOffline:
    """Once the environment is there nothing is fetched: the run above had no network."""

    @pytest.fixture
    def off(self, offline):
        if not offline:
            pytest.skip("Nothing can be cut off from the network here (unshare --net).")
        return offline

    def test_there_was_no_network_to_fetch_from(self, off, finished):
        code = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"
        done = subprocess.run([*off, sys.executable, "-c", code], capture_output=True, text=True)
        assert "Network is unreachable" in done.stderr
        assert (finished / "results/smoke/verdict.md").exists()

    def test_the_report_is_made_and_read_without_one(self, off, copy, snakemake):
        done = snakemake(copy, "--report", "report.html", prefix=off)
        assert done.returncode == 0, done.stdout[-3000:]
        page = (copy / "report.html").read_text()
        assert "translation.png" in page
        fetched = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"'](https?://[^\"']+)", page)
        assert not fetched


def test_the_whole_run_is_packed_as_a_research_object(finished, snakemake, tmp_path):
    """All three systems, by the rule: every job is an action, every figure a file, all resolve."""
    done = snakemake(finished, "crate")
    assert done.returncode == 0, done.stdout[-3000:]
    with zipfile.ZipFile(finished / "results/smoke/crate.zip") as packed:
        names = set(packed.namelist())
        graph = json.loads(packed.read("ro-crate-metadata.json"))["@graph"]
    drawn = sorted((finished / "figures/smoke").glob("*/*.png"))
    assert len(drawn) > 25
    assert {f"figures/{path.parent.name}/{path.name}" for path in drawn} <= names
    assert {"Snakefile", "results/verdict.json", "results/report.html"} <= names
    known = {entity["@id"] for entity in graph}
    actions = {entity["name"]: entity for entity in graph if entity["@type"] == "CreateAction"}
    whole = actions.pop("Run of the workflow at scale smoke")
    # What packs the run is no job of it.
    assert actions.keys() == benchmarked(finished / "results/smoke") - {"crate"}
    assert {"introspection/spectral", "retraining/analysis", "verify", "report"} <= actions.keys()
    assert whole["startTime"] == min(a["startTime"] for a in actions.values() if "startTime" in a)
    training = actions["holography/flows/disc/2"]
    assert whole["startTime"] <= training["startTime"] < training["endTime"] < whole["endTime"]
    for action in (whole, *actions.values()):
        wrote = action["result"]
        for part in (*action["object"], *(wrote if isinstance(wrote, list) else [wrote])):
            assert part["@id"] in known, part
