# SPDX-License-Identifier: Apache-2.0
"""Stands for the peer's process in tests: same protocol, answers at once; the job says how it behaves."""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--folder", type=Path)
parser.add_argument("--threads", type=int)
options = parser.parse_args()
settings: dict = {}
arrays: dict = {}
for line in sys.stdin:
    request = json.loads(line)
    answer: dict = {}
    if request["do"] == "describe":
        answer = {"peer": "fake 1", "threads": options.threads, "omp": os.environ["OMP_NUM_THREADS"]}
    elif request["do"] == "open":
        settings = request["settings"]
        arrays = {name: np.load(options.folder / f"{name}.npy") for name in request["arrays"]}
        answer = {"lacks": "no such device"} if settings.get("lacks") else {}
    elif request["do"] == "run" and settings.get("dies"):
        sys.exit(3)
    elif request["do"] == "run" and settings.get("fails"):
        answer = {"error": "Traceback: no luck"}
    elif request["do"] == "run":
        np.save(options.folder / "result.npy", 2 * arrays["x"])
        answer = {"wall_s": 0.5, "cpu_s": 0.25, "result": "result"}
    elif request["do"] == "answer":
        answer = {"bytes": 1024.0}
    print(json.dumps(answer), flush=True)
