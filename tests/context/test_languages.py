"""What is read out of each language, and out of files that are odd."""

from __future__ import annotations

import pytest

from agents.context.index import Index
from agents.context.reading import MOST_BYTES, read_bytes
from tests.context.trees import tree_of

JAVASCRIPT = """import { tax } from "./tax.js";
const path = require("./paths");
export const RATE = 3;

/** Don't count "sum" here. */
export class Basket extends Base {
  count = 0;
  constructor(items) { super(); this.items = items; }
  addItem(item) {
    const local = 1;
    return `${sumOf(item)} it's`;
  }
}

export const sumOf = (item) => {
  // sumOf in a comment, and an apostrophe: don't
  return item.price * RATE;
};

function* walk() { yield 1; }
exports.late = function () { return walk(); };
"""
TYPESCRIPT = """import type { Item } from '../model/item';
export * from './other';

export interface Shelf { size(): number; label: string }
export enum Colour { Red, Green }
export type Pair<T> = [T, T];
namespace Inner { export function deep(): void {} }
export abstract class Store<T> implements Shelf {
  private kept: T[] = [];
  @logged()
  size(): number { return this.kept.length; }
  abstract open(): void;
}
export default function main(store: Store<Item>): Colour { return Colour.Red; }
"""
GO = """package shop

import (
	"fmt"
	"example.com/shop/prices"
)

const Limit, Other = 3, 4

var known map[string]int

type Basket struct {
	lines []string
}

type Keeper interface {
	Has(name string) bool
}

type Name string

func New() *Basket { return &Basket{} }

func (b *Basket) Add(name string, keeper Keeper) error {
	inner := func() bool { return keeper.Has(name) }
	if !inner() {
		return fmt.Errorf("Add: %s", name)
	}
	return nil
}

func (s *Stack[T]) Push(item T) { prices.Of(item) }
"""
JAVA = """package shop;

import java.util.List;
import static shop.prices.Prices.of;
import shop.stock.*;

public class Basket extends Base {
    private static final int LIMIT = 3;
    private List<String> lines;

    public Basket(Keeper keeper) { this.lines = null; }

    @Override
    public int total(int discount) {
        int local = of("tea");
        return local;
    }

    interface Keeper { boolean has(String name); }
    enum Colour { RED, GREEN }
    record Line(String name, int count) {}
}
"""
RUST = """use crate::prices::{self, price_of, Table as T};
use std::collections::HashMap;
mod stock;

pub const LIMIT: usize = 3;

#[derive(Debug)]
pub struct Basket<'a> {
    lines: Vec<&'a str>,
}

pub enum Colour { Red }

pub trait Keeper {
    fn has(&self, name: &str) -> bool;
}

impl<'a> Basket<'a> {
    /// Adds 'one'.
    #[inline]
    pub fn add(&mut self, name: &'a str) { price_of(name); }
}

impl fmt::Display for Colour {
    fn fmt(&self) {}
}

mod inner {
    pub fn deep() {}
}

macro_rules! shout { () => {} }
"""


def index_of(**files: str) -> Index:
    return Index.build(tree_of({path.replace("__", "/").replace("_dot_", "."): text for path, text in files.items()}))


def kinds(index: Index) -> dict[str, str]:
    return {qualified: kind for _, _, qualified, kind, _ in index.all_symbols()}


def test_javascript() -> None:
    index = index_of(a__cart_dot_js=JAVASCRIPT, a__tax_dot_js="export const tax = 1;\n", a__paths__index_dot_js="1;\n")
    assert kinds(index) == {
        "RATE": "constant", "Basket": "class", "Basket.count": "variable", "Basket.constructor": "method",
        "Basket.addItem": "method", "sumOf": "function", "walk": "function", "late": "function", "path": "variable",
        "tax": "variable",
    }  # fmt: skip
    assert index.imports("a/cart.js") == ("a/tax.js", "a/paths/index.js")
    assert [r.line for r in index.references("sumOf")] == [11]
    assert index.symbols("add_item")[0].qualified == "Basket.addItem"
    (found,) = index.symbols("Basket.addItem")
    assert (found.first, found.last) == (9, 12)
    assert (index.symbols("sumOf")[0].first, index.symbols("sumOf")[0].last) == (15, 18)


def test_typescript() -> None:
    files = {"src/app/main.ts": TYPESCRIPT, "src/model/item.ts": "export interface Item {}\n",
             "src/app/other.tsx": "export const View = () => <p>it's {name}</p>;\n"}  # fmt: skip
    index = Index.build(tree_of(files))
    found = kinds(index)
    assert found == {
        "Shelf": "interface", "Shelf.size": "method", "Colour": "enum", "Pair": "type", "Inner": "module",
        "Inner.deep": "function", "Store": "class", "Store.kept": "variable", "Store.size": "method",
        "Store.open": "method", "main": "function", "Item": "interface", "View": "function",
    }  # fmt: skip
    assert index.imports("src/app/main.ts") == ("src/model/item.ts", "src/app/other.tsx")
    assert index.importers("src/model/item.ts") == ("src/app/main.ts",)
    (size,) = index.symbols("Store.size")
    assert (size.first, size.line) == (10, 11)


def test_go() -> None:
    index = Index.build(tree_of({"shop/basket.go": GO, "prices/of.go": "package prices\n\nfunc Of(a any) {}\n",
                                 "prices/of_test.go": "package prices\n"}))  # fmt: skip
    assert kinds(index) == {
        "Limit": "constant", "Other": "constant", "known": "variable", "Basket": "class", "Keeper": "interface",
        "Name": "type", "New": "function", "Basket.Add": "method", "Stack.Push": "method", "Of": "function",
    }  # fmt: skip
    assert index.imports("shop/basket.go") == ("prices/of.go",)
    assert [r.line for r in index.references("Add")] == []
    assert [r.line for r in index.references("Basket")] == [22, 24]


def test_java() -> None:
    files = {"src/shop/Basket.java": JAVA, "src/shop/prices/Prices.java": "package shop.prices;\nclass Prices {}\n"}
    index = Index.build(tree_of(files))
    found = kinds(index)
    assert found == {
        "Basket": "class", "Basket.LIMIT": "constant", "Basket.lines": "variable", "Basket.Basket": "method",
        "Basket.total": "method", "Basket.Keeper": "interface", "Basket.Keeper.has": "method",
        "Basket.Colour": "enum", "Basket.Line": "class", "Prices": "class",
    }  # fmt: skip
    assert "shop.stock.*" in index.imported_names("src/shop/Basket.java")
    assert index.imports("src/shop/Basket.java") == ("src/shop/prices/Prices.java",)


def test_rust() -> None:
    files = {"src/lib.rs": RUST, "src/prices.rs": "pub fn price_of(a: &str) {}\n", "src/stock/mod.rs": "fn a() {}\n"}
    index = Index.build(tree_of(files))
    found = kinds(index)
    assert found == {
        "LIMIT": "constant", "Basket": "class", "Colour": "enum", "Keeper": "interface", "Keeper.has": "method",
        "Basket.add": "method", "Colour.fmt": "method", "inner": "module", "inner.deep": "function",
        "shout": "function", "price_of": "function", "a": "function",
    }  # fmt: skip
    assert index.imports("src/lib.rs") == ("src/prices.rs", "src/stock/mod.rs")
    (add,) = index.symbols("Basket.add")
    assert index.line("src/lib.rs", add.first).strip() == "#[inline]"
    assert [r.line for r in index.references("price_of")] == [1, 21]


@pytest.mark.parametrize(("path", "text"), [
    ("a.py", "def whole():\n    pass\n\nclass C:\n    def m(self:\n        pass\n"),
    ("a.js", "function whole() {}\nclass C { m( {{{{\n"), ("a.ts", "function whole(): void {}\nclass C {{{\n"),
    ("a.go", "package a\nfunc whole() {}\nfunc (\n"), ("a.java", "class A { void whole() {} void ((( }\n"),
    ("a.rs", "fn whole() {}\nfn broken(((\n"),
])  # fmt: skip
def test_source_with_errors_is_read_as_far_as_it_can_be(path: str, text: str) -> None:
    index = Index.build(tree_of({path: text}))
    assert index.symbols("whole")[0].name == "whole"


@pytest.mark.parametrize(("path", "data", "why"), [
    ("a.py", b"x = 1\0\n", "binary"),
    ("a.py", b"\xff\xfe\x00a", "binary"),
    ("a.py", b"x = '\xe4'\n", "not UTF-8"),
    ("a.py", b"# -*- coding: latin-1 -*-\nx = '\xe4'\n", ""),
    ("a.py", b"", ""),
    ("a.py", b"\n\n\n", ""),
    ("a.py", b"\xef\xbb\xbfx = 1\r\n", ""),
    ("a.py", b"a" * (MOST_BYTES + 1), "large"),
    ("a.min.js", b"var a=1;" * 10_000, "minified"),
    ("a.py", b"x = [" + b"1, " * 20_000 + b"]\n", "minified"),
    ("a.py", b"(" * 5000, ""),
    ("a.py", b"if x:\n" + b"".join(b" " * n + b"if x:\n" for n in range(1, 150)), ""),
    ("a.py", b"x = " + b"-" * 15_000 + b"1\n", ""),
    ("a.js", b"(" * 15_000, ""),
    ("a.rs", b"fn f() {" * 2_000, ""),
    ("a.py", "def ünïcode():\n    pass\n".encode(), ""),
    ("picture.png", b"\x89PNG", "not source or text"),
    ("LICENSE", b"text", "not source or text"),
    ("deep.json", b"[" * 15_000, ""),
])  # fmt: skip
def test_odd_files_are_read_or_left_out_with_a_reason(path: str, data: bytes, why: str) -> None:
    assert read_bytes(path, data).skipped == why
    index = Index.build(tree_of({path: data, "good.py": b"def good(): pass\n"}))
    assert index.symbols("good")
    assert index.stats().skipped.get(why, 0) == bool(why)


def test_names_that_are_not_unicode_are_indexed() -> None:
    path = b"f\xff\xe9.py".decode("utf-8", "surrogateescape")
    index = Index.build(tree_of({path: "def odd_name():\n    return odd_name()\n"}))
    assert index.symbols("odd_name")[0].path == path
    assert index.references("odd_name")[0].path == path
    assert index.search("odd name")[0].path == path


def test_links_are_left_out() -> None:
    from sandbox.tree import Entry, Tree

    index = Index.build(Tree({"a.py": Entry(b"b.py", kind="symlink"), "b.py": Entry(b"b = 1\n")}))
    assert index.paths() == ("b.py",)
    assert index.stats().skipped == {"link": 1}


def test_python_imports_are_relative_to_their_package() -> None:
    files = {"src/pkg/__init__.py": "from .a import x\n", "src/pkg/a.py": "from . import b\nfrom .sub.c import y\n",
             "src/pkg/b.py": "from ..outside import z\nimport pkg.sub.c\n", "src/pkg/sub/__init__.py": "",
             "src/pkg/sub/c.py": "from ..a import x\nimport os\n", "examples/pkg/a.py": "x = 1\n"}  # fmt: skip
    index = Index.build(tree_of(files))
    assert index.imports("src/pkg/__init__.py") == ("src/pkg/a.py",)
    assert index.imports("src/pkg/a.py") == ("src/pkg/__init__.py", "src/pkg/b.py", "src/pkg/sub/c.py")
    assert index.imports("src/pkg/b.py") == ("src/pkg/sub/c.py",)
    assert index.imports("src/pkg/sub/c.py") == ("src/pkg/a.py",)
