from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.models.errors import ContextTooLong
from agents.models.protocol import ChatRequest, Keep, Message, Part, Schema, Tool, ToolCall, message
from agents.models.trimming import TokenCounter, trim, upper_bound

LINES = "".join(f"line {number} of the output\n" for number in range(400))


def asked(*parts: Part, max_tokens: int = 100) -> ChatRequest:
    return ChatRequest((message("system", "be brief"), Message("user", parts)), max_tokens)


def test_what_fits_is_left_as_it_is() -> None:
    request = asked(Part("hello", 1))
    trimmed = trim(request, 8000, TokenCounter())
    assert trimmed.request == request
    assert trimmed.notes == ()


@pytest.mark.parametrize(
    ("keep", "first", "last"), [("head", True, False), ("tail", False, True), ("ends", True, True)]
)
def test_the_least_important_part_is_shortened_first_and_said_so(keep: Keep, first: bool, last: bool) -> None:
    request = asked(Part("task\n"), Part(LINES, 10, "the test's output", keep), Part(LINES, 20, "the file", "head"))
    whole = TokenCounter().request(request)
    trimmed = trim(request, whole - 1000, TokenCounter())
    task, output, file = trimmed.request.messages[1].parts
    assert task.text == "task\n"
    assert file.text == LINES
    assert output.text.startswith("line 0 ") is first
    assert output.text.endswith("line 399 of the output\n") is last
    assert "[the test's output: " in output.text
    assert "lines left out to fit the context]\n" in output.text
    assert len(trimmed.notes) == 1
    assert "tokens of the test's output were left out" in trimmed.notes[0]
    assert trimmed.tokens + 100 <= whole - 1000
    # No more is taken out than has to be.
    assert trimmed.tokens + 100 > whole - 1000 - 60


def test_parts_that_are_whole_or_nothing_go_and_the_oldest_of_equals_first() -> None:
    request = ChatRequest(tuple(message("user", LINES, priority=1, label=f"turn {n}") for n in range(3)), 100)
    whole = TokenCounter().request(request)
    trimmed = trim(request, whole * 2 // 3, TokenCounter())
    gone = ["left out" in one.text and len(one.text) < 100 for one in trimmed.request.messages]
    assert gone == [True, True, False]
    assert trimmed.request.messages[0].text == "[turn 0: left out to fit the context]\n"


def test_tool_calls_keep_their_answers() -> None:
    call = ToolCall("c", "read", "{}")
    turns = (Message("assistant", tool_calls=(call,)), Message("tool", (Part(LINES, 1),), tool_call_id="c"))
    trimmed = trim(ChatRequest(turns, 100), 1000, TokenCounter())
    assert [one.role for one in trimmed.request.messages] == ["assistant", "tool"]
    assert trimmed.request.messages[0].tool_calls == (call,)
    assert trimmed.request.messages[1].tool_call_id == "c"


def test_what_may_not_be_left_out_and_does_not_fit_is_an_error_before_the_call() -> None:
    with pytest.raises(ContextTooLong, match="room for"):
        trim(asked(Part(LINES)), 1000, TokenCounter())


def test_a_reply_may_not_take_more_than_half_the_context() -> None:
    assert trim(asked(Part("x"), max_tokens=9000), 4000, TokenCounter()).request.max_tokens == 2000


def test_one_long_line_is_cut_too() -> None:
    trimmed = trim(asked(Part("task"), Part("x" * 9000, 1, "data", "head")), 1500, TokenCounter())
    assert "xxx" in trimmed.request.messages[1].text


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(max_size=400),
            st.integers(1, 30),
            st.sampled_from([None, 1, 2]),
            st.sampled_from(["all", "head", "tail", "ends"]),
        ),
        max_size=6,
    ),
    st.integers(200, 4000),
)
def test_the_result_fits_by_the_same_count(parts: list[tuple[str, int, int | None, Keep]], context: int) -> None:
    request = asked(*(Part(text * times, priority, "part", keep) for text, times, priority, keep in parts))
    counter = TokenCounter()
    try:
        trimmed = trim(request, context, counter)
    except ContextTooLong:
        # Only where what has to stay does not fit, with a line for each part that does not.
        bare = asked(
            *(
                Part(p.text if p.priority is None else "[part: left out to fit the context]\n")
                for p in request.messages[1].parts
            )
        )
        assert (
            counter.request(replace(bare, max_tokens=trim_reply(request, context)))
            > context - trim_reply(request, context) - 60
        )
        return
    assert counter.request(trimmed.request) + trimmed.request.max_tokens <= context
    for before, after in zip(request.messages[1].parts, trimmed.request.messages[1].parts, strict=True):
        if before.priority is None:
            assert before == after


def trim_reply(request: ChatRequest, context: int) -> int:
    return min(request.max_tokens, context // 2)


def test_estimates_learn_upward_at_once_and_downward_slowly_with_some_to_spare() -> None:
    counter, request = TokenCounter(), asked(Part(LINES))
    first = counter.request(request)
    counter.learn(request, int(first * 1.5))
    assert counter.request(request) >= int(first * 1.5)
    high = counter.factor
    counter.learn(request, first // 2)
    assert first // 2 < counter.request(request)
    assert counter.factor < high
    for _ in range(40):
        counter.learn(request, first // 2)
    assert first // 2 < counter.request(request) < first * 0.6
    counter.learn(request, 10**9)
    assert counter.factor == pytest.approx(3.0)
    counter.learn(asked(Part("x")), 10**9)
    counter.learn(request, 0)
    assert counter.factor == pytest.approx(3.0)


def test_overflows_raise_the_estimate_and_a_frozen_counter_learns_nothing() -> None:
    counter, frozen, request = TokenCounter(), TokenCounter(frozen=True), asked(Part(LINES))
    for one in (counter, frozen):
        one.overflowed(request, 0)
        one.overflowed(request, 20_000)
        one.learn(request, 20_000)
    assert counter.factor == pytest.approx(3.0)
    assert frozen.factor == 1.0


def test_the_bound_for_the_ledger_is_above_one_token_for_each_byte() -> None:
    dice = random.Random(1)  # noqa: S311
    for _ in range(50):
        text = "".join(chr(dice.choice([65, 10, 233, 0x6F22, 0x1F642, 0xDC80])) for _ in range(dice.randint(0, 300)))
        request = replace(
            asked(Part(text)),
            tools=(Tool("t", text, {"type": "object"}),),
            schema=Schema("s", {"a": text}),
        )
        size = 2 * len(text.encode("utf-8", "replace"))
        assert upper_bound(request) >= size + 512
        assert TokenCounter().request(request) > 0
