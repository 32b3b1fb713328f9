"""``headroom analyze --profile``: the user's own run, matched to the model, is what advice comes off."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import onnx
import pytest

import headroom as hr
from onnx_models import model as onnx_model
from onnx_models import node

RECORDED = Path(__file__).resolve().parents[1] / "recorded_profiles"
RUN = RECORDED / "resnet50-32-default.json.gz"


def test_a_profile_answers_for_its_own_gpu_type_and_latency(headroom, example: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "a.json", tmp_path / "a.html"
    outcome = headroom("analyze", example, "--batch", "32", "--profile", RUN, "--json", out, "--html", page)
    assert (outcome.code, outcome.err) == (0, "")
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert "Your run, from resnet50-32-default.json.gz" in outcome.out
    answer = json.loads(out.read_text())
    assert (answer["gpu"], answer["batch"]) == ("h200", 32)
    assert 0 < answer["measured_us"] <= answer["profile"]["latency_us"]
    assert answer["profile"]["matched_share"] > 0.8
    ran_us = sum((layer["run_us"] or 0.0) * layer["count"] for layer in answer["layers"])
    assert ran_us == pytest.approx(answer["profile"]["matched_share"] * answer["profile"]["gpu_busy_us"], rel=0.05)
    assert "Your run" in page.read_text()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network that the profiles of a CPU ran."""
    nodes = [
        node("Conv", "x w b", "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        node("Flatten", "r", "f"),
        node("Gemm", "f v a", transB=1),
    ]
    weights = {"w": (8, 3, 3, 3), "b": (8,), "v": (10, 512), "a": (10,)}
    path = tmp_path_factory.mktemp("small") / "small.onnx"
    onnx.save(onnx_model(nodes, {"x": (1, 3, 8, 8)}, weights=weights), path)
    return path


def test_a_profile_of_training_is_refused_and_says_what_to_record(headroom, small: Path) -> None:
    outcome = headroom("analyze", small, "--gpu", "h200", "--profile", RECORDED / "cpu_training.json.gz")
    assert outcome.code == 3
    assert outcome.err.count("\n") == 1
    for word in ("cpu_training.json.gz", "ProfilerStep#", "_backward", "torch.inference_mode()"):
        assert word in outcome.err


def test_a_profile_at_another_batch_is_refused_with_the_option_to_give(headroom, example: Path) -> None:
    outcome = headroom("analyze", example, "--profile", RUN)
    assert outcome.code == 3
    assert outcome.err.count("\n") == 1
    assert "--batch 32" in outcome.err


def test_a_profile_of_another_model_is_refused(headroom, example: Path) -> None:
    outcome = headroom("analyze", example, "--profile", RECORDED / "vit_b_16-1-bf16.json.gz")
    assert outcome.code == 3
    assert outcome.err.count("\n") == 1
    assert "not a profile of this model" in outcome.err


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b"\x1f\x8bcut", b"SQLite format 3\x00"])
def test_what_is_no_profile_is_one_sentence_and_exit_code_3(
    headroom, example: Path, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "trace.json"
    path.write_bytes(content)
    outcome = headroom("analyze", example, "--gpu", "h200", "--profile", path)
    assert outcome.code == 3
    assert outcome.err.count("\n") == 1
    assert "trace.json" in outcome.err


def test_a_profile_that_is_not_there_is_exit_code_3(headroom, example: Path, tmp_path: Path) -> None:
    outcome = headroom("analyze", example, "--gpu", "h200", "--profile", tmp_path / "none.json")
    assert outcome.code == 3
    assert "none.json" in outcome.err


@pytest.mark.parametrize("several", [("--batch", "1,32"), ("--gpu", "h200", "--gpu", "t4")])
def test_a_profile_goes_with_one_gpu_and_one_batch(headroom, example: Path, several: tuple[str, ...]) -> None:
    outcome = headroom("analyze", example, "--profile", RUN, *several)
    assert outcome.code == 2
    assert "one --gpu and one --batch" in outcome.err


def test_a_run_on_one_gpu_gives_no_advice_for_another(headroom, example: Path) -> None:
    outcome = headroom("analyze", example, "--batch", "32", "--gpu", "t4", "--profile", RUN)
    assert outcome.code == 2
    assert "recorded on NVIDIA H200" in outcome.err


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a GPU that no sheet describes."""
    path = tmp_path_factory.mktemp("foreign") / "foreign.json.gz"
    path.write_bytes(gzip.compress(gzip.decompress(RUN.read_bytes()).replace(b"NVIDIA H200", b"NVIDIA FooBar 9000")))
    return path


def test_a_run_on_a_gpu_without_a_sheet_is_taken_for_no_other(headroom, example: Path, foreign: Path) -> None:
    outcome = headroom("analyze", example, "--batch", "32", "--gpu", "h200", "--profile", foreign)
    assert outcome.code == 2
    assert "recorded on NVIDIA FooBar 9000, not on h200" in outcome.err
    assert "write a sheet of that GPU" in outcome.err
    unnamed = headroom("analyze", example, "--batch", "32", "--profile", foreign)
    assert unnamed.code == 2
    assert "foreign.json.gz was recorded on NVIDIA FooBar 9000, for which there is no sheet" in unnamed.err


def test_a_run_on_a_gpu_without_a_sheet_goes_with_a_sheet_of_ones_own(
    headroom, example: Path, foreign: Path, tmp_path: Path
) -> None:
    sheet = tmp_path / "foobar.toml"
    sheet.write_text('base = "h200"\nname = "FooBar 9000"\n')
    outcome = headroom("analyze", example, "--batch", "32", "--gpu", sheet, "--profile", foreign)
    assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.parametrize("name", ["cpu_inference", "onnxruntime-resnet18"])
def test_a_run_without_a_gpu_asks_for_one_and_takes_none_by_itself(headroom, small: Path, name: str) -> None:
    outcome = headroom("analyze", small, "--profile", RECORDED / f"{name}.json.gz")
    assert outcome.code == 2
    assert f"{name}.json.gz ran on no GPU: name the GPU to compare with, by --gpu" in outcome.err


def test_who_runs_onnx_runtime_is_told_whose_lines_of_code_stand_there(headroom, shared_models: Path) -> None:
    profile = RECORDED / "onnxruntime-resnet18.json.gz"
    outcome = headroom("analyze", shared_models / "resnet18.onnx", "--gpu", "h200", "--profile", profile)
    assert (outcome.code, outcome.err) == (0, "")
    assert "Your run is ONNX Runtime's; the lines of code are PyTorch's" in " ".join(outcome.out.split())


def test_a_run_on_the_host_alone_shows_its_shares_beside_no_bound(headroom, small: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "a.json", tmp_path / "a.html"
    profile = ("--profile", RECORDED / "cpu_inference.json.gz")
    outcome = headroom("analyze", small, "--gpu", "h200", *profile, "--json", out, "--html", page)
    assert (outcome.code, outcome.err) == (0, "")
    table = outcome.out.partition("The longest layers")[2].partition("Where your host's time went")[0]
    assert "your run" not in table
    shares = outcome.out.partition("Where your host's time went")[2].partition("What to do")[0]
    assert [line.split()[0] for line in shares.splitlines()[1:4]] == ["conv_c", "gemm_y", "relu_r"]
    assert "the two are not compared" in " ".join(shares.split())
    said = re.sub(r"<[^>]*>|\\s+", " ", page.read_text())
    for text in (" ".join(outcome.out.split()), " ".join(said.split())):
        assert "the run in your profile" not in text
        assert "Savings come off the layers run one after another" in text
    assert "By layer, on your host" in said
    assert "<th>Your run" not in page.read_text()
    answer = json.loads(out.read_text())
    assert answer["measured_us"] is None
    first, _, _, fourth, *_ = answer["questions"]
    assert "No run of this model on a GPU is known" in first["needs"]
    assert "what the framework adds shows in a profile of a GPU" in fourth["sentence"]
    assert {layer["run_us"] for layer in answer["layers"]} == {None}
    together = answer["questions"][6]["charts"][0]
    assert "your run" not in json.dumps(together)


def test_a_run_in_one_type_gives_no_advice_in_another(headroom, example: Path) -> None:
    outcome = headroom("analyze", example, "--batch", "32", "--dtype", "bf16", "--profile", RUN)
    assert outcome.code == 2
    assert "the profile ran in tf32" in outcome.err
    assert headroom("analyze", example, "--batch", "32", "--dtype", "fp32", "--profile", RUN, "--quiet").code == 0


def test_the_profile_is_never_overwritten(headroom, example: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace.json.gz"
    trace.write_bytes(RUN.read_bytes())
    outcome = headroom("analyze", example, "--batch", "32", "--profile", trace, "--json", trace)
    assert outcome.code == 2
    assert trace.read_bytes() == RUN.read_bytes()


def test_the_library_takes_a_path_or_a_profile_that_was_read(example: Path) -> None:
    graph = hr.load(example, batch=32)
    by_path = hr.analyze(graph, gpu="h200", profile=RUN)
    by_profile = hr.analyze(graph, gpu="h200", profile=hr.load_profile(RUN))
    assert by_path.to_dict() == by_profile.to_dict()
    assert by_path.dtype == by_path.execution.dtype
