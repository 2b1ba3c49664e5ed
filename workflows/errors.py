"""Errors of the workflows package: every planned stop of a run, with its message and its exit code.

WorkflowError               root; the message is one sentence (or a few lines) fit for a person
├── Usage                   2   the command line, the settings or the request are wrong
│   └── AskedBack           5   the request has to say more; the message holds the questions
├── Unusable                3   the environment: no sandbox, not a repository, tests that cannot run, a full disk
│   ├── RunBusy             3   another process works on this run
│   └── TestsUnusable       3   the tests as they are say nothing: none, or without end
├── NoDiff                  1   nothing could be verified, with the best evidence why
├── BudgetSpent             4   the time was up before anything was verified
└── RecordError             3   what a run has recorded cannot be read
"""

from __future__ import annotations


class WorkflowError(Exception):
    """Root of all errors raised by this package; `code` is the process's exit code."""

    code = 1


class Usage(WorkflowError):
    """The command line, the settings or the request cannot be understood."""

    code = 2


class AskedBack(Usage):
    """The request cannot be worked on before somebody has answered the questions in the message."""

    code = 5


class Unusable(WorkflowError):
    """Something outside the repository's bug stands in the way."""

    code = 3


class RunBusy(Unusable):
    """Another living process works on this run."""


class TestsUnusable(Unusable):
    """The tests as they are say nothing, so that there is nothing to go on with until they are changed."""

    __test__ = False


class NoDiff(WorkflowError):
    """No diff could be verified; the message carries the best evidence why."""

    code = 1


class BudgetSpent(WorkflowError):
    """The time was up before anything was verified, and the search had not come to its end."""

    code = 4


class RecordError(Unusable):
    """What a run has recorded is damaged, or was written by a version that this one does not understand."""
