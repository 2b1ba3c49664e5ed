"""Runs the real command in forked processes that have imported everything already, to save a second for each.

Reads one JSON object a line: `argv`, `env`, `cwd`, `out` and `err` (files). Answers with the exit status of the process
as `waitpid` gives it, and its number. Every command is a process of its own, with its own signals, and may be killed.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from importlib import import_module

from workflows import cli


def serve() -> None:
    # What takes time is imported here, once.
    for name in ("workflows.graph", "workflows.commands.fix", "workflows.settings", "sandbox.backends"):
        import_module(name)
    print("ready", flush=True)

    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            os.environ.clear()
            os.environ.update(order["env"])
            os.chdir(order["cwd"])
            for number, name in ((1, order["out"]), (2, order["err"])):
                os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            cli.STARTED = time.monotonic()
            code = 99
            try:
                code = cli.main(order["argv"])
                sys.stdout.flush()
                sys.stderr.flush()
            except SystemExit as stop:
                code = int(stop.code or 0)
            finally:
                # A traceback would be lost without this: nothing of the server's may run on in its child.
                if code == 99:
                    traceback.print_exc()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(status, child, flush=True)


if __name__ == "__main__":
    serve()
