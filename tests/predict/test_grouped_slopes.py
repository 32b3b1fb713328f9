"""Slopes that are taken for all groups of rows at once are those that one constant at a time would give."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize._numdiff import approx_derivative

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_slopes_of_grouped_rows_are_those_of_one_constant_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    from grouped_slopes import slopes

    group = np.array([0, 2, 1, 1, 0, 2])
    weight = np.arange(1.0, 7.0)

    def residuals(x: np.ndarray) -> np.ndarray:
        return np.sin(weight * x[0]) + x[1 + group] ** 2

    x = np.array([0.3, -1.2, 0.5, 2.0])
    found = slopes(residuals, x, [np.zeros(6, dtype=np.intp), 1 + group])
    assert np.allclose(found, approx_derivative(residuals, x, method="2-point"), rtol=1e-6, atol=1e-7)
