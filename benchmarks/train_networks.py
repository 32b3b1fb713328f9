"""Train the networks of the figures and everything that is made of them, in pieces, and write what came out.

    python benchmarks/train_networks.py choose [TARGET...] [--db FILE]
    python benchmarks/train_networks.py run WORK [--networks vgg16,resnet56] [--seeds 0,1,2] [--limit SECONDS]
    python benchmarks/train_networks.py time WORK
    python benchmarks/train_networks.py pack WORK OUT
    python benchmarks/train_networks.py unpack WORK PART...
    python benchmarks/train_networks.py page [FOLDER]

``choose`` has ``headroom fit`` choose the fitted variants' widths, from measured pairs where a database has them; it
needs no GPU. ``run`` trains one seed after the other, the seeds spread over the GPUs that there are, and ends at its
limit; called again it goes on where it stopped. With ``--beside 3`` three seeds share a GPU, for ResNet56, whose
launches take longer than its work; VGG16 gains nothing by it. ``time`` times the shapes side by side. ``pack`` writes
rows, latencies and fp16 weights in files small enough to carry; ``unpack`` puts weights into a fresh folder, so that
what is made of them can go on there. ``page`` copies a folder's rows to ``benchmarks/results`` and writes
``docs/trained.md``. With ``--dry-run`` everything happens on the CPU with made-up images and two epochs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from record import DATA

LATENCIES = "trained_latencies.jsonl"


def main() -> None:
    asked = arguments().parse_args()
    if asked.what == "page":
        from training_study.page import write

        print(write(asked.folder))
    elif asked.what == "choose":
        from training_study.choose import SAVES, choose

        choose(asked.targets or SAVES, asked.db)
    elif asked.what == "unpack":
        from training_study.packing import unpack

        unpack(asked.parts, asked.work)
    else:
        {"run": _run, "worker": _worker, "time": _time, "pack": _pack}[asked.what](asked)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="what", required=True)
    for name in ("run", "worker"):
        verb = verbs.add_parser(name)
        verb.add_argument("work", type=Path)
        verb.add_argument("--networks", default="vgg16,resnet56,lenet,cifarnet,alexnet-cifar")
        verb.add_argument("--only", default="", help="parts of the names of variants, with commas; all by default")
        verb.add_argument("--seeds", default="0,1,2")
        verb.add_argument("--beside", type=int, default=1, help="seeds that share a GPU at a time")
        verb.add_argument("--limit", type=float, default=450.0, help="seconds after which nothing new begins")
        verb.add_argument("--data", type=Path, default=DATA)
        verb.add_argument("--dry-run", action="store_true")
        verb.add_argument("--device", default="", help="of a worker")
    for name in ("time", "pack"):
        verb = verbs.add_parser(name)
        verb.add_argument("work", type=Path)
        verb.add_argument("--dry-run", action="store_true")
    verbs.choices["pack"].add_argument("out", type=Path)
    verbs.choices["pack"].add_argument("--rows-only", action="store_true")
    unpack = verbs.add_parser("unpack")
    unpack.add_argument("work", type=Path)
    unpack.add_argument("parts", type=Path, nargs="+")
    choose = verbs.add_parser("choose")
    choose.add_argument("targets", nargs="*")
    choose.add_argument("--db", help="the performance database; the user's and the shipped one by default")
    verbs.add_parser("page").add_argument("folder", type=Path, nargs="?")
    return parser


def _run(asked: argparse.Namespace) -> None:
    """As many processes per GPU as were asked for, each with some of the seeds."""
    import torch

    gpus = 0 if asked.dry_run else torch.cuda.device_count()
    if not gpus and not asked.dry_run:
        raise SystemExit("no GPU is there to train on; rehearse with --dry-run")
    asked.work.mkdir(parents=True, exist_ok=True)
    _decode(asked)
    seeds = asked.seeds.split(",")
    count = min(len(seeds), asked.beside * max(1, gpus))
    workers = []
    for number in range(count):
        device = f"cuda:{number % gpus}" if gpus else "cpu"
        same = ["--networks", asked.networks, "--only", asked.only, "--limit", str(asked.limit), "--data", asked.data]
        command = [
            sys.executable,
            __file__,
            "worker",
            asked.work,
            *same,
            "--seeds",
            ",".join(seeds[number::count]),
            "--device",
            device,
        ]
        workers.append(subprocess.Popen([*map(str, command), *(["--dry-run"] if asked.dry_run else [])]))
    codes = [worker.wait() for worker in workers]
    if any(codes):
        raise SystemExit(f"workers ended with {codes}")


def _decode(asked: argparse.Namespace) -> None:
    """Decode images once, before several processes want them."""
    from training_study.data import image_set
    from training_study.runner import data_of

    for name in {data_of(each, asked.dry_run) for each in asked.networks.split(",")}:
        image_set(name, asked.data, asked.work / "images", "cpu")


def _worker(asked: argparse.Namespace) -> None:
    import torch

    from training_study.jobs import UNPRUNED, jobs
    from training_study.runner import Place, run_all

    if asked.device == "cpu":
        torch.set_num_threads(1)
    # Its first proposals lose up to twofold on these shapes; the search takes a second per network.
    torch.backends.cudnn.benchmark = True
    place = Place(asked.work, asked.data, asked.device, asked.dry_run)
    every = [job for seed in asked.seeds.split(",") for job in jobs(tuple(asked.networks.split(",")), int(seed))]
    wanted = asked.only.split(",")
    parents = {job.parent for job in every if any(part in job.variant for part in wanted)} | {UNPRUNED}
    chosen = [job for job in every if job.variant in parents or any(part in job.variant for part in wanted)]
    left = run_all(chosen, place, asked.limit)
    print(f"seeds {asked.seeds}: {left} of {len(chosen)} jobs are left" if left else f"seeds {asked.seeds}: all done")


def _time(asked: argparse.Namespace) -> None:
    from training_study.packing import rows_of
    from training_study.timing import timed

    device = "cpu" if asked.dry_run else "cuda"
    with (asked.work / LATENCIES).open("w") as file:
        for row in timed(rows_of(asked.work), device, asked.dry_run):
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(row, flush=True)


def _pack(asked: argparse.Namespace) -> None:
    from training_study.packing import pack

    left_out = pack(asked.work, asked.out, weights=not asked.rows_only)
    if (asked.work / LATENCIES).exists():
        (asked.out / LATENCIES).write_bytes((asked.work / LATENCIES).read_bytes())
    print(f"without the weights of {', '.join(left_out)}" if left_out else "everything is packed")


if __name__ == "__main__":
    main()
