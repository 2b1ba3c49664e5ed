"""What model calls may cost and did cost: reserved before a call, settled after it, shared by threads and processes.

The rules:

- A call is booked at its worst case before it is made, and only if that fits under every cap. What is booked counts as
  spent until it is settled, so parallel callers can never exceed a cap together.
- A call whose usage is known is settled at that; one that was certainly not served is released; all others (time-outs,
  broken or cancelled answers) stay at their worst case.
- What a process that died has booked is settled at its worst case: the endpoint may have served it. `recover` does so
  when a ledger is opened, and every `reserve` that would be refused tries it first. If the owner was alive after all
  (in another container), its later settlement replaces the worst case.
- Money is counted in millionths of the currency's unit; a call of unknown price counts in tokens only.
- Days are UTC; a call belongs to the day, run and repository under which it was booked.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from agents.models.errors import CapReached, LedgerError
from agents.models.protocol import Usage

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    id TEXT PRIMARY KEY,
    run TEXT NOT NULL,
    repository TEXT NOT NULL,
    day TEXT NOT NULL,
    tier TEXT NOT NULL,
    purpose TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('reserved', 'settled', 'abandoned', 'released')),
    tokens INTEGER NOT NULL CHECK (tokens >= 0),
    micro INTEGER NOT NULL CHECK (micro >= 0),
    priced INTEGER NOT NULL,
    reserved_tokens INTEGER NOT NULL,
    reserved_micro INTEGER NOT NULL,
    prompt INTEGER, completion INTEGER, cached INTEGER, exact INTEGER,
    owner TEXT NOT NULL,
    booked_at TEXT NOT NULL,
    settled_at TEXT
);
CREATE INDEX IF NOT EXISTS calls_run ON calls (run, tokens, micro);
CREATE INDEX IF NOT EXISTS calls_repository ON calls (repository, day, tokens, micro);
CREATE INDEX IF NOT EXISTS calls_day ON calls (day, tokens, micro);
CREATE INDEX IF NOT EXISTS calls_open ON calls (owner) WHERE state = 'reserved';
"""
_VERSION = 1
_BUSY_SECONDS = 60.0
_MAX = 10**15
"""Most of one call that is booked: a sum of thousands of them still fits into SQLite's integers."""
_FORGOTTEN: list[sqlite3.Connection] = []
"""Connections of a parent process: closing them in a forked child could harm the parent's."""

Scope = Literal["run", "repository", "day"]


@dataclass(frozen=True, slots=True)
class Cap:
    """The most that may be spent; None is no cap."""

    tokens: int | None = None
    micro: int | None = None


@dataclass(frozen=True, slots=True)
class Caps:
    """The caps of the three scopes."""

    run: Cap = Cap()
    repository: Cap = Cap()
    day: Cap = Cap()
    repository_days: int = 30
    """The cap of the repository is on what was spent on it today and on the days before, so many in all."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who pays: a run on a repository."""

    run: str
    repository: str


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent in a scope, what is booked but not settled included."""

    tokens: int = 0
    micro: int = 0
    calls: int = 0
    unpriced_tokens: int = 0
    """How many of the tokens have no known price."""
    open: int = 0
    """Calls that are not settled."""


@dataclass(frozen=True, slots=True)
class Booking:
    """A call that is reserved."""

    id: str
    tokens: int
    micro: int
    priced: bool


class Ledger:
    """The ledger in one SQLite file; safe for threads, forks and processes."""

    def __init__(self, path: Path | str, caps: Caps = Caps(), *, now: Callable[[], datetime] | None = None) -> None:
        """Open or make the file, and settle what processes that died have left open.

        Raises:
            LedgerError: the file cannot be used.

        """
        self._path = str(path)
        self._caps = caps
        self._now = now or (lambda: datetime.now(UTC))
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self.recover()

    @property
    def caps(self) -> Caps:
        """The caps that this process heeds; other processes may heed others."""
        return self._caps

    def reserve(
        self, account: Account, *, tokens: int, micro: int | None, tier: str = "", purpose: str = ""
    ) -> Booking:
        """Book a call that costs at most `tokens` and `micro` (None where the price is unknown).

        Raises:
            CapReached: with what is spent and booked it could exceed a cap; nothing is booked.
            LedgerError: the file cannot be used; nothing is booked.

        """
        if not 0 <= tokens < _MAX or not 0 <= (micro or 0) < _MAX:
            raise LedgerError(f"a call of {tokens} tokens and {micro} micro-units cannot be booked")
        booking = Booking(uuid.uuid4().hex, tokens, micro or 0, micro is not None)
        with self._writing() as db:
            refusal = self._refusal(db, account, booking)
            if refusal is not None and self._recover(db):
                refusal = self._refusal(db, account, booking)
            if refusal is not None:
                raise refusal
            now = self._now()
            who = (booking.id, account.run, account.repository, _day(now), tier, purpose)
            what = (
                tokens,
                booking.micro,
                booking.priced,
                tokens,
                booking.micro,
                owner_of(os.getpid()),
                now.isoformat(),
            )
            db.execute(
                "INSERT INTO calls (id, run, repository, day, tier, purpose, tokens, micro, priced, reserved_tokens,"
                " reserved_micro, owner, booked_at, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'reserved')",
                who + what,
            )
        return booking

    def settle(self, booking: Booking, usage: Usage | None, micro: int | None = None) -> None:
        """Book what the call really cost; without `usage` it stays at its worst case.

        An endpoint that breaks its bound is booked at what it says: the cap is then exceeded by that, and no further
        call is made. Settling twice changes nothing.
        """
        tokens = booking.tokens if usage is None else usage.total
        cost = booking.micro if usage is None or micro is None else micro
        told = (None,) * 3 if usage is None else (usage.prompt, usage.completion, usage.cached)
        parts = (*(None if one is None else min(one, _MAX) for one in told), None if usage is None else usage.exact)
        with self._writing() as db:
            db.execute(
                "UPDATE calls SET state = 'settled', tokens = ?, micro = ?, prompt = ?, completion = ?, cached = ?,"
                " exact = ?, settled_at = ? WHERE id = ? AND state IN ('reserved', 'abandoned')",
                (min(tokens, _MAX), min(cost, _MAX), *parts, self._now().isoformat(), booking.id),
            )

    def release(self, booking: Booking) -> None:
        """Take the booking back: the call was certainly not served. Does nothing when it is settled."""
        with self._writing() as db:
            db.execute(
                "UPDATE calls SET state = 'released', tokens = 0, micro = 0, settled_at = ? WHERE id = ? AND"
                " state IN ('reserved', 'abandoned')",
                (self._now().isoformat(), booking.id),
            )

    @contextmanager
    def booked(
        self, account: Account, *, tokens: int, micro: int | None, tier: str = "", purpose: str = ""
    ) -> Iterator[Booking]:
        """Reserve for the time of a `with` block; what it leaves unsettled stays at its worst case."""
        booking = self.reserve(account, tokens=tokens, micro=micro, tier=tier, purpose=purpose)
        try:
            yield booking
        finally:
            self.settle(booking, None)

    def recover(self) -> int:
        """Settle at their worst case the calls of processes that died, and return how many there were."""
        with self._writing() as db:
            return self._recover(db)

    def spent(self, scope: Scope, account: Account) -> Spent:
        """Return what was spent in the scope so far."""
        where, values = self._where(scope, account)
        columns = (
            "COALESCE(SUM(tokens), 0), COALESCE(SUM(micro), 0), COALESCE(SUM(state != 'released'), 0),"
            " COALESCE(SUM(tokens * (1 - priced)), 0), COALESCE(SUM(state = 'reserved'), 0)"
        )
        with self._using() as db:
            row = db.execute(f"SELECT {columns} FROM calls WHERE {where}", values).fetchone()  # noqa: S608
        return Spent(*row)

    def room(self, account: Account) -> Cap:
        """Return what may still be spent, the tightest of all caps; None where there is no cap, never below zero."""
        tokens: list[int] = []
        micro: list[int] = []
        for scope, cap in self._scopes():
            if cap.tokens is None and cap.micro is None:
                continue
            spent = self.spent(scope, account)
            if cap.tokens is not None:
                tokens.append(max(0, cap.tokens - spent.tokens))
            if cap.micro is not None:
                micro.append(max(0, cap.micro - spent.micro))
        return Cap(min(tokens, default=None), min(micro, default=None))

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    def _scopes(self) -> tuple[tuple[Scope, Cap], ...]:
        return ("run", self._caps.run), ("repository", self._caps.repository), ("day", self._caps.day)

    def _where(self, scope: Scope, account: Account) -> tuple[str, tuple[str, ...]]:
        now = self._now()
        if scope == "run":
            return "run = ?", (account.run,)
        if scope == "day":
            return "day = ?", (_day(now),)
        first = now - timedelta(days=max(1, self._caps.repository_days) - 1)
        return "repository = ? AND day >= ?", (account.repository, _day(first))

    def _refusal(self, db: sqlite3.Connection, account: Account, booking: Booking) -> CapReached | None:
        for scope, cap in self._scopes():
            if cap.tokens is None and cap.micro is None:
                continue
            where, values = self._where(scope, account)
            query = f"SELECT COALESCE(SUM(tokens), 0), COALESCE(SUM(micro), 0) FROM calls WHERE {where}"  # noqa: S608
            tokens, micro = db.execute(query, values).fetchone()
            if cap.tokens is not None and tokens + booking.tokens > cap.tokens:
                return _reached(scope, "tokens", cap.tokens, tokens, booking.tokens)
            if cap.micro is not None and micro + booking.micro > cap.micro and booking.micro:
                return _reached(scope, "micro", cap.micro, micro, booking.micro)
        return None

    def _recover(self, db: sqlite3.Connection) -> int:
        owners = [row[0] for row in db.execute("SELECT DISTINCT owner FROM calls WHERE state = 'reserved'")]
        dead = [owner for owner in owners if not _alive(owner)]
        stamp = self._now().isoformat()
        return sum(
            db.execute(
                "UPDATE calls SET state = 'abandoned', settled_at = ? WHERE owner = ? AND state = 'reserved'",
                (stamp, owner),
            ).rowcount
            for owner in dead
        )

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._open()
            except sqlite3.Error as error:
                raise LedgerError(
                    f"the ledger {self._path} cannot be used ({error}), so no model is called;"
                    " move it away to begin a new one"
                ) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._using() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._pid == os.getpid():
            return self._connection
        if self._connection is not None:
            _FORGOTTEN.append(self._connection)
        try:
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LedgerError(f"the ledger {self._path} cannot be made: {error.strerror}") from error
        db = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            # Money: what was booked must survive a power cut, too.
            db.execute("PRAGMA synchronous = FULL")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > _VERSION:
                raise LedgerError(f"the ledger {self._path} was written by a newer greendiff")
            if version < _VERSION:
                db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        except BaseException:
            db.close()
            raise
        self._connection, self._pid = db, os.getpid()
        return db


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()


def _reached(scope: Scope, unit: Literal["tokens", "micro"], cap: int, used: int, wanted: int) -> CapReached:
    def shown(number: int) -> str:
        return f"{number:,} tokens" if unit == "tokens" else money(number)

    where = {"run": "this run", "repository": "this repository", "day": "today"}[scope]
    return CapReached(
        f"the next call could take up to {shown(wanted)}, and {shown(used)} of the {shown(cap)} allowed for {where} are"
        " spent or booked",
        scope=scope, unit=unit, cap=cap, used=used, wanted=wanted,
    )  # fmt: skip


def money(micro: int) -> str:
    """Return micro-units as an amount with two to six decimals: `0.25`, `0.000125`."""
    text = f"{micro // 1_000_000}.{micro % 1_000_000:06d}"
    return text.rstrip("0").ljust(text.index(".") + 3, "0")


def owner_of(pid: int) -> str:
    """Return what tells a process from all others, also from later ones with the same number."""
    return f"{_boot()} {pid} {_started(pid)}"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return os.uname().nodename


def _started(pid: int) -> str:
    """Return the process's start time in clock ticks since boot, empty where it is gone or cannot be known."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    # The state of a process that is dead but not yet collected by its parent.
    return "" if fields[0] in {"Z", "X"} else fields[19]


def _alive(owner: str) -> bool:
    boot, pid, started = owner.split(" ", 2)
    if boot != _boot():
        return False
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
    return _started(int(pid)) == started
