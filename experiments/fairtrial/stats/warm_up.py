"""How much of a run's beginning is not yet the steady state that arms are to be compared in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def mser_cut(batch_means: npt.ArrayLike, batch_sizes: npt.ArrayLike) -> int:
    """Number of leading batches to cut: White's (1997) marginal standard error rule.

    The cut is the one after which the squared standard error of the mean of what is left is the smallest:
    cutting a transient lowers the variance, cutting more raises it again. On means of batches it is MSER-5
    (White, Cobb and Spratt, 2000; Spratt, 1998), here with batches of any size, weighted by it. Never more
    than half of the batches, whose later ones are too few to tell from noise.

    batch_means, batch_sizes: [B] in order of time, both arms pooled; a batch of size 0 counts for nothing.
    Raises ValueError if they differ in length.
    """
    means = np.atleast_1d(np.asarray(batch_means, dtype=np.float64))
    sizes = np.atleast_1d(np.asarray(batch_sizes, dtype=np.float64))
    if means.shape != sizes.shape:
        raise ValueError(f"{means.size} batch means do not go with {sizes.size} sizes")
    some = sizes > 0
    total = float(sizes.sum())
    if np.count_nonzero(some) < 4:
        return 0
    # about the overall mean, so that the sums of squares below do not cancel
    values = np.where(some, means, 0.0)
    values = np.where(some, values - float(sizes @ values) / total, 0.0)
    left, sums, squares = (np.cumsum(part[::-1])[::-1] for part in (sizes, sizes * values, sizes * values**2))
    cuts = np.arange(means.size // 2 + 1)
    left, sums, squares = (part[cuts] for part in (left, sums, squares))
    usable = left > 0
    safe = np.where(usable, left, 1.0)
    error = np.where(usable, np.maximum(squares - sums**2 / safe, 0.0) / safe**2, np.inf)
    # a series that never varies leaves only rounding behind
    least = max(float(error.min()), 1e-24 * float(squares[0]) / total**2)
    return int(np.flatnonzero(error <= least)[0])
