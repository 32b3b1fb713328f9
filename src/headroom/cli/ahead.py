"""Importing what a command needs later, while another process reads its model."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from threading import Thread


def import_ahead(*modules: str) -> None:
    """Import ``modules`` beside whatever comes next, which will find them imported or wait for them.

    One that fails is not told here: whoever imports it by name is told.
    """
    Thread(target=_import_all, args=(modules,)).start()


def _import_all(modules: tuple[str, ...]) -> None:
    for module in modules:
        with suppress(Exception):
            import_module(module)
