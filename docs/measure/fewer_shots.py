# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
r"""Write a split with fewer defects of each defect to learn from; what is scored stays the same.

    python docs/measure/fewer_shots.py --data SET --shots 5 --out five.json
    anomalib-stage fit --data SET/train/good --defect-dir SET/test --defect-mask-dir SET/ground_truth \
        --split five.json --out FILE
    anomalib-stage benchmark --data SET --split five.json --out bench5 --sources real FILE FILE+real

Defects are taken in sorted order, from as many groups of captures as there are (``groups.json`` in the set, if any).
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from anomalib_stage.training.data.picture_lists import read_groups


def main() -> None:
    """Read a split, and write the smaller one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="data set with few_shot.json")
    parser.add_argument("--shots", type=int, default=5, help="pictures of each defect")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    print(write_fewer(given.data, shots=given.shots, out=given.out))


def write_fewer(data: Path, *, shots: int, out: Path) -> dict[str, int]:
    """Write the smaller split of a set, and count the defects of each defect."""
    split = json.loads((data / "few_shot.json").read_text())
    groups = read_groups(None, defect_dir=data / "test")
    fewer = {defect: {**sides, "fit": chosen(defect, sides["fit"], groups, shots)} for defect, sides in split.items()}
    out.write_text(json.dumps(fewer, indent=1))
    return {defect: len(sides["fit"]) for defect, sides in fewer.items()}


def chosen(defect: str, stems: list[str], groups: dict[str, str], shots: int) -> list[str]:
    """Take so many stems, the first of every group before the second of any."""
    seen: Counter[object] = Counter()
    turns = {}
    for stem in sorted(stems):
        group = groups.get(f"{defect}/{stem}", groups.get(stem, stem))
        turns[stem] = seen[group]
        seen[group] += 1
    return sorted(sorted(stems, key=lambda stem: (turns[stem], stem))[:shots])


if __name__ == "__main__":
    main()
