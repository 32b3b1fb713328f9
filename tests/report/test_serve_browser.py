"""The served database in a real browser: it opens, searches and draws, with and without a script, and asks only its own
server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from report.served import LAYERS, Served, fill, served
from report.test_html_browser import ARGUMENTS, CHROMIUM
from store.factory import OTHER, SYSTEM

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
pytest.importorskip("uvicorn")
pytest.importorskip("starlette")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    fill(folder / "m.sqlite")
    with served(folder / "m.sqlite", log=folder / "log") as there:
        yield there


@pytest.fixture(scope="module")
def chromium() -> Iterator[sync_api.Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM}")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def page(request: pytest.FixtureRequest, chromium: sync_api.Browser, site: Served) -> Iterator[sync_api.Page]:
    context = chromium.new_context(java_script_enabled=request.param, viewport={"width": 1280, "height": 900})
    page, complaints, asked = context.new_page(), list[str](), list[str]()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda seen: asked.append(seen.url))
    page.goto(f"http://127.0.0.1:{site.port}/")
    yield page
    assert complaints == []
    assert all(url.startswith(f"http://127.0.0.1:{site.port}/") for url in asked)
    if request.param:
        assert page.evaluate("window.hacked") is None
    context.close()


def test_one_walks_from_the_systems_to_the_rows_of_a_layer(page: sync_api.Page) -> None:
    assert page.get_by_role("heading", level=1).inner_text() == "Performance database"
    page.get_by_role("link", name=SYSTEM.id).click()
    assert page.get_by_role("heading", level=1).inner_text() == SYSTEM.title
    assert page.locator(".mark").count() > 0
    page.locator("a[href*='/chains/']").first.click()
    assert "eng1_k2=5" in page.locator("main").inner_text()
    page.get_by_role("link", name="Systems").click()
    assert page.get_by_role("link", name=OTHER.id).count() == 1


def test_one_searches_and_turns_pages(page: sync_api.Page, site: Served) -> None:
    page.goto(f"http://127.0.0.1:{site.port}/systems/{SYSTEM.id}")
    page.get_by_label("Data type").select_option("bf16")
    page.get_by_label("Search").fill("convolution")
    page.get_by_role("button", name="Show").click()
    assert f"{LAYERS} layers and chains" in page.locator("main").inner_text()
    assert page.get_by_label("Search").input_value() == "convolution"
    page.get_by_role("link", name="Next").click()
    assert "page=2" in page.url
    assert page.locator("a[href*='/chains/']").count() == LAYERS - 50
    page.get_by_label("Search").fill("<b>nothing</b>")
    page.get_by_role("button", name="Show").click()
    assert "0 layers and chains" in page.locator("main").inner_text()


def test_a_staircase_is_a_chart_that_fits_a_phone(page: sync_api.Page, site: Served) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"http://127.0.0.1:{site.port}/systems/{SYSTEM.id}/staircases?dtype=bf16")
    marks = page.locator("circle.mark")
    assert marks.count() == LAYERS
    box = marks.first.bounding_box()
    assert box is not None
    assert box["width"] > 0
    frame = page.locator("main").bounding_box()
    assert frame is not None
    assert frame["width"] <= 390


def test_names_that_bite_are_read_and_not_run(page: sync_api.Page, site: Served) -> None:
    page.goto(f"http://127.0.0.1:{site.port}/models")
    assert "<script>window.hacked=1</script>" in page.locator("table").first.inner_text()
