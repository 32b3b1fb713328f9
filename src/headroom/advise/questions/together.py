"""All together: what the changes of the other questions give when they are made at once. (Benanza's last chart.)"""

from __future__ import annotations

from headroom import figures
from headroom.advise.case import Case
from headroom.advise.joint import Gain, Joint
from headroom.advise.latency import latency_of
from headroom.advise.questions.answer import Answer, Cell, Table, Waterfall

QUESTION = "What would everything together give?"

#: A step that takes less than this share off is none.
_SMALLEST_STEP = 0.003


def together(case: Case) -> Answer:
    """From what runs today to the joint bound, step by step, and each change alone beside its part in the whole."""
    joint = Joint(case)
    gains = joint.gains
    start_us, end = _start_us(joint), joint.bound(gains)
    if not start_us or not end.time_us:
        return Answer(7, QUESTION, "No layer of this model has a time, so that nothing bounds it.")
    steps = _steps(case, joint)
    return Answer(
        number=7,
        question=QUESTION,
        sentence=_sentence(case, joint, steps),
        tables=(_table(case, joint),) if gains else (),
        charts=(Waterfall("From today to the joint bound", steps),),
        needs=_needs(joint),
    )


def _start_us(joint: Joint) -> float:
    return joint.bound(()).time_us if joint.today_us is None else joint.today_us


def _steps(case: Case, joint: Joint) -> tuple[tuple[str, float], ...]:
    """Each change on top of those before it. A state that today's run is already under is no step down."""
    steps = [(_start(case, joint), _start_us(joint))]
    made: list[Gain] = []
    for gain in joint.gains:
        made.append(gain)
        time_us = joint.bound(made).time_us
        if time_us < (1 - _SMALLEST_STEP) * steps[-1][1]:
            steps.append((_name(joint, gain), time_us))
    return tuple(steps)


def _start(case: Case, joint: Joint) -> str:
    if joint.today_us is None:
        return "layer after layer, as PyTorch picks" if Gain.ALGORITHMS in joint.gains else "layer after layer"
    latency = latency_of(case.execution, case.networks)
    return "your run" if case.has_run or latency is None else f"measured {latency.how[0].lower()}{latency.how[1:]}"


def _name(joint: Joint, gain: Gain) -> str:
    return f"{joint.tensor_type} on tensor cores" if gain is Gain.TENSOR_CORES else str(gain)


def _sentence(case: Case, joint: Joint, steps: tuple[tuple[str, float], ...]) -> str:
    start, start_us = steps[0]
    end = joint.bound(joint.gains)
    if len(steps) == 1:
        return f"Nothing is left: {figures.time(start_us)} {start} is as low as all changes together get."
    names = [name for name, _ in steps[1:]]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    sentences = [
        f"From {figures.time(start_us)} ({start}) no lower than {figures.time_with_error(end.time_us, end.error_pct)}, "
        f"{figures.ratio(start_us / end.time_us)}, with {listed}."
    ]
    base_us = joint.bound(()).time_us
    apart_us, saved_us = sum(_alone_us(joint, gain) for gain in joint.gains), base_us - end.time_us
    if base_us > 1.01 * start_us:
        sentences.append(
            f"That run makes some of these changes already: layer after layer, as PyTorch picks, it would take "
            f"{figures.time(base_us, end.error_pct)}."
        )
    if abs(apart_us - saved_us) > 0.05 * saved_us:
        why = "the same time cannot be saved twice" if apart_us > saved_us else "what one uncovers, another takes"
        sentences.append(
            f"One by one they would save {figures.time(apart_us, end.error_pct)} in sum, together "
            f"{figures.time(saved_us, end.error_pct)}: {why}."
        )
    return " ".join(sentences)


def _alone_us(joint: Joint, gain: Gain) -> float:
    """What a change saves if it is the only one."""
    return max(0.0, joint.bound(()).time_us - joint.bound([gain]).time_us)


def _table(case: Case, joint: Joint) -> Table:
    base_us, end_us = joint.bound(()).time_us, joint.bound(joint.gains).time_us
    rows: list[tuple[Cell, ...]] = []
    for gain in joint.gains:
        without_us = joint.bound([other for other in joint.gains if other is not gain]).time_us
        alone_us = _alone_us(joint, gain)
        rows.append((_name(joint, gain), base_us - alone_us, alone_us, without_us, max(0.0, without_us - end_us)))
    rows.append(("all together", end_us, max(0.0, base_us - end_us), None, None))
    return Table(
        title="Each change alone, and what the others give without it",
        heads=("change", "alone us", "saves alone us", "all others us", "adds to all others us"),
        rows=tuple(rows),
        note="Bounds, not promises: side by side means the critical path, whatever room the GPU has (question 2 "
        "predicts that). What the run spends beside its layers stays until it is the change that is made.",
    )


def _needs(joint: Joint) -> str:
    if joint.today_us is not None:
        return ""
    return (
        "It starts from the layers alone: `headroom analyze MODEL --profile TRACE` starts from your own run, and "
        "`headroom measure MODEL --network` from frameworks'."
    )
