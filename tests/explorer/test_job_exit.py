# SPDX-License-Identifier: Apache-2.0
"""However a server process ends, its worker processes end too."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = Path(__file__).parent / "plugin"
PATIENCE_S = 200.0

SERVER = """
import sys, time
from explorer import jobs

if __name__ == "__main__":
    from probe_experiments import Deaf
    job = jobs.runner().submit(Deaf())
    while not job.events and not job.finished:
        time.sleep(0.01)
    print(job.events[0]["pid"] if job.events else job.error, flush=True)
    sys.stdin.readline()  # the end of the input, or a line
"""


@pytest.fixture(scope="module")
def servers(plugin, tmp_path_factory):
    """Two servers, each with a job that is running; started together to share the waiting."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "server.py").write_text(SERVER)
    path = os.pathsep.join([str(ROOT), str(PLUGIN), str(plugin)])
    env = {**os.environ, "PYTHONPATH": path, "OHMSCAPE_HOME": str(folder / "home"), "OHMSCAPE_WORKERS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, str(folder / "server.py")],
            env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    yield dict(zip(("exit", "SIGTERM"), started, strict=True))
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


@pytest.mark.parametrize("how", ["exit", "SIGTERM"])
def test_server_ends_with_a_running_job_leaves_no_process(servers, how):
    server = servers[how]
    worker = int(server.stdout.readline())
    family = psutil.Process(server.pid).children(recursive=True)
    assert worker in [p.pid for p in family]
    if how == "exit":
        server.stdin.close()
    else:
        server.terminate()  # nobody handles it: the process is gone at once, as with SIGKILL
    assert server.wait(PATIENCE_S) == (0 if how == "exit" else -signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=PATIENCE_S)
    assert alive == []
    if how == "exit":
        assert server.stderr.read() == ""
