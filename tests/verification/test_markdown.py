"""What verdict.md tells beside the verdicts: figures, statements, seeds, scatter."""

import json

import pandas as pd

from emergence.artifacts import write_table
from emergence.statistics import Measurement, write_measurements
from emergence.verification.drift_table import COLUMNS


def test_the_markdown_links_the_figures_there_are_from_where_it_stands(project):
    project.measured()
    project.verify()
    name = "introspection/loss_against_latent_dimension"
    texts = {
        folder: (folder / "laptop" / "verdict.md").read_text(encoding="utf-8")
        for folder in (project.results, project.figures)
    }
    assert all(f"| {name} |" in text for text in texts.values())
    image = project.figures / "laptop" / f"{name}.png"
    image.parent.mkdir(parents=True)
    image.touch()
    project.verify()
    for folder, address in (
        (project.results, f"../../figures/laptop/{name}.png"),
        (project.figures, f"{name}.png"),
    ):
        text = (folder / "laptop" / "verdict.md").read_text(encoding="utf-8")
        assert f"| [{name}]({address}) |" in text
        assert (folder / "laptop" / address).is_file()


def test_the_markdown_table_survives_the_notation_of_physics(project):
    project.measured()
    project.verify()
    text = (project.results / "laptop" / "verdict.md").read_text(encoding="utf-8")
    assert "The loss \\|jumps\\| below n = 2 [slides]." in text
    rows = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {9}


def test_measurements_over_seeds_are_decided_end_to_end(project):
    project.claim["criteria"][0] |= {"fraction": 0.9}
    seeds = [20.0] * 9 + [11.0]
    path = project.measured()
    write_measurements(
        path,
        [
            Measurement.from_seeds("loss_ratio", seeds),
            Measurement.from_seeds("control.loss_ratio", [1.0] * 10),
        ],
    )
    project.verify()
    text = (project.results / "laptop" / "verdict.md").read_text(encoding="utf-8")
    assert "over 10 seeds" in text
    assert "10 of 10 seeds pass" in text
    assert "Single trainings scatter by" in text
    (claim,) = json.loads((project.results / "laptop" / "verdict.json").read_text())["claims"]
    assert claim["criteria"][0]["trainings"] == 10


def test_the_scatter_of_single_trainings_is_that_of_the_drift_certificate(project):
    project.measured()
    about, demanded = ("introspection", "I3", "loss_ratio", 30.0), (None, "at least 10", 20.0)
    certificate = [(*about, "seeds", 2.5, 5, *demanded), (*about, "threads", 9.0, 2, *demanded)]
    place = project.figures / "laptop" / "drift.csv"
    write_table(place, pd.DataFrame(certificate, columns=COLUMNS))
    project.verify()
    text = (project.results / "laptop" / "verdict.md").read_text(encoding="utf-8")
    assert (
        "Ten times the spread over seeds. The bound rests on a choice of this project. Single trainings "
        "scatter by 2.5 (5 of them); to where the criterion turns it is 20, 8 times that, and another "
        "training may be 9.8 off (95%), which is less than that."
    ) in text
    assert "by its seed" not in text
    certificate[0] = (*about, "seeds", 25.0, 3, *demanded)
    write_table(place, pd.DataFrame(certificate, columns=COLUMNS))
    project.verify(report_only=True)
    text = (project.results / "laptop" / "verdict.md").read_text(encoding="utf-8")
    assert "**compatible**, but expected reproduced, by its seed" in text
    assert "but another training may miss it" in text
    assert "Another seed may decide otherwise" in text
    assert "(the 95% interval of another one), on I3." in text
    (claim,) = json.loads((project.results / "laptop" / "verdict.json").read_text())["claims"]
    assert claim["rests_on_seed"] is True
