"""The report as a reviewer reads it: complete, self-contained, every link alive, whatever happened."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from finished_run import BENCHMARK

from emergence.artifacts import write_numbers
from emergence.errors import ArtifactError, LedgerError
from emergence.settings import load
from emergence.verification import page, page_figures
from emergence.verification.claims import load_ledgers
from emergence.verification.costs import Cost, record
from emergence.verification.readme import number

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "figures/laptop"


class Read(HTMLParser):
    """Ids, links, images and the rows of a page, and whether its elements are closed."""

    VOID = frozenset({"meta", "link", "img", "input", "br"})

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.images, self.external, self.open = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag not in self.VOID:
            self.open.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a":
            self.links.append(values["href"])
        if tag == "img":
            self.images.append(values)
        addresses = [values.get("src"), values.get("href") if tag == "link" else None]
        self.external += [a for a in addresses if a and not a.startswith("data:")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Path:
    """The committed verdicts and figures in a folder of their own, beside the code they link to."""
    house = tmp_path_factory.mktemp("a house")
    for name in ("workflow", "claims", "figures/laptop", "src/emergence"):
        shutil.copytree(ROOT / name, house / name, ignore=shutil.ignore_patterns("__pycache__"))
    results = house / "results/laptop"
    for name in ("distillers/quadratic", "analysis", "figures/law"):
        file = results / f"introspection/benchmarks/{name}.tsv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(BENCHMARK)
    for name in ("figures/law", "distillers/quadratic", "analysis"):
        log = results / f"introspection/logs/{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    shutil.copy(FIGURES / "verdict.json", results)
    record(house / "costs.csv", "laptop", [Cost("introspection/distillers/quadratic", 4, 4, 300)])
    # What a test adds.
    (house / "figures/laptop/drift.md").unlink(missing_ok=True)
    settings = load(ROOT / "config/laptop.yaml").model_dump(mode="json")
    write_numbers(results / "introspection/measurements.provenance.json", {"settings": settings})
    return house


def write(house: Path) -> Path:
    """Write the report as if the code lay in the house."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_figures, "CHECKOUT", house)
        patch.setattr(page_figures, "PACKAGE", house / "src/emergence")
        return page.write_report(
            "laptop", house / "claims", house / "results", house / "figures", house / "costs.csv"
        )


@pytest.fixture(scope="module")
def report(house) -> Path:
    return write(house)


@pytest.fixture(scope="module")
def text(report) -> str:
    return report.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def read(text) -> Read:
    return Read(text)


VERDICT = json.loads((FIGURES / "verdict.json").read_text())


class TestContent:
    def test_has_a_row_of_every_claim_with_its_numbers(self, text):
        for claim in VERDICT["claims"]:
            (row,) = re.findall(rf'(?s)<tr id="claim-{claim["id"]}".*?</tr>', text)
            assert f">{claim['verdict']}</span>" in row
            assert number(claim["measured"], claim["error"]) in row
            assert number(claim["control"]["measured"]) in row or claim["control"]["error"]
            for criterion in claim["criteria"]:
                assert criterion.get("measure", criterion.get("smaller")) in row

    def test_the_verdicts_come_before_everything_else(self, text):
        places = [text.index(f'id="{name}"') for name in ("verdicts", "claims", "introspection")]
        assert places == sorted(places)
        assert text.index('id="costs"') > places[-1]

    def test_counts_what_came_out(self, text):
        counted = dict(re.findall(r"<li><b>(\d+)</b> <span class=\"verdict ([a-z-]+)\"", text))
        assert sum(map(int, counted)) == len(VERDICT["claims"])

    def test_shows_every_drawn_figure_with_a_caption(self, read, text):
        drawn = sorted(FIGURES.glob("*/*.png"))
        assert len(read.images) == len(drawn) > 25
        assert all(len(image["alt"]) > 20 for image in read.images)
        captions = re.findall(r"<figcaption>(.+?)</figcaption>", text)
        for caption in captions:
            assert (
                "Stands for what the original shows in" in caption or "of this project" in caption
            )
        assert any("slides, blog (I3: 2)" in caption for caption in captions)

    def test_tells_recorded_against_actual_costs(self, text):
        (row,) = re.findall(r"(?s)<tr>\n<td[^>]*>introspection/distillers</td>.*?</tr>", text)
        assert "4 s</td>" in row
        assert "8 s</td>" in row
        assert "2.00</td>" in row

    def test_tells_what_a_figure_costs_with_all_that_it_is_drawn_from(self, text):
        """Of the law's jobs three were measured here, 8 s each; one of them is recorded."""
        (article,) = re.findall(r'(?s)<article id="figure-introspection-law">.*?</article>', text)
        (told,) = re.findall(r"<dt>cost</dt><dd>(.*?)</dd>", article)
        assert "with all that it is drawn from (12 jobs): expected 4 s, this run 24 s" in told
        assert "drawing alone: expected not recorded, this run 8 s" in told

    def test_names_the_function_the_rule_and_the_log_of_a_figure(self, house, text):
        (article,) = re.findall(r'(?s)<article id="figure-introspection-law">.*?</article>', text)
        assert "introspection_figure in workflow/introspection.smk" in article
        line = int(re.search(r"law\(\) in src/\S+, line (\d+)", article).group(1))
        source = house / "src/emergence/introspection/law_figures.py"
        assert source.read_text().splitlines()[line - 1].startswith("def law(")
        assert '<a href="introspection/logs/figures/law.log">law.log</a>' in article

    def test_lists_the_logs_of_the_jobs_that_a_figure_is_drawn_from(self, text):
        """Of those that left one here."""
        (article,) = re.findall(r'(?s)<article id="figure-introspection-law">.*?</article>', text)
        (told,) = re.findall(r"<dt>job logs</dt><dd>(.*?)</dd>", article)
        names = ["introspection/analysis", "introspection/distillers/quadratic"]
        assert re.findall(r">(introspection/[^<]+)</a>", told) == [
            *names, "introspection/figures/law",
        ]  # fmt: skip

    def test_says_once_that_figures_have_no_numbers_and_what_the_places_are(self, text):
        assert text.count("no figure or section of theirs is named by its number") == 1
        assert "<i>slides</i>, Y.-Z. You&#39;s slides of 2020 on this work" in text
        assert text.count("Statements are placed in") == len(load_ledgers(ROOT / "claims"))

    def test_tells_no_path_of_this_machine(self, house, text):
        assert str(house) not in text
        assert str(ROOT) not in text


class TestLinks:
    def test_all_of_them_resolve(self, report, read):
        assert len(set(read.ids)) == len(read.ids)
        files = [link for link in read.links if not link.startswith("#")]
        assert {link[1:] for link in read.links if link.startswith("#")} <= set(read.ids)
        assert len(files) > 100
        for link in files:
            assert (report.parent / unquote(link)).is_file(), link

    def test_a_claim_leads_to_its_figure(self, text):
        for claim in VERDICT["claims"]:
            (row,) = re.findall(rf'(?s)<tr id="claim-{claim["id"]}".*?</tr>', text)
            assert f'href="#figure-{claim["figure"].replace("/", "-")}"' in row

    def test_a_claim_leads_to_the_data_the_rule_the_log_and_the_code_of_it(self, text):
        (row,) = re.findall(r'(?s)<tr id="claim-I5".*?</tr>', text)
        names = dict(re.findall(r'<a href="([^"#]+)">(data|rule|log|code)</a>', row))
        assert list(names.values()) == ["data", "rule", "log", "code"]
        ends = ("law.csv", "introspection.smk", "law.log", "law_figures.py")
        assert all(link.endswith(end) for link, end in zip(names, ends, strict=True))

    def test_nothing_is_fetched(self, read, text):
        assert read.external == []
        assert not re.search(r"url\(|@import|https?://(?!arxiv)", text)

    def test_every_element_is_closed(self, read):
        assert read.open == []

    def test_results_apart_from_the_code_link_to_figures_only(self, house, tmp_path):
        """As in a container, whose code the reader of the report does not have."""
        for name in ("figures", "results"):
            shutil.copytree(house / name, tmp_path / name)
        away = page.write_report(
            "laptop", house / "claims", tmp_path / "results", tmp_path / "figures", house / "none"
        )
        links = Read(away.read_text()).links
        assert any(link.endswith("law.csv") for link in links)
        assert not any(link.endswith((".py", ".smk")) for link in links)


@pytest.fixture(scope="module")
def beside(house, tmp_path_factory):
    """Numbers of this run beside the committed figures, as after `make verify`."""
    folder = tmp_path_factory.mktemp("verify")
    (folder / "results/verify/introspection/logs").mkdir(parents=True)
    shutil.copy(FIGURES / "verdict.json", folder / "results/verify")
    (folder / "results/verify/introspection/logs/analysis.log").touch()
    return page.write_report(
        "verify", house / "claims", folder / "results", house / "figures",
        house / "costs.csv", "laptop",
    ).read_text()  # fmt: skip


class TestFiguresOfAnotherScale:
    def test_says_that_nothing_was_drawn(self, beside, text):
        told = "Nothing was drawn in this run: the figures are those of scale laptop"
        assert told in beside
        assert told not in text

    def test_the_log_is_that_of_the_numbers(self, beside):
        (article,) = re.findall(r'(?s)<article id="figure-introspection-law">.*?</article>', beside)
        log = "analysis.log, of this run's numbers; the figure is that of scale laptop"
        log = log.replace("'", "&#39;")
        assert f'<a href="introspection/logs/analysis.log">{log}</a>' in article
        (row,) = re.findall(r'(?s)<tr id="claim-I5".*?</tr>', beside)
        assert '<a href="introspection/logs/analysis.log">log</a>' in row


class TestOddities:
    @pytest.fixture
    def changed(self, house, tmp_path):
        """Writes the report of a copy whose verdict.json was changed."""

        def changed(change):
            verdict = json.loads((FIGURES / "verdict.json").read_text())
            change(verdict)
            folder = tmp_path / "results/laptop"
            folder.mkdir(parents=True)
            (folder / "verdict.json").write_text(json.dumps(verdict))
            ledgers, figures = house / "claims", tmp_path / "figures"
            return page.write_report(
                "laptop", ledgers, tmp_path / "results", figures, house / "costs.csv"
            ).read_text()

        return changed

    def test_an_unexpected_verdict_and_a_green_control_stand_at_the_top(self, changed):
        names = []

        def change(verdict):
            first, second = verdict["claims"][:2]
            names.extend([first["id"], second["id"]])
            first |= {"verdict": "deviates", "expected": "reproduced", "matches": False}
            second["control"] |= {"verdict": "reproduced", "holds": False}

        text = changed(change)
        head = text[: text.index('id="verdicts"')]
        assert f'Not as the ledger expects: <a href="#claim-{names[0]}">' in head
        assert f'did not turn red: <a href="#claim-{names[1]}">' in head
        assert "reproduced was expected" in text
        assert "reproduced, but it must deviate" in text

    def test_markup_in_a_text_is_shown_and_not_obeyed(self, changed):
        hostile = "<script>alert(1)</script> |ψ|² & <b>"
        text = changed(lambda verdict: verdict["claims"][0].update(statement=hostile))
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt; |ψ|² &amp; &lt;b&gt;" in text

    def test_without_a_figure_there_is_no_link_to_one(self, changed):
        text = changed(lambda verdict: None)
        assert "#figure-" not in text
        assert text.count("No figure of it was drawn at this scale.") == len(
            load_ledgers(ROOT / "claims")
        )

    def test_leads_to_the_drift_certificate_where_there_is_one(self, house, tmp_path, text):
        assert "drift certificate" not in text
        shutil.copytree(house, tmp_path / "house")
        (tmp_path / "house/figures/laptop").mkdir(parents=True, exist_ok=True)
        (tmp_path / "house/figures/laptop/drift.md").touch()
        drifted = write(tmp_path / "house").read_text(encoding="utf-8")
        assert '<a href="../../figures/laptop/drift.md">the drift certificate</a>' in drifted

    def test_without_verdicts_it_says_what_to_do(self, house, tmp_path):
        with pytest.raises(ArtifactError, match=r"verdict.json is missing\. Rerun snakemake"):
            page.write_report("laptop", house / "claims", tmp_path, tmp_path, house / "costs.csv")

    def test_without_a_ledger_it_says_so(self, house, tmp_path):
        with pytest.raises(LedgerError, match="holds no ledger"):
            page.write_report(
                "laptop", tmp_path, house / "results", house / "figures", house / "costs.csv"
            )
        assert list(tmp_path.iterdir()) == []
