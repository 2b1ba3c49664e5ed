"""Takes secrets out of text: those of this process's environment by value, others by their looks."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

_NAMES = re.compile(
    r"(?:^|_)(?:key|token|secret|password|passwd|passphrase|credentials?|auth|pat|cookie)(?:$|_|\d)", re.IGNORECASE
)
_RUN_TOGETHER = re.compile(r"apikey|authtoken|accesskey|secretkey", re.IGNORECASE)
_SHORTEST = 8
_LOOKS = (
    ("private key", r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY-----|\Z)"),
    ("API key", r"\bsk-(?:[A-Za-z0-9]+-)*[A-Za-z0-9_]{20,}"),
    ("GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})"),
    ("GitLab token", r"\bglpat-[A-Za-z0-9_-]{20,}"),
    ("Slack token", r"\bxox[abeprs]-[A-Za-z0-9-]{10,}"),
    ("AWS key", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    ("Google key", r"\bAIza[A-Za-z0-9_-]{35}\b"),
    ("Hugging Face token", r"\bhf_[A-Za-z0-9]{30,}"),
    ("PyPI token", r"\bpypi-[A-Za-z0-9_-]{50,}"),
    ("web token", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    ("bearer token", r"(?<=Bearer )[A-Za-z0-9._~+/-]{20,}=*"),
    ("organisation", r"\borg-[A-Za-z0-9]{20,}"),
)


class Scrubber:
    """Replaces secrets by `[secret NAME]`; safe for threads, cheap for text without any."""

    def __init__(self, environment: Mapping[str, str], extra: Iterable[tuple[str, str]] = ()) -> None:
        """Know the values of `environment` whose names say that they are secret, and `extra` names and values.

        Values of fewer than eight characters are not taken: replacing them would break ordinary words.
        """
        named = [
            (name, value) for name, value in environment.items() if _NAMES.search(name) or _RUN_TOGETHER.search(name)
        ]
        forms: dict[str, str] = {}
        for name, value in (*named, *extra):
            value = value.strip()
            if len(value) >= _SHORTEST and not value.startswith("/") and value.lower() not in {"disabled", "required"}:
                for form in _forms(value):
                    forms.setdefault(form, name)
        self._forms = forms
        # Longest first, so that a secret inside another does not leave the rest of it standing.
        known = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
        self._known = re.compile(known) if known else None
        self._looks = re.compile("|".join(f"(?P<l{n}>{look})" for n, (_, look) in enumerate(_LOOKS)), re.DOTALL)

    def scrub_known(self, text: str) -> str:
        """Return the text without the secrets that are known by value.

        For prompts: code that only looks like it held a key must reach the model as it is, or its edits would not fit.
        """
        if self._known is None:
            return text
        return self._known.sub(lambda match: f"[secret {self._forms[match[0]]}]", text)

    def scrub(self, text: str) -> str:
        """Return the text without secrets, known or by their looks; idempotent."""
        text = self.scrub_known(text)
        return self._looks.sub(lambda match: f"[secret {_LOOKS[int((match.lastgroup or 'l0')[1:])][0]}]", text)

    def found(self, text: str) -> bool:
        """Return whether there is a secret in the text."""
        return self.scrub(text) != text


def _forms(value: str) -> set[str]:
    """Return the ways in which a value may be written: as it is, in JSON, in an address, in base 64."""
    forms = {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        quote(value),
        quote(value, safe=""),
    }
    data = value.encode("utf-8", "surrogateescape")
    # Inside other base-64 data a value can begin at each of three places.
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + data).decode("ascii").rstrip("=")
        inner = encoded[(0, 2, 3)[shift] : len(encoded) - 1]
        if len(inner) >= 2 * _SHORTEST:
            forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    return forms
