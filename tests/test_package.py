"""What an installed Headroom is: quick to import, free of PyTorch and CUDA, in one piece."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

IMPORT_LIMIT_S = 0.3


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.alone
def test_import_headroom_is_quick_and_brings_neither_torch_nor_onnx() -> None:
    code = (
        "import sys, time, json; start = time.perf_counter(); import headroom;"
        "print(json.dumps([time.perf_counter() - start, sorted(sys.modules)]))"
    )
    runs = [json.loads(run_python(code)) for _ in range(3)]
    assert min(seconds for seconds, _ in runs) < IMPORT_LIMIT_S
    assert not {"torch", "onnx", "numpy"} & set(runs[0][1])


def test_analysing_an_onnx_file_never_loads_onnx_or_torch_into_the_parent() -> None:
    example = ROOT / "examples" / "resnet50.onnx"
    code = (
        "import sys, headroom as hr;"
        f"hr.analyze(hr.load({str(example)!r}), gpu='h200').to_dict();"
        "print([name for name in ('torch', 'onnx') if name in sys.modules])"
    )
    assert run_python(code).strip() == "[]"


def test_every_lazy_name_exists() -> None:
    import headroom

    assert all(getattr(headroom, name) is not None for name in headroom.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = headroom.nothing


@pytest.fixture(scope="module")
def bare_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with Headroom and nothing that it does not ask for."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", ROOT]
    subprocess.run(pip, check=True, capture_output=True)
    return folder / "bin"


def test_without_extras_it_analyses_predicts_and_helps(bare_environment: Path, tmp_path: Path) -> None:
    rows = tmp_path / "layers.csv"
    rows.write_text("op,n,c,h,w,k,r,s,padding\nconv2d,1,64,56,56,64,3,3,1\n")
    out = tmp_path / "times.csv"
    for arguments in (
        ["--help"],
        ["analyze", ROOT / "examples" / "resnet50.onnx", "--gpu", "h200", "--html", tmp_path / "report.html"],
        ["predict", rows, "--gpu", "h200", "--out", out],
    ):
        done = subprocess.run(
            [bare_environment / "headroom", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert "time_us" in out.read_text()


def test_without_extras_a_pytorch_model_says_what_to_install(bare_environment: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def make():\n    import torch\n    return torch.nn.ReLU(), (torch.ones(1),)\n")
    command = [bare_environment / "headroom", "analyze", "mine:make", "--gpu", "h200"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode in (2, 3)
    assert done.stderr.count("\n") == 1
    assert "headroom[torch]" in done.stderr
