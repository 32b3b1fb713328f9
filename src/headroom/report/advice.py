"""The advisor in a terminal: what to do, ranked, and each question with its answer in a sentence or two."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from headroom import figures
from headroom.advise.analysis import Analysis, Finding
from headroom.advise.findings.common import counted
from headroom.report import summary
from headroom.text import clean_lines, view

_TOP_FINDINGS = 5
_PLACES_SHOWN = 3

#: Hints of what would give a better answer: most of them ask for the same profile.
_NEEDS_SHOWN = 2

#: Lines of code that the first finding shows, enough for a CUDA graph, and each other one; the report has them whole.
_FIRST_CODE_LINES, _CODE_LINES = 16, 6

#: Characters of a line of code beyond which its comment is cut: 80 columns less the indentation.
_CODE_WIDTH = 72


def findings(analysis: Analysis) -> Iterable[RenderableType]:
    """The largest findings in full, and how many more there are."""
    if not analysis.findings:
        yield _indented("No finding: nothing here holds a saving worth a line.")
        return
    asked = summary.question_of(analysis)
    for rank, finding in enumerate(analysis.findings[:_TOP_FINDINGS], start=1):
        yield finding_lines(rank, finding, asked.get(finding))
    rest = len(analysis.findings) - _TOP_FINDINGS
    if rest > 0:
        yield _indented(
            f"{rest} smaller {'finding is' if rest == 1 else 'findings are'} in the HTML and JSON answers.", "dim"
        )
    yield _indented(
        f"Savings come off {summary.saved_from(analysis)}, one at a time; they do not always add up.", "dim"
    )


def finding_lines(rank: int, finding: Finding, question: int | None = None, *, brief: bool = False) -> RenderableType:
    """A finding: title, saving with its error bar, what to do, the code, what cannot be had, where.

    ``question`` is the number of the question that found it; ``brief`` leaves out code and limits.
    """
    saves = figures.time_with_error(finding.saves_us, finding.error_pct)
    places = summary.named(finding.modules or finding.layers, most=_PLACES_SHOWN, limit=36)
    title = Text.assemble((f"{rank}. {view(finding.title, 120)}", "bold"))
    if question is not None:
        title.append(f" (question {question})", "dim")
    lines: list[RenderableType] = [
        Text(f"saves {saves} ({finding.source.value}), {figures.ratio(finding.speedup)} for the whole model", "green"),
        Text(view(finding.action, 600)),
    ]
    if finding.code and not brief:
        lines.append(_code(finding.code, _FIRST_CODE_LINES if rank == 1 else _CODE_LINES))
    if finding.limits and not brief:
        lines.append(Text(f"limits: {view(finding.limits, 600)}", "yellow"))
    if places:
        lines.append(Text(f"at {places}", "dim"))
    return Padding(
        Group(title, *(Padding(line, (0, 0, 0, 3), expand=False) for line in lines)), (0, 0, 0, 2), expand=False
    )


def questions(analysis: Analysis) -> Iterable[RenderableType]:
    """Every question with its answer; below, what the first of them need for a better one."""
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    for answer in analysis.questions:
        text = Text.assemble((view(answer.question, 120), "bold"), f" {view(answer.sentence, 600)}")
        table.add_row(Text(f"{answer.number}.", "dim"), text)
    yield Padding(table, (0, 0, 0, 2), expand=False)
    needs = list(dict.fromkeys(answer.needs for answer in analysis.questions if answer.needs))
    for need in needs[:_NEEDS_SHOWN]:
        yield _indented(f"For a better answer: {view(need, 400)}", "dim")
    if len(needs) > _NEEDS_SHOWN:
        yield _indented(f"The HTML answer says what {len(needs) - _NEEDS_SHOWN} more would be better with.", "dim")


def _code(code: str, most_lines: int) -> RenderableType:
    lines = [_fitting(view(line, 200)) for line in clean_lines(code).split("\n")]
    if len(lines) > most_lines:
        kept = most_lines - 1
        lines = [*lines[:kept], f"# {counted(len(lines) - kept, 'more line')}: see the HTML or JSON answer"]
    return Padding(Text("\n".join(lines), "cyan"), (0, 0, 0, 2), expand=False)


def _fitting(line: str) -> str:
    """A line of code whose comment is cut where the line is too long; the code itself never is."""
    begin = line.find("  # ")
    if len(line) <= _CODE_WIDTH or begin < 0:
        return line
    return f"{line[: _CODE_WIDTH - 1]}…" if begin + len("  # ") < _CODE_WIDTH - 1 else line[:begin]


def _indented(text: str, style: str = "") -> RenderableType:
    return Padding(Text(text, style), (0, 0, 0, 2), expand=False)
