# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Run attacks: ``python -m tests.fuzz [compact|latent|checkpoints] [count] [first seed]``; prints a table."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.conftest import make_tiny_bundle
from tests.fuzz.bundles import bundle_attacks
from tests.fuzz.campaign import HEADER, run_attack
from tests.fuzz.checkpoints import checkpoint_attacks
from tests.tiny_latent import tiny_latent_bundle

MAKERS = {
    "compact": lambda folder: bundle_attacks(make_tiny_bundle(), folder),
    "latent": lambda folder: bundle_attacks(tiny_latent_bundle(), folder),
    "checkpoints": checkpoint_attacks,
}


def main(kind: str, count: str = "100", seed: str = "0") -> None:
    """Run all attacks of a kind, ``count`` of each category."""
    print(HEADER)
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, attack in MAKERS[kind](Path(folder)).items():
            tally = run_attack(attack, name=name, count=int(count), seed=int(seed))
            print(tally.format(f"{kind}: {name}"), flush=True)
            faults += [f"{name}: {fault}" for fault in tally.faults]
    print("\n\n".join(faults))


if __name__ == "__main__":
    main(*sys.argv[1:])
