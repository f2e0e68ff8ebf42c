"""Trains both versions on scikit-learn's handwritten digits, and sets rows aside for the trial.

Writes models/v1, models/v2 and holdout.parquet. The trial is held on rows that neither version has seen.
"""

from pathlib import Path

import joblib
import pandas as pd
from arms import BASELINE, CANDIDATE
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent
TRAINING_ROWS = 600  # of 1,797: enough to learn from, and most are left to decide with


def main() -> None:
    pixels, digits = load_digits(return_X_y=True)
    seen, held_out, seen_digits, held_out_digits = train_test_split(
        pixels, digits, train_size=TRAINING_ROWS, stratify=digits, random_state=0
    )
    holdout = pd.DataFrame(held_out, columns=[f"f{i}" for i in range(64)])
    holdout["target"] = held_out_digits
    holdout.to_parquet(HERE / "holdout.parquet", index=False)

    for version, model in {"v1": BASELINE, "v2": CANDIDATE}.items():
        model.fit(seen, seen_digits)
        accuracy = model.score(held_out, held_out_digits)
        folder = HERE / "models" / version
        folder.mkdir(parents=True, exist_ok=True)
        joblib.dump(model, folder / "model.joblib")
        print(f"{version}: {model} is right on {accuracy:.1%} of {len(holdout)} held-out rows")


if __name__ == "__main__":
    main()
