"""What is brought back from the machine that trained: rows, and weights in fp16, in few files of bounded size."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from headroom.change.saved import read_weights
from training_study.runner import halved

#: Bytes of a file and of all together that come back from one call, and a little less.
PART_BYTES, ALL_BYTES = 15_500_000, 60_000_000

ROWS = "trained.jsonl"


def rows_of(work: Path) -> list[dict[str, Any]]:
    """Every finished job's row, in the order of their keys."""
    return [json.loads(path.read_text()) for path in sorted(work.glob("*/row.json"))]


def pack(work: Path, out: Path, *, weights: bool = True) -> list[str]:
    """Write the rows and as many jobs' weights as fit, small ones first; return the keys of those left out."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("weights.tar.*"):
        old.unlink()
    (out / ROWS).write_text("".join(json.dumps(row) + "\n" for row in rows_of(work)))
    if not weights:
        return []
    left_out, held, total = [], io.BytesIO(), 0
    with tarfile.open(fileobj=held, mode="w") as tar:
        for folder, files in sorted(_kept(work), key=lambda each: sum(len(data) for _, data in each[1])):
            size = sum(len(data) for _, data in files)
            if total + size > ALL_BYTES:
                left_out.append(folder)
                continue
            total += size
            for name, data in files:
                told = tarfile.TarInfo(f"{folder}/{name}")
                told.size = len(data)
                tar.addfile(told, io.BytesIO(data))
    whole = held.getvalue()
    for number, start in enumerate(range(0, len(whole), PART_BYTES)):
        (out / f"weights.tar.{number}").write_bytes(whole[start : start + PART_BYTES])
    return left_out


def _kept(work: Path) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Each finished job's folder with the files that tell its network: enough to make others of it."""
    for path in work.glob("*/trained.pt"):
        if not path.with_name("row.json").exists():
            continue
        half = io.BytesIO()
        torch.save(halved(dict(read_weights(path))), half)
        files = [("trained.pt", half.getvalue())]
        beside = [path.with_name(name) for name in ("made.json", "row.json", "synapses.json")]
        files.extend((each.name, each.read_bytes()) for each in beside if each.exists())
        yield path.parent.name, files


def unpack(parts: Sequence[Path], work: Path) -> None:
    """Put packed jobs into ``work``, where they count as done: what is made of them goes on from there."""
    ordered = sorted(parts, key=lambda path: int(path.suffix[1:]))
    with tarfile.open(fileobj=io.BytesIO(b"".join(path.read_bytes() for path in ordered))) as tar:
        tar.extractall(work, filter="data")
    for folder in work.iterdir():
        weights = folder / "trained.pt"
        if weights.exists() and not (folder / "weights.pt").exists():
            # Loading a job's network needs weights of its shapes; these are.
            (folder / "weights.pt").write_bytes(weights.read_bytes())
