"""Which layers wait for their weights alone, so that fewer bits would make them faster?"""

from __future__ import annotations

from collections.abc import Iterator

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.findings.common import counted, make_finding
from headroom.advise.packing import UNTIMED_PCT, packed_us, weight_bound
from headroom.advise.timed import TimedGraph
from headroom.graph.torch.callable import is_callable_address

#: What the finding supposes: the format that nearly every network bears. Four bits give more, where accuracy allows.
FORM = "int8"
#: A change of the network's outputs asks for more than other findings do, as a share of the sequential bound.
WORTH_SHARE = 0.02


def packing_findings(timed: TimedGraph) -> Iterator[Finding]:
    """One finding for all layers that eight-bit weights are predicted to make faster."""
    layers: list[int] = []
    saves_us = 0.0
    shares: list[float] = []
    for configuration, prediction in timed.pairs():
        found = weight_bound(configuration.layer, timed.dtype)
        if found is None or prediction.time_us is None:
            continue
        after_us = packed_us(timed, configuration.layer, prediction.time_us, FORM, found.k)
        assert after_us is not None
        if after_us < prediction.time_us:
            layers += configuration.members
            saves_us += (prediction.time_us - after_us) * configuration.count
            shares.append(found.weight_share)
    if saves_us < WORTH_SHARE * timed.sequential_us or not layers:
        return
    known = is_callable_address(timed.graph.name)
    target = timed.graph.name if known else "package.module:callable"
    command = f"headroom pack {target} --gpu {timed.gpu.id} --batch {timed.graph.batch}"
    number = counted(len(layers), "packable layer")
    yield make_finding(
        timed,
        kind="packing",
        title=f"{number}: {figures.percent(min(shares))} or more of the bytes are weights",
        action=f"Pack the weights into 8 bits, which are split in registers: {command} chooses a format for each layer "
        "under an error budget.",
        layers=sorted(layers),
        saves_us=saves_us,
        error_pct=timed.theory_error_pct(layers) + UNTIMED_PCT,
        code=command if known else "",
        limits="Outputs change a little, as the weights are rounded; the packed kernel has not been timed here, so "
        "this is what the bytes and the theory say.",
    )
