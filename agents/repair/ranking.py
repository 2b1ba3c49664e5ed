"""Chooses among candidates that passed: the simplest, likeliest, least disturbing one, or none."""

from __future__ import annotations

import ast
import io
import math
import re
import tokenize
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from agents.edits import apply_edits
from agents.repair.behaviour import Profile, clusters, profile
from agents.repair.naming import NameUse
from agents.results import Candidate
from sandbox.runners.trial_results import Behaviours
from sandbox.syntax import parse

WEIGHTS: Mapping[str, float] = {
    "prior": 1.1,
    "suspicion": 0.4,
    "votes": 0.5,
    "size": -0.12,
    "passing": -1.6,
    "changed": -0.8,
    "crashes": -4.0,
    "cured": 0.8,
    "hangs": -6.0,
    "special": -1.4,
    "borrowed": -2.5,
    "dead": -4.0,
    "removed": -0.8,
    "fresh": -0.3,
    "strange": -0.35,
    "orphaned": -2.2,
    "adopted": 1.0,
    "wrapped": -1.1,
    "inserted": 0.8,
    "condition": 1.0,
}
"""What each feature is worth, in units of the logarithm of a prior.

Half way from what was set by hand to a conditional logit on 269 bugs of the tune split. Inserted statements and added
conditions get back what their priors lose because there are so many of them: few of those pass by chance.
"""
OFFER = 0.66
"""Confidence below which no repair is offered: a guess that the tests happen to take is worse than none.

On 406 bugs of the tune split, of which 137 had not been looked at, 0.66 offers 320 right first choices and 13 wrong.
"""
_CERTAINTY, _PER_SHARE, _PER_SCORE = 1.32, 0.47, 0.36
"""Logistic regression of whether the first choice is right on the log odds of its share of belief and on its score.

Fitted to those 406 bugs, each taken once more, at a weight of 0.4, with all right candidates removed: that is what a
search sees whose templates lack the repair, and there the share of belief, being of what was found, says nothing.
"""
_LEAST, _MOST = 0.02, 0.99
"""Bounds of a share of belief before its odds are taken."""
_BEHAVED = ("passing", "changed", "crashes", "cured", "hangs", "special")


@dataclass(frozen=True, slots=True)
class Passing:
    """A candidate that passed its trials."""

    candidate: Candidate
    suspicion: float
    """Logarithm of how suspicious the changed place is, 0 for the most suspicious."""
    order: int
    """How many candidates had been made before it."""
    fresh: bool = False
    """Whether it could be tried only by a fresh import."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A passing candidate with its place in the order."""

    passing: Passing
    score: float
    cluster: int
    votes: int
    features: Mapping[str, float]
    profile: Profile


def rank(
    passing: Sequence[Passing],
    texts: Mapping[str, str],
    behaviours: Behaviours,
    tests: Mapping[str, str],
    strangeness: Mapping[str, float],
    weights: Mapping[str, float] = WEIGHTS,
    names: Mapping[str, NameUse] | None = None,
) -> list[Ranked]:
    """Return the passing candidates, best first.

    `texts` maps paths to the base texts of changed files, `tests` to those of the failing tests' files; `strangeness`
    says of each candidate, by its id, how badly it reads beside the code around it (0 where that is not known), `names`
    what it does to the use of names.
    """
    literals = _literals(tests.values())
    numbers = clusters([p.candidate.id for p in passing], behaviours)
    votes = Counter(numbers.values())
    profiles = {
        p.candidate.id: Profile()
        if p.candidate.id in behaviours.unknown
        else profile(p.candidate.id, behaviours.samples)
        for p in passing
    }
    usual = _usual(list(profiles.values()))
    found = []
    for one in passing:
        name = one.candidate.id
        seen = profiles[name]
        use = (names or {}).get(name, NameUse())
        features = {
            "prior": one.candidate.prior,
            "suspicion": one.suspicion,
            "votes": math.log(votes[numbers[name]]),
            **(_behaved(seen) if seen.known else usual),
            "fresh": float(one.fresh),
            "strange": strangeness.get(name, 0.0),
            "orphaned": float(use.orphaned),
            "adopted": float(use.adopted),
            **_kind_features(one.candidate.origin),
            **_text_features(one.candidate, texts, literals),
        }
        score = sum(weights.get(key, 0.0) * value for key, value in features.items())
        found.append(Ranked(one, score, numbers[name], votes[numbers[name]], features, seen))
    found.sort(key=lambda r: (-r.score, r.passing.order))
    return found


def _kind_features(origin: str) -> dict[str, float]:
    rule = origin.partition(":")[2]
    return {
        "wrapped": float("guard.wrapped" in origin),
        "inserted": float(rule.startswith("insert.")),
        "condition": float(rule.startswith(("condition.", "conditional."))),
    }


def _behaved(seen: Profile) -> dict[str, float]:
    return {name: float(getattr(seen, name)) for name in _BEHAVED}


def _usual(profiles: Sequence[Profile]) -> dict[str, float]:
    """Return the mean of what is known, for candidates of which nothing is."""
    known = [_behaved(seen) for seen in profiles if seen.known]
    return {name: sum(row[name] for row in known) / len(known) if known else 0.0 for name in _BEHAVED}


def belief(ranked: Sequence[Ranked]) -> dict[str, float]:
    """Return, for each candidate's id, the share of belief between 0 and 1 that falls to its behaviour.

    Scores are logarithms; candidates that behave alike are one answer, worth its best.
    """
    best: dict[int, float] = {}
    for one in ranked:
        best[one.cluster] = max(best.get(one.cluster, -math.inf), one.score)
    top = max(best.values(), default=0.0)
    total = sum(math.exp(score - top) for score in best.values())
    return {one.passing.candidate.id: math.exp(best[one.cluster] - top) / total for one in ranked}


def confidence(one: Ranked, share: float) -> float:
    """Return how probable it is that a candidate is right; its `share` of belief says that it is the best found."""
    bounded = min(max(share, _LEAST), _MOST)
    odds = _CERTAINTY + _PER_SHARE * math.log(bounded / (1.0 - bounded)) + _PER_SCORE * one.score
    return 1.0 / (1.0 + math.exp(-odds))


def reasons(one: Ranked) -> tuple[str, ...]:
    """Say in short sentences why a candidate stands where it stands."""
    found = []
    seen = one.profile
    if one.votes > 1:
        found.append(f"{one.votes} passing candidates behave like it on every input tried.")
    if seen.known:
        found.append(
            f"On {seen.generated} generated inputs it differs from the original on {seen.changed:.0%},"
            f" raises anew on {seen.crashes:.0%} and no longer raises on {seen.cured:.0%}."
        )
    else:
        found.append("Its behaviour on generated inputs could not be compared.")
    if seen.hangs:
        found.append(f"It runs out of time on {seen.hangs:.0%} of the inputs where the original does not.")
    if seen.special:
        found.append("It changes nothing but the failing tests' own inputs, which smells of special-casing.")
    if one.features.get("borrowed"):
        found.append("It compares with a value that stands in the failing test.")
    if one.features.get("orphaned"):
        found.append("It leaves a name unused that was used before.")
    if one.features.get("dead"):
        found.append("It makes a condition constant.")
    return tuple(found)


def _text_features(candidate: Candidate, texts: Mapping[str, str], literals: frozenset[str]) -> dict[str, float]:
    removed = added = 0
    borrowed = dead = 0
    for path in dict.fromkeys(e.path for e in candidate.edits):
        text = texts.get(path, "")
        edits = [e for e in candidate.edits if e.path == path]
        low = text.rfind("\n", 0, min(e.start for e in edits)) + 1
        high = text.find("\n", max(e.end for e in edits))
        high = len(text) if high < 0 else high
        before = text[low:high]
        shifted = [type(e)(e.path, e.start - low, e.end - low, e.replacement) for e in edits]
        after = apply_edits(before, shifted)
        gone, come = changed_tokens(before, after)
        removed += len(gone)
        added += len(come)
        borrowed += any(t in literals and not re.search(rf"(?<!\w){re.escape(t)}(?!\w)", text) for t in come)
        dead += _dead(after) > _dead(before)
    return {
        "size": float(removed + added),
        "removed": math.log1p(max(0, removed - added - 2)),
        "borrowed": float(borrowed),
        "dead": float(dead),
    }


def changed_tokens(before: str, after: str) -> tuple[list[str], list[str]]:
    """Return the tokens that go and those that come."""
    one, two = _tokens(before), _tokens(after)
    gone: list[str] = []
    come: list[str] = []
    for tag, a, b, c, d in SequenceMatcher(None, one, two, autojunk=False).get_opcodes():
        if tag != "equal":
            gone += one[a:b]
            come += two[c:d]
    return gone, come


_ROUGH = re.compile(r"\w+|[^\w\s]")


def _tokens(text: str) -> list[str]:
    skipped = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.COMMENT}
    try:
        return [t.string for t in tokenize.generate_tokens(io.StringIO(text.strip()).readline) if t.type not in skipped]
    except (tokenize.TokenError, SyntaxError, IndentationError):
        return _ROUGH.findall(text)


_CONSTANT = re.compile(
    r"\b(?:or True|or 1|and False|and 0|if True|if False|while False|if not True|if not False|if 0|if 1)\b"
)


def _dead(text: str) -> int:
    return len(_CONSTANT.findall(text))


def _literals(texts: Sequence[str] | object) -> frozenset[str]:
    """Return the telling literals of the tests: strings, and numbers that no code would have by chance."""
    found: set[str] = set()
    for text in texts if isinstance(texts, (list, tuple)) else list(texts):  # type: ignore[call-overload]
        try:
            tree = parse(text)
        except (SyntaxError, ValueError, RecursionError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant):
                value = node.value
                if (isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2) or (
                    isinstance(value, float) and value not in {0.0, 0.5, 1.0, 2.0}
                ):
                    found.add(repr(value))
                elif isinstance(value, str) and value.strip():
                    found.update((repr(value), f'"{value}"'))
    return frozenset(found)
