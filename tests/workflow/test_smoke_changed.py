"""What a second run makes of a finished one: of deletions, damage, a kill and other settings."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from emergence.introspection.figures import FIGURES
from emergence.settings import load

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.timeout(1800)]

HERE = Path("results/smoke/introspection")
DRAWN = Path("figures/smoke/introspection")
EVERY_FIGURE = [f"figure {name}" for name in FIGURES]


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
