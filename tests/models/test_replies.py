from __future__ import annotations

import pytest

from agents.errors import EditError
from agents.replies import Changes, Draft, ReplyRefused, TreeTexts, applied, edits_between, read_changes
from agents.results import Edit, NewFile
from benchmarks.agents.fuzz_replies import fuzz
from sandbox.tree import Entry, Tree

SHOP = """import math


class Cart:
    def total(self):
        result = 0
        for item in self.items:
            result += item.price
        return result

    def count(self):
        result = 0
        for item in self.items:
            result += 1
        return result


def tax(amount):
    return amount * 0.2
"""
FILES = {"src/shop.py": SHOP, "src/other.py": "X = 1\n", "lib/other.py": "X = 2\n", "README.md": "# Shop\n"}


def block(path: str, search: str, replace: str) -> str:
    return f"{path}\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"


def shop(reply: str, **more: str) -> str:
    return applied(SHOP, read_changes(reply, FILES, **more), "src/shop.py")  # type: ignore[arg-type]


def refused(reply: str, files: dict[str, str] | None = None, **more: str) -> ReplyRefused:
    with pytest.raises(ReplyRefused) as caught:
        read_changes(reply, files or FILES, **more)  # type: ignore[arg-type]
    return caught.value


TAX = block("src/shop.py", "    return amount * 0.2\n", "    return amount * 0.19\n")


@pytest.mark.parametrize(
    "reply",
    [
        TAX,
        f"The rate is wrong.\n\n```python\n{TAX}```\nDone.",
        TAX.replace("src/shop.py", "**src/shop.py**"),
        TAX.replace("src/shop.py", "### File: `src/shop.py`"),
        TAX.replace("src/shop.py", "In `src/shop.py`, the rate:"),
        TAX.replace("src/shop.py", "shop.py"),
        TAX.replace("src/shop.py", "./src/shop.py:"),
        TAX.replace("src/shop.py\n", "src/shop.py\n\n```python\n") + "```",
        TAX.replace("src/shop.py\n", "```python src/shop.py\n") + "```",
        TAX.replace("src/shop.py\n", "").replace("SEARCH", "SEARCH src/shop.py"),
        TAX.replace("\n", "\r\n"),
        TAX.replace("    return amount", "return amount"),
        TAX.replace("    return amount", "\t    return amount").replace("0.2\n", "0.2   \n"),
        TAX.replace("<<<<<<<", "<<<<<").replace(">>>>>>>", ">>>>>>>>"),
    ],
)
def test_search_blocks_in_many_dresses(reply: str) -> None:
    assert shop(reply) == SHOP.replace("0.2", "0.19")


def test_a_block_without_a_path_means_the_file_at_hand_or_the_one_before() -> None:
    bare = TAX.removeprefix("src/shop.py\n")
    assert shop(bare, path="src/shop.py") == SHOP.replace("0.2", "0.19")
    assert refused(bare).reason == "unknown path"
    both = block("src/shop.py", "import math\n", "") + bare
    assert shop(both) == SHOP.replace("import math\n", "").replace("0.2", "0.19")


def test_whitespace_tolerance_keeps_to_one_shift_which_the_replacement_follows() -> None:
    search = "for item in self.items:\n    result += item.price\n"
    replace = "for item in self.items:\n    if item.price:\n        result += item.price\n\n"
    wanted = SHOP.replace(
        "            result += item.price\n", "            if item.price:\n                result += item.price\n\n"
    )
    assert shop(block("src/shop.py", search, replace)) == wanted
    crooked = "for item in self.items:\n      result += item.price\n"
    assert refused(block("src/shop.py", crooked, replace)).reason == "unmatched"
    outdented = block(
        "src/shop.py",
        "            def tax(amount):\n                return amount * 0.2\n",
        "def tax(a):\n    return a\n",
    )
    assert refused(outdented).reason == "unmatched"


def test_a_text_of_several_lines_is_not_shifted_with_the_code() -> None:
    replace = 'return """a\nb"""\n'
    assert refused(block("src/shop.py", "return amount * 0.2\n", replace)).reason == "unmatched"
    exact = block("src/shop.py", "    return amount * 0.2\n", '    return """a\nb"""\n')
    assert shop(exact).endswith('    return """a\nb"""\n')


def test_ambiguous_and_unmatched_places_are_told_so_that_the_model_can_do_better() -> None:
    error = refused(block("src/shop.py", "        result = 0\n", "        result = 1\n"))
    assert error.reason == "ambiguous"
    assert "stand in 2 places (lines 6, 12)" in str(error)
    error = refused(block("src/shop.py", "    return amount * 0.3\n", "    return 1\n"))
    assert error.reason == "unmatched"
    assert "nearest are these, from line 19:\n    return amount * 0.2" in str(error)
    assert "exactly" in str(refused(block("src/shop.py", "something else\n", "x\n")))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (TAX.replace("=======\n", ""), "malformed"),
        (TAX.replace("=======\n", "=======\n=======\n"), "ambiguous"),
        (TAX.replace(">>>>>>> REPLACE\n", ""), "cut off"),
        (TAX.replace(">>>>>>> REPLACE\n", "<<<<<<< SEARCH\n"), "malformed"),
        (TAX.replace("<<<<<<< SEARCH\n", ""), "malformed"),
        (TAX.replace("src/shop.py", "src/nowhere.py"), "unknown path"),
        (TAX.replace("src/shop.py", "src/shpo.py"), "unknown path"),
        (TAX.replace("src/shop.py", "other.py"), "ambiguous"),
        (TAX.replace("0.19", "0.2"), "no change"),
        (TAX.replace("return amount * 0.19", "return (amount"), "unparsable"),
        (TAX.replace("return amount * 0.19", "# ... rest of the function"), "elided"),
        (TAX.replace("    return amount * 0.19", "    # existing code remains unchanged\n    return 1"), "elided"),
        (TAX.replace("    return amount * 0.19", "    ...\n    return 1"), "elided"),
        (TAX.replace("return amount * 0.19", "return '\0'"), "unparsable"),
        (block("src/shop.py", "", "x = 1\n"), "ambiguous"),
        (block("src/new.py", "", "\n"), "no change"),
        (block("shop.py", "", "x = 1\n"), "ambiguous"),
        (block("src/shop.py/new.py", "", "x = 1\n"), "unknown path"),
        (block(".git/config.py", "", "x = 1\n"), "unknown path"),
        (TAX + "--- a/src/shop.py\n+++ b/src/shop.py\n@@ -1 +1 @@\n-import math\n+import os\n", "malformed"),
        ("I would change the rate.", "no edit"),
        ("", "no edit"),
        ("x" * 2_000_001, "malformed"),
    ],
)
def test_what_is_uncertain_is_refused(reply: str, reason: str) -> None:
    assert refused(reply).reason == reason


def test_files_are_created_where_nothing_is() -> None:
    changes = read_changes(block("src/new.py", "", "y = 1\n"), FILES)
    assert changes == Changes(created=(NewFile("src/new.py", "y = 1\n"),))
    emptied = read_changes(block("src/empty.py", "", "y = 1\n"), {"src/empty.py": "\n"})
    assert [edit.path for edit in emptied.edits] == ["src/empty.py"]


def test_line_ends_and_a_missing_last_one_are_kept() -> None:
    text = "a = 1\r\nb = 2\r\nc = 3"
    changes = read_changes(block("a.py", "b = 2\nc = 3\n", "b = 5\nc = 6\nd = 7\n"), {"a.py": text})
    assert applied(text, changes, "a.py") == "a = 1\r\nb = 5\r\nc = 6\r\nd = 7"
    deleted = read_changes(block("a.py", "b = 2\nc = 3\n", ""), {"a.py": text})
    assert applied(text, deleted, "a.py") == "a = 1\r\n"


DIFF = """--- a/src/shop.py
+++ b/src/shop.py
@@ -18,2 +18,2 @@
 def tax(amount):
-    return amount * 0.2
+    return amount * 0.19
"""


@pytest.mark.parametrize(
    "reply",
    [
        DIFF,
        f"Here:\n```diff\n{DIFF}```\nThe rate was wrong.\n- really\n",
        f"diff --git a/src/shop.py b/src/shop.py\nindex 123abc..456def 100644\n{DIFF}",
        DIFF.replace("-18,2 +18,2", "-1,9 +7,3"),
        DIFF.replace("@@ -18,2 +18,2 @@", "@@ ... @@"),
        DIFF.replace("@@ -18,2 +18,2 @@", "@@ -18,2 +18,2 @@ class Cart:"),
        DIFF.replace("@@ -18,2 +18,2 @@", "@@"),
        DIFF.replace(" def tax", "\n\n def tax"),
        DIFF + "\\ No newline at end of file\n",
        DIFF + "\n\nThat is all.\n",
        DIFF.replace("\n", "\r\n"),
        DIFF.replace("a/src", "src").replace("b/src", "src"),
    ],
)
def test_diffs_in_many_dresses(reply: str) -> None:
    assert shop(reply) == SHOP.replace("0.2", "0.19")


def test_hunks_alone_are_for_the_file_at_hand() -> None:
    hunks = DIFF.split("\n", 2)[2]
    assert shop(hunks, path="src/shop.py") == SHOP.replace("0.2", "0.19")
    assert refused(hunks).reason == "unknown path"


def test_the_line_decides_among_equal_places_only_where_the_hunk_is_sound() -> None:
    body = "-        result = 0\n+        result = 5\n         for item in self.items:\n"
    hunk = f"--- a/src/shop.py\n+++ b/src/shop.py\n@@ -12,2 +12,2 @@\n{body}"
    assert shop(hunk).splitlines()[11] == "        result = 5"
    assert refused(hunk.replace("-12,2", "-13,2")).reason == "ambiguous"
    assert refused(hunk.replace("-12,2", "-12,3")).reason == "ambiguous"


def test_added_lines_without_context_need_an_exact_head() -> None:
    added = "--- a/src/other.py\n+++ b/src/other.py\n@@ -1,0 +2,1 @@\n+Y = 3\n"
    changes = read_changes(added, FILES)
    assert applied("X = 1\n", changes, "src/other.py") == "X = 1\nY = 3\n"
    assert refused(added.replace("+2,1", "+2,2")).reason == "ambiguous"
    open_end = {"src/other.py": "X = 1"}
    assert refused(added, open_end).reason == "unmatched"
    replaced = "--- a/src/other.py\n+++ b/src/other.py\n@@ -1 +1 @@\n-X = 1\n+X = 2\n"
    assert applied("X = 1", read_changes(replaced, open_end), "src/other.py") == "X = 2"


def test_diffs_create_and_delete() -> None:
    created = read_changes("--- /dev/null\n+++ b/src/new.py\n@@ -0,0 +1,2 @@\n+a = 1\n+b = 2\n\n", FILES)
    assert created.created == (NewFile("src/new.py", "a = 1\nb = 2\n"),)
    deleted = read_changes("--- a/src/other.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-X = 1\n", FILES)
    assert deleted.deleted == ("src/other.py",)
    assert deleted.paths == ("src/other.py",)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (DIFF.replace(" def tax(amount):", " def tax(total):"), "unmatched"),
        (DIFF.replace("b/src/shop.py", "b/src/renamed.py"), "malformed"),
        (DIFF.replace("@@ -18,2 +18,2 @@\n", ""), "malformed"),
        (DIFF.replace("@@ -18,2 +18,2 @@", "@@ -18,2 +18"), "malformed"),
        (DIFF.replace(" def tax(amount):\n", "def tax(amount):\n"), "malformed"),
        (DIFF + "+++ b/src/shop.py\n", "malformed"),
        (DIFF + "\n+    more = 1\n", "malformed"),
        (DIFF + "rename from a\n", "malformed"),
        ("--- /dev/null\n+++ b/src/shop.py\n@@ -0,0 +1 @@\n+a = 1\n", "ambiguous"),
        ("--- /dev/null\n+++ b/src/new.py\n@@ -0,0 +1 @@\n a = 1\n", "malformed"),
        ("--- a/src/shop.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-import math\n", "unmatched"),
        ("--- a/src/shop.py\n+++ b/src/shop.py\n", "malformed"),
    ],
)
def test_diffs_that_do_not_fit_exactly_are_refused(reply: str, reason: str) -> None:
    assert refused(reply).reason == reason


def test_a_removed_line_of_dashes_is_no_head() -> None:
    files = {"a.sql": "-- one\nSELECT 1\n"}
    reply = "--- a/a.sql\n+++ b/a.sql\n@@ -1,2 +1,2 @@\n--- one\n+++ two\n SELECT 1\n"
    assert applied(files["a.sql"], read_changes(reply, files), "a.sql") == "++ two\nSELECT 1\n"


def test_fences_in_a_file_are_no_fences_of_the_reply() -> None:
    files = {"a.md": "# A\n\n```\nold\n```\nend\n"}
    body = "--- a/a.md\n+++ b/a.md\n@@ -2,5 +2,5 @@\n \n ```\n-old\n+new\n ```\n-end\n+END\n"
    for reply in (body, f"```diff\n{body}```\n"):
        assert applied(files["a.md"], read_changes(reply, files), "a.md") == "# A\n\n```\nnew\n```\nEND\n"
    assert refused(f"```diff\n{body}", files).reason == "cut off"
    again = body.replace("--- a/a.md\n+++ b/a.md\n", "- a/a.md\n+ b/a.md\n")
    assert refused(f"```diff\n{body}```\n```diff\n{again}```\n", files).reason == "malformed"


def test_an_empty_last_line_is_there() -> None:
    files = {"a.py": "a = 1\nb = 2"}
    diff = "--- a/a.py\n+++ b/a.py\n@@ -2 +2 @@\n-b = 2\n+\n"
    assert applied(files["a.py"], read_changes(diff, files), "a.py") == "a = 1\n\n"
    assert applied(files["a.py"], read_changes(block("a.py", "b = 2\n", "\n"), files), "a.py") == "a = 1\n\n"


def test_words_behind_a_fence_are_no_paths() -> None:
    for info in ("text/plain", "pytho\\n", "python"):
        assert refused(f"```{info}\nX = 1\n```").reason == "unknown path"


COUNT = """    def count(self):
        return len(self.items)
"""


@pytest.mark.parametrize(
    "code",
    [
        COUNT,
        "def count(self):\n    return len(self.items)\n",
        "class Cart:\n" + COUNT,
        "import math\n\n\nclass Cart:\n" + COUNT,
        'class Cart:\n    """Doc."""\n\n    def total(self):\n        result = 0\n        for item in self.items:\n'
        "            result += item.price\n        return result\n\n" + COUNT,
    ],
    ids=["indented", "plain", "in its class", "with a known import", "with a known neighbour"],
)
def test_a_whole_function_replaces_its_namesake(code: str) -> None:
    reply = f"I count them:\n```python\n{code}```\nRun it:\n```bash\npytest\n```\n"
    head, _, tail = SHOP.partition("    def count(self):\n")
    wanted = head + COUNT + "\n\n" + tail.partition("\n\n\n")[2]
    assert shop(reply, path="src/shop.py", function="Cart.count") == wanted


def test_new_imports_of_a_function_are_added_and_decorators_come_along() -> None:
    code = "import functools\nfrom os import path\n\n\n@functools.cache\ndef tax(amount):\n    return 1\n"
    result = shop(f"```\n{code}```", path="src/shop.py", function="tax")
    assert result.startswith("import math\nimport functools\nfrom os import path\n\n\nclass Cart")
    assert result.endswith("@functools.cache\ndef tax(amount):\n    return 1\n")
    bare = shop(code, path="src/shop.py", function="tax")
    assert bare == result


def test_strings_keep_their_indentation_when_a_function_is_moved_in() -> None:
    doc = '    """Count.\n\n    Long.\n    """\n'
    code = f'def count(self):\n{doc}    text = f"""a\n  b {{1}}\n"""\n    # done\n    return text'
    result = shop(f"```py\n{code}\n```", path="src/shop.py", function="Cart.count")
    assert (
        '        """Count.\n\n        Long.\n        """\n        text = f"""a\n  b {1}\n"""\n        # done\n'
        in result
    )
    hanging = '    def tax(amount):\n        """Tax.\n  Long.\n        """\n        return (1 +\n 2)\n'
    result = shop(f"```py\n{hanging}```", path="src/shop.py", function="tax")
    assert result.endswith('def tax(amount):\n    """Tax.\n  Long.\n        """\n    return (1 +\n2)\n')


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("no code", "no edit"),
        ("```bash\nls\n```", "no edit"),
        ("```python\ndef other():\n    pass\n```", "unmatched"),
        ("```python\ndef tax(a):\n    pass\n```\n```python\ndef tax(a):\n    pass\n```", "ambiguous"),
        ("```python\ndef tax(a):\n    pass\n\n\ndef tax(b):\n    pass\n```", "ambiguous"),
        ("```python\ndef tax(a):\n    pass\n\n\ndef helper():\n    pass\n```", "malformed"),
        ("```python\nfrom __future__ import annotations\ndef tax(a):\n    pass\n```", "malformed"),
        ("```python\ndef tax(a:\n    pass\n```", "unparsable"),
        ("```python\ndef tax(a):\n    pass\n", "cut off"),
        ("```python\nclass X:\n    def tax(a):\n        pass\n```", "unmatched"),
    ],
)
def test_functions_that_are_not_certain_are_refused(reply: str, reason: str) -> None:
    assert refused(reply, path="src/shop.py", function="tax").reason == reason


def test_functions_need_a_file_that_parses_and_holds_them_once() -> None:
    twice = {"a.py": "if 1:\n    def f(): return 1\nelse:\n    def f(): return 2\n"}
    reply = "```\ndef f():\n    return 3\n```"
    assert refused(reply, twice, path="a.py", function="f").reason == "ambiguous"
    assert refused(reply, {"a.py": "def f(:\n"}, path="a.py", function="f").reason == "unparsable"
    assert refused(reply, {"a.py": "def f(): pass\r\nx = 1\n"}, path="a.py", function="f").reason == "ambiguous"


def test_nested_functions_are_named_like_python_names_them() -> None:
    files = {"a.py": "def f():\n    def g():\n        return 1\n    return g()\n"}
    changes = read_changes("```\ndef g():\n    return 2\n```", files, path="a.py", function="f.<locals>.g")
    assert applied(files["a.py"], changes, "a.py") == files["a.py"].replace("1", "2")


@pytest.mark.parametrize(
    "label",
    [
        "src/other.py\n```python",
        "```python src/other.py",
        "```python:src/other.py",
        "**`src/other.py`**\n\n```py",
        "```\n# src/other.py",
    ],
)
def test_whole_files(label: str) -> None:
    changes = read_changes(f"Here it is.\n{label}\nX = 9\n```\n", FILES)
    result = applied("X = 1\n", changes, "src/other.py")
    assert result.splitlines()[-1] == "X = 9"


def test_several_files_and_new_ones_at_once() -> None:
    reply = "src/other.py\n```\nX = 5\n```\nsrc/new/mod.py\n```\nY = 6\n```\n"
    changes = read_changes(reply, FILES)
    assert changes.paths == ("src/new/mod.py", "src/other.py")
    assert shop("```\nimport os\n```", path="src/shop.py") == "import os\n"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("```\nX = 1\n```\n```\nY = 1\n```", "unknown path"),
        ("other.py\n```\nX = 5\n```", "ambiguous"),
        ("src/other.py\n```\nX = 5\n```\nsrc/other.py\n```\nX = 6\n```", "ambiguous"),
        ("src/other.py\n```\n\n```", "no edit"),
        ("README.md\n```\n# Shop\n```", "ambiguous"),
        ("src/other.py\n```\nX = 5\n# ... remaining code unchanged\n```", "elided"),
        ("src/other.py\n```\nX = (\n```", "unparsable"),
        ("src/other.py\n````\nX = '''\n```\n'''\n````", "ambiguous"),
    ],
)
def test_files_that_are_not_certain_are_refused(reply: str, reason: str) -> None:
    assert refused(reply).reason == reason


def test_stubs_and_abstract_methods_may_hold_dots() -> None:
    code = 'class P:\n    def f(self):\n        ...\n\n    def g(self):\n        """Doc."""\n        ...\n'
    assert read_changes(f"src/new.py\n```\n{code}```", FILES).created


def test_changes_are_applied_to_trees() -> None:
    tree = Tree(
        {"src/shop.py": Entry(SHOP.encode(), executable=True), "old.py": Entry(b"x = 1\n"), "b.bin": Entry(b"\xff")}
    )
    reply = (
        "--- a/old.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x = 1\n--- /dev/null\n+++ b/new.py\n@@ -0,0 +1 @@\n+y = 1\n"
        + DIFF
    )
    texts = TreeTexts(tree)
    assert set(texts) == {"src/shop.py", "old.py"}
    assert len(texts) == 2
    assert "b.bin" not in texts
    with pytest.raises(KeyError):
        texts["b.bin"]
    changes = read_changes(reply, texts)
    after = changes.apply(tree)
    assert after["src/shop.py"] == Entry(SHOP.replace("0.2", "0.19").encode(), executable=True)
    assert set(after) == {"src/shop.py", "new.py", "b.bin"}
    with pytest.raises(EditError, match="there already"):
        changes.apply(after)
    with pytest.raises(EditError, match="not there"):
        Changes(deleted=("nothing.py",)).apply(after)


def test_edits_are_small_and_whole_lines() -> None:
    before, after = "a\nb\nc\nd\ne\n", "a\nB\nc\nd\nE\ne\n"
    assert edits_between("p", before, after) == [Edit("p", 2, 4, "B\n"), Edit("p", 8, 8, "E\n")]
    big = "".join(f"{n}\n" for n in range(2500))
    other = "".join(f"{n}x\n" for n in range(2500))
    assert edits_between("p", big, other) == [Edit("p", 0, len(big), other)]


def test_a_draft_lists_paths_by_another_way_where_texts_are_dear() -> None:
    draft = Draft({"a/b.py": "x\n"}, lambda: iter(["a/b.py", "c/d.py"]))
    assert draft.likely("d.py") == ["c/d.py"]
    draft.write("a/b.py", None)
    assert draft.text("a/b.py") is None
    assert draft.changes().deleted == ("a/b.py",)


def test_damaged_replies_are_refused_or_done_exactly() -> None:
    tally = fuzz(1200, 11)
    assert tally.wrong == []
    assert min(tally.applied[form] for form in ("search", "diff", "function", "file", "tool", "native")) > 10
