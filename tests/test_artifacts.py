"""Results come back bit for bit, and every fault of a file is a sentence."""

import errno
import json
import os
import string
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from small_results import READERS, WRITERS, entries, quick

from emergence import artifacts
from emergence.errors import ArtifactError

finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(string.ascii_lowercase, min_size=1, max_size=6)


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


def test_neither_tensorflow_nor_pandas_is_imported_for_it():
    code = "import sys, emergence.artifacts; print(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-c", f"import json; {code}"], capture_output=True, check=True, text=True
    )
    assert not {"tensorflow", "pandas", "scipy"} & set(json.loads(answer.stdout))
