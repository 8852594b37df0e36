"""What is recorded beside every result: commit, lock, versions, machine, hash."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_results import entries

from emergence import artifacts, provenance
from emergence.errors import ArtifactError


class TestProvenance:
    @pytest.fixture(autouse=True)
    def fresh(self):
        """Forget what a process asks for once."""
        cached = (provenance._revision, provenance._lock_sha256, provenance._versions)
        for function in cached:
            function.cache_clear()
        yield
        for function in cached:
            function.cache_clear()

    def record(self, *paths, **options):
        given = {"stage": "train", "settings": {"rate": 0.1}, "seed": 7, "device": "CPU"}
        artifacts.record_provenance(paths, started=time.time() - 2.0, **given | options)
        return artifacts.read_numbers(artifacts.provenance_path(paths[0]))

    @pytest.mark.parametrize(
        ("artefact", "expected"),
        [
            ("a/samples.npz", "a/samples.provenance.json"),
            ("a/beta_0.44", "a/beta_0.44.provenance.json"),
            ("a/beta_0.44.csv", "a/beta_0.44.provenance.json"),
        ],
    )
    def test_its_place(self, artefact, expected):
        assert artifacts.provenance_path(artefact) == Path(expected)

    def test_tells_where_a_result_comes_from(self, tmp_path):
        for suffix in ("png", "svg"):
            artifacts.write_text(tmp_path / f"figure.{suffix}", suffix)
        record = self.record(
            tmp_path / "figure.png", tmp_path / "figure.svg", extra={"gpu_memory_mib": 12}
        )
        assert record["sha256"] == {
            name: artifacts.sha256(tmp_path / name) for name in ("figure.png", "figure.svg")
        }
        assert record["settings"] == {"rate": 0.1}
        assert (record["stage"], record["seed"], record["device"]) == ("train", 7, "CPU")
        assert record["extra"] == {"gpu_memory_mib": 12}
        assert record["wall_time_s"] >= 2.0
        assert record["peak_memory_mib"] > 10
        used = sum(os.times()[:4])
        # Told to a thousandth, rounded; sums of floats differ in their last digits.
        assert 0 < record["processor_time_s"] <= used + 1e-3
        assert record["cpu_count"] == os.cpu_count()
        assert record["versions"]["numpy"] == np.__version__
        assert record["created_utc"].endswith("+00:00")
        assert entries(tmp_path) == ["figure.png", "figure.provenance.json", "figure.svg"]

    def test_the_peak_of_memory_is_not_that_of_the_process_before(self):
        large = np.ones(50_000_000)
        told = "from emergence.provenance import host_in_use as h; print(h()['peak_memory_mib'])"
        found = subprocess.run([sys.executable, "-c", told], capture_output=True, check=True)
        assert 5.0 < float(found.stdout) < 0.5 * large.nbytes / 2**20

    def test_takes_settings_of_pydantic(self, tmp_path):
        class Settings:
            def model_dump(self, mode):
                return {"mode": mode}

        artifacts.write_text(tmp_path / "x.txt", "x")
        record = self.record(tmp_path / "x.txt", settings=Settings())
        assert record["settings"] == {"mode": "json"}

    def test_of_a_missing_result_is_refused(self, tmp_path):
        with pytest.raises(ArtifactError, match="is missing"):
            self.record(tmp_path / "x.txt")
        assert entries(tmp_path) == []

    def test_an_image_names_its_revision_and_lock(self, monkeypatch, tmp_path):
        (tmp_path / "lock").write_bytes(b"abc")
        monkeypatch.setenv("EMERGENCE_REVISION", "0123abc-dirty")
        monkeypatch.setenv("EMERGENCE_LOCK", str(tmp_path / "lock"))
        code = provenance.code_in_use()
        assert (code["commit"], code["dirty"]) == ("0123abc", True)
        assert code["lock_sha256"] == artifacts.sha256(tmp_path / "lock")

    def test_without_git_or_lock_it_says_so(self, monkeypatch, tmp_path):
        monkeypatch.delenv("EMERGENCE_REVISION", raising=False)
        monkeypatch.setenv("EMERGENCE_LOCK", str(tmp_path / "absent"))
        monkeypatch.setenv("PATH", str(tmp_path))
        code = provenance.code_in_use()
        assert (code["commit"], code["lock_sha256"]) == ("unknown", "unknown")

    def test_git_tells_the_commit_and_what_was_changed(self, monkeypatch, tmp_path):
        def git(*words):
            command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
            return subprocess.run(
                [*command, *words], check=True, capture_output=True, text=True
            ).stdout.strip()

        for name in ("figures/plot.png", "src/model.py"):
            artifacts.write_text(tmp_path / name, "first")
        git("init", "-q")
        git("add", ".")
        git("commit", "-qm", "first", "--no-gpg-sign")
        monkeypatch.delenv("EMERGENCE_REVISION", raising=False)
        monkeypatch.setattr(provenance, "__file__", str(tmp_path / "src" / "provenance.py"))
        clean = {"commit": git("rev-parse", "HEAD"), "dirty": False}
        assert provenance._revision() == clean
        # Figures are what a run makes: they do not make its code another.
        for name, dirty in (("figures/plot.png", False), ("src/model.py", True)):
            artifacts.write_text(tmp_path / name, "second")
            provenance._revision.cache_clear()
            assert provenance._revision() == {**clean, "dirty": dirty}
