"""Serves a GGUF over HTTP on the loopback interface until whoever started it is gone; run as a script of its own.

Reads one line of JSON from standard input (`model`, `alias`, `context`, `parallel`, `threads`, `key`), writes one line
with the address to standard output once it listens, and ends when standard input does or its parent changes. It imports
nothing of ours, so that it can be started in isolated mode.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time


def _end_with_parent(parent: int) -> None:
    """End this process when the parent's end of the pipe closes, or another process has adopted us."""

    def until_closed() -> None:
        # The pipe also ends when the parent is killed; nothing is ever sent after the first line.
        while sys.stdin.buffer.read(1):
            pass
        os._exit(0)

    threading.Thread(target=until_closed, daemon=True).start()
    # A fork of the parent may hold the pipe open.
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


def main() -> None:
    """Serve."""
    parent = os.getppid()
    told = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    # By name: the wheel has no types, and nothing else of ours may depend on it.
    xllamacpp = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = told["model"]
    params.model_alias = {told["alias"]}
    params.n_ctx = told["context"] * told["parallel"]
    params.n_parallel = told["parallel"]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [told["key"]]
    params.use_jinja = True
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = 1
    # The first call warms it up as well, and may never come.
    params.warmup = False
    if told["threads"]:
        params.cpuparams.n_threads = told["threads"]
        params.cpuparams_batch.n_threads = told["threads"]
    server = xllamacpp.Server(params)
    sys.stdout.write(json.dumps({"address": server.listening_address}) + "\n")
    sys.stdout.flush()
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
