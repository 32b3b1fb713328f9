"""How a GPU may be called, and what is said when a name is unclear."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.errors import UsageError
from headroom.gpu.sheets import load_gpu, sheet_ids


@pytest.mark.parametrize("sheet_id", sheet_ids())
def test_an_id_names_its_own_sheet_even_where_it_begins_another(sheet_id: str) -> None:
    assert load_gpu(sheet_id).id == sheet_id


@pytest.mark.parametrize(
    ("prefix", "sheet_id"),
    [("v100-sxm2", "v100-sxm2-16gb"), ("a100-80gb-s", "a100-80gb-sxm"), ("jetson-o", "jetson-orin"), ("b2", "b200")],
)
def test_an_unambiguous_prefix_names_a_sheet(prefix: str, sheet_id: str) -> None:
    assert load_gpu(prefix).id == sheet_id


@pytest.mark.parametrize(
    ("driver_name", "sheet_id"),
    [
        ("Tesla V100-PCIE-32GB", "v100-pcie-32gb"), ("Tesla V100-SXM2-16GB", "v100-sxm2-16gb"),
        ("NVIDIA H200", "h200"), ("NVIDIA A100-SXM4-80GB", "a100-80gb-sxm"),
        ("NVIDIA A100 80GB PCIe", "a100-80gb-pcie"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"), ("Tesla P100-PCIE-16GB", "p100-pcie"), ("TITAN Xp", "titan-xp"),
        ("NVIDIA TITAN X (Pascal)", "titan-x-pascal"), ("Tesla T4", "t4"), ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("Quadro RTX 6000", "rtx-6000"), ("nvidia geforce rtx 3090", "rtx-3090"), ("TESLA K80", "k80"),
        ("Orin (nvgpu)", "jetson-orin"), ("NVIDIA A10", "a10"),
    ],
)  # fmt: skip
def test_the_drivers_name_is_recognised_whatever_its_case_and_vendor(driver_name: str, sheet_id: str) -> None:
    assert load_gpu(driver_name).id == sheet_id
    assert load_gpu(driver_name.upper()).id == sheet_id
    if "nvidia" not in driver_name.casefold():
        assert load_gpu(f"NVIDIA {driver_name}").id == sheet_id


def test_no_two_sheets_claim_a_name() -> None:
    claimed = [name.casefold() for sheet_id in sheet_ids() for name in load_gpu(sheet_id).driver_names]
    assert len(claimed) - len(set(claimed)) == 0


def test_an_ambiguous_prefix_lists_the_choices() -> None:
    with pytest.raises(UsageError) as raised:
        load_gpu("v100")
    assert str(raised.value) == (
        "gpu 'v100' is ambiguous: v100-pcie-16gb, v100-pcie-32gb, v100-sxm2-16gb; name one of these"
    )


def test_the_maxwell_titan_x_is_not_taken_for_the_pascal_one() -> None:
    for name in ("TITAN X", "GeForce GTX TITAN X"):
        with pytest.raises(UsageError):
            load_gpu(name)


@pytest.mark.parametrize("name", ["L40", "NVIDIA H20", "gtx-1080", "m4", "m6", "p6"])
def test_another_gpu_is_not_taken_for_one_that_its_name_begins(name: str) -> None:
    with pytest.raises(UsageError, match="no gpu"):
        load_gpu(name)


def test_a_card_of_the_same_family_is_not_taken_for_ours() -> None:
    for name in ("Tesla M40 24GB", "NVIDIA RTX 6000 Ada Generation", "NVIDIA A100-SXM4-80GB MIG 1g.10gb", "H200 NVL"):
        with pytest.raises(UsageError):
            load_gpu(name)


def test_an_unknown_name_lists_the_nearest() -> None:
    with pytest.raises(UsageError) as raised:
        load_gpu("h2000")
    assert str(raised.value).startswith("no gpu 'h2000': nearest are h200")
    assert str(raised.value).endswith(", or pass a sheet file ending in .toml")


def test_a_name_like_no_other_lists_all() -> None:
    with pytest.raises(UsageError, match=r"no gpu 'zzz': known are k80, .*b200, or pass"):
        load_gpu("zzz")


@given(st.text(max_size=300))
def test_any_text_gives_a_sheet_or_one_line(name: str) -> None:
    sentence = ""
    try:
        load_gpu(name)
    except UsageError as error:
        sentence = str(error)
    assert sentence.isprintable()
