"""A folder of benchmarks: the same bytes every time, nobody else's files, and only what is missing where so asked."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

import headroom as hr
from headroom.cli.main import run as headroom
from headroom.errors import StoreError, UsageError
from headroom.graph.chain import Chain
from headroom.measure.backends.torch_ops.functions import BINARY
from headroom.measure.plan import plan_tasks
from headroom.measure.roles import NUMBERS
from headroom.measure.travel.case import Benchmark
from headroom.measure.travel.collect import benchmarks_of
from headroom.measure.travel.export import export
from headroom.measure.travel.order import Order, fill
from headroom.measure.travel.tables import table_files
from headroom.store.rows import Implementation as Way
from headroom.store.rows import Status, Sweep, System, Timing
from headroom.store.store import Store
from onnx_models import model, node

_SYSTEM = System("NVIDIA H200", "580.1", "13.0", "9.19.0", "13.1.0", "")


def _benchmarks(model: Path | str, dtype: hr.DataType = hr.DataType.BF16) -> list[Benchmark]:
    return benchmarks_of(planned.task for planned in plan_tasks(hr.load(model), dtype))[0]


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_exports_are_equal_byte_by_byte(small_model: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        fill(tmp_path / name, [hr.load(small_model)], Order((hr.DataType.BF16,)), "small")
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "two")


def test_the_tables_are_those_of_the_golden_file(small_model: Path) -> None:
    """Rewrite it with ``PYTHONPATH=tests python -m measure_travel.golden`` where the change is meant."""
    golden = Path(__file__).parent / "golden" / "part_000.cpp"
    text = table_files(_benchmarks(small_model)[:3])["part_000.cpp"]
    assert text == golden.read_text("utf-8")


def test_what_is_written_is_as_clang_format_would_have_it(small_model: Path, tmp_path: Path) -> None:
    program = shutil.which("clang-format")
    if program is None:
        pytest.skip("needs clang-format (pip install clang-format)")
    fill(tmp_path / "bench", [hr.load(small_model)], Order((hr.DataType.BF16,)), "small")
    sources = [path for part in ("runtime", "tables") for path in (tmp_path / "bench" / part).glob("*.[ch]pp")]
    done = subprocess.run([program, "--dry-run", "-Werror", *sources], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:2000]


@pytest.mark.parametrize("dtype", ["bf16", "tf32", "fp32", "fp16"])
def test_every_layer_of_resnet50_has_a_benchmark(dtype: str) -> None:
    planned = plan_tasks(hr.load("examples/resnet50.onnx"), hr.DataType(dtype))
    found, without = benchmarks_of(item.task for item in planned)
    assert (len(found), without) == (len(planned), [])
    libraries = {library for each in found for case in each.cases for library in case.libraries}
    assert libraries == {"cudnn", "cudnn-conv", "cudnn-legacy", "cublaslt", "cublas"}


def test_exporting_loads_neither_pytorch_nor_cudnn(small_model: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom headroom.cli.main import run\n"
        f"assert run(['export-benchmarks', {str(small_model)!r}, '--out', {str(tmp_path / 'bench')!r}]) == 0\n"
        "assert not {'torch', 'cudnn', 'nvmath'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_numbers_that_models_write_are_those_of_the_reference() -> None:
    assert {name: BINARY[name][1] for name in NUMBERS} == NUMBERS


def test_second_factors_are_scaled_and_square_roots_read_what_is_positive(small_model: Path) -> None:
    for benchmark in _benchmarks(small_model):
        gemm = benchmark.chain.anchor.gemm
        for case in benchmark.cases:
            if gemm is not None:
                second = next(each for each in case.tensors if each.uid == case.operations[0].reads[1])
                assert second.fill.a == pytest.approx(gemm.k**-0.5)


def test_what_a_stranger_calls_a_layer_ends_no_string_and_no_comment(small_model: Path) -> None:
    relu = next(each for each in _benchmarks(small_model) if each.chain.title == "relu")
    work = replace(relu.chain.anchor.work, function='"??/ \\ )json')  # type: ignore[call-arg]
    hostile = Chain((replace(relu.chain.anchor, work=work),))
    text = table_files([replace(relu, chain=hostile)])["part_000.cpp"]
    assert text.count('R"json1(') == text.count(')json1";') == 1
    assert 'benchmark.title = "\\042\\077\\077/ \\134 )json";' in text
    assert '// "??/ / )json in bf16' in text


def test_a_folder_with_other_files_is_left_alone(small_model: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work", "utf-8")
    with pytest.raises(UsageError, match="holds other files"):
        export(_benchmarks(small_model), tmp_path, "small")
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".onnx"] == ["thesis.tex"]


def test_an_export_that_was_cut_off_can_be_exported_over(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", full)
        with pytest.raises(UsageError, match="No space left on device; choose another --out"):
            export(_benchmarks(small_model), tmp_path / "bench", "small")
    assert export(_benchmarks(small_model), tmp_path / "bench", "small").has_frontend


def test_a_layer_that_reads_nothing_has_no_benchmark(tmp_path: Path) -> None:
    operators = [node("RandomNormal", "", "r", shape=[4, 8]), node("Add", "x r", "y")]
    onnx.save(model(operators, {"x": [4, 8]}), tmp_path / "random.onnx")
    planned = plan_tasks(hr.load(tmp_path / "random.onnx"), hr.DataType.BF16)
    assert any(not item.task.chain.inputs for item in planned)
    found, without = benchmarks_of(item.task for item in planned)
    assert all(each.chain.inputs for each in found)
    assert any(not task.chain.inputs for task in without)


def test_a_gpu_without_a_sheet_is_said(small_model: Path, tmp_path: Path) -> None:
    told = fill(tmp_path / "bench", [hr.load(small_model)], Order((hr.DataType.BF16,), "h2000"), "small")
    assert told[0].startswith("layers are ordered by their arithmetic: ")
    assert "h2000" in told[0]


def test_an_earlier_export_is_replaced_whole(small_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    fill(folder, [hr.load("examples/resnet50.onnx")], Order((hr.DataType.BF16,)), "resnet50")
    fill(folder, [hr.load(small_model)], Order((hr.DataType.BF16,)), "small")
    assert sorted(path.name for path in (folder / "tables").iterdir()) == [".clang-format", "list.cpp", "part_000.cpp"]


def _measure(chain: Chain, database: Path) -> None:
    row = Timing(Way("cudnn", "eng1"), "warm", Status.OK, median_us=20.0, iqr_us=0.1, samples=24)
    with Store.open(database) as store:
        store.record(Sweep(_SYSTEM, chain, hr.DataType.BF16, "all", (row,), 1.0))


def test_only_what_the_database_lacks_is_exported(
    small_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    planned = plan_tasks(hr.load(small_model), hr.DataType.BF16)
    for item in planned[:4]:
        _measure(item.task.chain, tmp_path / "db.sqlite")
    folder = tmp_path / "bench"
    words = ["export-benchmarks", str(small_model), "--out", str(folder), "--only-missing", "--gpu", "h200"]
    assert headroom([*words, "--db", str(tmp_path / "db.sqlite")]) == 0
    told = capfd.readouterr().out
    assert f"4 of {len(planned)} layers are known of NVIDIA H200" in told
    text = (folder / "tables" / "part_000.cpp").read_text("utf-8")
    assert [item.task.chain.digest in text for item in planned] == [False] * 4 + [True] * (len(planned) - 4)


def test_where_nothing_is_missing_no_folder_is_written(small_model: Path, tmp_path: Path) -> None:
    for item in plan_tasks(hr.load(small_model), hr.DataType.BF16):
        _measure(item.task.chain, tmp_path / "db.sqlite")
    order = Order((hr.DataType.BF16,), "h200", only_missing=True, db=str(tmp_path / "db.sqlite"))
    assert "nothing is left to measure" in fill(tmp_path / "bench", [hr.load(small_model)], order, "small")[-1]
    assert not (tmp_path / "bench").exists()


def test_a_gpu_that_nobody_measured_lacks_everything(small_model: Path, tmp_path: Path) -> None:
    _measure(plan_tasks(hr.load(small_model), hr.DataType.BF16)[0].task.chain, tmp_path / "db.sqlite")
    order = Order((hr.DataType.FP16,), "v100-sxm2", only_missing=True, db=str(tmp_path / "db.sqlite"))
    told = fill(tmp_path / "bench", [hr.load(small_model)], order, "small")
    assert told[0] == "the database knows nothing of this GPU: every layer is exported"


def test_a_system_that_nobody_knows_is_an_error(small_model: Path, tmp_path: Path) -> None:
    _measure(plan_tasks(hr.load(small_model), hr.DataType.BF16)[0].task.chain, tmp_path / "db.sqlite")
    order = Order((hr.DataType.BF16,), only_missing=True, system="ffff", db=str(tmp_path / "db.sqlite"))
    with pytest.raises(StoreError, match="system 'ffff' is unknown"):
        fill(tmp_path / "bench", [hr.load(small_model)], order, "small")


def test_a_system_without_only_missing_is_a_misunderstanding(small_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs --only-missing"):
        fill(tmp_path, [hr.load(small_model)], Order((hr.DataType.BF16,), system="ffff"), "small")
