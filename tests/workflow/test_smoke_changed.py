"""What a second run makes of a finished one: of deletions, damage, a kill and other settings."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from emergence.introspection.figures import FIGURES
from emergence.settings import load

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.timeout(1800)]

HERE = Path("results/smoke/introspection")
DRAWN = Path("figures/smoke/introspection")
EVERY_FIGURE = [f"figure {name}" for name in FIGURES]


@pytest.fixture(scope="module")
def kept(finished, tmp_path_factory) -> Path:
    """A copy of the finished folder that is planned in, and left as it was."""
    return shutil.copytree(finished, tmp_path_factory.mktemp("kept") / "copy", symlinks=True)


@contextmanager
def without(*paths: Path):
    """The folder lacks these for a while."""
    for path in paths:
        path.rename(path.with_name(f"{path.name}.aside"))
    try:
        yield
    finally:
        for path in paths:
            path.with_name(f"{path.name}.aside").rename(path)


class TestRerun:
    def test_has_nothing_to_do_after_the_whole_folder_was_moved(self, kept, planned):
        assert planned(kept) == []

    def test_draws_deleted_figures_and_only_them(self, copy, snakemake, planned):
        """Whichever file of a figure is gone; and decides anew: the verdict links to the figures."""
        deleted = [copy / DRAWN / name for name in ("law.png", "noise.svg", "latents.csv")]
        before = [figure.read_bytes() for figure in deleted]
        for figure in deleted:
            figure.unlink()
        expected = ["figure latents", "figure law", "figure noise", "report", "verify"]
        assert planned(copy) == expected
        assert snakemake(copy).returncode == 0
        assert [figure.read_bytes() for figure in deleted] == before, "The same numbers, the same."
        assert planned(copy) == []

    @pytest.mark.parametrize("name", ["verdict.json", "verdict.md"])
    def test_decides_again_where_a_verdict_was_deleted(self, kept, planned, name):
        with without(kept / "results/smoke" / name):
            assert planned(kept) == ["report", "verify"]

    def test_decides_again_when_the_ledger_changes(self, copy, planned):
        with (copy / "claims/introspection.yaml").open("a") as file:
            file.write("# A comment.\n")
        assert planned(copy) == ["report", "verify"]


class TestDamage:
    def test_ends_the_next_stage_in_one_sentence_and_heals_once_deleted(
        self, copy, snakemake, planned
    ):
        """Of a training's arrays, and of a table that another system's figure is drawn from."""
        results = copy / "results/smoke"
        arrays = results / "introspection/distillers/strong/arrays.npz"
        table = results / "retraining/tables/profiles.csv"
        drawn = copy / "figures/smoke/retraining/edge_profile.png"
        drawn.unlink()
        targets = [str(HERE / "measurements.json"), str(drawn.relative_to(copy))]
        read = {
            arrays: ("introspection_analysis", HERE / "logs/analysis.log"),
            table: (
                "retraining_figure",
                Path("results/smoke/retraining/logs/figures/edge_profile.log"),
            ),
        }
        contents = {path: path.read_bytes() for path in read}
        for path, content in contents.items():
            path.write_bytes(content[: len(content) // 2])
        done = snakemake(copy, *targets)
        assert done.returncode == 1
        for path, (reader, log) in read.items():
            assert f"Error in rule {reader}" in done.stdout
            told = (copy / log).read_text()
            assert re.fullmatch(r"emergence: .+ Delete it and rerun snakemake.*\.\n", told)
            assert str(path.relative_to(copy)) in told
            assert told.strip() in done.stdout, "It is shown where a person looks."
        arrays.unlink()
        shutil.rmtree(table.parent)
        healing = {"analysis", "distiller strong", "retraining analysis", "verify"}
        assert healing <= set(planned(copy)), "Plain snakemake makes it again."
        assert snakemake(copy, *targets).returncode == 0
        assert {path: path.read_bytes() for path in read} == contents

    @pytest.mark.parametrize(
        "deleted",
        [
            *("data/arc.npz", "translators/main/arrays.npz", "distillers/linear/arrays.npz"),
            *("spectral/arrays.npz", "measurements.json", "tables"),
        ],
    )
    def test_what_was_deleted_is_made_again(self, kept, planned, deleted):
        stage = re.match("(data|translator|distiller|spectral|)", deleted).group()
        with without(kept / HERE / deleted):
            assert [name for name in planned(kept) if name.startswith(stage or "analysis")]

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


@pytest.fixture(scope="module")
def everything(kept, planned) -> list[str]:
    """All that there is to run."""
    return planned(kept, "--forceall")


class TestChangedSettings:
    """A copy of the settings with one key changed: what would be run again."""

    def plan(self, kept, planned, change=None):
        settings = yaml.safe_load((kept / "config/smoke.yaml").read_text())
        if change:
            change(settings)
        file = kept / "mine.yaml"
        file.write_text(yaml.safe_dump(settings))
        return planned(kept, "--config", f"settings={file}")

    def test_nothing_when_only_the_file_is_another(self, kept, planned):
        assert self.plan(kept, planned) == []

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
    def test_only_what_depends_on_it(self, kept, planned, change, expected):
        assert self.plan(kept, planned, change) == sorted(expected)

    def test_a_stage_of_the_trainings_reruns_those_that_use_it(self, kept, planned):
        def change(settings):
            settings[SYSTEM]["stages"]["distiller"][1]["steps"] += 1

        distillers = load(kept / "config/smoke.yaml").introspection.distillers
        expected = [f"distiller {name}" for name in distillers]
        assert self.plan(kept, planned, change) == sorted(
            [*expected, "analysis", "report", "verify", *EVERY_FIGURE]
        )

    def test_everything_when_all_of_it_does(self, kept, planned, everything):
        change = changed("seed", value=1)
        assert self.plan(kept, planned, change) == everything

    def test_trainings_on_more_devices_but_for_those_that_stay_on_one(
        self, kept, planned, everything
    ):
        rerun = self.plan(kept, planned, changed("devices", value=2))
        assert rerun == [job for job in everything if not job.startswith("retraining")]

    def test_all_of_a_system_and_nothing_of_another(self, kept, planned, everything):
        rerun = self.plan(kept, planned, changed(SYSTEM, "spacing", value=0.11))
        assert rerun == [
            job for job in everything if not job.startswith(("holography", "retraining"))
        ]
        assert rerun != everything

    def test_one_flow_when_it_has_samples_of_its_own(self, kept, planned):
        change = changed("holography", "flows", "disc", "samples", value=1024)
        rerun = self.plan(kept, planned, change)
        assert "holography flow disc" in rerun
        assert "holography analysis" in rerun
        assert "holography flow line_4" not in rerun
        assert not [job for job in rerun if job.startswith("retraining")]

    def test_a_scale_of_its_own_has_results_of_its_own(self, kept, planned, everything):
        assert self.plan(kept, planned, changed("scale", value="mine")) == everything
        assert planned(kept) == []
