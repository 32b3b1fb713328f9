"""Building exported benchmarks as a user's compiler would, on libraries made of loops."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

FAKE = Path(__file__).parent / "fake"

#: Nothing of ours may warn; the vendors' headers are the system's.
STRICT = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]

GRAPHS = ["-DTRAVEL_GRAPH_API", "-DCUDNN_FRONTEND_SKIP_JSON_LIB"]


@dataclass(frozen=True)
class Compiler:
    """A compiler with the folders of the vendors' headers, writing objects into ``objects``."""

    command: str
    includes: Sequence[Path]
    objects: Path

    def compile(self, sources: Iterable[Path], *flags: str, tag: str = "") -> list[Path]:
        """Objects of ``sources``, two at a time, since this is what a continuous integration's machine has.

        The frontend's translation unit takes 1.1 GB and 17 s of a core, every other one less than 0.2 GB and 2 s.
        """
        with ThreadPoolExecutor(2) as pool:
            # The slow one first.
            ordered = sorted(sources, key=lambda source: source.name != "graph_api.cpp")
            return list(pool.map(lambda source: self._compiled(source, flags, tag), ordered))

    def _compiled(self, source: Path, flags: Sequence[str], tag: str) -> Path:
        made = self.objects / f"{tag}{source.stem}.o"
        includes = [word for folder in self.includes for word in ("-isystem", str(folder))]
        self.run("-std=c++17", "-O0", "-c", str(source), "-o", str(made), *flags, *includes)
        return made

    def link(self, objects: Iterable[Path], to: Path, *flags: str) -> Path:
        self.run("-o", str(to), *map(str, objects), *flags)
        return to

    def run(self, *words: str) -> None:
        done = subprocess.run([self.command, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]


@dataclass(frozen=True)
class Built:
    """Two programs of one export: with the graph API, and without."""

    folder: Path
    model: Path
    program: Path
    program_without_graphs: Path

    def run(self, *words: str, graphs: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it beside the fake driver's library."""
        return subprocess.run(
            [self.program if graphs else self.program_without_graphs, *words],
            env={**os.environ, "LD_LIBRARY_PATH": str(self.program.parent / "driver"), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


def build(compiler: Compiler, folder: Path, model: Path, into: Path) -> Built:
    """Compile what lies in ``folder`` and link it with the fake libraries."""
    libraries = [path for path in FAKE.glob("fake_*.cpp") if path.stem != "fake_nvml"]
    fakes = compiler.compile(libraries, "-fPIC", "-O1")
    compiler.link(fakes, into / "libfake.so", "-shared")
    (into / "driver").mkdir()
    compiler.link([FAKE / "fake_nvml.cpp"], into / "driver" / "libnvidia-ml.so.1", "-shared", "-fPIC")
    sources = [*(folder / "runtime").glob("*.cpp"), *(folder / "tables").glob("*.cpp")]
    include = f"-I{folder / 'runtime'}"
    objects = compiler.compile(sources, include, *STRICT, *GRAPHS)
    linked = [f"-L{into}", "-lfake", "-ldl", f"-Wl,-rpath,{into}"]
    program = compiler.link(objects, into / "headroom_benchmarks", *linked)
    plain = compiler.compile([folder / "runtime" / "libraries.cpp"], include, *STRICT, tag="plain_")
    others = [made for made in objects if made.stem not in ("libraries", "graph_api")]
    without = compiler.link([*plain, *others], into / "without_graphs", *linked)
    return Built(folder, model, program, without)
