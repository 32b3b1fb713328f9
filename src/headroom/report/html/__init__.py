"""One self-contained HTML file: :func:`render_html`."""

from __future__ import annotations

from headroom.report.html.page import render_html

__all__ = ["render_html"]
