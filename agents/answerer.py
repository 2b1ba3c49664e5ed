"""Answers a question about the repository from passages of it, with citations that are checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from agents.asking import Asker, Unanswered
from agents.asking_forms import one_line, printable, same_script
from agents.replies import ReplyRefused
from agents.results import Answer, Citation

__all__ = ["AnswerBounds", "Found", "Passages", "answer"]

_MAX_TOKENS = 900
_MAX_ANSWER = 8_000
_MAX_PASSAGE = 60
_CITED = re.compile(
    r"[\[(`]{0,4}(?P<path>[\w@+.-]{1,100}(?:/[\w@+.-]{1,100}){0,20})(?::|#L|,? lines? )L?(?P<first>\d{1,7})"
    r"(?: ?[-\u2013] ?L?(?P<last>\d{1,7}))?[\])`]*"
)
_PATHLIKE = re.compile(r"/|\.[A-Za-z]\w*$")
_URL = re.compile(
    r"!?\[[^\]\n]*\]\((?:https?|ftp|data|javascript):[^)\s]*\)|\b(?:https?|ftp)://[^\s)\]>]+", re.IGNORECASE
)
_SEARCH = re.compile(r"^[ \t*`#>-]{0,12}SEARCH[*` \t]{0,8}:[ \t]*(\S.*)$", re.MULTILINE)
_NAME = re.compile(
    r"`([^`\n]{2,80})`|\b([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+|[a-z]\w*_\w+|[A-Z]\w*[a-z]\w*[A-Z]\w*|\w+(?=\(\)))"
)


class Found(Protocol):
    """A passage, as the index gives it."""

    @property
    def path(self) -> str: ...
    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...


class Hit(Found, Protocol):
    """A passage that fits a search."""

    @property
    def symbol(self) -> str: ...


class Definition(Found, Protocol):
    """A definition of a name."""

    @property
    def qualified(self) -> str: ...


class Passages(Protocol):
    """What is needed of the repository's index; `agents.context.index.Index` is one."""

    def search(self, query: str, limit: int = 10) -> Sequence[Hit]:
        """Return the passages that fit a text, best first."""
        ...

    def symbols(self, name: str, limit: int = 20) -> Sequence[Definition]:
        """Return definitions by name."""
        ...

    def outline(self, tokens: int, focus: Sequence[str] = ()) -> str:
        """Return the repository in short."""
        ...

    def lines(self, path: str) -> Sequence[str]:
        """Return a file's lines, none for a path that is not there."""
        ...


@dataclass(frozen=True, slots=True)
class AnswerBounds:
    """How much is shown and asked."""

    passages: int = 10
    characters: int = 14_000
    """Of all passages together; about a third of it in tokens."""
    outline_tokens: int = 500
    searches: int = 2
    """How often the model may search for more."""


_BOUNDS = AnswerBounds()


def answer(question: str, passages: Passages, asker: Asker | None, bounds: AnswerBounds = _BOUNDS) -> Answer:
    """Return the answer, or without a model (and where its replies cannot be used) the best passages.

    Every citation names lines that exist and that the model was shown; one that does not is asked for again once, and
    then left out.

    Raises:
        ModelError: the model did not answer at all.

    """
    found = _gathered(question, passages, bounds)
    if asker is None or not found:
        notes = () if found else ("Nothing in the repository fits the question.",)
        return Answer("", tuple(found[: bounds.passages]), notes=notes)
    focus = [place.path for place in found[:5]]
    outline = passages.outline(bounds.outline_tokens, focus)
    left = bounds.searches
    while True:
        shown, text = _shown(found, passages, bounds.characters)
        values = {
            "question": question, "outline": outline, "passages": text,
            "searches_line": f"You may search {left} more times." if left else "Answer now, without another search.",
        }  # fmt: skip
        reader = _Reader(question, shown, text, may_search=left > 0)
        try:
            asked = asker.ask("answerer", values, reader, max_tokens=_MAX_TOKENS)
        except Unanswered as unanswered:
            note = f"These are the passages that fit best, because {one_line(str(unanswered), 300)}."
            return Answer("", tuple(found[: bounds.passages]), notes=(note,))
        if isinstance(asked.value, Answer):
            value = asked.value
            if not value.text:
                return Answer("", tuple(found[: bounds.passages]), notes=value.notes)
            return Answer(value.text, value.citations, asked.model, value.notes)
        left -= 1
        more = [place for query in asked.value for place in _gathered(query, passages, bounds)]
        # What was searched for comes first: where there is no room for all, it is what the model wants to see.
        found = list(dict.fromkeys([*more[: bounds.passages], *found]))


def _gathered(question: str, passages: Passages, bounds: AnswerBounds) -> list[Citation]:
    """Return definitions that a text names, and then the passages that fit it, without repetition."""
    query = question[:2000]
    places: list[Citation] = []
    for quoted, plain in _NAME.findall(query)[:8]:
        for symbol in passages.symbols((quoted or plain).removesuffix("()"), 3):
            last = min(symbol.last, symbol.first + _MAX_PASSAGE - 1)
            places.append(Citation(symbol.path, symbol.first, last, symbol.qualified))
    places += [Citation(hit.path, hit.first, hit.last, hit.symbol) for hit in passages.search(query, bounds.passages)]
    kept: list[Citation] = []
    for place in places:
        inside = any(k.path == place.path and k.first <= place.first and place.last <= k.last for k in kept)
        if not inside and place.first >= 1 and len(passages.lines(place.path)) >= place.first:
            kept.append(place)
    return kept


def _shown(found: Iterable[Citation], passages: Passages, characters: int) -> tuple[list[Citation], str]:
    """Return the passages that there is room for, cut where needed, and their text with numbered lines."""
    shown: list[Citation] = []
    texts: list[str] = []
    room = characters
    for place in found:
        head = f"{place.path}:{place.first}-{place.last} {place.symbol}".rstrip()
        rows: list[str] = []
        for number in range(place.first, place.last + 1):
            lines = passages.lines(place.path)
            if number > len(lines) or room <= 0 or len(rows) == _MAX_PASSAGE:
                break
            rows.append(f"{number}| {lines[number - 1][:300]}")
            room -= len(rows[-1]) + 1
        if rows:
            shown.append(Citation(place.path, place.first, place.first + len(rows) - 1, place.symbol))
            texts.append("\n".join([head, *rows]))
            room -= len(head)
        if room <= 0:
            break
    return shown, "\n\n".join(texts)


class _Reader:
    """Reads one reply: words to search for, or an answer with its citations checked."""

    def __init__(self, question: str, shown: Sequence[Citation], text: str, *, may_search: bool) -> None:
        self._question = question
        self._shown = shown
        self._text = text
        self._may_search = may_search
        self._told = False

    def __call__(self, reply: str) -> Answer | tuple[str, ...]:
        if re.fullmatch(r"\W*NOT FOUND\W*", reply.strip()):
            return Answer("", (), notes=("The model finds no answer in the passages that fit best.",))
        queries = tuple(one_line(query, 120) for query in _SEARCH.findall(reply))
        if queries and len(_SEARCH.sub("", reply).split()) < 40:
            if not self._may_search:
                raise ReplyRefused("malformed", "there are no searches left: answer from the passages, or NOT FOUND")
            return queries[:3]
        if len(reply) > _MAX_ANSWER:
            raise ReplyRefused("malformed", f"the answer has more than {_MAX_ANSWER:,} characters: say it shortly")
        if not same_script(self._question, reply):
            raise ReplyRefused("malformed", "answer in the language of the question")
        return self._checked(reply)

    def _checked(self, reply: str) -> Answer:
        notes: list[str] = []
        citations: dict[Citation, None] = {}
        wrong: list[str] = []

        def replaced(found: re.Match[str]) -> str:
            if not _PATHLIKE.search(found["path"]) and not self._paths(found["path"]):
                return found[0]
            cited = self._citation(found)
            if isinstance(cited, str):
                wrong.append(cited)
                return ""
            citations[cited] = None
            return f"[{cited}]"

        def unlinked(found: re.Match[str]) -> str:
            return found[0] if found[0] in self._text else "(link left out)"

        text = _CITED.sub(replaced, _URL.sub(unlinked, reply.strip()))
        complaint = ""
        if wrong:
            complaint = f"{wrong[0]}; name lines of the passages, like [{self._shown[0]}]"
        elif not citations:
            complaint = f"the answer names no lines: put them after each statement, like [{self._shown[0]}]"
        if complaint and (not self._told or not citations):
            self._told = True
            raise ReplyRefused("unmatched", complaint)
        notes += [f"A citation was left out: {one_line(one, 160)}." for one in wrong[:5]]
        return Answer(printable(text), tuple(citations), notes=tuple(notes))

    def _paths(self, written: str) -> list[str]:
        paths = dict.fromkeys(place.path for place in self._shown)
        exact = [path for path in paths if path == written.removeprefix("./")]
        return exact or [path for path in paths if path.endswith(f"/{written}")]

    def _citation(self, found: re.Match[str]) -> Citation | str:
        """Return the citation that is meant, or in a few words what is wrong with it."""
        paths = self._paths(found["path"])
        if len(paths) != 1:
            return f"{found['path']} is {'not' if not paths else 'more than one'} among the passages"
        first = int(found["first"])
        last = max(first, int(found["last"] or first))
        for place in self._shown:
            if place.path == paths[0] and place.first <= first <= place.last:
                return Citation(place.path, first, min(last, place.last), place.symbol)
        return f"line {first} of {paths[0]} is not among the passages"
