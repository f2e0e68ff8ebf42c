"""`fairtrial-fit-outliers DATA.csv OUT.json`: the file that the outlier detector reads."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

import numpy as np

from fairtrial_graph_components.policies.outliers import fit


def main() -> None:
    parser = argparse.ArgumentParser(prog="fairtrial-fit-outliers", description=fit.__doc__)
    parser.add_argument("data", type=Path, help="a CSV file of numbers, with a line of names")
    parser.add_argument("out", type=Path)
    parser.add_argument("--share", type=float, default=0.01, help="of usual rows that may be flagged (0.01)")
    options = parser.parse_args()
    if not 0 < options.share < 1:
        parser.error("--share must be between 0 and 1")
    try:
        with options.data.open(newline="") as file:
            names, *rows = csv.reader(file)
        detector = fit(np.array(rows, float), share=options.share, names=names)
        options.out.write_text(json.dumps(detector.document()))
    except (OSError, ValueError) as error:
        print(f"fairtrial-fit-outliers: {options.data}: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
