from __future__ import annotations

import json
import ssl
from typing import Any

import httpx2
import openai
import pytest

from agents.models.errors import EndpointError, ModelError
from agents.models.faults import FOREIGN, fault_of, looks_like_page, short, status_fault, told_fault

REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/chat/completions")


def below(kind: type[BaseException]) -> set[type[BaseException]]:
    return {kind}.union(*(below(inner) for inner in kind.__subclasses__()))


def made(kind: type[BaseException]) -> BaseException:
    """An instance of any exception of the SDK or the HTTP library, however it wants to be made."""
    response = httpx2.Response(418, request=REQUEST)
    attempts: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        (("told",), {"response": response, "body": {"message": "told"}}),
        ((), {"response": response, "body": None}),
        ((response, None), {}),
        (("told", REQUEST), {"body": None}),
        ((), {"message": "told", "request": REQUEST}),
        ((REQUEST,), {}),
        ((), {"completion": type("Completion", (), {"usage": None})()}),
        (("told",), {"unsent_messages": []}),
        (("told",), {"request": REQUEST, "response": response}),
        (("told",), {}),
        ((), {"symbol": "told"}),
        ((), {}),
    ]
    for given, named in attempts:
        try:
            return kind(*given, **named)
        except (TypeError, AttributeError):
            continue
    raise AssertionError(f"{kind} cannot be made")


SDK = sorted(below(openai.OpenAIError), key=lambda kind: kind.__name__)
HTTP = sorted(
    {
        one
        for root in (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, httpx2.CookieConflict)
        for one in below(root)
    },
    key=lambda kind: kind.__name__,
)


def test_the_lists_are_whole() -> None:
    assert len(SDK) >= 15
    assert len(HTTP) >= 25
    # Not `vars`: the SDK loads all of itself when its attributes are looked at.
    public = {getattr(openai, name) for name in openai.__all__ if name.endswith("Error")}
    # Not for calls: it is a ValueError that only webhooks raise.
    assert {kind.__name__ for kind in public if not issubclass(kind, FOREIGN)} <= {"InvalidWebhookSignatureError"}
    other = {v for v in list(vars(httpx2).values()) if isinstance(v, type) and issubclass(v, Exception)}
    assert {kind.__name__ for kind in other if not issubclass(kind, FOREIGN)} <= {"HTTPXDeprecationWarning"}


@pytest.mark.parametrize("kind", [*SDK, *HTTP, ssl.SSLError], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("begun", [True, False])
def test_every_exception_below_us_has_a_place_in_our_tree(kind: type[BaseException], begun: bool) -> None:
    error = fault_of(made(kind), "http://127.0.0.1/v1", begun=begun)
    assert isinstance(error, ModelError)
    assert type(error) is not ModelError
    assert str(error)
    if issubclass(kind, openai.APIError):
        assert type(error) is not EndpointError, "it deserves a place of its own"


@pytest.mark.parametrize("status", range(300, 600))
def test_every_status_has_a_place(status: int) -> None:
    error = status_fault(status, '{"error": {"message": "told"}}', "http://127.0.0.1/v1", {})
    assert isinstance(error, EndpointError)
    assert type(error) is not EndpointError
    assert error.status == status


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", '"x"', '{"error": []}', '{"error": {"message": null}}', "7" * 9999]
)
def test_any_body_of_an_error_can_be_told(text: str) -> None:
    error = status_fault(400, text, "http://127.0.0.1/v1", {})
    assert len(str(error)) < 500
    told_fault(text, "http://127.0.0.1/v1")


def test_overflows_tell_their_figures() -> None:
    said = {
        "code": 400,
        "message": "request (18030 tokens) exceeds the available context size (16384 tokens)",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 18030,
        "n_ctx": 16384,
    }
    llama = json.dumps({"error": said})
    error = status_fault(400, llama, "x", {})
    assert (error.limit, error.size) == (16384, 18030)  # type: ignore[attr-defined]
    hosted = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
    assert status_fault(400, hosted, "x", {}).limit == 8192  # type: ignore[attr-defined]


def test_hints_of_the_server_are_kept() -> None:
    assert status_fault(429, "", "x", {"retry-after": "7"}).after == 7.0  # type: ignore[attr-defined]
    assert status_fault(503, "Loading model", "x", {}).after == 3.0  # type: ignore[attr-defined]


def test_pages_are_told_from_text_and_shortened() -> None:
    page = "<!doctype html><html><style>p {}</style><body><h1>Gateway \x1b[31m time-out</h1></body></html>"
    assert looks_like_page(page)
    assert short(page) == "Gateway [31m time-out"
    assert len(short("x " * 9000)) == 300
