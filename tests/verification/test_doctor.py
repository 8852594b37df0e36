"""Preflight: each fault of a machine is one sentence with its remedy; none of a GPU stops a run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from emergence.errors import HostError
from emergence.verification import doctor
from emergence.verification.doctor import Finding
from emergence.verification.graphics import graphics

ROOT = Path(__file__).parents[2]
NEW = (560, 35, 3)


@pytest.mark.parametrize(
    ("version", "state"),
    [((3, 10), "fault"), ((3, 11), "well"), ((3, 13), "well"), ((3, 14), "fault")],
)
def test_python(version, state):
    assert doctor.python_version(version).state == state


class TestLock:
    def test_of_this_environment(self):
        assert doctor.locked_versions(ROOT / "requirements.lock").state in ("well", "advice")

    def test_another_version_is_named(self, tmp_path):
        lock = tmp_path / "lock"
        lock.write_text(
            "numpy==0.1 \\\n    --hash=sha256:00\n"
            "no-such-package==1.0 ; sys_platform == 'no-such-system' \\\n    --hash=sha256:00\n"
        )
        found = doctor.locked_versions(lock)
        assert found.state == "advice"
        assert ", not 0.1" in found.sentence
        assert "no-such-package" not in found.sentence

    def test_a_package_that_is_missing_here_is_a_fault(self, tmp_path):
        lock = tmp_path / "lock"
        lock.write_text("numpy==0.1\nno-such-package[gpu]==1.0 ; python_version >= '3.11'\n")
        found = doctor.locked_versions(lock)
        assert found.state == "fault"
        assert "1 of 2 packages of lock not installed: no-such-package" in found.sentence
        assert "make env" in found.remedy

    @pytest.mark.parametrize("content", [None, "", "nothing is pinned"])
    def test_none_is_a_fault(self, tmp_path, content):
        if content is not None:
            (tmp_path / "lock").write_text(content)
        assert doctor.locked_versions(tmp_path / "lock").state == "fault"


@pytest.mark.parametrize(
    ("gib", "state"),
    [(None, "advice"), (1.9, "fault"), (2.5, "advice"), (4.0, "well"), (20.0, "well")],
)
def test_memory(gib, state):
    found = doctor.memory(gib, {"smoke": 2.2, "laptop": 3.2, "paper": 4.9})
    assert found.state == state
    assert bool(found.remedy) == (state != "well")


def test_memory_is_told_of_each_scale():
    needed = {"smoke": 2.2, "laptop": 3.2, "paper": 4.9}
    assert str(doctor.memory(2.5, needed)) == (
        "2.5 GiB of memory are free, but the dearest job of each scale needs, in GiB: smoke 2.2, "
        "laptop 3.2, paper 4.9. Close other programs, or give the container more; SCALE=smoke fits."
    )
    assert str(doctor.memory(4.5, needed)) == (
        "4.5 GiB of memory are free, for so many jobs at once: 2 of scale smoke, 1 of scale laptop; "
        "not enough for paper (4.9 GiB a job)."
    )
    assert "4 of scale paper." in str(doctor.memory(20.0, needed))


def test_memory_of_this_machine_is_found():
    gib = doctor.available_memory_gib()
    assert gib is None or 0 < gib < 1e5


def test_pages_of_files_that_a_container_keeps_are_free_memory(tmp_path, monkeypatch):
    told = {
        "/proc/meminfo": "MemAvailable:   20971520 kB\n",
        "/sys/fs/cgroup/memory.max": "8589934592\n",
        "/sys/fs/cgroup/memory.current": "7516192768\n",
        "/sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 5368709120\nactive_file 2\n",
    }
    monkeypatch.setattr(Path, "read_text", lambda self, *_, **__: told[str(self)])
    assert doctor.available_memory_gib() == 6.0


def test_disk(tmp_path):
    assert doctor.disk(1.0, tmp_path).state == "fault"
    assert doctor.disk(50.0, tmp_path).state == "well"


class TestWriting:
    def test_leaves_nothing_behind_not_even_the_folder(self, tmp_path):
        assert doctor.writing(tmp_path / "results/laptop").state == "well"
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(os.geteuid() == 0, reason="Root may write anywhere.")
    def test_a_read_only_folder_is_a_fault(self, tmp_path):
        tmp_path.chmod(0o500)
        assert doctor.writing(tmp_path).state == "fault"

    def test_a_file_system_that_refuses_is_a_fault(self, tmp_path, monkeypatch):
        def refuse(**_):
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(doctor.tempfile, "NamedTemporaryFile", refuse)
        found = doctor.writing(tmp_path)
        assert found.state == "fault"
        assert "Read-only file system" in found.sentence


def test_programs():
    assert doctor.programs(lambda name: name).state == "well"
    assert doctor.programs(lambda name: None if name == "git" else name).state == "advice"
    assert doctor.programs(lambda name: None).state == "fault"


class TestGraphics:
    @pytest.mark.parametrize(
        ("gpus", "driver", "state", "told"),
        [
            ([], None, "well", "No NVIDIA driver was found"),
            ([], None, "well", "driver 525.60.13 or later and compute capability 6.0 or more"),
            ([], (470, 57, 2), "advice", "older than 525.60.13"),
            ([], NEW, "advice", "sees no GPU"),
            ([("Tesla K80", (3, 7))], NEW, "advice", "is built for 6.0 and later"),
            ([("Tesla P100", (6, 0))], (525, 60, 13), "well", "it will be used"),
            ([("H100", (9, 0))], (535, 0, 0), "advice", "555.42.2 is not"),
            ([("H100", (9, 0))], NEW, "well", "it will be used"),
            ([("B200", (10, 0))], NEW, "well", "it will be used"),
            ([("odd", None)], NEW, "advice", "does not tell its compute capability"),
        ],
    )
    def test_is_one_sentence_and_never_a_fault(self, gpus, driver, state, told):
        (found,) = graphics(gpus, driver, (6, 0))
        assert found.state == state
        assert told in found.sentence
        assert found.sentence.endswith(".")
        assert found.sentence.count(". ") == 0
        if state == "advice":
            assert "everything also runs on the processor" in found.remedy
        doctor.require([found])


def test_every_fault_is_told_and_advice_is_not():
    findings = [
        Finding("a", "well", "Fine."),
        Finding("b", "advice", "Slow.", "Wait."),
        Finding("c", "fault", "No disk.", "Buy one."),
        Finding("d", "fault", "No memory.", "Remember."),
    ]
    with pytest.raises(HostError) as told:
        doctor.require(findings)
    assert str(told.value) == "No disk. Buy one. No memory. Remember."
    assert told.value.exit_status == 5
    doctor.require(findings[:2])


@pytest.mark.slow
def test_on_the_command_line_it_compiles_an_operation():
    """As a reviewer would: everything in order, or a sentence that says what is not."""
    done = subprocess.run(
        [sys.executable, "-m", "emergence.cli", "doctor"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, 5), done.stderr
    assert "compiles and runs an operation" in done.stdout
    assert "laptop: about" in done.stdout
    assert "paper: never run; the trainings of its flows take" in done.stdout
    assert "Traceback" not in done.stderr
