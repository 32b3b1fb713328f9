"""Putting the page together: styles, script, one section of charts per answer, and what keeps it safe.

The file opens without a network and lets nothing else in: a content security policy names the hashes of its
one style and its one script, so markup that came with a layer's name could not run even if it got through the
template's escaping. There is no data in the script: whatever it shows it reads from the escaped page.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources

import jinja2
from markupsafe import Markup

from headroom._version import __version__
from headroom.advise.analysis import Analysis
from headroom.advise.questions.combined import combined
from headroom.advise.questions.which_gpu import which_gpu
from headroom.report.html.questions import WORDS, question_views
from headroom.report.html.views import answer_view, comparison_chart


def render_html(analyses: Sequence[Analysis]) -> str:
    """The page for one or several analyses (at least one): a single file that needs nothing else."""
    chosen = which_gpu(analyses)
    return render_page(
        "report.html.j2",
        answers=[answer_view(analysis, f"a{position}") for position, analysis in enumerate(analyses)],
        comparison=comparison_chart(analyses) if len(analyses) > 1 else None,
        combined=(*question_views([chosen] if chosen else []), *question_views(combined(analyses))),
        words=WORDS,
    )


def render_page(template: str, **content: object) -> str:
    """A page from one of our templates, with our style and script inside and a policy that admits nothing else."""
    style, script = _asset("report.css"), _asset("report.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    page = _environment().get_template(template)
    return page.render(style=style, script=script, policy=policy, version=__version__, **content)


def plain_page(template: str, **content: object) -> tuple[str, str]:
    """A page without any script, which may ask the server that it came from and nobody else, and the policy that says
    so."""
    style = _asset("report.css") + _asset("served.css")
    policy = f"default-src 'none'; style-src '{_digest(style)}'; base-uri 'none'; form-action 'self'"
    page = _environment().get_template(template).render(style=style, policy=policy, version=__version__, **content)
    return page, policy


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("headroom.report.html", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["pc"] = lambda value: f"{value:.3f}".rstrip("0").rstrip(".") + "%"
    environment.filters["px"] = lambda value: f"{value:.1f}".removesuffix(".0")
    environment.filters["breakable"] = _breakable
    return environment


def _breakable(text: str) -> Markup:
    """``text``, escaped, with places to break a line in what would else break inside a word."""
    return Markup("<wbr>").join(re.split(r"(?<=\w[._/:])(?=\w)", text))


@cache
def _asset(name: str) -> str:
    """A file of ours that goes into the page as it is: never text from a model."""
    return resources.files("headroom.report.html").joinpath("templates", name).read_text("utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
