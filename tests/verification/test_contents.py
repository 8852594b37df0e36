"""What a crate packs, what it only names, and what it refuses."""

import pytest

from emergence.artifacts import sha256
from emergence.errors import ArtifactError
from emergence.verification.contents import Contents, single


@pytest.fixture
def contents(tmp_path):
    rocrate = pytest.importorskip("rocrate.rocrate", reason="The environment is older.")
    for name in ("house/weights/line", "results/flow/weights", "results/tables", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "house/weights/line/weights.index").write_text("shipped")
    (tmp_path / "results/flow/weights/weights.index").write_text("trained")
    (tmp_path / "results/flow/weights/.snakemake_timestamp").touch()
    (tmp_path / "results/tables/law.csv").write_text("x\n1\n")
    places = {"results": tmp_path / "results"}
    return Contents(rocrate.ROCrate(version="1.1"), tmp_path / "house", places)


def test_a_table_is_packed_with_its_folder(contents):
    folder, table = contents.result(contents.path("results/tables"), None)
    assert (folder.id, table.id) == ("results/tables/", "results/tables/law.csv")
    assert folder["hasPart"] == table
    assert table["encodingFormat"] == "text/csv"


def test_weights_are_named_by_the_hash_of_what_is_no_time_stamp(contents):
    path = contents.path("results/flow/weights")
    (named,) = contents.result(path, sha256(path))
    assert (named.id, named.type) == ("#results/flow/weights", "CreativeWork")
    assert named["sha256"] == sha256(path)
    assert named["contentSize"] == str(len("trained"))


def test_what_was_read_is_what_was_written_or_what_is_shipped(contents):
    (made,) = contents.result(contents.path("results/flow/weights"), None)
    assert contents.given("results/flow/weights") is made
    shipped = contents.given("weights/line")
    assert shipped["hasPart"].id == "weights/line/weights.index"
    assert contents.given("weights/line") is shipped
    assert contents.given("figures/drift.csv") is None


def test_a_result_that_is_not_what_its_record_names_is_refused(contents):
    with pytest.raises(ArtifactError, match="not what its record names"):
        contents.result(contents.path("results/tables/law.csv"), "0" * 64)


def test_what_lies_elsewhere_is_no_result(contents, tmp_path):
    with pytest.raises(ArtifactError, match="no result of this run"):
        contents.name(tmp_path / "elsewhere/law.csv")


def test_a_list_of_one_is_its_value():
    assert (single(["a"]), single(["a", "b"]), single([])) == ("a", ["a", "b"], [])
