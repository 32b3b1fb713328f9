"""How runs that share a database share the work, without a word between them."""

from __future__ import annotations

import random

from headroom.measure.agenda import AHEAD, Agenda
from headroom.measure.plan import Planned
from headroom.measure.task import Task
from measure.chains import task
from store.factory import make_chain

PLANNED = [Planned(task(make_chain(number)), 1, 100.0 - number) for number in range(60)]


def names(planned: list[Planned]) -> list[str]:
    return [item.task.chain.digest for item in planned]


def test_whoever_is_alone_keeps_to_the_order_of_value() -> None:
    agenda = Agenda(PLANNED, is_known=lambda task: False)
    assert names(list(agenda)) == names(PLANNED)
    assert agenda.done_by_others == 0


def test_what_others_have_finished_meanwhile_is_left_out() -> None:
    known, left_out = set(names(PLANNED[30:])), []
    agenda = Agenda(PLANNED, lambda task: task.chain.digest in known, left_out.append)
    assert set(names(list(agenda))) == set(names(PLANNED[:30]))
    assert agenda.done_by_others == len(left_out) == 30


def test_two_that_are_abreast_part_and_measure_each_layer_once() -> None:
    random.seed(1)
    known: set[str] = set()

    def is_known(task: Task) -> bool:
        return task.chain.digest in known

    agendas = [Agenda(PLANNED, is_known) for _ in range(2)]
    measured = []
    ways = [iter(agenda) for agenda in agendas]
    while taken := [(agenda, item) for agenda, way in zip(agendas, ways, strict=True) if (item := next(way, None))]:
        for agenda, item in taken:
            agenda.meet(item.task)
            known.add(item.task.chain.digest)
            measured.append(item)
    assert set(names(measured)) == set(names(PLANNED))
    assert len(measured) < 1.2 * len(PLANNED)


def test_in_company_the_most_valuable_still_come_first() -> None:
    agenda = Agenda(PLANNED, is_known=lambda task: task == PLANNED[0].task)
    order = names(list(agenda))
    assert order != names(PLANNED[1:])
    places = {digest: place for place, digest in enumerate(names(PLANNED[1:]))}
    assert all(places[digest] < place + AHEAD for place, digest in enumerate(order))
