"""The HTML report in a real browser: it opens, draws, sorts, filters, and asks the network for nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import headroom
from headroom.advise.analysis import Analysis
from headroom.report.html import render_html
from report.asked import GRAPH, asked_analysis, profiled_analysis
from report.factory import make_analysis

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip


#: Texts of the questions that stick out of the page. What is wider scrolls inside a frame of its own.
_OUTSIDE = """() => [...document.querySelectorAll(":is(.question, .question-list) :is(p, h2, h3, td, th, pre, li)")]
    .filter(text => !text.closest(".scroll"))
    .filter(text => text.getBoundingClientRect().left < 0 || text.getBoundingClientRect().right > innerWidth + 1)
    .map(text => text.textContent.slice(0, 80))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM}")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield chromium
        chromium.close()


@dataclass
class Opened:
    """A page with everything it complained about and asked for."""

    page: sync_api.Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


class Opener:
    """Opens analyses as pages and, when the test is over, checks what every test must hold."""

    def __init__(self, browser: sync_api.Browser, folder: Path) -> None:
        self.browser, self.folder, self.opened = browser, folder, list[Opened]()

    def __call__(self, *analyses: Analysis, scheme: str = "light", width: int = 1280) -> sync_api.Page:
        path = self.folder / f"report{len(self.opened)}.html"
        path.write_text(render_html(analyses), "utf-8")
        page = self.browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        opened = Opened(page)
        page.on("console", lambda message: opened.complaints.append(message.text))
        page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        page.on("request", lambda request: opened.requests.append(request.url))
        page.goto(path.as_uri())
        self.opened.append(opened)
        return page

    def close(self) -> None:
        for opened in self.opened:
            assert opened.complaints == []
            assert [url for url in opened.requests if not url.endswith(".html")] == []
            assert opened.page.evaluate("window.hacked") is None
            opened.page.close()


@pytest.fixture
def show(browser: sync_api.Browser, tmp_path: Path) -> Iterator[Opener]:
    opener = Opener(browser, tmp_path)
    yield opener
    opener.close()


def _names(page: sync_api.Page) -> list[str]:
    return page.locator("[data-table] tbody tr:visible .name").all_inner_texts()


def _column(page: sync_api.Page, number: int) -> list[float]:
    cells = page.locator(f"[data-table] tbody tr td:nth-child({number})")
    values = cells.evaluate_all("cells => cells.map(cell => cell.dataset.v)")
    return [float(value) for value in values if value]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_hostile_model_opens_without_complaint_or_request_at_any_width(show: Opener, scheme: str, width: int) -> None:
    page = show(make_analysis(), scheme=scheme, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, paper[4:-1].split(","))) > 200) == (scheme == "light")
    assert len(page.screenshot(full_page=True)) > 50_000


def test_every_chart_draws_marks_inside_its_frame(show: Opener) -> None:
    page = show(make_analysis(16, hostile=False))
    for key in ("ladder", "kind", "bottleneck", "module", "layers", "roofline", "traffic", "heaviest", "timeline"):
        figure = page.locator(f"#a0-{key}")
        assert figure.locator(".mark").count() >= 3, key
        frame = figure.bounding_box()
        assert frame is not None
        boxes = figure.locator(".mark").evaluate_all("marks => marks.map(m => m.getBoundingClientRect().toJSON())")
        assert all(box["left"] >= frame["x"] - 14 for box in boxes), key
        assert all(box["right"] <= frame["x"] + frame["width"] + 14 for box in boxes), key
        assert all(box["width"] > 0 and box["height"] > 0 for box in boxes), key


def test_the_table_sorts_by_click_in_both_directions_and_says_so(show: Opener) -> None:
    page = show(make_analysis())
    head = page.get_by_role("columnheader", name="DRAM")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    values = _column(page, 13)
    assert values == sorted(values, reverse=True)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert _column(page, 13) == sorted(values)
    assert page.locator("[data-table] th[aria-sort=none]").count() == 15


def test_the_table_sorts_by_keyboard(show: Opener) -> None:
    page = show(make_analysis(hostile=False))
    page.get_by_role("columnheader", name="Layer").get_by_role("button").focus()
    page.keyboard.press("Enter")
    names = _names(page)
    assert names[:2] == ["avgpool", "conv1"]
    page.keyboard.press("Space")
    assert _names(page) == names[::-1]
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.get_by_role("columnheader", name="Kind").get_attribute("aria-sort") == "ascending"


def test_what_has_no_time_stays_last_in_either_direction(show: Opener) -> None:
    page = show(make_analysis())
    for _ in range(2):
        page.get_by_role("columnheader", name="Total").get_by_role("button").click()
        assert _names(page)[-1] == "mystery<b>"


def test_filters_narrow_the_table_and_reset_brings_it_back(show: Opener) -> None:
    page = show(make_analysis(hostile=False))
    everything = len(_names(page))
    page.get_by_label("Search").fill("inception4a CONV")
    found = _names(page)
    assert 0 < len(found) < everything
    assert page.locator(".count").inner_text() == f"{len(found)} of {everything} configurations"
    page.get_by_label("Kind", exact=True).select_option("activation")
    assert 0 < len(_names(page)) < len(found)
    page.get_by_label("Limited by", exact=True).select_option("latency")
    assert _names(page) == []
    page.get_by_role("button", name="Reset").click()
    assert len(_names(page)) == everything


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_each_question_is_a_page_that_reads_at_any_width(show: Opener, scheme: str, width: int) -> None:
    analysis = asked_analysis()
    page = show(analysis, scheme=scheme, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(_OUTSIDE) == []
    for answer in analysis.questions:
        section = page.locator(f"#a0-q{answer.number}")
        sentence = section.locator(".sentence")
        assert sentence.is_visible()
        assert float(sentence.evaluate("p => parseFloat(getComputedStyle(p).fontSize)")) >= 19
        for figure in section.locator("figure.chart").all():
            assert figure.locator(".mark").count() >= 2


def test_the_navigation_brings_each_question_under_its_own_bar(show: Opener) -> None:
    page = show(asked_analysis(hostile=False))
    page.emulate_media(reduced_motion="reduce")
    for number in (1, 5, 8):
        page.locator(f'.contents a[href="#a0-q{number}"]').click()
        title, bar = page.locator(f"#a0-q{number} h2").bounding_box(), page.locator(".contents").bounding_box()
        assert title is not None
        assert bar is not None
        assert bar["y"] == 0
        assert bar["height"] - 1 <= title["y"] < 300


def test_code_is_copied_whole_and_selected_by_one_click(show: Opener) -> None:
    page = show(asked_analysis(hostile=False))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    block = page.locator("#a0-q4 .copyable").first
    block.get_by_role("button", name="Copy").click()
    assert page.evaluate("navigator.clipboard.readText()") == GRAPH.code
    assert block.get_by_role("button").inner_text() == "Copied"
    block.locator("code").click()
    assert page.evaluate("getSelection().toString()").strip() == GRAPH.code


def test_without_a_script_the_questions_are_all_there(browser: sync_api.Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(render_html([asked_analysis(hostile=False)]), "utf-8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    for number in range(1, 9):
        assert page.locator(f"#a0-q{number} .sentence").is_visible()
    assert page.locator("#a0-q3 pre").first.is_visible()
    assert page.get_by_role("button", name="Copy").count() == 0
    context.close()


def test_the_theme_button_goes_from_auto_to_light_to_dark_and_back(show: Opener) -> None:
    page = show(make_analysis(hostile=False), scheme="dark")
    button, papers = page.get_by_role("button", name="Theme"), []
    for name in ("light", "dark", "auto"):
        button.click()
        assert button.inner_text() == f"Theme: {name}"
        papers.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert papers[0] != papers[1] == papers[2]


def test_arrow_keys_walk_through_a_chart_and_speak(show: Opener) -> None:
    page = show(make_analysis(hostile=False))
    page.locator("#a0-roofline [data-chart]").focus()
    said = []
    for key in ("ArrowRight", "ArrowRight", "End", "Home"):
        page.keyboard.press(key)
        tip, mark = page.locator("#tip").bounding_box(), page.locator(".mark.on").bounding_box()
        assert tip is not None
        assert mark is not None
        assert 0 <= mark["y"] < 900
        assert abs(tip["y"] - mark["y"]) < 150
        said.append(page.locator("#live").inner_text())
    assert said[0] == said[3]
    assert len(set(said)) == 3
    assert "flops per byte" in said[0]
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()


def test_pointing_at_a_mark_shows_its_facts(show: Opener) -> None:
    page = show(make_analysis(hostile=False))
    page.locator("#a0-layers .mark").first.hover()
    assert "limited by" in page.locator("#tip").inner_text()


def test_the_schedule_zooms(show: Opener) -> None:
    page = show(make_analysis(hostile=False))
    track = page.locator("#a0-timeline .track")
    before = track.evaluate("track => track.scrollWidth")
    page.get_by_role("button", name="Zoom in").click()
    assert track.evaluate("track => track.scrollWidth") == pytest.approx(2 * before, abs=4)
    page.get_by_role("button", name="Zoom out").click()
    assert track.evaluate("track => track.scrollWidth") == pytest.approx(before, abs=4)


def test_a_real_model_opens_with_all_its_charts(show: Opener, shared_models: Path) -> None:
    graph = headroom.load(shared_models / "googlenet.onnx")
    page = show(headroom.analyze(graph, gpu="h200", dtype="bf16"))
    for figure in page.locator("figure.chart").all():
        assert figure.locator(".mark").count() > 0, figure.get_attribute("id")


def test_several_answers_are_tabs_that_keys_move_through(show: Opener) -> None:
    page = show(*(make_analysis(batch, hostile=False) for batch in (1, 8, 64)))
    assert page.locator("#all-comparison .mark").count() == 3
    assert page.get_by_role("tabpanel").count() == 1
    page.get_by_role("tab", name="batch 64").click()
    assert page.locator("article:visible .chips li").first.inner_text() == "batch 64"
    page.keyboard.press("ArrowRight")
    assert page.locator("article:visible .chips li").first.inner_text() == "batch 1"


def test_a_model_of_two_thousand_configurations_stays_responsive(show: Opener) -> None:
    analysis = make_analysis(hostile=False)
    answers = [
        replace(answer, layer=replace(answer.layer, name=f"{answer.layer.name}.{copy}"))
        for copy in range(20)
        for answer in analysis.answers
    ]
    page = show(replace(analysis, answers=tuple(answers)))
    rows = page.locator("[data-table] tbody tr:visible")
    assert rows.count() == 250
    spent_ms = page.evaluate(
        """() => {
            const button = document.querySelector('th button[data-sort="0"]');
            const search = document.querySelector('[data-filter="search"]');
            const started = performance.now();
            button.click();
            document.body.getBoundingClientRect();
            search.value = "branch1";
            search.dispatchEvent(new Event("input"));
            document.body.getBoundingClientRect();
            return performance.now() - started;
        }"""
    )
    assert spent_ms < 2000
    page.get_by_label("Search").fill("")
    page.get_by_role("button", name=f"Show {len(answers) - 250} more").click()
    assert rows.count() == len(answers)


@pytest.mark.parametrize("make", [make_analysis, asked_analysis, profiled_analysis])
def test_the_page_prints_its_whole_tables_on_white(show: Opener, make: Callable[..., Analysis]) -> None:
    page = show(make(hostile=False), scheme="dark", width=760)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(252, 252, 251)"
    assert page.locator(".contents").is_hidden()
    assert page.locator(".tall").evaluate("box => box.scrollHeight <= box.clientHeight + 2")
    for box in page.locator(".tall, .answer-table .scroll, .copyable pre").all():
        assert box.evaluate("box => box.scrollWidth <= box.clientWidth + 2")
