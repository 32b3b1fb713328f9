"""The HTML report is one file that loads nothing and shows names as names."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from headroom.report.html import render_html
from report.factory import LONG, make_analysis

#: Attributes through which a page can fetch something.
_FETCHING = {"src", "srcset", "data", "poster", "action", "formaction", "background", "ping", "manifest", "style"}


class _Page(HTMLParser):
    """Collects what a test asks about: tags with their attributes, text, and the ids that links point to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def hostile() -> str:
    return render_html([make_analysis()])


def test_there_is_one_script_and_one_style_and_the_policy_names_their_hashes(hostile: str) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", hostile, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", hostile, re.DOTALL)
    assert (len(scripts), len(styles)) == (1, 1)
    policy = next(t["content"] for n, t in _Page(hostile).tags if t.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    for kind, text in (("script", scripts[0]), ("style", styles[0])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_no_tag_can_fetch_anything_or_run_anything(hostile: str) -> None:
    for tag, attributes in _Page(hostile).tags:
        assert tag not in {"img", "iframe", "object", "embed", "link", "base", "form", "video", "audio"}, attributes
        assert not _FETCHING & set(attributes), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert (attributes.get("href") or "#").startswith("#")


def test_names_are_text_and_never_markup(hostile: str) -> None:
    page = _Page(hostile)
    assert any(text.startswith("</script><script>window.hacked=1") for text in page.texts)
    assert "{{ 7*7 }}" in "".join(page.texts)
    assert "<b>" not in {f"<{tag}>" for tag, _ in page.tags}


def test_no_character_of_the_page_is_a_control_or_an_invisible_mark(hostile: str) -> None:
    assert all(line.isprintable() for line in hostile.split("\n"))


def test_a_name_of_a_megabyte_is_cut(hostile: str) -> None:
    assert len(hostile) < 600_000
    assert LONG[:500] not in hostile


def test_every_link_and_label_points_to_something(hostile: str) -> None:
    text = render_html([make_analysis(1), make_analysis(8)])
    tags = [attributes for page in (hostile, text) for _, attributes in _Page(page).tags]
    ids = [attributes["id"] for attributes in tags if "id" in attributes]
    wanted = {a[key] for a in tags for key in ("aria-labelledby", "aria-controls") if key in a}
    wanted |= {str(attributes["href"])[1:] for attributes in tags if "href" in attributes}
    assert wanted <= set(ids)
    own = [attributes["id"] for _, attributes in _Page(text).tags if "id" in attributes]
    assert len(own) == len(set(own))


def test_every_chart_has_its_figures_as_a_table(hostile: str) -> None:
    figures = re.findall(r"<figure.*?</figure>", hostile, re.DOTALL)
    assert len(figures) == 9
    assert all("<table" in figure for figure in figures)


def test_the_page_repeats_exactly() -> None:
    assert render_html([make_analysis()]) == render_html([make_analysis()])


def test_a_measured_latency_is_a_rung_of_the_ladder() -> None:
    text = render_html([replace(make_analysis(hostile=False), measured_us=512.0, system="H200, driver 580")])
    assert "what the GPU takes today" in text
    assert "512 µs" in text


def test_a_model_of_which_nothing_is_known_still_gets_a_page() -> None:
    analysis = make_analysis()
    bounds = replace(analysis.bounds, sequential_us=0.0, parallel_us=0.0, fused_us=None, speed_of_light_us=0.0)
    text = render_html(
        [
            replace(
                analysis, answers=analysis.answers[-1:], bounds=bounds, findings=(), schedule=(),
                time_by_kind={}, time_by_module={}, time_by_bottleneck={},
            )
        ]
    )  # fmt: skip
    assert "Nothing to show: no layer here has a time." in text
    assert "no fused implementation is known" in text
