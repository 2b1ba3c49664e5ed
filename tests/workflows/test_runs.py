"""The run store: what is done once, who works on a run, and how runs are found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workflows.errors import RecordError, RunBusy, Unusable, Usage
from workflows.runs import Run, RunStore, cache_folder, state_folder, write_whole


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path)


def make(store: RunStore) -> Run:
    return store.create("/repository", {"tests": []}, {"uncommitted.patch": b"x"})


def test_work_is_done_once_also_in_a_later_process(store: RunStore) -> None:
    run = make(store)
    calls: list[int] = []

    def work() -> tuple[int, ...]:
        calls.append(1)
        return (1, 2)

    assert run.once("thing", work) == (1, 2)
    assert run.once("thing", work) == (1, 2)
    run.release()
    again = Run(run.folder)
    assert again.recorded("thing")
    assert again.once("thing", work) == (1, 2)
    assert len(calls) == 1
    assert [event["name"] for event in again.events()] == ["thing"]


def test_a_damaged_record_is_made_again(store: RunStore) -> None:
    run = make(store)
    run.once("thing", lambda: (1,))
    (run.records / "thing.rec").write_bytes(b"half")
    assert Run(run.folder).once("thing", lambda: (2,)) == (2,)


def test_work_that_fails_is_not_recorded(store: RunStore) -> None:
    run = make(store)
    with pytest.raises(ZeroDivisionError):
        run.once("thing", lambda: 1 // 0)
    assert not run.recorded("thing")
    assert run.once("thing", lambda: 2) == 2


def test_one_process_at_a_time_works_on_a_run(store: RunStore) -> None:
    run = make(store)
    assert run.busy()
    other = Run(run.folder)
    assert other.busy()
    with pytest.raises(RunBusy, match="another process is working"):
        other.acquire()
    assert run.info().status == "running"
    run.release()
    run.release()
    assert not other.busy()
    assert other.info().status == "interrupted"
    other.acquire()
    other.update(status="verified", exit_code=0)
    other.release()
    assert other.info().status == "verified"


def test_the_lock_goes_with_the_process(store: RunStore) -> None:
    run = make(store)
    run.release()
    code = (
        "import sys,time; from pathlib import Path; from workflows.runs import Run; "
        "Run(Path(sys.argv[1])).acquire(); print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(run.folder)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    assert run.busy()
    child.kill()
    child.wait()
    child.stdout.close()
    assert not run.busy()


def test_runs_are_found_by_parts_of_their_ids(store: RunStore) -> None:
    assert store.all() == []
    with pytest.raises(Usage, match="there is no run 'last'"):
        store.find("last")
    one, two = make(store), make(store)
    newest = max(one.id, two.id)
    assert store.find("last").id == newest
    assert store.find(one.id).id == one.id
    assert store.find(one.id[-4:]).id == one.id
    with pytest.raises(Usage, match="fits 2 runs"):
        store.find("2")
    with pytest.raises(Usage, match="there is no run 'zzz'"):
        store.find("zzz")
    with pytest.raises(Usage):
        store.find("")
    assert [run.id for run in store.all()] == sorted([one.id, two.id], reverse=True)


def test_what_a_crash_left_before_it_was_a_run_is_swept(store: RunStore) -> None:
    assert store.sweep() == 0
    run = make(store)
    half = store.folder / "20200101-000000-abcd"
    half.mkdir()
    assert store.sweep() == 0, "it may be just being made"
    old = time.time() - 3600
    os.utime(half, (old, old))
    assert store.sweep() == 1
    assert not half.exists()
    assert run.folder.exists()


def test_a_damaged_run_is_said(store: RunStore) -> None:
    run = make(store)
    run.release()
    (run.folder / "run.json").write_text("{")
    with pytest.raises(RecordError, match="cannot be read"):
        run.info()


def test_events_survive_a_line_that_was_cut_short(store: RunStore) -> None:
    run = make(store)
    assert list(run.events()) == []
    run.log({"event": "one", "path": "\udcff"})
    with (run.folder / "events.jsonl").open("a") as file:
        file.write('{"event": "tw')
    assert [event["event"] for event in run.events()] == ["one"]


def test_a_state_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unusable, match="set GREENDIFF_STATE_DIR"):
        make(RunStore(tmp_path / "file"))


def test_files_are_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path, b"")
    assert list(tmp_path.iterdir()) == [path]


def test_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GREENDIFF_STATE_DIR", str(tmp_path / "s"))
    monkeypatch.setenv("GREENDIFF_CACHE_DIR", str(tmp_path / "c"))
    assert (state_folder(), cache_folder()) == (tmp_path / "s", tmp_path / "c")
    monkeypatch.delenv("GREENDIFF_STATE_DIR")
    monkeypatch.delenv("GREENDIFF_CACHE_DIR")
    assert state_folder().name == "greendiff"
    assert cache_folder().name == "greendiff"


def test_run_json_is_for_people_too(store: RunStore) -> None:
    run = make(store)
    words = json.loads((run.folder / "run.json").read_text())
    assert words["repository"] == "/repository"
    assert words["created"].endswith("+00:00")
