"""Recipes for arguments: by type hints, by use in the body, and by what was seen to get further."""

from __future__ import annotations

import collections.abc
import enum
import inspect
import random
import types
import typing
from typing import Any, Callable, Dict, List, Optional, Sequence

from .explore_recipes import Code, New, copied
from .explore_usage import Kinds
from .trial_inputs import Pool, vary

_UNION = getattr(types, "UnionType", None)
_BY_NAME: Dict[str, str] = {
    "date": "datetime.date(2024, 2, 29)", "datetime": "datetime.datetime(2024, 2, 29, 12, 30)",
    "timedelta": "datetime.timedelta(days=1, hours=2)", "time": "datetime.time(12, 30)",
    "Decimal": 'decimal.Decimal("1.50")', "Fraction": "fractions.Fraction(1, 3)", "UUID": "uuid.UUID(int=5)",
    "Path": 'pathlib.PurePosixPath("a/b.txt")', "PurePath": 'pathlib.PurePosixPath("a/b.txt")',
    "Pattern": 're.compile("a+")', "StringIO": 'io.StringIO("ab\\ncd\\n")', "TextIO": 'io.StringIO("ab\\ncd\\n")',
    "BytesIO": 'io.BytesIO(b"abc")', "BinaryIO": 'io.BytesIO(b"abc")', "IO": 'io.StringIO("ab\\ncd\\n")',
    "deque": "collections.deque([1, 2, 3])", "Counter": 'collections.Counter("abca")',
    "OrderedDict": 'collections.OrderedDict([("a", 1), ("b", 2)])', "complex": "(1 + 2j)", "Logger": "",
}  # fmt: skip
_ONE = ("lambda x: x", "lambda x: x % 2 == 0", "lambda x: x > 1", "str", "len", "lambda x: x * 2", "sum", "bool",
        "lambda x: None", "reversed", "lambda x: -x", "abs", "list", "lambda x: [x, x]")  # fmt: skip
_TWO = ("lambda x, y: x + y", "lambda x, y: x < y", "max", "lambda x, y: x - y", "lambda x, y: x == y")
_MORE = ("lambda *args: args[-1]", "lambda *args: args[-1] + 2", "lambda *args: len(args)", "lambda *args: args[0]")
TEXTS = ("", "a", "ab", "abc", "Hello World", "hello_world", "HelloWorld", "a-b c", "12", "x1", "  a  ", "A", "aa")
INTS = (0, 1, 2, 3, 5, 10, -1, 4, 7, 100)
UNKNOWN: Kinds = {"int": 1.0, "str": 1.0, "list": 1.0, "dict": 0.5, "float": 0.3, "tuple": 0.2, "None": 0.1}
KEYS = ("a", "b", "c", 1, 2, 3)


class Maker:
    """Makes recipes; shared by everything that is explored in one module."""

    def __init__(self, dice: random.Random, owned: Callable[[type], Optional[str]]) -> None:
        """`owned` names a class as tests would, where it is one that the module offers."""
        self.dice = dice
        self._owned = owned
        self.ints: List[int] = list(INTS)
        self.floats: List[float] = [0.0, 1.0, 0.5, -1.5, 2.25]
        self.texts: List[str] = list(TEXTS)
        self.favourites: List[str] = []
        """Texts that patterns of the module match, or that it compares with."""
        self.bytes: List[bytes] = [b"", b"a", b"abc", b"\x00\xff"]
        self.objects: Dict[str, List[Any]] = {}
        """Recipes of objects by class, as found to work."""
        self.signatures: Dict[str, Any] = {}
        """Parameter domains of the constructors of the module's classes."""
        self.small: List[Any] = []
        """Few values that a sequence of calls is made of, so that they meet; empty for no such limit."""
        self.options: List[str] = []
        """Words that begin with a hyphen, for command lines."""

    def learn(self, values: Sequence[Any], favour: bool = False) -> None:
        """Take constants of the code into the range of the plausible."""
        for value in values:
            if type(value) is int and abs(value) < 10**9:
                for near in (value, value + 1, value - 1):
                    if near not in self.ints and len(self.ints) < 300:
                        self.ints.append(near)
            elif type(value) is float and value not in self.floats and len(self.floats) < 100:
                self.floats.append(value)
            elif type(value) is str and len(value) <= 60:
                if value.startswith("-") and value.strip("-").isalnum() and value not in self.options:
                    self.options.append(value)
                if value not in self.texts and len(self.texts) < 600:
                    self.texts.append(value)
                if favour and value not in self.favourites and len(self.favourites) < 600:
                    self.favourites.append(value)
            elif type(value) is bytes and value not in self.bytes and len(self.bytes) < 100:
                self.bytes.append(value)

    def pool(self) -> Pool:
        """Return what variations draw on."""
        pool = Pool((), ())
        pool.ints, pool.floats = self.ints, self.floats
        pool.texts = [text for text in self.favourites or self.texts if text] or ["a"]
        pool.negative, pool.largest = True, 100
        return pool

    # By kind

    def of_kind(  # noqa: C901 - one case for each kind
        self, kind: str, depth: int = 2, arity: Optional[int] = None
    ) -> Any:
        """Return a fresh recipe of a kind that use in a body suggests."""
        dice = self.dice
        if kind in ("int", "str") and self.small and type(self.small[0]).__name__ == kind and dice.random() < 0.5:
            return dice.choice(self.small)
        if kind == "int":
            return dice.choice(self.ints if dice.random() < 0.7 else INTS)
        if kind == "float":
            return dice.choice(self.floats)
        if kind == "str":
            if self.favourites and dice.random() < 0.5:
                return dice.choice(self.favourites)
            return dice.choice(self.texts)
        if kind == "bytes":
            return dice.choice(self.bytes)
        if kind == "bool":
            return dice.random() < 0.5
        if kind == "None":
            return None
        if kind == "callable":
            return Code(self._lambda(arity))
        if kind.startswith("list of "):
            return [self.of_kind(kind[8:], 0) for _ in range(self._length())]
        if kind == "matrix":
            wide = dice.randint(1, 3)
            return [[dice.choice(INTS[:6]) for _ in range(wide)] for _ in range(dice.randint(0, 3))]
        if kind == "dict":
            return {self._key(): self._item(depth) for _ in range(self._length(3))}
        if kind in ("list", "tuple", "set"):
            if kind == "set" or dice.random() < 0.75 or not depth:
                inner = dice.choice(("int", "int", "str"))
                items = [self.of_kind(inner, 0) for _ in range(self._length())]
            else:
                inner = dice.choice(("list", "tuple", "dict", "pair"))
                items = [self._pair() if inner == "pair" else self.of_kind(inner, 0) for _ in range(self._length(3))]
            return set(items) if kind == "set" else tuple(items) if kind == "tuple" else items
        if kind in self.signatures:
            return self.instance(kind, depth)
        return self.of_kind(dice.choice(("int", "str", "list")), depth)

    def _pair(self) -> Any:
        return (self._key(), self.of_kind("int", 0))

    def _key(self) -> Any:
        return self.dice.choice(KEYS) if self.dice.random() < 0.8 else self.of_kind(self.dice.choice(("int", "str")), 0)

    def _item(self, depth: int) -> Any:
        if depth and self.dice.random() < 0.25:
            return self.of_kind(self.dice.choice(("list", "dict")), depth - 1)
        return self.of_kind(self.dice.choice(("int", "int", "str")), 0)

    def _length(self, most: int = 5) -> int:
        return self.dice.choice((0, 1, 2, 2, 3, 3, 4, most))

    def _lambda(self, arity: Optional[int]) -> str:
        if arity == 0:
            return self.dice.choice(("lambda: 0", "list", "dict", "itertools.count().__next__"))
        if arity is not None and arity > 2:
            return self.dice.choice(_MORE)
        return self.dice.choice(_TWO if arity == 2 else _ONE)

    def instance(self, name: str, depth: int = 2) -> Any:
        """Return a recipe for an object of one of the module's classes."""
        known = self.objects.get(name)
        if known and (depth <= 0 or self.dice.random() < 0.6):
            return copied(self.dice.choice(known))
        domains = self.signatures.get(name)
        if domains is None or depth < 0:
            return copied(self.dice.choice(known)) if known else None
        return New(name, *domains.arguments(depth - 1))

    # By hint

    def of_type(self, hint: Any, depth: int = 3) -> Any:
        """Return a fresh recipe for a type hint."""
        dice = self.dice
        if hint is None or hint is type(None):
            return None
        if hint in (int, float, str, bytes, bool):
            return self.of_kind(hint.__name__)
        if hint in (list, dict, tuple, set):
            return self.of_kind(hint.__name__, 1)
        if hint is frozenset:
            return frozenset(self.of_kind("set", 0))
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Union or (_UNION is not None and isinstance(hint, _UNION)):
            return self.of_type(dice.choice(args), depth)
        if origin is not None:
            return self._generic(origin, args, depth)
        if isinstance(hint, typing.TypeVar):
            if hint.__constraints__ or hint.__bound__:
                return self.of_type(dice.choice(hint.__constraints__ or (hint.__bound__,)), depth)
            return self.of_kind(dice.choice(("int", "str")))
        if hasattr(hint, "__supertype__"):
            return self.of_type(hint.__supertype__, depth)
        if isinstance(hint, typing.ForwardRef):
            hint = hint.__forward_arg__
        if isinstance(hint, str):
            return self.instance(hint, depth) if hint in self.signatures else self.of_kind(self._unknown())
        if isinstance(hint, type):
            return self._of_class(hint, depth)
        if getattr(hint, "__name__", "") == "Callable":
            return Code(self._lambda(None))
        return self.of_kind(self._unknown())

    def _unknown(self) -> str:
        return self.dice.choices(list(UNKNOWN), list(UNKNOWN.values()))[0]

    def _generic(self, origin: Any, args: Any, depth: int) -> Any:
        dice = self.dice
        if getattr(typing, "Literal", None) is origin:
            return dice.choice(args)
        if origin is collections.abc.Callable:
            takes = args[0] if args else ...
            return Code(self._lambda(len(takes) if isinstance(takes, (list, tuple)) else None))
        if getattr(typing, "ClassVar", None) is origin or str(origin).endswith(("Final", "Annotated")):
            return self.of_type(args[0], depth)
        if origin is type:
            name = self._owned(args[0]) if args and isinstance(args[0], type) else None
            return Code(str(name or getattr(args[0], "__name__", "int")) if args else "int")
        if origin is tuple:
            if len(args) == 2 and args[1] is ...:
                return tuple(self.of_type(args[0], depth - 1) for _ in range(self._length()))
            return tuple(self.of_type(arg, depth - 1) for arg in args)
        if not isinstance(origin, type):
            return self.of_kind(self._unknown())
        many = range(self._length() if depth > 0 else 1)
        if issubclass(origin, collections.abc.Mapping):
            made = {}
            for _ in many:
                key = self.of_type(args[0], depth - 1) if args else self._key()
                if isinstance(key, (int, float, str, bytes, tuple, Code, frozenset)):
                    made[key] = self.of_type(args[1], depth - 1) if len(args) > 1 else self._item(0)
            return New("collections.OrderedDict", (made,)) if origin.__name__ == "OrderedDict" else made
        if issubclass(origin, (set, frozenset, collections.abc.Set)):
            items = [self.of_type(args[0], 0) for _ in many] if args else []
            return {item for item in items if isinstance(item, (int, float, str, bytes, tuple, Code))}
        if issubclass(origin, collections.abc.Iterable):
            items = [self.of_type(args[0], depth - 1) for _ in many] if args else self.of_kind("list")
            if origin.__name__ == "deque":
                return New("collections.deque", (items,))
            return New("iter", (items,)) if issubclass(origin, collections.abc.Iterator) else items
        return self._of_class(origin, depth)

    def _of_class(self, hint: type, depth: int) -> Any:
        if issubclass(hint, enum.Enum) and len(hint):
            member = self.dice.choice(list(hint))
            return Code("%s.%s" % (self._owned(hint) or hint.__qualname__, member.name))
        name = self._owned(hint)
        if name is not None and name in self.signatures:
            return self.instance(name, depth)
        text = _BY_NAME.get(hint.__name__)
        if text:
            return Code(text)
        simple = {"SupportsInt": "int", "SupportsIndex": "int", "SupportsFloat": "float", "Number": "int",
                  "Hashable": "str", "Sized": "list", "Iterable": "list", "Sequence": "list", "Collection": "list",
                  "Mapping": "dict", "MutableMapping": "dict", "Real": "float", "Integral": "int",
                  "Container": "list", "Iterator": "list", "Callable": "callable"}  # fmt: skip
        if hint.__name__ in simple:
            return self.of_kind(simple[hint.__name__])
        if issubclass(hint, type):
            return Code("int")
        return self.of_kind(self._unknown())


class Domain:
    """Recipes for one parameter."""

    def __init__(self, maker: Maker, name: str, hint: Any, kinds: Kinds, arity: Optional[int]) -> None:
        self._maker = maker
        self.name = name
        self.hint = hint
        self._arity = arity
        self._weights = dict(kinds) if kinds else dict(UNKNOWN)
        if "list" in self._weights and "str" not in self._weights:
            self._weights.setdefault("tuple", 0.1)
        self._tries = dict.fromkeys(self._weights, 2.0)
        self._wins = dict.fromkeys(self._weights, 1.0)
        self.known: List[Any] = []
        """Recipes from calls that others wrote, and the parameter's default."""
        self._last = ""

    def fresh(self, depth: int = 2) -> Any:
        """Return a recipe."""
        dice = self._maker.dice
        self._last = ""
        if self.known and dice.random() < 0.3:
            return copied(dice.choice(self.known))
        if self.hint is not inspect.Parameter.empty and self.hint not in (typing.Any, object):
            if dice.random() < 0.04:
                # What a function does with something else than it asks for may be part of its contract.
                return self._maker.of_kind(dice.choice(("int", "str", "float", "list", "None")), 0)
            return self._maker.of_type(self.hint, depth)
        names = list(self._weights)
        scores = [self._weights[n] * self._wins[n] / self._tries[n] for n in names]
        self._last = dice.choices(names, scores)[0]
        return self._maker.of_kind(self._last, depth, self._arity)

    def judge(self, worked: bool) -> None:
        """Say whether the last fresh recipe, as far as it was chosen by kind, was taken."""
        if self._last:
            self._tries[self._last] += 1
            self._wins[self._last] += worked

    def other(self, recipe: Any) -> Any:
        """Return a variation of a recipe, or a fresh one."""
        dice = self._maker.dice
        if dice.random() < 0.35 or recipe is None:
            return self.fresh()
        return varied(recipe, self._maker)


def varied(recipe: Any, maker: Maker) -> Any:
    """Return a recipe of the same kind that differs in one place, as a rule."""
    dice = maker.dice
    if type(recipe) is New:
        if recipe.args and (not recipe.named or dice.random() < 0.7):
            at = dice.randrange(len(recipe.args))
            args = [*recipe.args[:at], varied(recipe.args[at], maker), *recipe.args[at + 1 :]]
            return New(recipe.name, tuple(args), recipe.named)
        if recipe.named:
            key = dice.choice(list(recipe.named))
            return New(recipe.name, recipe.args, dict(recipe.named, **{key: varied(recipe.named[key], maker)}))
        return recipe
    if type(recipe) is Code:
        return recipe
    return vary(copied(recipe), maker.pool(), dice)


class Domains:
    """Recipes for the arguments of one function."""

    def __init__(self, maker: Maker, parameters: Sequence[inspect.Parameter], domains: Sequence[Domain]) -> None:
        self._maker = maker
        self.parameters = list(parameters)
        self.domains = list(domains)
        self.calls: List[Any] = []
        """Argument lists (positional, named) from calls that others wrote."""

    def arguments(self, depth: int = 2) -> Any:
        """Return positional and named recipes of a fresh call."""
        dice = self._maker.dice
        if self.calls and dice.random() < 0.25:
            known = dice.choice(self.calls)
            return tuple(copied(list(known[0]))), copied(known[1])
        args: List[Any] = []
        named: Dict[str, Any] = {}
        skipping = False
        for parameter, domain in zip(self.parameters, self.domains):
            if parameter.kind is parameter.VAR_POSITIONAL:
                args += [domain.fresh(depth) for _ in range(0 if skipping else dice.choice((0, 1, 2, 2, 3)))]
            elif parameter.kind is parameter.VAR_KEYWORD:
                continue
            elif parameter.default is not parameter.empty and dice.random() < 0.5:
                skipping = True
            elif parameter.kind is parameter.KEYWORD_ONLY or (skipping and _by_name(parameter)):
                named[parameter.name] = domain.fresh(depth)
            elif not skipping:
                args.append(domain.fresh(depth))
        return tuple(args), named

    def other(self, args: Any, named: Dict[str, Any]) -> Any:
        """Return a variation of a call's arguments in one place or two."""
        dice = self._maker.dice
        args, named = list(args), dict(named)
        optional = [
            (p, d)
            for p, d in zip(self.parameters[len(args) :], self.domains[len(args) :])
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name not in named
        ]
        if optional and dice.random() < 0.15:
            parameter, domain = dice.choice(optional)
            named[parameter.name] = domain.fresh()
            return tuple(args), named
        for _ in range(dice.choice((1, 1, 1, 2, 2, 3))):
            places: List[Any] = [*range(len(args)), *named]
            if not places:
                return self.arguments()
            place = dice.choice(places)
            if isinstance(place, int):
                args[place] = self._domain(place).other(args[place])
            elif dice.random() < 0.2:
                del named[place]
            else:
                found = next((d for d in self.domains if d.name == place), None)
                named[place] = found.other(named[place]) if found else varied(named[place], self._maker)
        if dice.random() < 0.1 and self._variadic():
            args = args[:-1] if dice.random() < 0.5 and len(args) > self._fixed() else [*args, self.domains[-1].fresh()]
        return tuple(args), named

    def _domain(self, position: int) -> Domain:
        return self.domains[min(position, max(0, len(self.domains) - 1))]

    def _variadic(self) -> bool:
        return bool(self.parameters) and self.parameters[-1].kind is inspect.Parameter.VAR_POSITIONAL

    def _fixed(self) -> int:
        return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in self.parameters)

    def judge(self, worked: bool) -> None:
        """Say whether the last fresh arguments were taken."""
        for domain in self.domains:
            domain.judge(worked)


def _by_name(parameter: inspect.Parameter) -> bool:
    return parameter.kind is not parameter.POSITIONAL_ONLY
