"""The open points of the paper that change its figures, as switches."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read the equations. The defaults are the reading that agrees with what the paper states.

    ``unaligned_requests`` (eq. 3): a warp's run starts anywhere in a line, so a run of exactly one line
    touches two. The printed ceiling gives one, and with it 1x1 layers an L1 miss rate of up to 84 % where
    section III measured at most 50 %.

    ``reuse_across_iterations`` (eq. 6): a tile narrower than a channel's taps fetches only its share of the
    channel's rows, because L1 still holds what the iteration before fetched. Section VII-B says so ("data
    fetched by one iteration is reused in the next"). Otherwise every iteration fetches at least one whole
    DIST_V, and no GoogLeNet layer comes below an L1 miss rate of 22 % where section III measured 13 %.

    ``padded_input`` (eq. 10): H_i and W_i count the zero padding ("both ... are zero padded"), which is why
    the appendix finds DRAM traffic over-predicted for small features. Hardware loads no zeros.

    ``epilogue_shares_dram`` (eq. 15): an epilogue has 1/Num_SM of the DRAM bandwidth, as in eqs. 11 and 14.
    As printed each SM has all of it, and epilogues could not limit the scaling study as section VII-C says.
    """

    unaligned_requests: bool = True
    reuse_across_iterations: bool = True
    padded_input: bool = True
    epilogue_shares_dram: bool = True


#: The reading that agrees with the paper's text and tables.
PAPER = Reading()
