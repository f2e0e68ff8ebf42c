"""The rows: scikit-learn's handwritten digits, 8 by 8 pixels each; one scan in 40 has lost half of them."""

import numpy as np
from sklearn.datasets import load_digits

LOST = -1  # in place of a pixel from 0 to 16


def rows():
    """1,797 rows of 64 pixels, and their digits."""
    pixels, digits = load_digits(return_X_y=True)
    rng = np.random.default_rng(1)
    for i in np.flatnonzero(rng.random(len(pixels)) < 1 / 40):
        pixels[i, rng.choice(64, size=32, replace=False)] = LOST
    return pixels, digits
