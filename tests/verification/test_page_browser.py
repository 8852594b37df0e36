"""The report in a real browser: no error, nothing fetched, legible narrow and wide, dark and light."""

import shutil
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from chromium import PROGRAM, Chromium

from emergence.verification import page

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
    folder = tmp_path_factory.mktemp("report")
    (folder / "results/laptop").mkdir(parents=True)
    shutil.copy(ROOT / "figures/laptop/verdict.json", folder / "results/laptop")
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
