"""The whole workflow at its smallest scale, run once; then what a second run makes of changes."""

import hashlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import yaml

from emergence import artifacts
from emergence.introspection.figures import FIGURES
from emergence.settings import load

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.timeout(1800)]

HERE = Path("results/smoke/introspection")
DRAWN = Path("figures/smoke/introspection")
VERDICTS = {"reproduced", "compatible", "deviates", "underpowered", "not run"}
EVERY_FIGURE = [f"figure {name}" for name in FIGURES]


@pytest.fixture(scope="session")
def smoke(tmp_path_factory, new_tree, snakemake, offline):
    """(folder, finished process) of the smoke workflow in a fresh clone, without a network."""
    folder = new_tree(tmp_path_factory.mktemp("smoke") / "clone")
    return folder, snakemake(folder, "--cores", "2", timeout=1500, prefix=offline)


@pytest.fixture(scope="session")
def finished(smoke) -> Path:
    """The folder after a run that succeeded; to be read only."""
    folder, done = smoke
    if done.returncode != 0:
        pytest.fail(f"The smoke workflow failed:\n{done.stdout[-3000:]}")
    return folder


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    """A copy of the finished folder to do damage in."""
    return shutil.copytree(finished, tmp_path / "copy", symlinks=True)


def verdict(folder):
    return json.loads((folder / "results/smoke/verdict.json").read_text())


class TestRun:
    def test_ends_well(self, smoke):
        _, done = smoke
        assert done.returncode == 0, done.stdout[-3000:]
        assert "(100%) done" in done.stdout
        assert "Traceback" not in done.stdout

    def test_leaves_nothing_half_done(self, finished):
        names = [str(path.relative_to(finished)) for path in finished.rglob("*")]
        assert not [name for name in names if name.endswith(".partial")]
        assert not [name for name in names if "checkpoints" in name]
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

    def test_emergence_verify_agrees(self, finished, environment):
        done = subprocess.run(
            [sys.executable, "-m", "emergence.cli", "verify", "--scale", "smoke"],
            cwd=finished,
            env=environment(finished),
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
            *("platform", "cpu_count", "device", "wall_time_s", "peak_memory_mib", "created_utc"),
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


class TestRerun:
    def test_has_nothing_to_do_and_says_so(self, finished, snakemake, record_property):
        began = time.monotonic()
        done = snakemake(finished)
        record_property("seconds", round(time.monotonic() - began, 2))
        assert done.returncode == 0
        assert "Nothing to be done" in done.stdout

    def test_nor_after_the_whole_folder_was_moved(self, copy, planned):
        assert planned(copy) == []

    @pytest.mark.parametrize("suffix", ["png", "svg", "csv"])
    def test_draws_a_deleted_figure_and_only_it(self, copy, snakemake, planned, suffix):
        """And decides anew, in a second: the verdict links to the figures."""
        figure = copy / DRAWN / f"law.{suffix}"
        before = figure.read_bytes()
        figure.unlink()
        assert planned(copy) == ["figure law", "report", "verify"]
        assert snakemake(copy).returncode == 0
        assert figure.read_bytes() == before, "The same numbers give the same picture."
        assert planned(copy) == []

    @pytest.mark.parametrize("name", ["verdict.json", "verdict.md"])
    def test_decides_again_where_a_verdict_was_deleted(self, copy, planned, name):
        (copy / "results/smoke" / name).unlink()
        assert planned(copy) == ["report", "verify"]

    def test_decides_again_when_the_ledger_changes(self, copy, planned):
        with (copy / "claims/introspection.yaml").open("a") as file:
            file.write("# A comment.\n")
        assert planned(copy) == ["report", "verify"]


class TestDamage:
    @pytest.mark.parametrize(
        ("damaged", "reader", "log"),
        [
            ("distillers/strong/arrays.npz", "introspection_analysis", "analysis.log"),
            ("tables", "introspection_figure", "figures/law.log"),
        ],
    )
    def test_ends_the_next_stage_in_one_sentence_and_heals_once_deleted(
        self, copy, snakemake, planned, damaged, reader, log
    ):
        target = str(HERE / "measurements.json")
        file = whole = copy / HERE / damaged
        if damaged == "tables":
            target = str(DRAWN / "law.png")
            (copy / target).unlink()
            whole = file / "law.csv"
        content = whole.read_bytes()
        whole.write_bytes(content[: len(content) // 2])
        done = snakemake(copy, target)
        assert done.returncode == 1
        assert f"Error in rule {reader}" in done.stdout
        told = (copy / HERE / "logs" / log).read_text()
        assert re.fullmatch(r"emergence: .+ Delete it and rerun snakemake.*\.\n", told)
        assert str(whole.relative_to(copy)) in told
        assert told.strip() in done.stdout, "It is shown where a person looks."
        shutil.rmtree(file) if file.is_dir() else file.unlink()
        assert {"analysis", "verify"} <= set(planned(copy)), "Plain snakemake makes it again."
        assert snakemake(copy, target).returncode == 0
        assert whole.read_bytes() == content

    @pytest.mark.parametrize(
        "deleted",
        [
            *("data/arc.npz", "translators/main/arrays.npz", "distillers/linear/arrays.npz"),
            *("spectral/arrays.npz", "measurements.json", "tables"),
        ],
    )
    def test_what_was_deleted_is_made_again(self, copy, planned, deleted):
        path = copy / HERE / deleted
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        stage = re.match("(data|translator|distiller|spectral|)", deleted).group()
        assert [name for name in planned(copy) if name.startswith(stage or "analysis")]

    def test_a_killed_snakemake_says_how_to_go_on(self, copy, snakemake, environment):
        deleted = [copy / DRAWN / f"{name}.png" for name in list(FIGURES)[:3]]
        for figure in deleted:
            figure.unlink()
        process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--cores", "1"],
            cwd=copy,
            env=environment(copy, SCALE="smoke"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while not any(figure.exists() for figure in deleted):
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        done = snakemake(copy)
        assert done.returncode == 1
        assert "It can be removed with the --unlock argument." in done.stdout
        assert snakemake(copy, "--unlock").returncode == 0
        assert snakemake(copy).returncode == 0
        assert all(figure.exists() for figure in deleted)


def changed(*path, value):
    """A function that sets one key of a settings mapping."""

    def change(settings):
        node = settings
        for part in path[:-1]:
            node = node[part]
        assert node.get(path[-1]) != value
        node[path[-1]] = value

    change.__name__ = ".".join(map(str, path))
    return change


SYSTEM = "introspection"
STRONG = ["distiller strong", "analysis", "report", "verify", *EVERY_FIGURE]


class TestChangedSettings:
    """A copy of the settings with one key changed: what would be run again."""

    def plan(self, copy, planned, change=None):
        settings = yaml.safe_load((copy / "config/smoke.yaml").read_text())
        if change:
            change(settings)
        file = copy / "mine.yaml"
        file.write_text(yaml.safe_dump(settings))
        return planned(copy, "--config", f"settings={file}")

    def test_nothing_when_only_the_file_is_another(self, copy, planned):
        assert self.plan(copy, planned) == []

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            (changed("checkpoint_seconds", value=1), []),
            (changed(SYSTEM, "distillers", "strong", "degree", value=2), STRONG),
            (
                changed(SYSTEM, "translators", "strong", "degree", value=2),
                ["translator strong", *STRONG],
            ),
            (
                changed(SYSTEM, "datasets", "strong", "start", value="circle"),
                ["data strong", "translator strong", *STRONG],
            ),
            (
                changed(SYSTEM, "spectral", "words", value=31),
                ["spectral", "analysis", "report", "verify", *EVERY_FIGURE],
            ),
        ],
        ids=lambda value: value.__name__ if callable(value) else "",
    )
    def test_only_what_depends_on_it(self, copy, planned, change, expected):
        assert self.plan(copy, planned, change) == sorted(expected)

    def test_a_stage_of_the_trainings_reruns_those_that_use_it(self, copy, planned):
        def change(settings):
            settings[SYSTEM]["stages"]["distiller"][1]["steps"] += 1

        distillers = load(copy / "config/smoke.yaml").introspection.distillers
        expected = [f"distiller {name}" for name in distillers]
        assert self.plan(copy, planned, change) == sorted(
            [*expected, "analysis", "report", "verify", *EVERY_FIGURE]
        )

    def test_everything_when_all_of_it_does(self, copy, planned):
        change = changed("seed", value=1)
        assert self.plan(copy, planned, change) == planned(copy, "--forceall")

    def test_trainings_on_more_devices_but_for_those_that_stay_on_one(self, copy, planned):
        rerun = self.plan(copy, planned, changed("devices", value=2))
        everything = planned(copy, "--forceall")
        assert rerun == [job for job in everything if not job.startswith("retraining")]

    def test_all_of_a_system_and_nothing_of_another(self, copy, planned):
        rerun = self.plan(copy, planned, changed(SYSTEM, "spacing", value=0.11))
        everything = planned(copy, "--forceall")
        assert rerun == [
            job for job in everything if not job.startswith(("holography", "retraining"))
        ]
        assert rerun != everything

    def test_a_scale_of_its_own_has_results_of_its_own(self, copy, planned):
        everything = planned(copy, "--forceall")
        assert self.plan(copy, planned, changed("scale", value="mine")) == everything
        assert planned(copy) == []


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
