"""Without a GPU or a library every module imports, and what is missing is said."""

from __future__ import annotations

import subprocess
import sys

import pytest

from headroom.errors import GpuError
from headroom.measure import backends
from headroom.measure.backends.legacy import library as legacy
from headroom.measure.bench import UnsupportedError


def test_importing_the_backends_imports_no_library():
    program = (
        "import sys\n"
        "import headroom.measure.backends.cudnn_graph, headroom.measure.backends.cublaslt\n"
        "import headroom.measure.backends.cudnn_legacy\n"
        "print([name for name in ('torch', 'cudnn', 'nvmath', 'cuda') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


@pytest.mark.parametrize("module", ["cudnn_graph", "cublaslt", "cudnn_legacy"])
def test_a_backend_without_its_library_is_left_out_with_the_reason(module):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU and its libraries")
    registered = backends.load([module])
    assert registered.backends == ()
    assert registered.missing[module].startswith("GpuError: ")


def test_a_status_of_the_library_is_an_error_that_says_what_declined():
    library = legacy.Library.__new__(legacy.Library)

    class Functions:
        cudnnGetErrorString = staticmethod(lambda status: b"CUDNN_STATUS_NOT_SUPPORTED_SHAPE")  # noqa: N815
        cudnnPoolingForward = staticmethod(lambda: 3002)  # noqa: N815
        cudnnSoftmaxForward = staticmethod(lambda: 5000)  # noqa: N815
        cudnnCreate = staticmethod(lambda: 0)  # noqa: N815

    library._functions = Functions()
    library.call("cudnnCreate")
    with pytest.raises(UnsupportedError, match="cudnnPoolingForward: CUDNN_STATUS_NOT_SUPPORTED_SHAPE"):
        library.call("cudnnPoolingForward")
    with pytest.raises(RuntimeError, match="cudnnSoftmaxForward"):
        library.call("cudnnSoftmaxForward")


def test_no_library_anywhere_names_what_to_install(monkeypatch):
    def missing(path: str) -> None:
        raise OSError(path)

    monkeypatch.setattr(legacy, "Library", missing)
    legacy.library.cache_clear()
    with pytest.raises(GpuError, match="nvidia-cudnn-cu13"):
        legacy.library()
    legacy.library.cache_clear()


def test_the_parent_sees_which_packages_are_missing_without_importing_any(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"torch", "nvmath"}
    monkeypatch.setattr(backends, "find_spec", lambda package: package if package in installed else None)
    assert backends.not_installed() == {"cudnn_graph", "inductor"}
