"""The command line's words: every command with its options, and what is said where one is wrong."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from workflows.fleet_options import add_batch

EXIT_CODES = """\
exit codes:
  0    a verified diff (or: the command did what it says)
  1    no diff could be verified; the message says why, with the best evidence
  2    the command line, a setting or the request is wrong
  3    environment: no sandbox, not a repository, tests that cannot run, a full disk
  4    the budget of time, tokens or money was spent before anything was verified
  5    the request has to say more before it can be worked on; the message holds the questions
  70   an error in greendiff itself; the message names the log
  130  interrupted (143 when terminated); `greendiff resume RUN` goes on
"""

DESCRIPTION = "Software tasks in, verified git diffs out."

FIX_HELP = """\
In a Git repository with a failing test, find the bug, repair it, prove the repair in a fresh sandbox, and print the
diff. The diff alone goes to standard output, so that `greendiff fix | git apply` works; everything else goes to
standard error. The working tree is never touched without --apply. Uncommitted changes are part of what is fixed.
"""

SOLVE_HELP = """\
Say what you want, in a sentence or with --issue FILE: a repair, a feature, a refactoring, an upgrade, a sketch to be
filled in, or a question. The request is planned; each step is worked out by models (see --model) and proved in a fresh
sandbox: a repair and a feature by new tests that fail without the change and pass with it, a refactoring and an upgrade
by the tests that are there. The diff alone goes to standard output. What cannot be understood is asked back: at a
terminal in words, else the questions are printed and the exit code is 5.
"""

TEST_HELP = """\
Write tests that a reviewer would keep, without any model: inputs are searched for in a sandbox, what was observed
steadily becomes an assertion, and a test is kept only if it runs or notices something that nothing did before.
Behaviour that contradicts its documentation is not pinned but reported. The diff alone goes to standard output; what
was found is in the report (--report). --budget is the time for one module.
"""

MUTANTS_HELP = """\
Put one small fault after the other into the code, in memory, and let the tests that run it judge: those that no test
notices are printed with their diffs, then a table by file. Verdicts are remembered, so that a second time only what has
changed is tried. Nothing in the working tree is touched.
"""

JSON_HELP = """\
--json prints one JSON object a line, each with "event" and "elapsed" (seconds):
  run-started step-started step-finished note environment baseline suspects search-started searching candidate found
  verdict selected review delivered
  plan          "kind", "restated", "steps" (their goals); step-done for each that is verified ("step", from 0)
  questions     what the request has to say, where it is asked back: "questions", "reason"
  tests         new tests that fail as they should: "tests" (node ids); answer: "origin", "citations"
  asking        an agent begins to work with a model: "agent", "tier", "model"
  working       what it does: "agent", "tier", "doing", "calls", "tokens"
  call          one call of a model: "tier", "model", "purpose", "outcome", "prompt" and "completion" (tokens), "cost",
                and for the whole run so far "calls", "tokens", "spent"
  result        the last one: "code", "status", "message", "run", "diff", "files", "bundle"; of plan also "plan" (text),
                "kind", "steps"; of ask also "answer", "citations"; both with "origin"
"""


_A = TypeVar("_A", bound=argparse.Action)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, with the nearest name where there is one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what `ArgumentParser` takes."""
        self.known: list[str] = []
        self.inner: list[Parser] = []
        super().__init__(*args, **kwargs)

    def _add_action(self, action: _A) -> _A:
        self.known += action.option_strings
        return super()._add_action(action)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is, and exit with 2."""
        if "invalid choice: " in message:
            wrong = message.split("invalid choice: ")[1].partition(" (choose")[0].strip("'\"")
            choices = [choice.strip(" '") for choice in message.partition("(choose from ")[2].rstrip(")").split(",")]
            what = message.partition(":")[0].removeprefix("argument ")
            what = "command" if what in {"COMMAND", "command"} else f"value for {what}"
            message = f"there is no {what} {wrong!r}{nearest(wrong, choices)}"
        elif message.startswith("unrecognized arguments: "):
            wrong = message.split(": ")[1].split(" ")[0]
            options = [option for parser in self.family() for option in parser.known]
            what = "option" if wrong.startswith("-") else "place for the argument"
            message = f"there is no {what} {wrong!r}{nearest(wrong.split('=')[0], options)}"
        self.exit(2, f"{self.prog}: {message}\n`{self.prog} --help` shows what there is\n")

    def family(self) -> list[Parser]:
        """Return this parser and those of its commands, which all leave unknown options to the outermost one."""
        return [self, *self.inner]


def nearest(wrong: str, known: Sequence[str]) -> str:
    """Return "; did you mean …?" where something is near."""
    import difflib

    found = difflib.get_close_matches(wrong, known, n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e7:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds greater than 0")
    return number


def _tokens(text: str) -> int:
    try:
        number = int(text.replace("_", ""))
    except ValueError:
        number = -1
    if not 0 <= number <= 10**12:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of tokens")
    return number


def _money(text: str) -> str:
    whole, _, part = text.partition(".")
    if not (whole + part).isascii() or not (whole + part).isdigit() or len(whole) > 6:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount of money such as 0.50")
    return text


def _models(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("models")
    group.add_argument(
        "--model", action="extend", nargs="+", default=[], metavar="TIER",
        help="ask these models, the cheapest first: tiers of your settings, `local`, or MODEL@http://host:port/v1 "
        "(default: all of your settings; none: no model)",
    )  # fmt: skip
    group.add_argument("--max-cost", type=_money, metavar="AMOUNT", help="the most that the run's models may cost")
    group.add_argument("--max-tokens", type=_tokens, metavar="N", help="the most tokens that the run's models may take")
    cassette = group.add_mutually_exclusive_group()
    cassette.add_argument("--record", metavar="DIR", help="record the models' answers in DIR, without any secret")
    cassette.add_argument("--replay", metavar="DIR", help="take the models' answers from DIR; nothing is asked or paid")


def _outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow", action="append", choices=["tests", "configuration"],
        help="let the diff change existing tests, or configuration and build files",
    )  # fmt: skip
    parser.add_argument("--bundle", metavar="PATH", help="copy the evidence to PATH: a new folder, or a .tar.gz file")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--apply", action="store_true", help="change the working tree, once the diff is verified")
    group.add_argument("--output", metavar="FILE", help="write the diff to FILE instead of standard output")
    group.add_argument("--json", action="store_true", help="print events as JSON, one a line, the last with the diff")


def _run(parser: argparse.ArgumentParser, budget: int) -> None:
    parser.add_argument(
        "--budget", type=_positive, metavar="SECONDS", help=f"time for the whole run (default: {budget})"
    )
    parser.add_argument(
        "--sandbox", choices=["auto", "docker", "bubblewrap", "local"],
        help="where code is run (default: auto = docker, else bubblewrap); local does not isolate: trusted code only",
    )  # fmt: skip
    parser.add_argument("--config", metavar="FILE", help="your own settings (TOML); they win over the repository's")
    parser.add_argument(
        "--python", metavar="INTERPRETER", help="run the tests with this interpreter and the packages it has installed"
    )


def _demand(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--min-mutation", type=_share, metavar="SHARE",
        help="refuse a diff where the tests notice less of the small faults put into its lines, from 0 to 1",
    )  # fmt: skip


def _request(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", nargs="?", default="", metavar="TEXT", help="what you want, in your own words")
    parser.add_argument("--issue", metavar="FILE", help="a text that says it, or says more; `-` reads standard input")
    parser.add_argument(
        "--kind", choices=["fix", "feature", "refactor", "upgrade", "test", "security", "question"],
        help="what kind of request it is (default: found out)",
    )  # fmt: skip
    parser.add_argument(
        "--test", action="extend", nargs="+", default=[], metavar="NODEID", dest="tests",
        help="a failing test that the request is about: a node id, a file or a folder",
    )  # fmt: skip
    _where(parser)


def _where(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repository", default=".", metavar="PATH", help="a folder in the repository (default: here)")


def _asking(command: Callable[..., Parser]) -> None:
    """Add the commands that take a request in words."""
    solve = command(
        "solve", "do what you say in a sentence or an issue, and print the verified diff",
        description=SOLVE_HELP, epilog=f"{JSON_HELP}\n{EXIT_CODES}",
    )  # fmt: skip
    _request(solve)
    solve.add_argument(
        "--approve", choices=["plan"], help="show the plan first: you can accept, edit ($EDITOR) or refuse it"
    )
    _run(solve, 900)
    _demand(solve)
    _outputs(solve)
    _models(solve)
    plan = command("plan", "print the steps that solve would take, and stop", epilog=f"{JSON_HELP}\n{EXIT_CODES}")
    _request(plan)
    plan.add_argument("--json", action="store_true", help="print events as JSON, one a line, the last with the plan")
    _run(plan, 900)
    _models(plan)
    ask = command("ask", "answer a question about the repository, with the lines that the answer rests on")
    ask.add_argument("question", metavar="QUESTION", help="in your own words")
    _where(ask)
    ask.add_argument("--json", action="store_true", help="print events as JSON, one a line, the last with the answer")
    ask.add_argument("--config", metavar="FILE", help="your own settings (TOML); they win over the repository's")
    _models(ask)
    index = command("index", "index the repository, which makes later questions and requests quicker")
    index.add_argument(
        "path", nargs="?", default=".", metavar="PATH", help="a folder in the repository (default: here)"
    )
    index.add_argument("--stats", action="store_true", help="print what the index holds, and what it took")


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share between 0 and 1")
    return number


def _mutants(command: Callable[..., Parser]) -> None:
    mutants = command(
        "mutants", "put small faults into the code and print those that no test notices", description=MUTANTS_HELP
    )
    mutants.add_argument("paths", nargs="*", metavar="PATH", help="files or folders (default: every module)")
    mutants.add_argument("--changed", metavar="BASE", help="only lines that differ from this commit")
    mutants.add_argument(
        "--min-mutation", type=_share, metavar="SHARE", help="exit with 1 where the tests catch less, from 0 to 1"
    )
    mutants.add_argument("--json", action="store_true", help="print events as JSON, one a line, the last with all")
    _where(mutants)
    _run(mutants, 600)


def build_parser() -> Parser:
    """Return the parser of the whole command line."""
    parser = Parser(
        prog="greendiff", description=DESCRIPTION, epilog=EXIT_CODES, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)

    def command(name: str, summary: str, *, description: str = "", epilog: str = EXIT_CODES) -> Parser:
        made = commands.add_parser(
            name, help=summary, description=description or summary[:1].upper() + summary[1:] + ".", epilog=epilog,
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        parser.inner.append(made)
        return made

    fix = command(
        "fix", "repair what makes tests fail and print the verified diff",
        description=FIX_HELP, epilog=f"{JSON_HELP}\n{EXIT_CODES}",
    )  # fmt: skip
    fix.add_argument("path", nargs="?", default=".", metavar="PATH", help="a folder in the repository (default: here)")
    fix.add_argument(
        "--test", action="extend", nargs="+", default=[], metavar="NODEID", dest="tests",
        help="a failing test to repair: a node id, a file or a folder (default: all that fail)",
    )  # fmt: skip
    fix.add_argument("--issue", metavar="FILE", help="a text that describes the bug; `-` reads standard input")
    _run(fix, 120)
    _demand(fix)
    _outputs(fix)
    _models(fix)
    _asking(command)

    test = command("test", "write tests for code as it is, and print the verified diff", description=TEST_HELP)
    test.add_argument(
        "target", nargs="?", default="", metavar="PATH",
        help="a file, folder or dotted module (default: every module, least tested first)",
    )  # fmt: skip
    test.add_argument("--changed", metavar="BASE", help="only the modules that changed since this commit")
    test.add_argument("--repository", "--repo", default=".", metavar="DIR", help="a folder in it (default: here)")
    test.add_argument("--report", metavar="DIR", help="write report.md, report.json and report.html to this folder")
    test.add_argument("--seed", type=int, default=1, metavar="N", help="of the search's dice (default: 1)")
    _run(test, 60)
    _outputs(test)

    _mutants(command)
    verify = command("verify", "replay an evidence bundle from a fresh clone; fails if anything differs")
    verify.add_argument("bundle", metavar="BUNDLE", help="a folder or archive that `greendiff fix --bundle` wrote")
    verify.add_argument("--repository", metavar="PATH", help="a clone that has the base commit (default: here)")
    verify.add_argument(
        "--sandbox", choices=["auto", "docker", "bubblewrap", "local"],
        help="where code is run (default: the kind that the bundle was made in)",
    )  # fmt: skip
    verify.add_argument("--python", metavar="INTERPRETER", help="as for fix, for a bundle that was made with it")
    command("runs", "list the runs, newest first").add_argument("--json", action="store_true", help="as JSON lines")
    show = command("show", "say what a run did: a summary fit for a pull request, and how long each step took")
    show.add_argument("run", metavar="RUN", help="a run's id, its beginning or end, or `last`")
    apply = command("apply", "make a run's verified diff in its working tree")
    apply.add_argument("run", metavar="RUN", help="a run's id, its beginning or end, or `last`")
    resume = command("resume", "go on with a run that was interrupted or killed")
    resume.add_argument("run", metavar="RUN", help="a run's id, its beginning or end, or `last`")
    resume.add_argument("--budget", type=_positive, metavar="SECONDS", help="time for the rest (default: as before)")
    resume.add_argument("--json", action="store_true", help="print events as JSON, one a line, the last with the diff")
    models = command("models", "say which models are configured, and what their endpoints tell about them")
    models.add_argument("--config", metavar="FILE", help="your own settings (TOML), as for fix")
    models.add_argument("--calls", action="store_true", help="also find out about tools and schemas, by two tiny calls")
    models.add_argument("--fetch", action="store_true", help="fetch the embedded model (1.1 GB), checked by its digest")
    add_batch(command, _run, _models)
    action = command("action", "be a step of a GitHub workflow: answer the event that started it (docs/forge.md)")
    action.add_argument("--sandbox", choices=["auto", "docker", "bubblewrap", "local"], help="as for fix")
    action.add_argument("--budget", type=_positive, metavar="SECONDS", help="time for the run (default: 900)")
    command("doctor", "say what works on this machine, what does not, and how to mend it")
    return parser
