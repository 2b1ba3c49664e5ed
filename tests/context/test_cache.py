"""The index's cache: what it saves, and that nothing in it can do harm."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agents.context.index import Index, Stopped
from agents.context.reading import read_file
from agents.context.workers import WORTH_BYTES, read_all
from sandbox.tree import Entry, Tree
from tests.context.trees import SHOP, tree_of

ROOT = Path(__file__).parents[2]
BIG = {**SHOP, **{f"pack/m{n}.py": f"def f{n}(a):\n    return f{n - 1}(a) + {n}\n" for n in range(60)}}


def everything(index: Index) -> list[object]:
    """What agents can see of it."""
    return [
        sorted(index.all_symbols()), index.mentions(), index.search("rounded tea enough article", 30),
        index.references("article"), index.outline(500), index.symbols("add_lines"),
        [(path, index.imports(path), index.importers(path), index.file_outline(path)) for path in index.paths()],
    ]  # fmt: skip


def changed(tree: Tree) -> Tree:
    text = BIG["shop/prices.py"].replace("discounted", "reduced") + "\n\ndef fresh():\n    return discounted\n"
    return tree.replaced({"shop/prices.py": Entry(text.encode()), "pack/m7.py": None, "new.py": Entry(b"x = 1\n")})


def test_a_tree_is_read_once(tmp_path: Path) -> None:
    first = Index.build(tree_of(BIG), cache=tmp_path)
    again = Index.build(tree_of(BIG), cache=tmp_path)
    assert (first.stats().cached_share, again.stats().cached_share) == (0.0, 1.0)
    assert again.stats().bytes_on_disk > 0
    assert everything(again) == everything(first) == everything(Index.build(tree_of(BIG)))


def test_a_refreshed_index_is_the_same_as_a_new_one(tmp_path: Path) -> None:
    old = Index.build(tree_of(BIG), cache=tmp_path)
    before = everything(old)
    tree = changed(old.tree)
    refreshed = Index.build(tree, cache=tmp_path)
    assert refreshed.stats().cached_share == pytest.approx(1 - 2 / len(tree))
    assert everything(refreshed) == everything(Index.build(tree))
    # Who still uses the old one is not disturbed.
    assert everything(old) == before


def test_the_cache_can_be_shared_by_repositories(tmp_path: Path) -> None:
    other = tree_of({"lib/thing.py": "def other_thing():\n    pass\n"})
    Index.build(tree_of(BIG), cache=tmp_path)
    assert Index.build(other, cache=tmp_path).paths() == ("lib/thing.py",)
    assert Index.build(tree_of(BIG), cache=tmp_path).stats().cached_share == 1.0


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "noise":
        path.write_bytes(os.urandom(len(data)))
    elif how == "cut":
        path.write_bytes(data[: len(data) // 3])
    elif how == "middle":
        path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    elif how == "foreign":
        path.unlink()
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE files (id, path, digest)")
        connection.close()
    elif how == "folder":
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize("how", ["empty", "noise", "cut", "middle", "foreign", "folder"])
@pytest.mark.parametrize("same", [True, False])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, how: str, same: bool) -> None:
    tree = tree_of(BIG)
    Index.build(tree, cache=tmp_path)
    (path,) = tmp_path.glob("*.sqlite")
    damage(path, how)
    tree = tree if same else changed(tree)
    index = Index.build(tree, cache=tmp_path)
    assert everything(index) == everything(Index.build(tree))


def test_one_wrong_byte_anywhere_is_noticed(tmp_path: Path) -> None:
    tree = tree_of(SHOP)
    Index.build(tree, cache=tmp_path)
    (path,) = tmp_path.glob("*.sqlite")
    data = path.read_bytes()
    for place in range(0, len(data), len(data) // 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert Index.build(tree, cache=tmp_path).stats().cached_share == 0.0
        assert path.read_bytes() == data


def test_damage_to_an_index_in_use_is_mended(tmp_path: Path) -> None:
    tree = tree_of(BIG)
    expected = everything(Index.build(tree))
    index = Index.build(tree, cache=tmp_path)
    (path,) = tmp_path.glob("*.sqlite")
    index._connection.execute("PRAGMA cache_size=0")
    with path.open("r+b") as file:
        file.truncate(8192)
    assert everything(index) == expected


@pytest.mark.parametrize("kind", ["file", "read only"])
def test_a_cache_that_cannot_be_written_is_only_slower(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "cache"
    if kind == "file":
        folder.write_text("not a folder")
    else:
        folder = Path("/proc/greendiff-index")
    index = Index.build(tree_of(SHOP), cache=folder)
    assert index.symbols("add_line")
    assert "not kept" in index.stats().notes[0]


def test_two_processes_build_at_the_same_time(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.context.trees import tree_of; "
        "from tests.context.test_cache import BIG; from agents.context.index import Index; "
        "i = Index.build(tree_of(BIG), cache=Path(sys.argv[1])); print(len(i.all_symbols()), i.search('tea')[0].path)"
    )
    argv = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {process.communicate(timeout=120)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(said) == 1
    assert [path.suffix for path in tmp_path.iterdir()] == [".sqlite"]


def test_it_can_be_stopped_and_leaves_nothing(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        Index.build(tree_of(BIG), cache=tmp_path, stop=stop)
    assert list(tmp_path.iterdir()) == []


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    tree = tree_of(SHOP)
    for number in range(16):
        Index.build(tree.replaced({"n.py": Entry(f"n = {number}\n".encode())}), cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 12
    shutil.rmtree(tmp_path)


def test_it_can_be_asked_from_many_threads() -> None:
    index = Index.build(tree_of(BIG))
    expected = everything(index)
    seen: list[list[object]] = []
    threads = [threading.Thread(target=lambda: seen.append(everything(index))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [expected] * 6


def test_children_read_the_same_as_this_process(tmp_path: Path) -> None:
    files = {f"m{n}.py": f"def f{n}(a):\n    return {n}\n" + "# padding\n" * 20_000 for n in range(40)}
    tree = tree_of({**SHOP, **files, "z.go": "package a\nfunc Z() {}\n"})
    assert sum(len(entry.data) for entry in tree.values()) > WORTH_BYTES
    assert [path for path, _ in read_all(tree, list(tree))] == list(tree)
    for path, facts in read_all(tree, list(tree)):
        assert facts == read_file(path, tree[path])


def test_children_that_end_early_only_cost_time() -> None:
    files = {f"m{n}.py": f"def f{n}(a):\n    return {n}\n" + "# padding\n" * 20_000 for n in range(40)}
    tree = tree_of(files)
    before = children()
    found: list[tuple[str, int]] = []
    for path, facts in read_all(tree, list(tree)):
        if len(found) == 3:
            for child in children() - before:
                os.kill(child, signal.SIGKILL)
        found.append((path, len(facts.symbols)))
    assert found == [(path, 1) for path in tree]
    assert children() <= before


def children() -> set[int]:
    """The processes that this one has started."""
    text = "".join(path.read_text() for path in Path("/proc/self/task").glob("*/children"))
    return {int(number) for number in text.split()}
