"""The marked parts of docs/my-model-is-slow.md, made of benchmarks/results/guide.json. Nobody types a figure there.

A part stands between ``<!-- figures: KEY.PART -->`` and ``<!-- end of figures -->``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from headroom import figures
from record import ROOT

PAGE = ROOT / "docs" / "my-model-is-slow.md"

_PART = re.compile(r"(<!-- figures: ([\w-]+)\.([\w-]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def filled(page: str, results: Mapping[str, Any]) -> str:
    """``page`` with every marked part written anew.

    Raises:
        KeyError: a mark names a walk or a part that there is not.
    """

    def part(match: re.Match[str]) -> str:
        begin, key, name, end = match.groups()
        text = "\n".join(PARTS[name](results["walks"][key]))
        return f"{begin}\n{text.rstrip()}\n\n{end}"

    return _PART.sub(part, page)


def _answer(walk: Mapping[str, Any]) -> Iterator[str]:
    """What the first run's answer says first."""
    run = walk["runs"][0]
    latency = figures.time_with_error(run["latency_us"], run["latency_error_pct"])
    bound = figures.time_with_error(run["bounds"]["fused"], run["fused_error_pct"])
    times = figures.significant(run["latency_us"] / run["bounds"]["fused"], 2)
    yield "| what | figure |"
    yield "|---|---|"
    yield f"| your run, less what recording cost | {latency} |"
    yield f"| in which the GPU is busy for | {figures.time(run['busy_us'])}, {run['launches']:,} launches |"
    yield f"| the fused lower bound in {run['dtype']} | {bound} |"
    yield f"| your run over that bound | {times} |"


def _findings(walk: Mapping[str, Any]) -> Iterator[str]:
    """The first run's findings, ranked, with their code."""
    run = walk["runs"][0]
    for rank, finding in enumerate(run["findings"], start=1):
        saves = figures.time_with_error(finding["saves_us"], finding["error_pct"])
        asked = f", question {finding['question']}" if finding["question"] else ""
        yield f"{rank}. **{finding['title']}** (saves {saves}, {finding['source']}{asked}). {finding['action']}"
        if finding["code"]:
            yield from ("", "   ```python", *(f"   {line}".rstrip() for line in finding["code"].splitlines()), "   ```")
        yield ""
    if run["more_findings"]:
        yield f"{run['more_findings']} smaller ones are in the report."


def _questions(walk: Mapping[str, Any]) -> Iterator[str]:
    """Every question with the first run's answer."""
    yield "| question | answer |"
    yield "|---|---|"
    for question in walk["runs"][0]["questions"]:
        yield f"| {question['number']}. {question['question']} | {question['sentence'].replace('|', '/')} |"


def _steps(walk: Mapping[str, Any]) -> Iterator[str]:
    """Every run of the walk: those recorded, those that the database has, and how far each is above its bound."""
    yield "| run | data type | latency | GPU busy | over the fused bound |"
    yield "|---|---|---:|---:|---:|"
    for run in walk["runs"]:
        latency = figures.time(run["latency_us"], run["latency_error_pct"])
        over = figures.ratio(run["latency_us"] / run["bounds"]["fused"])
        yield f"| {run['label']} | {run['dtype']} | {latency} | {figures.time(run['busy_us'])} | {over} |"
    for run in sorted(walk["stored"], key=lambda run: -run["latency_us"]):
        latency, over = figures.time(run["latency_us"]), figures.ratio(run["latency_us"] / run["fused_us"])
        yield f"| {run['mode']}, timed without a profiler | {run['dtype']} | {latency} | | {over} |"


def _waterfall(walk: Mapping[str, Any]) -> Iterator[str]:
    """From the first run to the bound of all changes together."""
    yield "| step | left | taken off |"
    yield "|---|---:|---:|"
    before_us = None
    for step in walk["runs"][0]["waterfall"]:
        off = "" if before_us is None else figures.time(before_us - step["left_us"])
        yield f"| {step['name']} | {figures.time(step['left_us'])} | {off} |"
        before_us = step["left_us"]


PARTS: Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "answer": _answer, "findings": _findings, "questions": _questions, "steps": _steps, "waterfall": _waterfall,
}  # fmt: skip
