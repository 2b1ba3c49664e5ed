"""The ledger's promise is arithmetic; it is tried with many callers, processes that die, and a file that is broken."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.models.errors import CapReached, LedgerError
from agents.models.ledger import Account, Cap, Caps, Ledger, money, owner_of
from agents.models.protocol import Usage

MINE = Account("run-1", "repository-1")


def run_callers(path: str, caps: Caps, threads: int, calls: int, seed: int, start: Barrier) -> None:
    """Make calls from many threads that end in every way a call can end."""
    ledger = Ledger(path, caps)
    ledger.settle(ledger.reserve(MINE, tokens=1, micro=None), None)
    start.wait(120)

    def caller(number: int) -> None:
        dice = random.Random(seed * 1000 + number)  # noqa: S311
        for _ in range(calls):
            worst = dice.randint(1, 400)
            price = dice.choice([None, 1, 3])
            try:
                booking = ledger.reserve(MINE, tokens=worst, micro=None if price is None else worst * price)
            except CapReached:
                continue
            ending = dice.randrange(5)
            if ending == 0:
                ledger.release(booking)
            elif ending == 1:
                ledger.settle(booking, None)
            elif ending == 2:
                pass  # a caller that dies here leaves its booking open
            else:
                used = dice.randint(0, worst)
                ledger.settle(booking, Usage(used, 0), None if price is None else used * price)
                if ending == 3:
                    ledger.release(booking)
                    ledger.settle(booking, Usage(0, 0), 0)

    workers = [threading.Thread(target=caller, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    ledger.close()


def test_fifty_callers_in_threads_and_processes_never_exceed_a_cap_by_one_token(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    caps = Caps(run=Cap(tokens=12_011, micro=24_009), day=Cap(tokens=12_011))
    watcher = Ledger(path, caps)
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(5)
    processes = [context.Process(target=run_callers, args=(str(path), caps, 10, 8, n, start)) for n in range(1, 5)]
    for process in processes:
        process.start()
    own = threading.Thread(target=run_callers, args=(str(path), caps, 10, 8, 5, start))
    own.start()
    highest = 0
    while own.is_alive() or any(process.is_alive() for process in processes):
        spent = watcher.spent("run", MINE)
        highest = max(highest, spent.tokens)
        assert spent.tokens <= 12_011
        assert spent.micro <= 24_009
        own.join(0.02)
    for process in processes:
        process.join()
        assert process.exitcode == 0
    spent = watcher.spent("run", MINE)
    assert spent.tokens <= 12_011
    assert spent.micro <= 24_009
    # The cap was really pressed against, by all processes together.
    assert highest > 11_000 or spent.micro > 23_000
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT COUNT(DISTINCT owner) FROM calls").fetchone()[0] == 5
    db.close()
    # What the dead processes left open is settled at its worst case, which changes no sum.
    assert watcher.recover() > 0
    assert watcher.spent("run", MINE).tokens == spent.tokens
    watcher.close()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 300),
    st.lists(
        st.tuples(st.integers(0, 120), st.sampled_from(["settle", "release", "none", "open"]), st.floats(0, 1)),
        max_size=25,
    ),
)
def test_sums_are_what_was_settled_and_booked(cap: int, calls: list[tuple[int, str, float]]) -> None:
    ledger = Ledger(":memory:", Caps(run=Cap(tokens=cap)))
    spent = 0
    for worst, ending, share in calls:
        if spent + worst > cap:
            with pytest.raises(CapReached) as caught:
                ledger.reserve(MINE, tokens=worst, micro=None)
            assert (caught.value.cap, caught.value.used, caught.value.wanted) == (cap, spent, worst)
            continue
        booking = ledger.reserve(MINE, tokens=worst, micro=None)
        used = {"settle": int(worst * share), "release": 0, "none": worst, "open": worst}[ending]
        if ending == "settle":
            ledger.settle(booking, Usage(used, 0))
        elif ending == "release":
            ledger.release(booking)
        elif ending == "none":
            ledger.settle(booking, None)
        spent += used
        assert ledger.spent("run", MINE).tokens == spent
    assert ledger.room(MINE) == Cap(cap - spent, None)
    ledger.close()


KILLED = """
import os, signal, sys
from agents.models.ledger import Account, Ledger
ledger = Ledger(sys.argv[1])
ledger.reserve(Account("run-1", "repository-1"), tokens=700, micro=900)
print("booked", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_killed_in_a_call_is_settled_at_resume(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    process = subprocess.run([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, check=False, timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert process.stdout == b"booked\n"
    ledger = Ledger(path, Caps(run=Cap(tokens=1000)))
    spent = ledger.spent("run", MINE)
    assert (spent.tokens, spent.micro, spent.calls, spent.open) == (700, 900, 1, 0)
    with pytest.raises(CapReached):
        ledger.reserve(MINE, tokens=301, micro=None)
    ledger.reserve(MINE, tokens=300, micro=None)
    ledger.close()


def test_a_dead_process_is_also_found_while_others_run(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger(path, Caps(run=Cap(tokens=1000)))
    subprocess.run([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, check=False, timeout=60)
    assert ledger.spent("run", MINE).open == 1
    with pytest.raises(CapReached):
        ledger.reserve(MINE, tokens=400, micro=None)
    ledger.close()


def test_a_process_taken_for_dead_may_still_settle(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger(path)
    booking = ledger.reserve(MINE, tokens=100, micro=None)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE calls SET owner = 'another-boot 1 1'")
    db.close()
    assert ledger.recover() == 1
    assert ledger.recover() == 0
    ledger.settle(booking, Usage(10, 5))
    assert ledger.spent("run", MINE).tokens == 15
    ledger.close()


def test_each_scope_counts_what_is_its_own(tmp_path: Path) -> None:
    clock = [datetime(2026, 3, 1, 23, 0, tzinfo=UTC)]
    ledger = Ledger(tmp_path / "l.db", Caps(Cap(100), Cap(150), Cap(120), repository_days=2), now=lambda: clock[0])
    ledger.reserve(Account("a", "one"), tokens=90, micro=None)
    with pytest.raises(CapReached, match="for this run"):
        ledger.reserve(Account("a", "one"), tokens=11, micro=None)
    with pytest.raises(CapReached, match="for today"):
        ledger.reserve(Account("b", "two"), tokens=31, micro=None)
    clock[0] += timedelta(hours=2)
    ledger.reserve(Account("b", "one"), tokens=60, micro=None)
    with pytest.raises(CapReached, match="for this repository"):
        ledger.reserve(Account("c", "one"), tokens=1, micro=None)
    assert ledger.room(Account("c", "one")) == Cap(0, None)
    assert ledger.room(Account("c", "two")) == Cap(60, None)
    clock[0] += timedelta(days=1)
    assert ledger.room(Account("c", "one")) == Cap(90, None)
    ledger.close()


def test_money_is_capped_apart_from_tokens_and_unknown_prices_never_stop(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.db", Caps(run=Cap(micro=1_000_000)))
    ledger.reserve(MINE, tokens=5, micro=999_999)
    with pytest.raises(CapReached, match=r"up to 0\.000002, and 0\.999999 of the 1\.00 allowed for this run") as caught:
        ledger.reserve(MINE, tokens=5, micro=2)
    assert caught.value.unit == "micro"
    ledger.reserve(MINE, tokens=10**9, micro=None)
    spent = ledger.spent("run", MINE)
    assert (spent.tokens, spent.unpriced_tokens, spent.micro) == (10**9 + 5, 10**9, 999_999)
    assert ledger.room(MINE) == Cap(None, 1)
    ledger.close()


def test_an_endpoint_that_breaks_its_bound_is_booked_and_ends_the_spending(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.db", Caps(run=Cap(tokens=100)))
    ledger.settle(ledger.reserve(MINE, tokens=50, micro=None), Usage(70, 60))
    assert ledger.spent("run", MINE).tokens == 130
    with pytest.raises(CapReached):
        ledger.reserve(MINE, tokens=0, micro=None)
    ledger.close()


def test_a_block_that_fails_leaves_its_worst_case(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.db")
    with pytest.raises(ZeroDivisionError), ledger.booked(MINE, tokens=40, micro=None):
        raise ZeroDivisionError
    spent = ledger.spent("run", MINE)
    assert (spent.tokens, spent.open) == (40, 0)
    ledger.close()


def test_a_forked_child_uses_the_ledger_too(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.db", Caps(run=Cap(tokens=100)))
    ledger.reserve(MINE, tokens=10, micro=None)
    pid = os.fork()
    if not pid:
        try:
            ledger.settle(ledger.reserve(MINE, tokens=20, micro=None), None)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert ledger.spent("run", MINE).tokens == 30
    ledger.close()


def test_a_file_that_cannot_be_used_stops_the_spending(tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database" * 100)
    with pytest.raises(LedgerError, match="cannot be used"):
        Ledger(broken)
    newer = tmp_path / "newer.db"
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(LedgerError, match="newer greendiff"):
        Ledger(newer)
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot be made"):
        Ledger(tmp_path / "file" / "l.db")
    ledger = Ledger(tmp_path / "l.db")
    with pytest.raises(LedgerError, match="cannot be booked"):
        ledger.reserve(MINE, tokens=-1, micro=None)
    ledger.close()


@pytest.mark.parametrize(
    ("micro", "text"),
    [(0, "0.00"), (250_000, "0.25"), (125, "0.000125"), (12_500_000, "12.50"), (1_000_001, "1.000001")],
)
def test_money_is_shown_exactly(micro: int, text: str) -> None:
    assert money(micro) == text


def test_owners_tell_processes_apart() -> None:
    assert owner_of(os.getpid()) == owner_of(os.getpid())
    assert owner_of(os.getpid()) != owner_of(os.getppid())
    assert owner_of(2**22 - 1).endswith(" ")
