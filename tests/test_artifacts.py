"""Results are whole or absent, come back bit for bit, and every fault is a sentence."""

import errno
import json
import os
import signal
import stat
import string
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emergence import artifacts, atomic, provenance
from emergence.errors import ArtifactError

quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(string.ascii_lowercase, min_size=1, max_size=6)

WRITERS = {
    "result.npz": lambda path: artifacts.write_arrays(path, {"field": np.arange(4096.0)}),
    "result.csv": lambda path: artifacts.write_table(path, pd.DataFrame({"x": np.arange(4096.0)})),
    "result.json": lambda path: artifacts.write_numbers(path, {"x": list(range(4096))}),
    "result.txt": lambda path: artifacts.write_text(path, "x" * 40_000),
}
READERS = {
    "result.npz": artifacts.read_arrays,
    "result.csv": artifacts.read_table,
    "result.json": artifacts.read_numbers,
}


@pytest.fixture(params=WRITERS)
def writer(request, tmp_path):
    """A final path in an empty folder, and the function that writes it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder / request.param, WRITERS[request.param]


def entries(folder):
    return sorted(os.listdir(folder))


class TestRoundTrip:
    @quick
    @given(
        arrays=st.dictionaries(
            names | st.just("file"),
            hnp.arrays(
                hnp.floating_dtypes(sizes=(32, 64)) | hnp.integer_dtypes() | st.just(np.dtype("?")),
                hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
            ),
            max_size=3,
        )
    )
    def test_arrays_keep_every_bit_type_and_shape(self, tmp_path, arrays):
        artifacts.write_arrays(tmp_path / "a.npz", arrays)
        again = artifacts.read_arrays(tmp_path / "a.npz", required=arrays)
        assert list(again) == list(arrays)
        for name, array in arrays.items():
            assert again[name].dtype == array.dtype
            assert again[name].shape == array.shape
            assert again[name].tobytes() == array.tobytes()

    @quick
    @given(values=st.lists(finite | st.sampled_from([np.inf, -np.inf]), min_size=1, max_size=8))
    def test_table_floats_keep_every_bit(self, tmp_path, values):
        frame = pd.DataFrame({"seed": range(len(values)), "value": np.array(values, float)})
        artifacts.write_table(tmp_path / "t.csv", frame)
        again = artifacts.read_table(tmp_path / "t.csv", columns=["seed", "value"])
        expected = frame["value"].to_numpy()
        assert again["value"].to_numpy(float).tobytes() == expected.tobytes()
        assert again["seed"].tolist() == list(range(len(values)))

    @quick
    @given(values=hnp.arrays("float32", 5, elements=st.floats(width=32, allow_nan=False)))
    def test_table_floats_of_single_precision_keep_their_value(self, tmp_path, values):
        artifacts.write_table(tmp_path / "t.csv", pd.DataFrame({"x": values}))
        again = artifacts.read_table(tmp_path / "t.csv")["x"].to_numpy()
        assert np.array_equal(again, values.astype("float64"))

    @quick
    @given(
        numbers=st.dictionaries(
            names,
            st.recursive(
                finite | st.integers() | st.booleans() | st.none() | st.text(),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner),
                max_leaves=6,
            ),
        )
    )
    def test_numbers_come_back_equal_and_in_order(self, tmp_path, numbers):
        artifacts.write_numbers(tmp_path / "n.json", numbers)
        again = artifacts.read_numbers(tmp_path / "n.json")
        assert repr(again) == repr(numbers)  # repr tells -0.0 from 0.0 and shows the order

    def test_texts_that_look_missing_are_kept_and_missing_numbers_stay_missing(self, tmp_path):
        frame = pd.DataFrame({"arm": ["None", "NA", "a,b"], "x": [1.0, np.nan, 3.0]})
        artifacts.write_table(tmp_path / "t.csv", frame)
        again = artifacts.read_table(tmp_path / "t.csv")
        assert again["arm"].tolist() == ["None", "NA", "a,b"]
        assert again["x"].isna().tolist() == [False, True, False]

    def test_numpy_values_become_plain_numbers(self, tmp_path):
        numbers = {
            "scalar": np.float32(0.1),
            "count": np.int64(3),
            "flag": np.bool_(True),
            "array": np.eye(2),
            "long": np.longdouble(0.5),
            "pair": (1, 2),
            "path": Path("config/smoke.yaml"),
            7: "key",
        }
        artifacts.write_numbers(tmp_path / "n.json", numbers)
        assert artifacts.read_numbers(tmp_path / "n.json") == {
            "scalar": float(np.float32(0.1)),
            "count": 3,
            "flag": True,
            "array": [[1.0, 0.0], [0.0, 1.0]],
            "long": 0.5,
            "pair": [1, 2],
            "path": "config/smoke.yaml",
            "7": "key",
        }

    def test_the_same_content_gives_the_same_bytes(self, tmp_path, monkeypatch):
        for name, write in WRITERS.items():
            write(tmp_path / name)
        before = {name: artifacts.sha256(tmp_path / name) for name in WRITERS}
        later = time.time() + 86_400
        monkeypatch.setattr(time, "time", lambda: later)
        for name, write in WRITERS.items():
            write(tmp_path / name)
        assert {name: artifacts.sha256(tmp_path / name) for name in WRITERS} == before


class TestRefused:
    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_a_number_that_is_not_finite(self, tmp_path, bad):
        numbers = {"claims": [{"error": 1.0}, {"error": np.array([1.0, bad])}]}
        with pytest.raises(ArtifactError, match=r"claims\[1\]\.error\[1\] is -?(nan|inf)"):
            artifacts.write_numbers(tmp_path / "n.json", numbers)
        assert entries(tmp_path) == []

    def test_a_value_that_json_lacks(self, tmp_path):
        with pytest.raises(ArtifactError, match="z is of type complex"):
            artifacts.write_numbers(tmp_path / "n.json", {"z": 1j})
        assert entries(tmp_path) == []

    def test_an_array_of_objects(self, tmp_path):
        arrays = {"good": np.arange(3), "bad": np.array([{}, None], dtype=object)}
        with pytest.raises(ArtifactError, match="'bad' holds Python objects"):
            artifacts.write_arrays(tmp_path / "a.npz", arrays)
        assert entries(tmp_path) == []

    def test_a_pickle_in_an_archive(self, tmp_path):
        np.savez(tmp_path / "a.npz", bad=np.array([{}], dtype=object))
        with pytest.raises(ArtifactError, match=r"a\.npz cannot be read as an archive"):
            artifacts.read_arrays(tmp_path / "a.npz")

    def test_nan_in_a_file_of_numbers(self, tmp_path):
        (tmp_path / "n.json").write_text('{"x": NaN}')
        with pytest.raises(ArtifactError, match="holds NaN"):
            artifacts.read_numbers(tmp_path / "n.json")


class TestFaultyFiles:
    @pytest.mark.parametrize("name", READERS)
    def test_missing(self, tmp_path, name):
        with pytest.raises(ArtifactError, match=f"{name} is missing. Rerun snakemake"):
            READERS[name](tmp_path / name)

    @pytest.mark.parametrize("name", READERS)
    def test_in_a_missing_folder(self, tmp_path, name):
        (tmp_path / "file").touch()
        with pytest.raises(ArtifactError, match="is missing"):
            READERS[name](tmp_path / "file" / name)

    @pytest.mark.parametrize("name", READERS)
    def test_a_folder_in_its_place(self, tmp_path, name):
        (tmp_path / name).mkdir()
        with pytest.raises(ArtifactError, match="Delete it and rerun snakemake"):
            READERS[name](tmp_path / name)

    @pytest.mark.parametrize("fraction", [0.0, 0.001, 0.5, 0.99])
    @pytest.mark.parametrize("name", READERS)
    def test_truncated(self, tmp_path, name, fraction):
        path = tmp_path / name
        WRITERS[name](path)
        content = path.read_bytes()
        path.write_bytes(content[: int(fraction * len(content))])
        with pytest.raises(ArtifactError, match=f"{name} cannot be read .*Delete it and rerun"):
            READERS[name](path)

    @quick
    @given(data=st.data())
    def test_a_flipped_bit_in_an_archive_is_found_or_harmless(self, tmp_path, data):
        path = tmp_path / "a.npz"
        values = np.linspace(0, 1, 20)
        artifacts.write_arrays(path, {"x": values})
        content = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(bytes(content))
        try:
            again = artifacts.read_arrays(path, required=["x"])
        except ArtifactError:
            return
        assert np.array_equal(again["x"], values)

    @pytest.mark.parametrize("content", [b"[1, 2]", b"\xff\xfe", b"3"])
    def test_numbers_that_are_no_mapping(self, tmp_path, content):
        (tmp_path / "n.json").write_bytes(content)
        with pytest.raises(ArtifactError, match=r"n\.json cannot be read as numbers"):
            artifacts.read_numbers(tmp_path / "n.json")

    def test_an_array_without_a_name(self, tmp_path):
        with (tmp_path / "a.npz").open("wb") as file:
            np.save(file, np.arange(3))
        with pytest.raises(ArtifactError, match="a single unnamed array"):
            artifacts.read_arrays(tmp_path / "a.npz")

    @pytest.mark.parametrize(
        ("name", "kind"),
        [("result.npz", "array"), ("result.csv", "column"), ("result.json", "key")],
    )
    def test_lacking_what_is_required(self, tmp_path, name, kind):
        WRITERS[name](tmp_path / name)
        with pytest.raises(ArtifactError, match=f"{name} lacks the {kind} 'energy'"):
            READERS[name](tmp_path / name, ["energy"])

    def test_not_readable_by_this_user(self, tmp_path, monkeypatch):
        def refuse(*_):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        WRITERS["result.json"](tmp_path / "n.json")
        monkeypatch.setattr(Path, "read_text", lambda *_, **__: refuse())
        with pytest.raises(ArtifactError, match="may not be read by this user"):
            artifacts.read_numbers(tmp_path / "n.json")


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


class TestSha256:
    def test_of_a_file_is_the_standard_one(self, tmp_path):
        artifacts.write_text(tmp_path / "x", "abc")
        assert artifacts.sha256(tmp_path / "x").startswith("ba7816bf8f01cfea414140de5dae2223")

    def test_of_a_folder_sees_names_and_contents(self, tmp_path):
        seen = set()
        for name, text in [("a", "1"), ("b", "1"), ("a", "2")]:
            with artifacts.write_folder(tmp_path / "folder") as folder:
                (folder / name).write_text(text)
            seen.add(artifacts.sha256(tmp_path / "folder"))
        assert len(seen) == 3

    def test_of_nothing_is_refused(self, tmp_path):
        with pytest.raises(ArtifactError, match="is missing"):
            artifacts.sha256(tmp_path / "x")


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
        assert 2.0 <= record["wall_time_s"] < 10
        assert record["peak_memory_mib"] > 10
        assert record["cpu_count"] == os.cpu_count()
        assert record["versions"]["numpy"] == np.__version__
        assert record["created_utc"].endswith("+00:00")
        assert entries(tmp_path) == ["figure.png", "figure.provenance.json", "figure.svg"]

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


def test_neither_tensorflow_nor_pandas_is_imported_for_it():
    code = "import sys, emergence.artifacts; print(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-c", f"import json; {code}"], capture_output=True, check=True, text=True
    )
    assert not {"tensorflow", "pandas", "scipy"} & set(json.loads(answer.stdout))
