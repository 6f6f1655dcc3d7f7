# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Pregenerate on a Ray cluster: Ray Data maps the missing batches of the plan, one painter on each GPU.

``python recipes/cluster/ray_pregenerate.py GOOD OUT COUNT PAINTERS``, with folders that every machine sees. After a
failure run it again; ``anomalib-stage verify OUT`` tells whether a finished file was damaged since. Needs
``pip install "ray[data]"``. The tests of this package run it with a stand-in for Ray.
"""

import sys
import uuid
from pathlib import Path

import ray

from anomalib_stage.pregeneration.prepare import prepare

GOOD, OUT, COUNT, PAINTERS = sys.argv[1:]
OPTIONS = {"data": Path(GOOD), "out": Path(OUT), "count": int(COUNT)}  # the device is each painter's own GPU


class Painter:
    def __init__(self, options):
        self.job, self.shard = prepare(**options), f"ray-{uuid.uuid4().hex}"

    def __call__(self, rows):
        painted = self.job.work(rows["item"].tolist(), shard=self.shard)
        return {"pairs": [painted.pairs]}


job = prepare(**OPTIONS)
job.start()
if job.find_missing():
    ray.data.from_items(job.find_missing()).map_batches(
        Painter, fn_constructor_args=(OPTIONS,), batch_size=8, concurrency=int(PAINTERS), num_gpus=1
    ).materialize()
print(job.finish())
