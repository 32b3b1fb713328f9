"""The errors a user can meet. Every sentence says what was found, where, and what to do.

The command line turns each class into its exit code (:mod:`headroom.cli.main`).
"""

from __future__ import annotations


class HeadroomError(Exception):
    """Base of everything Headroom raises on purpose; its text is one line for the user."""

    exit_code = 70


class UsageError(HeadroomError):
    """A wrong option, an unknown name, or a file that cannot be written."""

    exit_code = 2


class ModelError(HeadroomError):
    """A model, profile or table that cannot be read. Names the node or row where there is one."""

    exit_code = 3


class ProfileError(ModelError):
    """An execution profile that cannot be read, or that says nothing about a run."""


class GpuError(HeadroomError):
    """Trouble with a GPU: none found, a driver call that failed."""

    exit_code = 4


class StoreError(HeadroomError):
    """Trouble with the performance database."""

    exit_code = 5
