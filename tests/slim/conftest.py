"""A small network, data that it has learnt, and the command line."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.conftest import headroom

__all__ = ["headroom"]

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]

#: A module of the user's, for addresses on the command line.
CODE = '''
import torch
from torch import nn


class Net(nn.Module):
    """Convolutions whose channels nobody else reads, one that two read, a flattening, two linear layers."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 64, 3, padding=1)
        self.second = nn.Conv2d(64, 128, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(128)
        self.left = nn.Conv2d(128, 32, 3, padding=1)
        self.right = nn.Conv2d(128, 32, 3, padding=1)
        self.hidden = nn.Linear(512, 256)
        self.last = nn.Linear(256, 10)

    def forward(self, inputs):
        read = self.norm(self.second(self.first(inputs).relu())).relu()
        joined = (self.left(read) + self.right(read)).relu()
        pooled = nn.functional.adaptive_avg_pool2d(joined, 4).flatten(1)
        return self.last(self.hidden(pooled).relu())


def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = Net().eval()
        # Fresh networks give every sample the same class; without their mean, outputs tell samples apart.
        with torch.no_grad():
            made.last.bias -= made(torch.randn(64, 3, 8, 8)).mean(0)
        return made


def wide():
    sizes = [3, 512, 512, 512]
    layers = [each for n, m in zip(sizes, sizes[1:]) for each in (nn.Conv2d(n, m, 3, padding=1), nn.ReLU())]
    return nn.Sequential(*layers).to("meta"), torch.zeros(1, 3, 16, 16, device="meta")


def pair():
    return net(), torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(5))


def small():
    """Planned, written and loaded in a moment; its second layer alone reads what its first one makes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = nn.Sequential(nn.Linear(1024, 512), nn.ReLU(), nn.Linear(512, 8)).eval()
    return made, torch.randn(1, 1024, generator=torch.Generator().manual_seed(5))


def small_labelled():
    draw, (judge, _) = torch.Generator().manual_seed(1), small()
    for _ in range(4):
        batch = torch.randn(32, 1024, generator=draw)
        with torch.no_grad():
            yield batch, judge(batch).argmax(1)


def alone():
    return net()


def inputs():
    draw = torch.Generator().manual_seed(1)
    for _ in range(4):
        yield torch.randn(32, 3, 8, 8, generator=draw)


def labelled():
    judge = net()
    for batch in inputs():
        with torch.no_grad():
            labels = judge(batch).argmax(1)
        yield batch, labels


def train(network):
    optimizer = torch.optim.SGD([each for each in network.parameters() if each.requires_grad], lr=0.01)
    for batch, labels in labelled():
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(batch), labels).backward()
        optimizer.step()


def broken():
    raise RuntimeError("the disk is gone")


def nothing():
    return iter(())


number = 3
'''


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the user's module lies."""
    found = tmp_path_factory.mktemp("mine")
    (found / "slim_nets.py").write_text(CODE)
    return found


@pytest.fixture(scope="session")
def nets(folder: Path) -> Iterator[object]:
    """The user's module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        import slim_nets

        yield slim_nets


@pytest.fixture(scope="session")
def planned(nets):
    """One plan for all tests that look at one: choosing a point does not change it."""
    import headroom as hr

    return hr.slim(nets.net(), nets.pair()[1], data=nets.labelled, batch=512, source="predicted", max_loss=30.0)
