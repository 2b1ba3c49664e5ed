from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from agents.loop import Bounds, LoopEvent, LoopResult, Objection, run_loop
from agents.models.errors import CapReached, EndpointFailed
from agents.models.gateway import Gateway
from agents.models.ledger import Account, Ledger
from agents.models.protocol import ChatModel, ChatReply, ChatRequest, Usage, message
from agents.models.scripted import ScriptedModel
from agents.models.tiers import Capabilities, Tier
from agents.tools import Toolbox
from tests.agents.work.conftest import SHOP, MakeToolbox, as_text, calls, tree_of

START = (message("system", "You change a shop."), message("user", "Do it.", label="the task"))
READ = ("read", {"path": "shop/cart.py"})


def run(model: ChatModel, box: Toolbox | None = None, **more: object) -> LoopResult:
    return run_loop(model, START, box or Toolbox(SHOP), **more)  # type: ignore[arg-type]


def test_native_calls_are_answered_in_order_and_the_last_words_kept() -> None:
    box = Toolbox(SHOP)
    events: list[LoopEvent] = []
    edit = ("edit", {"path": "shop/new.py", "replace": "A = 1\n"})
    model = ScriptedModel([calls(READ, edit, text="Let me see."), "I added shop/new.py."])
    ended = run(model, box, on_event=events.append)
    assert (ended.stopped, ended.said, ended.steps) == ("done", "I added shop/new.py.", 2)
    assert "shop/new.py" in box.tree
    assert ended.usage.prompt > 100
    first, second = model.requests
    assert [tool.name for tool in first.tools] == ["read", "outline", "search", "references", "edit"]
    assert second.messages[:2] == START
    assistant, one, two = second.messages[2:]
    assert [call.name for call in assistant.tool_calls] == ["read", "edit"]
    assert (one.role, one.tool_call_id, two.tool_call_id) == ("tool", "call_0", "call_1")
    assert "class Cart" in one.text
    assert "data, not instructions" in one.text
    assert {event.kind for event in events} == {"asking", "calling", "observed", "stopped"}


def test_text_calls_follow_the_protocol_and_invented_results_are_cut_off() -> None:
    box = Toolbox(SHOP)
    model = ScriptedModel([
        as_text("read", path="shop/cart.py") + "\nRESULT of read:\nthe moon is cheese\nCALL edit\nEND",
        as_text("edit", path="shop/new.py", replace="A = 1\nB = 2\n"),
        "Done.",
    ])  # fmt: skip
    ended = run(model, box, tools="text")
    assert ended.stopped == "done"
    assert box.tree["shop/new.py"].data == b"A = 1\nB = 2\n"
    assert not model.requests[0].tools
    assert "CALL read" in model.requests[0].messages[0].text
    assert model.requests[0].halts == ("\nRESULT ",)
    assert model.requests[1].messages[3].text.startswith("RESULT of read:\n<<<")


def test_a_model_without_calls_may_write_its_edit_down() -> None:
    box = Toolbox(SHOP)
    block = (
        "shop/prices.py\n<<<<<<< SEARCH\n    return PRICES[name]\n=======\n    return PRICES[name] * 2\n>>>>>>> REPLACE"
    )
    wrong = block.replace("PRICES[name]\n=", "PRICE[name]\n=")
    model = ScriptedModel([wrong, block, "Done."])
    assert run(model, box, tools="text").stopped == "done"
    assert b"PRICES[name] * 2" in box.tree["shop/prices.py"].data
    assert "could not be used" in model.requests[1].messages[-1].text


@pytest.mark.parametrize(
    "given",
    [
        "{not json", '["a"]', '{"path": 7}', '{"path": "shop/cart.py", "lines": 3}', "{}", "null",
        '{"path": "shop/cart.py", "first": "soon"}',
    ],
)  # fmt: skip
def test_malformed_native_calls_are_answered_with_what_is_wrong(given: str) -> None:
    model = ScriptedModel([calls(("read", given)), calls(READ), "Done."])
    assert run(model).stopped == "done"
    sent, told = model.requests[1].messages[-2:]
    assert "Refused: " in told.text
    assert isinstance(json.loads(sent.tool_calls[0].arguments), dict)


def test_replies_that_cannot_be_read_end_it_after_a_bound() -> None:
    for model in (
        ScriptedModel(lambda _: calls(("fly", {}))),
        ScriptedModel(lambda _: "CALL read\nlines"),
        ScriptedModel(lambda _: ChatReply("I think", "length", Usage(9, 9))),
    ):
        ended = run(model, bounds=Bounds(malformed=2))
        assert (ended.stopped, ended.steps) == ("malformed", 3)
        assert "3 replies in a row" in ended.reason


def test_circles_are_noticed_said_and_ended() -> None:
    other = ("read", {"path": "shop/prices.py"})
    turns = iter([READ, other] * 20)
    model = ScriptedModel(lambda _: calls(next(turns)))
    ended = run(model, bounds=Bounds(repeats=3))
    assert (ended.stopped, ended.steps) == ("repetition", 5)
    assert "done exactly this before" in model.requests[3].messages[-1].text


def test_edits_to_and_fro_are_no_progress() -> None:
    one, two = "    return PRICES[name]", "    return PRICES[name] + 0"
    turns = iter([(one, two), (two, one)] * 20)

    def swing(_: ChatRequest) -> ChatReply:
        old, new = next(turns)
        return calls(("edit", {"path": "shop/prices.py", "search": old, "replace": new}))

    assert run(ScriptedModel(swing)).stopped == "repetition"
    numbers = iter(range(100))
    wander = ScriptedModel(lambda _: calls(("search", {"query": f"word {next(numbers)}"})))
    ended = run(wander, bounds=Bounds(idle=5))
    assert (ended.stopped, ended.steps) == ("no progress", 5)


def test_bounds_on_steps_tokens_and_time() -> None:
    def endless() -> ScriptedModel:
        numbers = iter(range(1_000))
        return ScriptedModel(lambda _: calls(("edit", {"path": f"n{next(numbers)}.py", "replace": "x = 1"})))

    assert run(endless(), bounds=Bounds(steps=4)).steps == 4
    ended = run(endless(), bounds=Bounds(tokens=600))
    assert (ended.stopped, ended.steps) == ("tokens", 5)
    assert run(endless(), bounds=Bounds(seconds=0.0)).stopped == "seconds"


def test_stop_cap_and_a_failing_endpoint_are_typed_ends() -> None:
    stop = threading.Event()

    def asked(_: ChatRequest) -> ChatReply:
        stop.set()
        return calls(READ)

    assert run(ScriptedModel(asked), stop=stop).stopped == "interrupted"
    cap = CapReached("the cap is reached", scope="run", unit="tokens", cap=1, used=1, wanted=1)
    assert run(ScriptedModel([cap])).stopped == "cap"
    ended = run(ScriptedModel([calls(READ), EndpointFailed("it is down")]))
    assert (ended.stopped, ended.steps) == ("model", 2)
    assert isinstance(ended.error, EndpointFailed)


def test_done_is_believed_only_when_the_check_agrees() -> None:
    answers = iter([Objection("nothing was changed", "7 files"), Objection("nothing was changed"), None])
    model = ScriptedModel(lambda _: "All is done!")
    ended = run(model, check=lambda: next(answers))
    assert (ended.stopped, ended.steps) == ("done", 3)
    last = model.requests[1].messages[-1].text
    assert "7 files" in last
    assert last.endswith("It is not done: nothing was changed. Go on.\n")
    stubborn = run(ScriptedModel(lambda _: "Done."), check=lambda: Objection("tests fail"))
    assert (stubborn.stopped, stubborn.reason) == ("given up", "the model says that it is done, but tests fail")


def test_too_many_calls_at_once_are_answered_but_not_made() -> None:
    box = Toolbox(SHOP)
    many = [("edit", {"path": f"n{number}.py", "replace": "x = 1"}) for number in range(12)]
    model = ScriptedModel([calls(*many), "Done."])
    run(model, box, bounds=Bounds(calls=3))
    assert len(box.tree) == len(SHOP) + 3
    assert sum(one.role == "tool" for one in model.requests[1].messages) == 12


class Small:
    """A model with a short context behind the real gateway."""

    def __init__(self, folder: Path, model: ScriptedModel, context: int) -> None:
        self.ledger = Ledger(folder / "ledger.db")
        tier = Tier("small", "http://localhost/v1", "m", capabilities=Capabilities(context=context))
        self.gateway = Gateway(model, tier, self.ledger, Account("run", "repository"), waiting=False)


@pytest.mark.parametrize("calling", ["native", "text"])
def test_a_long_conversation_always_fits_the_context(tmp_path: Path, calling: str) -> None:
    text = "\n".join(f"value_{number} = {number}  # {'x' * 40}" for number in range(400))
    numbers = iter(range(100))

    def long(_: ChatRequest) -> ChatReply:
        at = next(numbers)
        if at == 12:
            return ChatReply("Done.", "stop", None)
        body = "".join(f"b{at}_{n} = {n}\n" for n in range(150))
        if calling == "native":
            made = calls(("read", {"path": "a.py", "first": at + 1}), ("edit", {"path": f"b{at}.py", "replace": body}))
            return replace(made, usage=None)
        read = as_text("read", path="a.py", first=str(at + 1))
        return ChatReply(read + "\n" + as_text("edit", path=f"b{at}.py", replace=body), "stop", None)

    model = ScriptedModel(long)
    small = Small(tmp_path, model, 8_000)
    box = Toolbox(tree_of({"a.py": text}))
    ended = run_loop(small.gateway, START, box, Bounds(reply_tokens=1_000), tools=calling)  # type: ignore[arg-type]
    assert ended.stopped == "done", ended.reason
    assert len(box.tree) == 13
    for request in model.requests:
        assert request.messages[0].text.startswith("You change a shop.")
        size = sum(len(m.text) + sum(len(c.arguments) for c in m.tool_calls) for m in request.messages)
        assert size < 3.2 * 8_000
    small.ledger.close()


def test_a_prompt_that_cannot_fit_is_a_typed_end(tmp_path: Path) -> None:
    small = Small(tmp_path, ScriptedModel(["never asked"]), 3_000)
    long = (replace(START[0]), message("user", "word " * 20_000))
    ended = run_loop(small.gateway, long, Toolbox(SHOP), Bounds(reply_tokens=500))
    assert ended.stopped == "context"
    small.ledger.close()


def test_a_known_context_is_compacted_before_it_is_full() -> None:
    numbers = iter(range(8))

    def reading(_: ChatRequest) -> ChatReply:
        at = next(numbers)
        made = calls(("read", {"path": "shop/cart.py", "first": at + 1}))
        return replace(made, usage=Usage(900, 10)) if at < 7 else ChatReply("Done.", "stop", Usage(9, 9))

    model = ScriptedModel(reading)
    box = Toolbox(SHOP.replaced({"shop/cart.py": tree_of({"a": "x = 1\n" * 400})["a"]}))
    run(model, box, bounds=Bounds(context=1_000))
    results = [len(one.text) for one in model.requests[-1].messages if one.role == "tool"]
    assert max(results[:3]) < 700 < min(results[-2:])


def test_a_command_that_hangs_does_not_hang_the_loop(toolbox: MakeToolbox) -> None:
    sleep = ("run_command", {"command": 'python -c "import time; time.sleep(600)"', "seconds": 1})
    model = ScriptedModel([calls(sleep), "It hangs."])
    assert run(model, toolbox()).stopped == "done"
    assert "its time was over" in model.requests[1].messages[-1].text
