"""``headroom fit``: one command from a network to one whose widths fit."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import jsonschema
import pytest

from headroom.store import default

if importlib.util.find_spec("torch") is None:
    pytest.skip("fitting widths needs PyTorch", allow_module_level=True)

PLAIN = "change_fit.networks:plain"
HERE = ("--gpu", "h200", "--source", "predicted", "--batch", "128")


@pytest.fixture(autouse=True)
def _no_database_of_mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(default.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def test_the_plan_says_what_moves_what_it_gains_and_what_cannot_move(headroom) -> None:
    outcome = headroom("fit", PLAIN, *HERE)

    assert outcome.code == 0, outcome.err
    told = " ".join(outcome.out.split())
    assert "at batch 128 on H200 SXM 141GB, bf16, L2 warm, goal lossless" in told
    assert "features.0" in told
    assert "3 of 4 width groups move: " in told
    assert "Every width rounded up to a multiple of 8 " in told
    assert "1 group cannot move: head (is what the network returns)." in told


def test_the_json_follows_the_published_schema_and_repeats_exactly(headroom, tmp_path: Path) -> None:
    from headroom.report.fit import schema

    texts = []
    for name in ("a.json", "b.json"):
        outcome = headroom("fit", PLAIN, *HERE, "--json", tmp_path / name, "--quiet")
        assert (outcome.code, outcome.out) == (0, ""), outcome.err
        texts.append((tmp_path / name).read_text())

    assert texts[0] == texts[1]
    answer = json.loads(texts[0])
    jsonschema.Draft202012Validator(schema()).validate(answer)
    assert answer["after_us"] < answer["before_us"]
    assert answer["after_us"] <= min(each["time_us"] for each in answer["round_ups"])
    assert [group["fixed"] for group in answer["groups"]] == [None, None, None, "is what the network returns"]
    first = answer["layers"][0]
    assert first["before"]["out_width"] == 35
    assert first["stands"]["after"]["first"] <= first["after"]["out_width"] <= first["stands"]["after"]["last"]


def test_apply_writes_the_network_and_says_where(headroom, tmp_path: Path) -> None:
    outcome = headroom("fit", PLAIN, *HERE, "--apply", "--out", tmp_path / "made")

    assert outcome.code == 0, outcome.err
    assert "Written: " in outcome.out
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["weights.pt", "widths.json"]


def test_where_nothing_helps_nothing_is_written_and_that_is_no_failure(headroom, tmp_path: Path) -> None:
    outcome = headroom("fit", "change_fit.networks:even", *HERE, "--apply", "--out", tmp_path / "made")

    assert outcome.code == 0, outcome.err
    assert "No move helps: at " in outcome.out
    assert "Nothing was written." in outcome.out
    assert not (tmp_path / "made").exists()


def test_the_page_shows_old_and_new_width_on_each_staircase_and_is_safe(headroom, tmp_path: Path) -> None:
    page = tmp_path / "fit.html"
    outcome = headroom("fit", PLAIN, *HERE, "--html", page, "--quiet")

    assert outcome.code == 0, outcome.err
    text = page.read_text()
    for words in ("fitted to H200 SXM 141GB", "old width", "new width", "with 35 inputs", "Width groups", "Method"):
        assert words in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_measured_times_of_the_shipped_database_are_named(headroom) -> None:
    outcome = headroom("fit", PLAIN, "--gpu", "h200", "--batch", "128")

    assert outcome.code == 0, outcome.err
    assert "at batch 128 on H200" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ((PLAIN, "--batch", "1,2"), 2, "fit takes one at a time"),
        ((PLAIN, "--apply"), 2, "say where with --out"),
        ((PLAIN, "--out", "x"), 2, "--out, --finetune and --timed go with --apply"),
        ((PLAIN, "--timed"), 2, "go with --apply"),
        ((PLAIN, "--measure"), 2, "answers from what it measures"),
        ((PLAIN, "--goal", "accuracy", "--saves", "0.1"), 2, "the accuracy goal keeps the latency as it is"),
        ((PLAIN, "--goal", "speed"), 2, "unknown goal 'speed': choose lossless, latency"),
        ((PLAIN, "--goal", "latency"), 2, "the latency goal needs saves"),
        ((PLAIN, "--saves", "0.5"), 2, "leave out saves and tolerance"),
        ((PLAIN, "--goal", "latency", "--saves", "2"), 2, "a share of 2 of the latency cannot be saved"),
        ((PLAIN, "--db", "x.sqlite", "--source", "predicted"), 2, "asks no database"),
        (("model.txt",), 2, "cannot fit 'model.txt': give package.module:callable"),
        (("nowhere.onnx",), 3, "nowhere.onnx"),
        (("nowhere:net",), 3, "no module 'nowhere'"),
        ((PLAIN, "--gpu", "h9000"), 2, "h9000"),
        ((PLAIN, "--dtype", "bf16", "--gpu", "gtx-1080-ti"), 2, "does not multiply bf16"),
        (("a.onnx", "--goal", "latency", "--saves", "0.1"), 2, "an ONNX file can only be padded with zeros"),
        (("a.onnx", "--apply", "--out", "a.onnx"), 2, "a.onnx"),
    ],
)
def test_what_does_not_go_together_is_said_in_one_line(
    headroom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    gpu = () if "--gpu" in arguments else ("--gpu", "h200")
    source = () if "--db" in arguments else ("--source", "predicted")

    outcome = headroom("fit", *arguments, *gpu, *source)

    assert outcome.code == code, outcome.err
    assert sentence in outcome.err
    assert outcome.err.count("\n") == 1


def test_at_80_columns_a_time_and_its_unit_stay_on_one_line(headroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    outcome = headroom("fit", PLAIN, *HERE)

    lines = [line.strip() for line in outcome.out.splitlines()]
    (row,) = [line for line in lines if line.startswith("features.0") and "→" in line]
    assert row.endswith(" µs"), row
    assert "All these times are predicted." in lines


def test_a_network_of_which_nothing_can_move_gets_no_empty_table(headroom) -> None:
    outcome = headroom("fit", "change_fit.networks:single", *HERE)

    assert outcome.code == 0, outcome.err
    assert "No width of this network can move: it takes " in outcome.out
    assert "width group old" not in outcome.out
    assert "rounded up" not in outcome.out
