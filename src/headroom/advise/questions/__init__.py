"""The questions, one file each: functions from a case to an answer. Adding one adds a file and a line here."""

from __future__ import annotations

from collections.abc import Callable

from headroom.advise.case import Case
from headroom.advise.questions.algorithms import algorithms
from headroom.advise.questions.answer import Answer
from headroom.advise.questions.framework import framework
from headroom.advise.questions.fusion import fusion
from headroom.advise.questions.how_low import how_low
from headroom.advise.questions.parallel import parallel
from headroom.advise.questions.share import share
from headroom.advise.questions.tensor_cores import tensor_cores
from headroom.advise.questions.together import together

Question = Callable[[Case], Answer]

QUESTIONS: tuple[Question, ...] = (
    how_low,
    parallel,
    algorithms,
    framework,
    fusion,
    tensor_cores,
    together,
    share,
)  # fmt: skip


def answer_all(case: Case) -> tuple[Answer, ...]:
    """Every question's answer, in the order of their numbers."""
    return tuple(sorted((question(case) for question in QUESTIONS), key=lambda answer: answer.number))
