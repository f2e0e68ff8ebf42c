"""The rows: scikit-learn's handwritten digits, 8 by 8 pixels from 0 to 16 each, and which digit it is."""

from sklearn.datasets import load_digits


def rows():
    """1,797 rows of 64 pixels, and their digits."""
    return load_digits(return_X_y=True)
