"""Errors of the forge: everything that a forge can refuse, as one sentence for a person.

ForgeError                 root; the forge said something that fits nothing below
├── ForgeBusy              it may pass: rate limits, 5xx, time-outs; `retry_after` says when
│   └── Unclear            a writing request may or may not have been carried out: look before it is repeated
├── CredentialRefused      the token or App key is wrong, expired or revoked, or may not do this
├── NotThere               the repository, issue, comment or branch does not exist, or may not be seen
│   └── Transferred        the issue lives in another repository now
├── Locked                 the conversation is locked: nothing can be said there
├── Archived               the repository is read-only
├── Rejected               the forge understood, and will not: validation
│   ├── Exists             what was to be made is there already
│   ├── OutsideDiff        a line that a suggestion is for is not in the pull request's diff
│   └── NoDrafts           this repository knows no draft pull requests
└── PushRefused            the branch cannot be written
    ├── BranchMoved        somebody else's commits are on it
    └── BranchProtected    a rule of the repository protects it
"""

from __future__ import annotations

from workflows.errors import Unusable


class ForgeError(Unusable):
    """Root of all errors of the forge; the message is one sentence fit for a person and holds no credential."""


class ForgeBusy(ForgeError):
    """The forge cannot answer now; the same request may be made again."""

    def __init__(self, message: str, retry_after: float = 60.0) -> None:
        """`retry_after` is in seconds, from now."""
        super().__init__(message)
        self.retry_after = retry_after


class Unclear(ForgeBusy):
    """No answer came to a request that writes, so it may have been carried out."""


class CredentialRefused(ForgeError):
    """The credential is not taken, or does not allow this."""


class NotThere(ForgeError):
    """It does not exist, or this credential may not see it."""


class Transferred(NotThere):
    """The issue was moved to another repository."""

    def __init__(self, message: str, place: str = "") -> None:
        """`place` is where it is now, as `OWNER/NAME`, "" where that is not known."""
        super().__init__(message)
        self.place = place


class Locked(ForgeError):
    """The conversation is locked."""


class Archived(ForgeError):
    """The repository is read-only."""


class Rejected(ForgeError):
    """The forge will not do it as it was asked."""


class Exists(Rejected):
    """It is there already."""


class OutsideDiff(Rejected):
    """A line that is not in the pull request's diff."""


class NoDrafts(Rejected):
    """The repository has no draft pull requests."""


class PushRefused(ForgeError):
    """The branch was not written."""


class BranchMoved(PushRefused):
    """The branch is not where it was left."""


class BranchProtected(PushRefused):
    """A rule of the repository protects the branch."""
