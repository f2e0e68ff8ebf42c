"""Trains both versions of arms.py on a part of the rows of data.py, and sets the others aside for the trial.

Writes models/v1, models/v2 and holdout.parquet. The trial is held on rows that neither version has seen.
"""

from pathlib import Path

import joblib
import pyarrow as pa
import pyarrow.parquet as pq
from arms import BASELINE, CANDIDATE
from data import rows
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent
TRAINING_ROWS = 600  # of 1,797: enough to learn from, and most are left to decide with


def main() -> None:
    pixels, digits = rows()
    seen, held_out, seen_digits, held_out_digits = train_test_split(
        pixels, digits, train_size=TRAINING_ROWS, stratify=digits, random_state=0
    )
    columns = {f"f{i}": held_out[:, i] for i in range(held_out.shape[1])}
    pq.write_table(pa.table(columns | {"target": held_out_digits}), HERE / "holdout.parquet")

    for version, model in {"v1": BASELINE, "v2": CANDIDATE}.items():
        model.fit(seen, seen_digits)
        accuracy = model.score(held_out, held_out_digits)
        folder = HERE / "models" / version
        folder.mkdir(parents=True, exist_ok=True)
        joblib.dump(model, folder / "model.joblib")
        print(f"{version}: right on {accuracy:.1%} of {len(held_out)} held-out rows")


if __name__ == "__main__":
    main()
