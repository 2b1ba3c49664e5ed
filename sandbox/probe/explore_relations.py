"""Relations that functions keep: there and back again, nothing new the second time, the order of a known function."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from .explore_recipes import render
from .explore_run import Runner
from .explore_scenes import Scene, Step
from .explore_search import Search

LEAST = 6
"""Inputs on which a relation must have held to be believed."""
SHOWN = 6
_PAIRS = (
    ("encode", "decode"), ("dumps", "loads"), ("dump", "load"), ("pack", "unpack"), ("compress", "decompress"),
    ("serialize", "deserialize"), ("escape", "unescape"), ("quote", "unquote"), ("encrypt", "decrypt"),
    ("flatten", "unflatten"), ("zip", "unzip"), ("split", "join"), ("to", "from"), ("int_to", "to_int"),
    ("marshal", "unmarshal"), ("wrap", "unwrap"), ("format", "parse"), ("unparse", "parse"), ("hexlify", "unhexlify"),
)  # fmt: skip
_AGAIN = re.compile(
    r"(normali[sz]e|clean|strip|sort|uniq|dedup|canonical|slug|sanitize|collapse|squeeze|simplify|reduce_|flatten|"
    r"lower|upper|underscore|parameterize|dasherize|transliterate|trim|abs|clamp|round|expand)", re.IGNORECASE
)  # fmt: skip


def relations(search: Search, runner: Runner, before: Callable[[str], None]) -> Iterator[Dict[str, Any]]:
    """Yield relations with the inputs on which they hold, and those, if any, on which they do not.

    Each has `kind`, `target`, `text` with `{}` for the input, `wanted` likewise, `inputs`, `against`, and `lines`.
    """
    simple = {t.name: t for t in search.targets if not t.is_class and t.public and t.domains.parameters}
    inputs: Dict[str, List[Any]] = {}
    for found in search.found:
        scene = found.scene
        one = found.target in simple and len(scene.steps) == 1 and len(scene.steps[0].args) == 1
        if one and not scene.steps[0].named and not any(line.get("op") == "raises" for line in found.lines):
            inputs.setdefault(found.target, []).append(scene.steps[0].args[0])
    for first, second, there in _pairs(list(simple)):
        before(first)
        relation = _tried(runner, first, "%s(%s({}))" % (second, first), inputs.get(first, []), "round trip", None)
        if relation is not None and (there or not relation["failed"]):
            yield relation
    for name in simple:
        if _AGAIN.search(name):
            before(name)
            found_one = _tried(runner, name, "%s(%s({}))" % (name, name), inputs.get(name, []), "idempotence", name)
            if found_one is not None:
                yield found_one
        if re.search(r"sort", name) and inputs.get(name):
            before(name)
            lists = [value for value in inputs[name] if isinstance(value, list)]
            found_one = _tried(runner, name, "%s({})" % name, lists, "agreement", "sorted")
            if found_one is not None:
                yield found_one


def _pairs(names: List[str]) -> Iterator[Tuple[str, str, bool]]:
    """Yield pairs of functions, and whether the first is the one that goes there."""
    lower = {name.lower(): name for name in names}
    for there, back in _PAIRS:
        for low, name in lower.items():
            for one, other in ((there, back), (back, there)):
                if one not in low:
                    continue
                partner = lower.get(low.replace(one, other, 1))
                if partner is None and one in ("to", "from"):
                    words = re.split(r"_?%s_?" % one, low)
                    partner = lower.get("%s_%s_%s" % (words[-1], one, words[0])) if len(words) == 2 else None
                if partner is not None and partner != name and (one == there or there == "to"):
                    yield name, partner, one == there


def _tried(
    runner: Runner, target: str, text: str, inputs: List[Any], kind: str, wanted: Optional[str]
) -> Optional[Dict[str, Any]]:
    """Try `text` on inputs: it gives the input itself, or what `wanted` gives of it."""
    held: List[str] = []
    against: List[Dict[str, str]] = []
    telling = 0
    hits: List[int] = []
    for recipe in inputs:
        source = render(recipe)
        if len(source) > 80:
            continue
        once = runner.run(Scene(target, [Step(target, (recipe,))]))
        if once.ended != "value" or once.changed:
            continue
        scene = Scene(target, [Step("(lambda x: %s)" % text.format("x"), (recipe,))])
        got = runner.run(scene)
        other = recipe if wanted is None else None
        if wanted is not None:
            seen = runner.run(Scene(target, [Step(wanted, (recipe,))]))
            if seen.ended != "value":
                continue
            other = seen.value
        if got.ended == "value" and type(got.value) is type(other) and bool(got.value == other):
            held.append(source)
            hits += got.hits
            telling += repr(once.value) != source
        else:
            against.append({"input": source, "got": repr(got.value if got.ended == "value" else got.error)[:120],
                            "wanted": repr(other)[:120]})  # fmt: skip
    if len(held) < LEAST or telling < 3:
        return None
    shown = sorted(set(held), key=lambda source: (len(source), source))
    step = max(1, len(shown) // SHOWN)
    chosen = shown[::step][:SHOWN]
    right = "{}" if wanted is None else "%s({})" % wanted
    lines = [{"of": text.format(value), "op": "eq", "want": right.format(value)} for value in chosen]
    return {"kind": kind, "target": target, "text": text, "right": right, "inputs": chosen, "against": against[:5],
            "hits": sorted(set(hits)), "held": len(held), "failed": len(against), "lines": lines}  # fmt: skip
