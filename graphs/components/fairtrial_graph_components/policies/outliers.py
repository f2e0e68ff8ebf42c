"""Outliers by the Mahalanobis distance (1936), with the covariance shrunk as by Ledoit and Wolf (A
Well-Conditioned Estimator for Large-Dimensional Covariance Matrices, 2004), and a threshold by conformal
calibration (Laxhammar and Falkman, Inductive Conformal Anomaly Detection, 2015): of rows like those it was
fitted on, at most the stated share is flagged, whatever their distribution."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairtrial_graph_components.policies.refusal import Refused

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Detector:
    center: Floats  # of shape (features,)
    scale: Floats  # (features,); distances are between standardised rows
    precision: Floats  # (features, features), the inverse of the shrunk covariance
    threshold: float
    share: float  # of inliers that may be flagged
    names: tuple[str, ...] = ()

    def scores(self, rows: Floats) -> Floats:
        """The distances of rows of shape (rows, features)."""
        if rows.ndim != 2 or rows.shape[1] != len(self.center):
            takes = f"the detector takes rows of {len(self.center)} numbers"
            raise Refused(f"{takes}, and the data has the shape {list(rows.shape)}")
        with np.errstate(over="ignore"):
            away = np.clip((rows - self.center) / self.scale, -1e140, 1e140)
        return np.sqrt(np.einsum("ij,jk,ik->i", away, self.precision, away, optimize=True))

    def document(self) -> dict[str, Any]:
        return {
            "kind": "fairtrial.dev/mahalanobis",
            "center": self.center.tolist(),
            "scale": self.scale.tolist(),
            "precision": self.precision.tolist(),
            "threshold": self.threshold,
            "share": self.share,
            "names": list(self.names),
        }


def fit(rows: Floats, *, share: float = 0.01, names: Sequence[str] = (), seed: int = 0) -> Detector:
    """A detector from rows of shape (rows, features), half of which set the threshold. Raises ValueError."""
    if rows.ndim != 2 or not rows.shape[1]:
        raise ValueError("the data must be a table of numbers")
    if not np.isfinite(rows).all():
        raise ValueError("the data has missing or infinite numbers")
    order = np.random.default_rng(seed).permutation(len(rows))
    fitted, held = rows[order[::2]], rows[order[1::2]]
    rank = math.ceil((len(held) + 1) * (1 - share))
    if rank > len(held) or len(fitted) < 2:
        needed = 2 * math.ceil(1 / share - 1)
        raise ValueError(f"{len(rows)} rows are too few to flag {share:.3g} of them: {needed} are needed")
    center = fitted.mean(axis=0)
    deviation = fitted.std(axis=0)
    scale = np.where(deviation > 0, deviation, np.maximum(np.abs(center), 1.0) * 1e-9)
    precision = np.linalg.inv(_shrunk((fitted - center) / scale))
    detector = Detector(center, scale, (precision + precision.T) / 2, math.inf, share, tuple(names))
    threshold = float(np.sort(detector.scores(held))[rank - 1])
    return Detector(center, scale, detector.precision, threshold, share, tuple(names))


def detector_of(document: object) -> Detector:
    """Raises ValueError, a sentence, for what `document` did not write."""
    if not isinstance(document, Mapping) or document.get("kind") != "fairtrial.dev/mahalanobis":
        raise ValueError("it is no detector")
    try:
        center, scale, precision = (
            np.array(document[name], float) for name in ("center", "scale", "precision")
        )
        threshold, share = float(document["threshold"]), float(document["share"])
        names = tuple(str(name) for name in document["names"])
    except (KeyError, TypeError, ValueError):
        raise ValueError("it lacks parts of a detector") from None
    size = len(center) if center.ndim == 1 else 0
    sound = scale.shape == (size,) and precision.shape == (size, size) and len(names) in (0, size)
    finite = all(np.isfinite(each).all() for each in (center, scale, precision)) and math.isfinite(threshold)
    if not (size and sound and finite and (scale > 0).all()):
        raise ValueError("its parts do not fit together")
    return Detector(center, scale, precision, threshold, share, names)


def _shrunk(rows: Floats) -> Floats:
    """The covariance of centred rows, drawn towards a multiple of the identity by the share that Ledoit and
    Wolf give."""
    count, size = rows.shape
    sample = rows.T @ rows / count
    middle = np.trace(sample) / size
    distance = ((sample - middle * np.eye(size)) ** 2).sum() / size
    noise = ((rows**2).T @ rows**2 / count - sample**2).sum() / count / size
    share = min(noise / distance, 1.0) if distance > 0 else 1.0
    return share * middle * np.eye(size) + (1 - share) * sample + 1e-12 * np.eye(size)
