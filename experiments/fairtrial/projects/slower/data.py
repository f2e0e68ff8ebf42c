"""The rows: scikit-learn's handwritten digits, 8 by 8 pixels each; one scan in 25 has lost 16 of them."""

import numpy as np
from sklearn.datasets import load_digits

LOST = -1  # in place of a pixel from 0 to 16


def rows():
    """1,797 rows of 64 pixels, and their digits."""
    pixels, digits = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    for i in np.flatnonzero(rng.random(len(pixels)) < 1 / 25):
        pixels[i, rng.choice(64, size=16, replace=False)] = LOST
    return pixels, digits
