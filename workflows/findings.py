"""Syntax, lint, security and secret findings of source files, compared before and after a change."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

from sandbox.syntax import parse
from workflows.errors import Unusable

RULES = (
    # Errors of syntax and names.
    "E9", "F5", "F6", "F7", "F8", "F401", "F402", "F404", "F406", "F407", "F501", "F632", "F702", "F811",
    "F821", "F841", "PLE",
    # Likely bugs; what is a matter of taste or of the Python version is left out.
    "B002", "B003", "B005", "B006", "B012", "B014", "B015", "B016", "B018", "B019", "B020", "B021", "B022",
    "B023", "B025", "B029", "B030", "B031", "B032", "B033", "B035", "B909",
    # Security.
    "S102", "S103", "S104", "S113", "S201", "S202", "S301", "S302", "S306", "S307", "S312", "S313", "S314",
    "S315", "S316", "S317", "S318", "S319", "S321", "S323", "S324", "S501", "S502", "S503", "S504", "S505",
    "S506", "S507", "S508", "S509", "S601", "S602", "S604", "S605", "S606", "S608", "S609", "S611", "S612",
    "S701", "S702", "S704",
)  # fmt: skip
"""The fixed set of Ruff's rules whose findings may not become more; the repository's own settings are not read."""

_RUFF_OPTIONS = (
    "check", "--isolated", "--no-cache", "--quiet", "--exit-zero", "--ignore-noqa", "--output-format", "json",
    "--config", "lint.preview = true", "--config", "lint.explicit-preview-rules = true", "--select", ",".join(RULES),
)  # fmt: skip

SECRETS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("private key", re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY")),
    ("AWS access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{40,})")),
    ("GitLab token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}")),
    ("Slack token", re.compile(r"\bxox[abposr]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/T\w+/B\w+/\w+")),
    ("Google key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b")),
    ("API key", re.compile(r"\bsk-(?:[a-z]+-)?[A-Za-z0-9_-]{20,}")),
    ("Stripe key", re.compile(r"\b[rs]k_live_[A-Za-z0-9]{16,}")),
    ("npm token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    ("Hugging Face token", re.compile(r"\bhf_[A-Za-z0-9]{30,}\b")),
    ("SendGrid key", re.compile(r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}")),
    ("Azure storage key", re.compile(r"\bAccountKey=[A-Za-z0-9+/]{40,}={0,2}")),
    ("PyPI token", re.compile(r"\bpypi-[A-Za-z0-9_-]{50,}")),
    ("JSON web token", re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.")),
    ("password in a URL", re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@'\"{}]+:[^\s/:@'\"{}<>$]{3,}@")),
    ("secret", re.compile(r"(?i)(?:api_?key|secret|token|passwd|password)\w*['\"]?\s*[=:]\s*['\"][A-Za-z0-9+/_-]{24,}={0,2}['\"]")),  # noqa: E501
)  # fmt: skip
"""Name and pattern of what looks like a credential."""

_PLAIN_SECRET = re.compile(
    r"(?i)^\s*(?:export\s+)?[\w.-]*(?:api_?key|secret|token|passwd|password)[\w.-]*\s*[=:]\s*(?=\S*\d)[A-Za-z0-9+/_-]{24,}={0,2}\s*$"
)
"""A credential without quotes, as settings files hold it; in code this would be a name."""

_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069\u200b-\u200f\u2060\ufeff]")


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding in one file; `rule` is what is counted."""

    rule: str
    path: str
    line: int
    message: str

    def __str__(self) -> str:
        """Return the finding as linters write it."""
        return f"{self.path}:{self.line}: {self.rule} {self.message}"


@cache
def _ruff() -> str:
    from ruff.__main__ import find_ruff_bin  # type: ignore[import-untyped, unused-ignore]

    return str(find_ruff_bin())


@cache
def ruff_version() -> str:
    """Return the version of the linter."""
    done = subprocess.run([_ruff(), "--version"], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()[-1]


def _lint(path: str, data: bytes) -> list[Finding]:
    """Lint one file's contents; Ruff only parses, and reads no settings."""
    # Ruff decides by the name whether it is Python, stubs or a notebook; no file of that name is opened.
    shown = "input.pyi" if path.endswith(".pyi") else "input.py"
    done = subprocess.run(
        [_ruff(), *_RUFF_OPTIONS, "--stdin-filename", shown, "-"],
        input=data,
        capture_output=True,
        check=False,
        timeout=60,
        cwd="/",
    )
    if done.returncode:
        raise Unusable(f"ruff could not be run: {done.stderr.decode('utf-8', 'replace').strip()[:200]}")
    return [
        Finding(item["code"] or "E999", path, item["location"]["row"], item["message"].splitlines()[0])
        for item in json.loads(done.stdout or b"[]")
    ]


def syntax(path: str, data: bytes) -> list[Finding]:
    """Return the syntax error of a Python, JSON or TOML file, if it has one."""
    try:
        if path.endswith((".py", ".pyi")):
            parse(data)
        elif path.endswith(".json"):
            json.loads(data)
        elif path.endswith(".toml"):
            tomllib.loads(data.decode())
    except SyntaxError as error:
        return [Finding("syntax", path, error.lineno or 1, error.msg)]
    except (ValueError, RecursionError) as error:
        return [Finding("syntax", path, 1, str(error).splitlines()[0])]
    return []


def secrets(path: str, data: bytes) -> list[Finding]:
    """Return what looks like a credential or hides text from a reader, by line."""
    found = []
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        for name, pattern in SECRETS:
            if pattern.search(line):
                found.append(Finding("secret", path, number, f"looks like a {name}"))
                break
        else:
            if not path.endswith((".py", ".pyi")) and _PLAIN_SECRET.match(line):
                found.append(Finding("secret", path, number, "looks like a secret"))
        if _BIDI.search(line.removeprefix("\ufeff") if number == 1 else line):
            found.append(Finding("hidden-text", path, number, "invisible characters that change how the line reads"))
    return found


def inspect_file(path: str, data: bytes) -> list[Finding]:
    """Return all findings of one file, in order of lines.

    Raises:
        Unusable: Ruff cannot be run.

    """
    found = [*syntax(path, data), *secrets(path, data)]
    if path.endswith((".py", ".pyi")):
        found += [f for f in _lint(path, data) if not (f.rule == "E999" and any(o.rule == "syntax" for o in found))]
    return sorted(found, key=lambda f: (f.line, f.rule, f.message))


def inspect_files(files: Mapping[str, bytes]) -> list[Finding]:
    """Return all findings of several files, in order of paths."""
    with ThreadPoolExecutor(4) as pool:
        return [f for found in pool.map(inspect_file, files.keys(), files.values()) for f in found]


def new_findings(before: Iterable[Finding], after: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings of rules (and, for secrets, lines) that are more than before; those that were there first go."""
    known: Counter[tuple[str, str]] = Counter()
    allowed: Counter[str] = Counter()
    for finding in before:
        known[finding.rule, finding.message] += 1
        allowed[finding.rule] += 1
    found = list(after)
    excess = Counter(f.rule for f in found)
    excess.subtract(allowed)
    fresh = []
    for finding in found:
        if known[finding.rule, finding.message] > 0:
            known[finding.rule, finding.message] -= 1
        else:
            fresh.append(finding)
    kept = []
    for finding in fresh:
        if excess[finding.rule] > 0:
            excess[finding.rule] -= 1
            kept.append(finding)
    return tuple(kept)
