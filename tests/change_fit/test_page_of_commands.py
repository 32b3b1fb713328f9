"""The commands of docs/fit.md run as they stand there."""

from __future__ import annotations

import re
import shlex
import sys
import warnings
from pathlib import Path

import pytest

from headroom.cli.main import run
from headroom.store import default

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "fit.md").read_text("utf-8")
COMMANDS = [shlex.split(line) for line in re.findall(r"^\$ headroom (.*)$", PAGE, flags=re.MULTILINE)]
MODELS = "from change_fit.networks import plain as pruned, scaled as train\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the models that the page names."""
    monkeypatch.delenv(default.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "vgg.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name == "models" or name.startswith("models.")]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_of_the_page_runs(folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if "model.onnx" in words:
        _export(folder / "model.onnx")

    assert run(words) == 0, capsys.readouterr().err

    if "--apply" in words:
        assert (folder / words[words.index("--out") + 1]).exists()
    for name in [name for name in sys.modules if name == "models" or name.startswith("models.")]:
        del sys.modules[name]


def _export(path: Path) -> None:
    import torch

    from change_fit.networks import plain

    module, image = plain()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (image,), path, dynamo=False, opset_version=17, do_constant_folding=False)
