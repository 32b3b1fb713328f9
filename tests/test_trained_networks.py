"""The networks of the figures have the sizes that the papers print."""

from __future__ import annotations

import pytest
import torch

from record import RESULTS
from trained_networks import NETWORKS, macs_and_parameters
from training_study.page import FILES, PAGE, page, rows_in

#: Some counts are cut off rather than rounded, and some hold BatchNorm's work.
_WITHIN = 0.015


@pytest.mark.parametrize("name", [name for name, each in NETWORKS.items() if each.published])
def test_macs_and_parameters_are_the_printed_ones(name: str) -> None:
    found = NETWORKS[name]
    assert found.published is not None
    macs, parameters = macs_and_parameters(found.build(), found.image)
    size = found.published
    if size.parameters_m is not None:
        assert parameters / 1e6 == pytest.approx(size.parameters_m, rel=_WITHIN)
    if size.macs_m is not None:
        assert macs / 1e6 == pytest.approx(size.macs_m, rel=_WITHIN)


@pytest.mark.parametrize("name", ["resnet56-soft-1", "resnet56-soft-2"])
def test_widths_without_a_source_give_both_figures_as_printed(name: str) -> None:
    found = NETWORKS[name]
    assert found.published is not None
    macs, parameters = macs_and_parameters(found.build(), found.image)
    assert round(parameters / 1e6, 2) == found.published.parameters_m
    assert round(macs / 1e6, 1) == pytest.approx(found.published.macs_m, abs=0.01)


@pytest.mark.parametrize("name", [name for name in NETWORKS if not name.startswith("alexnet-")])
def test_every_network_takes_its_images_and_tells_ten_classes_apart(name: str) -> None:
    found = NETWORKS[name]
    with torch.no_grad():
        assert found.build().eval()(torch.zeros(2, *found.image)).shape == (2, 10)


def test_the_published_page_is_the_one_that_the_rows_make() -> None:
    assert PAGE.read_text("utf-8") == page(*(rows_in(RESULTS / name) for name in FILES))
