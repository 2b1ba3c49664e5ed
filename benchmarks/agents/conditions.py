"""The ways to repair a bug that are compared: greendiff with and without a model, one single shot, another agent."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path

from agents.models.client import EndpointModel
from agents.models.errors import ModelError
from agents.models.prompts import Fence, parse
from agents.models.protocol import ChatRequest
from agents.models.tiers import Capabilities, Tier
from agents.replies import Draft, ReplyRefused
from agents.replies_blocks import fenced
from agents.replies_code import apply_functions, functions_in
from benchmarks.agents.cases import Case, environment_of, excerpt, failures
from benchmarks.agents.meter import Meter
from benchmarks.engines import run_fix
from benchmarks.latency import install_peer

CONTEXT = 16_384
REPLY_TOKENS = 1_200
PEER_STEPS = 15
PEER_REPLY_TOKENS = 800
PEER_TASK = """\
Some tests of this Python repository fail. Repair the source so that they pass; do not change the tests.
Run them with: python -m pytest {tests}
They fail like this:

{failure}
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a condition left in the repository."""

    offered: bool
    """Whether it says that it has a repair."""
    note: str = ""
    """How it ended, in a few words."""


def greendiff(case: Case, folder: Path, budget: float, *options: str) -> Outcome:
    """Run the command and make its diff in the repository."""
    run = run_fix(folder, budget, *case.options(folder), *options)
    if not run.diff:
        return Outcome(False, f"exit code {run.code}")
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", "-"], cwd=folder, input=run.diff, text=True, capture_output=True,
        check=False,
    )  # fmt: skip
    return Outcome(done.returncode == 0, "verified" if done.returncode == 0 else "the diff does not apply")


def single_shot(case: Case, folder: Path, meter: Meter) -> Outcome:
    """Ask once, with the file with the bug shown, and write what came."""
    tests, failure = failures(case, folder)
    text = (folder / case.path).read_text(encoding="utf-8")
    prompt = parse("single_shot", Path(__file__).with_name("single_shot.md").read_text(encoding="utf-8"))
    messages = prompt.fill(
        {"path": case.path, "source": excerpt(text, case.functions), "tests": tests, "failure": failure}, Fence()
    )
    capabilities = Capabilities(context=CONTEXT, reasoning=False)
    model = EndpointModel(Tier("shot", meter.endpoint, meter.model, key="none", capabilities=capabilities))
    try:
        reply = model.complete(ChatRequest(messages, REPLY_TOKENS, temperature=0.0, seed=1))
    except ModelError as error:
        return Outcome(False, f"{type(error).__name__}: {error}"[:200])
    draft = Draft({case.path: text})
    changed = 0
    for name, block in answered(reply.text, text):
        try:
            apply_functions(block, draft, case.path, name)
            changed += 1
        except ReplyRefused as refused:
            return Outcome(False, f"reply refused: {refused.reason}")
    now = draft.text(case.path)
    if not changed or now is None or now == text:
        return Outcome(False, "cut off" if reply.finish == "length" else "no change")
    (folder / case.path).write_text(now, encoding="utf-8")
    return Outcome(True, "answered")


def answered(reply: str, text: str) -> list[tuple[str, str]]:
    """Return the file's functions that the reply's code defines, each with a reply that holds nothing else.

    Generous: example calls and other code beside the functions, which greendiff would refuse, do not count against it.
    """
    known = [found.qualname for found in functions_in(ast.parse(text)) if "<locals>" not in found.qualname]
    answers: dict[str, str] = {}
    for block in fenced(reply):
        lines = list(block.lines)
        try:
            code = ast.parse("\n".join(lines))
        except SyntaxError:
            continue
        imports = [ast.unparse(node) for node in code.body if isinstance(node, ast.Import | ast.ImportFrom)]
        for found in functions_in(code):
            fitting = [name for name in known if name == found.qualname or name.endswith(f".{found.qualname}")]
            if len(fitting) == 1:
                own = textwrap.dedent("\n".join(lines[found.first - 1 : found.last]))
                answers.setdefault(fitting[0], "\n".join(["```python", *imports, own, "```"]))
    return list(answers.items())


def peer(case: Case, folder: Path, meter: Meter, seconds: float) -> Outcome:
    """Run mini-swe-agent on the repository, with its own prompts for models without tool calls.

    Its commands run in its own local environment, which is shut into bubblewrap: the machine can be read, nothing but
    the repository can be written.
    """
    command, bwrap = install_peer(), shutil.which("bwrap")
    if command is None or bwrap is None:
        return Outcome(False, "mini-swe-agent or bubblewrap is not installed")
    tests = " ".join(case.tests)
    task = PEER_TASK.format(tests=tests, failure=failures(case, folder)[1])
    trail = folder / ".git" / "trail.json"
    settings = {
        "agent.step_limit": PEER_STEPS, "agent.wall_time_limit_seconds": int(seconds), "agent.cost_limit": 0,
        "model.cost_tracking": "ignore_errors", "model.model_kwargs.api_base": meter.endpoint,
        "model.model_kwargs.api_key": "none", "model.model_kwargs.temperature": 0,
        "model.model_kwargs.max_tokens": PEER_REPLY_TOKENS,
    }  # fmt: skip
    argv = [
        bwrap, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp",  # noqa: S108 - its own
        "--bind", str(folder), str(folder), "--ro-bind", str(command.parent.parent), str(command.parent.parent),
        "--unshare-pid", "--die-with-parent", "--chdir", str(folder),
        str(command), "-m", f"openai/{meter.model}", "--model-class", "litellm_textbased", "--agent-class", "default",
        "-y", "--exit-immediately", "-t", task, "-o", str(trail), "-c", "mini_textbased.yaml",
    ]  # fmt: skip
    for name, value in settings.items():
        argv += ["-c", f"{name}={value}"]
    env = {
        **environment_of(case, folder), "MSWEA_SILENT_STARTUP": "1", "MSWEA_CONFIGURED": "true", "TERM": "dumb",
        "MSWEA_GLOBAL_CONFIG_DIR": str(folder / ".git"), "MSWEA_COST_TRACKING": "ignore_errors",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }  # fmt: skip
    note = ""
    try:
        done = subprocess.run(
            argv, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            check=False, timeout=seconds + 60,
        )  # fmt: skip
        note = done.stderr.strip()[-200:] if done.returncode else ""
    except subprocess.TimeoutExpired:
        note = "killed"
    try:
        note = str(json.loads(trail.read_text(encoding="utf-8"))["info"]["exit_status"]) or note
    except (OSError, ValueError, KeyError):
        note = note or "no trail"
    # Whatever it says at its end: what it leaves in the sources is judged.
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, check=False)
    return Outcome(bool(changed.stdout.strip()), note)
