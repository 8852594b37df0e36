"""The report in a real browser: no error, nothing fetched, legible narrow and wide, dark and light."""

import json
import re
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from chromium import PROGRAM, Chromium
from finished_run import finish

from emergence.progress import clock
from emergence.verification import page
from emergence.verification.costs import CALIBRATION, recorded_costs
from emergence.verification.readme import number

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="There is no Chromium here (.ci/apt-packages)."),
]
# Luminance by the formula of the web's guidelines for contrast (WCAG 2.1).
CONTRAST = """
(() => {
  const light = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const worst = [...document.querySelectorAll("td, .verdict, .faint, a, summary, p, dt, h2")]
    .map((e) => light(getComputedStyle(e).color))
    .map((ink) => (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05));
  return [paper, Math.min(...worst)];
})()
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """Of a finished run: each job took 8 seconds and left a log, the figures are the committed ones."""
    folder = tmp_path_factory.mktemp("report")
    finish(folder, "laptop")
    return page.write_report(
        "laptop", ROOT / "claims", folder / "results", ROOT / "figures", ROOT / "config/costs.csv"
    )


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1210, 1400])
def test_is_legible(report, browser, width, scheme):
    browser.open(report, width, scheme)
    assert browser.run("innerWidth") == width
    # Details opened: what a reader unfolds must fit as well.
    browser.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert browser.run("document.documentElement.scrollWidth") <= width
    paper, worst = browser.run(CONTRAST)
    assert (paper > 0.5) == (scheme == "light")
    assert worst >= 4.5, "Less is hard to read."
    loaded = "[...document.images].every((i) => i.complete && i.naturalWidth > 100)"
    assert browser.run(loaded)
    assert browser.run("document.images.length") > 25


def test_nothing_is_fetched_and_nothing_complained_of(report, browser):
    browser.open(report, 1400, "light")
    fetched = {url for url in browser.requests if not url.startswith("data:")}
    assert fetched == {report.resolve().as_uri()}
    assert browser.complaints == []


def test_the_browser_does_complain(tmp_path, browser):
    """What the test before relies on."""
    broken = tmp_path / "broken.html"
    broken.write_text("<img src='nowhere.png'><script>throw new Error('no')</script>")
    browser.open(broken, 400, "light")
    assert any("Error: no" in text for text in browser.complaints)
    assert any("nowhere.png" in url for url in browser.requests)
    browser.complaints.clear(), browser.requests.clear()


def test_every_link_leads_somewhere(report, browser):
    browser.open(report, 1400, "light")
    own = report.resolve().as_uri()
    links = set(browser.run("[...document.links].map((a) => a.href)"))
    files = {link for link in links if link.partition("#")[0] != own}
    assert len(links - files) > 60
    assert len(files) > 60
    for link in links - files:
        assert browser.run(f"document.getElementById('{link.partition('#')[2]}') !== null"), link
    for link in files:
        assert Path(unquote(urlparse(link).path)).is_file(), link


def test_a_claim_leads_to_its_figure(report, browser):
    browser.open(report, 1400, "light")
    browser.run("document.querySelector('#claim-I1 .links a').click()")
    assert browser.run("location.hash") == "#figure-introspection-translation"
    top = browser.run(
        "document.getElementById('figure-introspection-translation').getBoundingClientRect().top"
    )
    assert -1.0 < top < browser.run("innerHeight")  # scrolled to a whole pixel
    data = "#claim-I1 .links a[href$='translation.csv']"
    assert browser.run(f'document.querySelector("{data}").textContent') == "data"


def test_the_cells_of_a_claim_hold_what_was_decided(report, browser):
    browser.open(report, 1400, "light")
    rows = browser.run(
        "Object.fromEntries([...document.querySelectorAll('#claims tbody tr')].map((r) =>"
        " [r.id, Object.fromEntries([...r.cells].map((c) => [c.dataset.name, c.innerText]))]))"
    )
    claims = json.loads((report.parent / "verdict.json").read_text())["claims"]
    assert rows.keys() == {f"claim-{claim['id']}" for claim in claims}
    for claim in claims:
        cells = rows[f"claim-{claim['id']}"]
        assert cells["Measured"].endswith(number(claim["measured"], claim["error"]))
        assert cells["Published"] == claim["published"]
        assert cells["Demanded"] == claim["tolerance"]
        assert cells["Verdict"].split(" by its")[0] == claim["verdict"]
        assert cells["Expected"] == "as expected"
        assert claim["control"]["name"] in cells["Control"]


def test_every_figure_and_claim_has_a_log_that_is_there(report, browser):
    browser.open(report, 1400, "light")
    links = "[...e.querySelectorAll('a')].map((a) => [a.textContent, a.href])"
    articles = browser.run(f"[...document.querySelectorAll('article')].map((e) => [e.id, {links}])")
    assert len(articles) > 25
    for name, found in articles:
        short = name.removeprefix("figure-").partition("-")[2]
        logs = [unquote(urlparse(to).path) for text, to in found if text == f"{short}.log"]
        assert len(logs) == 1, name
        assert Path(logs[0]).is_file()
        # Beside it those of what it is drawn from, the analysis at least.
        assert sum(to.endswith(".log") for _, to in found) >= 3, name
    rows = browser.run(
        "[...document.querySelectorAll('#claims tbody tr')].map((r) =>"
        " [...r.querySelectorAll('.links a')].map((a) => a.textContent))"
    )
    assert all("log" in row for row in rows)


def test_costs_are_those_recorded_beside_those_of_this_run(report, browser):
    browser.open(report, 1400, "light")
    recorded = recorded_costs(ROOT / "config/costs.csv", "laptop")
    rows = browser.run(
        "[...document.querySelectorAll('#cost-table tbody tr')]"
        ".map((r) => [...r.cells].map((c) => c.innerText))"
    )
    cells = {re.sub(r" \(\d+\)$", "", row[0].strip()): row[1:] for row in rows}
    for group in ("introspection/distillers", "holography/flows", "retraining/figures"):
        known = [cost.cpu_s for job, cost in recorded.items() if job.startswith(f"{group}/")]
        spent = 8 * len(known)
        assert cells[group] == [
            clock(sum(known)), clock(spent), f"{spent / sum(known):.2f}", "321 MiB",
        ]  # fmt: skip
    jobs = recorded.keys() - {CALIBRATION}
    assert cells["all jobs"][1] == clock(8 * len(jobs))
    assert cells["all jobs"][0] == clock(sum(recorded[job].cpu_s for job in jobs))


def test_every_figure_tells_what_it_cost_in_this_run(report, browser):
    browser.open(report, 1400, "light")
    told = browser.run(
        "Object.fromEntries([...document.querySelectorAll('article')]"
        ".map((e) => [e.id, e.querySelector('dl').innerText]))"
    )
    for name, text in told.items():
        jobs, spent = re.search(
            r"\((\d+) jobs\): expected .+?, this run (.+?), 321 MiB", text
        ).groups()
        assert spent == clock(8 * int(jobs)), name
        assert re.search(r"drawing alone: expected .+, this run 8 s;", text), name
    assert "(12 jobs)" in told["figure-introspection-law"]


def shown(browser) -> list[str]:
    rows = "[...document.querySelectorAll('#claims tbody tr')]"
    return browser.run(f"{rows}.filter((r) => r.offsetHeight > 0).map((r) => r.id)")


def choose(browser, name: str, value: str) -> None:
    browser.run(
        f"(() => {{ const e = document.querySelector('[name={name}]'); e.value = '{value}';"
        " e.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )


def test_claims_can_be_filtered_and_sorted(report, browser):
    browser.open(report, 1400, "light")
    everything = shown(browser)
    choose(browser, "verdict", "deviates")
    deviating = shown(browser)
    assert "claim-I5-euler" in deviating
    assert "claim-I1" not in deviating
    choose(browser, "system", "retraining")
    assert shown(browser) == [row for row in deviating if row.startswith("claim-S")]
    choose(browser, "text", "no such text")
    assert shown(browser) == []
    for name in ("verdict", "system", "text"):
        choose(browser, name, "")
    browser.run("document.querySelector('#claims th:nth-child(6) button').click()")
    assert sorted(shown(browser)) == sorted(everything)
    verdicts = browser.run(
        "[...document.querySelectorAll('#claims tbody tr')].map((r) => r.dataset.verdict)"
    )
    assert verdicts == sorted(verdicts)
    browser.run("document.querySelector('#claims th:nth-child(6) button').click()")
    assert shown(browser)[0] != everything[0] or verdicts[0] != verdicts[-1]


def test_without_scripts_the_whole_table_is_there(report, browser):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(report, 1400, "light")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert len(shown(browser)) == browser.run("document.querySelectorAll('[id^=claim-]').length")
    assert browser.run("document.getElementById('filter').offsetHeight") == 0
