"""How well translators translate, from made-up errors and predictions."""

import numpy as np
import pandas as pd
import pytest

from emergence import artifacts, settings
from emergence.analysing import WORST
from emergence.errors import ArtifactError
from emergence.introspection import translation
from emergence.introspection.analysis import Results

SEEDS, SYSTEMS, WINDOW = 3, 5, 10
LENGTHS = [WINDOW, 20, 40]
FAMILIES = ["shallow", "rough"]
ARMS = {
    "main": {"dataset": "circle", "hidden": [3], "stages": "short"},
    "shuffled": {"dataset": "circle", "hidden": [3], "shuffled": True, "stages": "short"},
    "sizes": {"dataset": "circle", "hidden": [1, 2], "degree": 2, "stages": "short"},
    "lone": {"dataset": "lone", "hidden": [2], "readout": "quadratic", "stages": "short"},
}


def made_up_data(families, rng):
    """A dataset's long systems: ten sites of window, then thirty more."""
    return {
        "families": np.array(families),
        "test_family": np.repeat(np.arange(len(families)), SYSTEMS),
        "long_family": np.repeat(np.arange(len(families)), SYSTEMS),
        "long_potential": rng.standard_normal((len(families) * SYSTEMS, LENGTHS[-1])),
        "long_density": rng.uniform(0.1, 1.0, (len(families) * SYSTEMS, LENGTHS[-1])),
    }


@pytest.fixture
def run(build_settings, tmp_path):
    """A finished run of the arms named, with random errors; its arrays by arm and dataset."""

    def run(arms=tuple(ARMS)):
        content = build_settings()
        section = content["introspection"]
        section |= {"window": WINDOW, "extrapolation": LENGTHS[1:], "seeds": SEEDS}
        section["datasets"] = {
            "circle": {"families": FAMILIES, "start": "circle"},
            "lone": {"families": ["deep"], "start": "single"},
        }
        section["translators"] = {name: ARMS[name] for name in arms}
        section["distillers"]["born"] |= {"dataset": "circle", "translator": "main"}
        rng = np.random.default_rng(0)
        made = {"circle": made_up_data(FAMILIES, rng), "lone": made_up_data(["deep"], rng)}
        for name, arrays in made.items():
            artifacts.write_arrays(tmp_path / "data" / f"{name}.npz", arrays)
        for name in arms:
            families = len(made[ARMS[name]["dataset"]]["families"])
            shapes = {
                "error_test": (families * SYSTEMS,),
                "error_long": (families * SYSTEMS, len(LENGTHS)),
                "error_segment": (families * SYSTEMS, LENGTHS[-1] // WINDOW),
                "prediction": (families, LENGTHS[-1]),
            }
            made[name] = {
                f"h{hidden}/{key}": rng.uniform(0.1, 1.0, (SEEDS, *shape))
                for hidden in ARMS[name]["hidden"]
                for key, shape in shapes.items()
            }
        write(made, arms)
        return Results(settings.parse(content, "these settings"), tmp_path), made

    def write(made, arms):
        for name in arms:
            artifacts.write_arrays(tmp_path / "translators" / name / "arrays.npz", made[name])

    run.write = write
    return run


def read(results):
    """Tables and measurements by name."""
    found = list(translation.read(results))
    names = [name for name, _ in found]
    assert len(set(names)) == len(names)
    tables = {name: item for name, item in found if isinstance(item, pd.DataFrame)}
    return tables, {name: item for name, item in found if name not in tables}


def test_errors_are_medians_over_the_systems_of_a_family_seed_by_seed(run):
    results, made = run()
    _, measured = read(results)
    main = made["main"]
    for index, family in enumerate(FAMILIES):
        mine = slice(index * SYSTEMS, (index + 1) * SYSTEMS)
        inside = np.median(main["h3/error_test"][:, mine], axis=1)
        assert measured[f"translator.{family}.error"].values == tuple(inside)
        assert measured[f"translator.{family}.error"].value == np.median(inside)
        for column, length in enumerate(LENGTHS[1:], start=1):
            longer = np.median(main["h3/error_long"][:, mine, column], axis=1)
            assert measured[f"translator.{family}.error_{length}"].values == tuple(longer)
    wrong = np.median(made["shuffled"]["h3/error_test"], axis=1)
    assert measured["control.shuffled.error"].values == tuple(wrong)
    narrow = np.median(made["sizes"]["h2/error_long"][:, :, -1], axis=1)
    assert measured["control.hidden_2.error_longest"].values == tuple(narrow)
    assert len(measured) == len(FAMILIES) * len(LENGTHS) + 2


def test_controls_that_a_scale_leaves_out_are_left_out(run):
    tables, measured = read(run(["main", "lone"])[0])
    assert not [name for name in measured if name.startswith("control.")]
    assert set(tables["translator_errors"]["arm"]) == {"main", "lone"}


def test_a_seed_that_diverged_counts_as_very_bad_and_spares_the_others(run):
    results, made = run()
    made["main"]["h3/error_test"][1] = np.nan
    run.write(made, ["main"])
    values = read(results)[1]["translator.rough.error"].values
    assert values[1] == WORST
    assert max(values[0], values[2]) < 1.0


def test_examples_follow_the_first_long_system_of_each_family(run):
    results, made = run()
    table = read(results)[0]["translation"]
    assert table.columns.tolist() == [
        "family", "seed", "site", "potential", "density", "prediction",
    ]  # fmt: skip
    assert len(table) == len(FAMILIES) * SEEDS * LENGTHS[-1]
    rough = table[(table["family"] == "rough") & (table["seed"] == 2)]
    np.testing.assert_array_equal(rough["site"], np.arange(1, LENGTHS[-1] + 1))
    np.testing.assert_array_equal(rough["potential"], made["circle"]["long_potential"][SYSTEMS])
    np.testing.assert_array_equal(rough["density"], made["circle"]["long_density"][SYSTEMS])
    np.testing.assert_array_equal(rough["prediction"], made["main"]["h3/prediction"][2, 1])


def test_every_arm_has_a_row_for_each_size_family_seed_and_length(run):
    results, made = run()
    table = read(results)[0]["translator_errors"]
    # Two families for main, shuffled and two sizes; one family for the lone arm.
    assert len(table) == (2 * 4 + 1) * SEEDS * len(LENGTHS)
    assert not table.duplicated(["arm", "hidden", "family", "seed", "sites"]).any()
    chosen = table[
        (table["arm"] == "sizes") & (table["hidden"] == 1) & (table["family"] == "rough")
    ]
    row = chosen[(chosen["seed"] == 1) & (chosen["sites"] == 20)].iloc[0]
    errors = made["sizes"]["h1/error_long"][1, SYSTEMS:, 1]
    assert row["error"] == np.median(errors)
    assert row["error_p90"] == np.quantile(errors, 0.9)
    assert (row["readout"], row["degree"]) == ("linear", 2)
    lone = table[table["arm"] == "lone"]
    assert set(lone["family"]) == {"deep"}
    assert set(lone["readout"]) == {"quadratic"}


def test_segments_are_named_by_their_last_site(run):
    results, made = run()
    table = read(results)[0]["translator_segments"]
    assert len(table) == len(FAMILIES) * SEEDS * 4
    row = table[
        (table["family"] == "shallow") & (table["seed"] == 2) & (table["last_site"] == 30)
    ].iloc[0]
    assert row["error"] == np.median(made["main"]["h3/error_segment"][2, :SYSTEMS, 2])


@pytest.mark.parametrize(
    "lost", ["data/circle.npz", "data/lone.npz", "translators/sizes/arrays.npz"]
)
def test_a_result_that_is_missing_is_named(run, tmp_path, lost):
    results, _ = run()
    (tmp_path / lost).unlink()
    with pytest.raises(ArtifactError, match="is missing") as told:
        list(translation.read(results))
    assert str(tmp_path / lost) in str(told.value)
