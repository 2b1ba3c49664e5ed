"""Definitions and imports of languages that tree-sitter has grammars for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from agents.context.facts import RawSymbol

if TYPE_CHECKING:
    from tree_sitter import Node

    _Matches = Sequence[tuple[int, Mapping[str, list[Node]]]]

_MOST = 50_000
"""Definitions of one file."""
_CALLED = re.compile(r"""\b(?:require|import)\(\s*["'`]([^"'`\n]{1,300})["'`]\s*\)""")
_SCRIPT = """
(function_declaration name: (_) @name) @function
(generator_function_declaration name: (_) @name) @function
(class_declaration name: (_) @name) @class
(method_definition name: (_) @name) @method
(variable_declarator name: (identifier) @name value: [(arrow_function) (function_expression)]) @function
(variable_declarator name: (identifier) @name) @variable
(assignment_expression left: (member_expression property: (property_identifier) @name)
  right: [(arrow_function) (function_expression)]) @function
(import_statement source: (string) @import)
(export_statement source: (string) @import)
"""
_TYPED = """
(abstract_class_declaration name: (_) @name) @class
(interface_declaration name: (_) @name) @interface
(enum_declaration name: (_) @name) @enum
(type_alias_declaration name: (_) @name) @type
(internal_module name: (_) @name) @module
(method_signature name: (_) @name) @method
(abstract_method_signature name: (_) @name) @method
(function_signature name: (_) @name) @function
(public_field_definition name: (_) @name) @variable
"""
_GO = """
(function_declaration name: (_) @name) @function
(method_declaration receiver: (_) @receiver name: (_) @name) @method
(type_spec name: (_) @name type: (struct_type)) @class
(type_spec name: (_) @name type: (interface_type)) @interface
(type_spec name: (_) @name) @type
(const_spec (identifier) @name) @constant
(var_spec (identifier) @name) @variable
(import_spec path: (_) @import)
"""
_JAVA = """
(class_declaration name: (_) @name) @class
(record_declaration name: (_) @name) @class
(interface_declaration name: (_) @name) @interface
(annotation_type_declaration name: (_) @name) @interface
(enum_declaration name: (_) @name) @enum
(method_declaration name: (_) @name) @method
(constructor_declaration name: (_) @name) @method
(field_declaration declarator: (variable_declarator name: (_) @name)) @variable
(import_declaration) @import
"""
_RUST = """
(function_item name: (_) @name) @function
(function_signature_item name: (_) @name) @function
(struct_item name: (_) @name) @class
(union_item name: (_) @name) @class
(enum_item name: (_) @name) @enum
(trait_item name: (_) @name) @interface
(type_item name: (_) @name) @type
(const_item name: (_) @name) @constant
(static_item name: (_) @name) @constant
(macro_definition name: (_) @name) @function
(mod_item name: (_) @name body: (_)) @module
(mod_item name: (_) @import !body)
(impl_item type: (_) @name) @impl
(use_declaration argument: (_) @import)
"""
_SCRIPT_WORDS = (
    "break case catch class const continue debugger default delete do else export extends finally for function "
    "if import in instanceof new return super switch this throw try typeof var void while with yield let "
    "static async await of get set true false null undefined interface enum type implements private protected "
    "public readonly abstract namespace declare as is keyof number string boolean any unknown never "
)
_GO_WORDS = (
    "break case chan const continue default defer else fallthrough for func go goto if import interface map package "
    "range return select struct switch type var nil true false string int error bool byte"
)
_JAVA_WORDS = (
    "abstract assert boolean break byte case catch char class const continue default do double else enum extends final "
    "finally float for goto if implements import instanceof int interface long native new package private protected "
    "public return short static strictfp super switch synchronized this throw throws transient try void volatile while "
    "var record true false null"
)
_RUST_WORDS = (
    "as break const continue crate else enum extern false fn for if impl in let loop match mod move mut pub ref return "
    "self Self static struct super trait true type unsafe use where while async await dyn str u8 u16 u32 u64 usize i32 "
    "i64 bool"
)


@dataclass(frozen=True, slots=True)
class Grammar:
    """How one language is read."""

    read: Callable[[bytes], tuple[list[RawSymbol], list[str]]]
    """Source → symbols in order, and imports as written; source with errors is read as far as it can be."""
    reserved: frozenset[str]


@dataclass(slots=True)
class _Found:
    """A definition before it knows what encloses it."""

    kind: str
    name: str
    start: int
    end: int
    first: int
    line: int
    last: int
    owner: str = ""


@dataclass(slots=True)
class _Reader:
    """A parser with its compiled query; used by one thread at a time."""

    package: str
    query: str
    language: str = "language"
    called: bool = False
    """Whether imports are made by calls, too."""
    _ready: tuple[Callable[[bytes], Node], Callable[[Node], _Matches]] | None = field(default=None, init=False)

    def read(self, data: bytes) -> tuple[list[RawSymbol], list[str]]:
        if self._ready is None:
            self._ready = self._prepare()
        parse, matches = self._ready
        imports: list[str] = []
        found: dict[int, _Found] = {}
        for _, captures in matches(parse(data))[:_MOST]:
            imports += [name for node in captures.get("import", ()) for name in _imported(node)]
            definition = _definition(captures)
            # The first pattern that fits a name says what it is.
            if definition is not None:
                known = found.setdefault(captures["name"][0].start_byte, definition)
                if known.kind in {"variable", "type"}:
                    found[captures["name"][0].start_byte] = definition
        if self.called:
            imports += _CALLED.findall(data.decode("utf-8", "replace"))
        return list(_qualified(sorted(found.values(), key=lambda f: (f.start, -f.end)))), imports

    def _prepare(self) -> tuple[Callable[[bytes], Node], Callable[[Node], _Matches]]:
        from tree_sitter import Language, Parser, Query, QueryCursor

        language = Language(getattr(import_module(self.package), self.language)())
        parser, query = Parser(language), Query(language, self.query)
        return lambda data: parser.parse(data).root_node, lambda node: QueryCursor(query).matches(node)


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _definition(captures: Mapping[str, list[Node]]) -> _Found | None:
    names = captures.get("name")
    if not names:
        return None
    kind = next(k for k in captures if k not in {"name", "receiver", "import"})
    node, name = captures[kind][0], _text(names[0]).strip("\"'`#")
    whole = node
    while whole.parent is not None and whole.parent.type in {
        "lexical_declaration", "variable_declaration", "export_statement", "type_declaration", "const_declaration",
        "var_declaration", "expression_statement", "assignment_expression", "ambient_declaration",
    } and whole.parent.named_child_count <= 2:  # fmt: skip
        whole = whole.parent
    before = whole.prev_named_sibling
    first = whole.start_point.row + 1
    while before is not None and before.type in {"attribute_item", "decorator"} and before.end_point.row + 2 >= first:
        first = before.start_point.row + 1
        before = before.prev_named_sibling
    owner = ""
    if kind == "impl":
        name = re.split(r"[<\s]", name)[0].rpartition("::")[2]
    if kind == "variable" and name.isupper():
        kind = "constant"
    if "receiver" in captures:
        words = re.findall(r"\w+", re.sub(r"\[.*", "", _text(captures["receiver"][0])))
        owner = words[-1] if words else ""
    return _Found(kind, name[:200], node.start_byte, node.end_byte, first, names[0].start_point.row + 1,
                  whole.end_point.row + 1, owner)  # fmt: skip


def _qualified(found: list[_Found]) -> Iterator[RawSymbol]:
    """Yield symbols with the names of what encloses them; variables inside of functions are left out."""
    around: list[_Found] = []
    for one in found:
        while around and around[-1].end <= one.start:
            around.pop()
        inside = around[-1].kind if around else ""
        within = any(outer.kind in {"function", "method"} for outer in around)
        if one.kind in {"variable", "constant"}:
            if not within:
                yield (
                    one.name,
                    ".".join([*(o.name for o in around), one.name]),
                    one.kind,
                    one.first,
                    one.line,
                    one.last,
                )
            continue
        names = [*(outer.name for outer in around), *([one.owner] if one.owner else []), one.name]
        around.append(one)
        if one.kind == "impl":
            continue
        kind = "method" if one.kind == "function" and inside in {"impl", "class", "interface"} else one.kind
        yield (one.name, ".".join(names), kind, one.first, one.line, one.last)


def _imported(node: Node) -> list[str]:
    text = _text(node).strip().strip("\"'`")
    if node.type == "import_declaration":
        return [re.sub(r"^import\s+(?:static\s+)?|\s|;$", "", text)]
    if node.parent is not None and node.parent.type == "use_declaration":
        return list(_uses(re.sub(r"\s+", " ", text)))[:200]
    return [text]


def _uses(text: str, depth: int = 0) -> Iterator[str]:
    """Yield the paths of a Rust `use`, groups taken apart: `a::{b, c::d}` is `a::b` and `a::c::d`."""
    head, brace, rest = text.partition("{")
    if not brace or depth > 8:
        yield text.partition(" as ")[0].strip().removesuffix("::*")
        return
    level, start = 0, 0
    inner = rest[: rest.rfind("}")] if "}" in rest else rest
    for place, letter in enumerate(inner + ","):
        level += (letter == "{") - (letter == "}")
        if letter == "," and level == 0:
            piece = inner[start:place].strip()
            start = place + 1
            if piece:
                yield from _uses(head.strip() + ("" if piece == "self" else piece), depth + 1)


def _grammar(package: str, query: str, words: str, language: str = "language", called: bool = False) -> Grammar:
    return Grammar(_Reader(package, query, language, called).read, frozenset(words.split()))


GRAMMARS: dict[str, Callable[[], Grammar]] = {
    "javascript": partial(
        _grammar, "tree_sitter_javascript", _SCRIPT + "(field_definition property: (_) @name) @variable\n",
        _SCRIPT_WORDS, called=True,
    ),
    "typescript": partial(
        _grammar, "tree_sitter_typescript", _SCRIPT + _TYPED, _SCRIPT_WORDS, "language_typescript", called=True
    ),
    "tsx": partial(_grammar, "tree_sitter_typescript", _SCRIPT + _TYPED, _SCRIPT_WORDS, "language_tsx", called=True),
    "go": partial(_grammar, "tree_sitter_go", _GO, _GO_WORDS),
    "java": partial(_grammar, "tree_sitter_java", _JAVA, _JAVA_WORDS),
    "rust": partial(_grammar, "tree_sitter_rust", _RUST, _RUST_WORDS),
}  # fmt: skip
