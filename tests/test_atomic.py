"""Files and folders are whole or absent: full disks, read-only folders, failures, kills."""

import errno
import os
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest
from small_results import WRITERS, entries

from emergence import artifacts, atomic
from emergence.errors import ArtifactError


@pytest.fixture(params=WRITERS)
def writer(request, tmp_path):
    """A final path in an empty folder, and the function that writes it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder / request.param, WRITERS[request.param]


class TestFailingDisk:
    @pytest.mark.parametrize(
        ("code", "sentence"),
        [
            (errno.EROFS, "folder is read-only. Make it writable"),
            (errno.EACCES, "folder is read-only. Make it writable"),
            (errno.ENOSPC, "the disk is full. Free some space"),
            (errno.EIO, "Input/output error"),
        ],
    )
    def test_no_file_can_be_opened(self, writer, monkeypatch, code, sentence):
        path, write = writer
        real = os.open

        def fail(name, flags, *rest, **options):
            if flags & os.O_CREAT:
                raise OSError(code, os.strerror(code), name)
            return real(name, flags, *rest, **options)

        monkeypatch.setattr(os, "open", fail)
        with pytest.raises(ArtifactError, match=f"{path.name} was not written: .*{sentence}"):
            write(path)
        assert entries(path.parent) == []

    @pytest.mark.parametrize("call", ["fsync", "replace"])
    def test_disk_full_at_the_end_keeps_what_was_there(self, writer, monkeypatch, call):
        path, write = writer
        path.write_bytes(b"the result of an earlier run")

        def fail(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, call, fail)
        with pytest.raises(ArtifactError, match="the disk is full"):
            write(path)
        assert entries(path.parent) == [path.name]
        assert path.read_bytes() == b"the result of an earlier run"

    def test_a_file_where_a_folder_should_be(self, writer):
        path, write = writer
        path.parent.rmdir()
        path.parent.touch()
        with pytest.raises(ArtifactError, match="was not written"):
            write(path)

    def test_a_folder_where_the_file_should_be(self, writer):
        path, write = writer
        path.mkdir()
        with pytest.raises(ArtifactError, match="was not written: Is a directory"):
            write(path)
        assert entries(path.parent) == [path.name]

    @pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
    def test_a_failure_in_the_middle_leaves_nothing_and_is_not_renamed(self, tmp_path, error):
        def fail(file):
            file.write(b"half of a result")
            raise error

        with pytest.raises(error), artifacts.whole(tmp_path / "x") as file:
            fail(file)
        assert entries(tmp_path) == []

    def test_parents_are_made_and_everybody_may_read(self, writer):
        path, write = writer
        path = path.parent / "deeper" / "still" / path.name
        mask = os.umask(0o022)
        try:
            write(path)
        finally:
            os.umask(mask)
        assert stat.S_IMODE(path.stat().st_mode) == 0o644


class TestWriteFolder:
    def test_replaces_the_folder_as_a_whole(self, tmp_path):
        path = tmp_path / "weights"
        for name in ("old", "new"):
            with artifacts.write_folder(path) as folder:
                (folder / "inner").mkdir()
                (folder / "inner" / name).write_text(name)
                assert not (path / "inner" / "new").exists()
        assert entries(tmp_path) == ["weights"]
        assert entries(path / "inner") == ["new"]

    def test_replaces_it_without_the_system_call_too(self, tmp_path, monkeypatch):
        monkeypatch.setattr(atomic.ctypes, "CDLL", lambda *_, **__: object())
        self.test_replaces_the_folder_as_a_whole(tmp_path)

    def test_failure_keeps_the_folder_that_was_there(self, tmp_path):
        path = tmp_path / "weights"
        with artifacts.write_folder(path) as folder:
            (folder / "good").touch()

        def fail(folder):
            (folder / "half").touch()
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError), artifacts.write_folder(path) as folder:
            fail(folder)
        assert entries(tmp_path) == ["weights"]
        assert entries(path) == ["good"]

    def test_a_full_disk_told_by_a_library_is_understood(self, tmp_path):
        def fail(_):
            raise RuntimeError("RESOURCE_EXHAUSTED: weights.data; No space left on device")

        with (
            pytest.raises(ArtifactError, match="weights was not written: the disk is full"),
            artifacts.write_folder(tmp_path / "weights") as folder,
        ):
            fail(folder)
        assert entries(tmp_path) == []

    def test_a_file_in_its_place_stays(self, tmp_path):
        (tmp_path / "weights").write_text("file")
        with (
            pytest.raises(ArtifactError, match="Not a directory"),
            artifacts.write_folder(tmp_path / "weights"),
        ):
            pass
        assert (tmp_path / "weights").read_text() == "file"


KILLED = """
import sys
from emergence.artifacts import whole, write_folder
kind, path = sys.argv[1:]
if kind == "file":
    with whole(path) as file:
        file.write(b"x" * 100_000)
        file.flush()
        print("written", flush=True)
        sys.stdin.read()
else:
    with write_folder(path) as folder:
        (folder / "variables").write_bytes(b"x" * 100_000)
        print("written", flush=True)
        sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_kill_while_writing_leaves_nothing_under_the_name_and_is_swept_later(tmp_path, kind):
    path = tmp_path / "result"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, kind, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout.readline() == b"written\n"
        during = entries(tmp_path)
        # A second writer must not sweep away what the first is still writing.
        artifacts.write_text(tmp_path / "result.txt", "a name that begins alike")
        atomic._sweep(path)
        assert entries(tmp_path) == sorted([*during, "result.txt"])
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert len(during) == 1
    assert during[0].startswith(".result.")
    assert not path.exists()
    if kind == "file":
        artifacts.write_text(path, "whole")
    else:
        with artifacts.write_folder(path) as folder:
            (folder / "variables").touch()
    assert entries(tmp_path) == ["result", "result.txt"]


@pytest.fixture
def mount(tmp_path):
    """Mount a tmpfs of one MiB with further options; skips where this user cannot."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    folder = tmp_path / "mounted"
    folder.mkdir()
    mounted = []

    def do(*command):
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {answer.stderr.strip()}")

    def make():
        do("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder))
        mounted.append(folder)
        return folder

    def close():
        do("mount", "-o", "remount,ro", str(folder))

    make.read_only = close
    yield make
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.root
class TestRealFileSystem:
    def test_full(self, mount):
        folder = mount()
        artifacts.write_text(folder / "small.txt", "fits")
        big = np.zeros(2**18)  # two MiB
        with pytest.raises(ArtifactError, match=r"big\.npz was not written: the disk is full"):
            artifacts.write_arrays(folder / "big.npz", {"x": big})
        with (
            pytest.raises(ArtifactError, match="weights was not written: the disk is full"),
            artifacts.write_folder(folder / "weights") as weights,
        ):
            (weights / "x").write_bytes(big.tobytes())
        assert entries(folder) == ["small.txt"]
        artifacts.write_text(folder / "after.txt", "there is space again")

    def test_read_only(self, mount, writer):
        folder = mount()
        name, write = writer[0].name, writer[1]
        write(folder / name)
        before = artifacts.sha256(folder / name)
        mount.read_only()
        with pytest.raises(ArtifactError, match="mounted is read-only"):
            write(folder / name)
        with (
            pytest.raises(ArtifactError, match="mounted is read-only"),
            artifacts.write_folder(folder / "weights"),
        ):
            pass
        assert entries(folder) == [name]
        assert artifacts.sha256(folder / name) == before
