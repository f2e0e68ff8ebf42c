"""Moments of several variables, as `Evidence.joint` has them."""

from __future__ import annotations

import numpy as np


def joint_moments(*variables: np.ndarray) -> np.ndarray:
    """[..., 1 + k + k (k + 1) / 2] moments of k variables [..., n] over their last axis."""
    values = np.stack(variables, axis=-1).astype(float)
    mean = values.mean(axis=-2)
    centred = values - mean[..., None, :]
    i, j = np.triu_indices(len(variables), 1)
    size = np.full((*mean.shape[:-1], 1), float(values.shape[-2]))
    squares = (centred**2).sum(axis=-2)
    return np.concatenate([size, mean, squares, (centred[..., i] * centred[..., j]).sum(axis=-2)], axis=-1)


def columns(table: np.ndarray) -> list[np.ndarray]:
    """The moments one by one, each [..., S]."""
    return [table[..., i] for i in range(table.shape[-1])]
