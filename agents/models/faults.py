"""Every exception of the SDK and of the HTTP library below it, as one of our own errors."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping
from typing import Any

import httpx2
import openai

from agents.models.errors import (
    ContextOverflow,
    CredentialsRefused,
    EndpointError,
    EndpointFailed,
    EndpointTimeout,
    EndpointUnreachable,
    FeatureUnsupported,
    ModelError,
    NoSuchModel,
    QuotaExhausted,
    RateLimited,
    ReplyError,
    ReplyFiltered,
    ReplyMalformed,
    ReplyNotJson,
    ReplyTruncated,
    RequestRefused,
)
from agents.models.retries import server_hint

FOREIGN = (
    openai.OpenAIError,
    httpx2.HTTPError,
    httpx2.StreamError,
    httpx2.InvalidURL,
    httpx2.CookieConflict,
    ssl.SSLError,
)
"""What the libraries below may raise while a call is made; all of it has a place in `fault_of`."""

_LOADING_SECONDS = 3.0
"""What a server that is still reading its model into memory would say if it said when to come again."""
_OVERFLOW = re.compile(
    r"exceed_context|context_length_exceeded|context (?:length|size|window)|maximum context|too many tokens|"
    r"prompt is too long|input is too long|exceeds? the (?:model'?s )?(?:maximum )?(?:context|token)",
    re.IGNORECASE,
)
_QUOTA = re.compile(r"insufficient_quota|billing|credit balance|exceeded your current quota|payment", re.IGNORECASE)
_TOOLS = re.compile(r"\btools?\b|tool_choice|tool-call|function.?call", re.IGNORECASE)
_MODEL = re.compile(
    r"model.{0,80}(?:not (?:found|exist|available|loaded)|does(?: not|n't) exist|unknown)|no such model", re.IGNORECASE
)
_PAGE = re.compile(r"^\s*(?:<!doctype|<html|<\?xml|<head|<body)", re.IGNORECASE)
_LIMIT = re.compile(
    r"(?:maximum context length|context size|context length|context window|limit)\D{0,40}?(\d{3,9})", re.IGNORECASE
)
_MARKUP = re.compile(r"<(?:script|style)\b.*?</(?:script|style)>|<[^>]*>", re.IGNORECASE | re.DOTALL)


def looks_like_page(text: str) -> bool:
    """Return whether the text is a web page rather than JSON."""
    return bool(_PAGE.match(text[:2000]))


def short(text: str) -> str:
    """Return foreign text on one line, without markup and control characters, at most 300 characters long."""
    plain = _MARKUP.sub(" ", text[:20_000]) if looks_like_page(text) else text[:4000]
    line = " ".join("".join(c if c.isprintable() else " " for c in plain).split())
    return line if len(line) <= 300 else f"{line[:299]}…"


def not_json(text: str, endpoint: str) -> ReplyError:
    """Return the error for an answer with status 200 that is no JSON."""
    if looks_like_page(text):
        return ReplyNotJson(
            f"{endpoint} answered with a web page: is it the address of a model, ending in /v1?", excerpt=short(text)
        )
    if not text.strip():
        return ReplyTruncated(f"{endpoint} answered with nothing")
    if text.lstrip()[:1] in "{[":
        return ReplyTruncated(f"the answer of {endpoint} is JSON that breaks off or is broken", excerpt=short(text))
    return ReplyNotJson(f"{endpoint} answered with text that is no JSON", excerpt=short(text))


def fault_of(error: BaseException, endpoint: str, *, begun: bool = False) -> ModelError:
    """Return our error for one of `FOREIGN`; `begun` says that a part of the answer had come already.

    The message names the endpoint, never what was sent to it.
    """
    if isinstance(error, openai.APIStatusError):
        headers = {name.lower(): value for name, value in error.response.headers.items()}
        return status_fault(error.status_code, _text_of(error.body), endpoint, headers)
    if isinstance(error, (openai.APITimeoutError, httpx2.TimeoutException)):
        return EndpointTimeout(f"{endpoint} did not answer in time")
    if isinstance(error, (openai.APIResponseValidationError, httpx2.DecodingError)):
        return ReplyMalformed(f"the answer of {endpoint} cannot be decoded: {short(str(error))}")
    if isinstance(error, openai.LengthFinishReasonError):
        return ReplyTruncated(f"the answer of {endpoint} was cut off at its length limit")
    if isinstance(error, openai.ContentFilterFinishReasonError):
        return ReplyFiltered("the endpoint's content filter withheld the answer")
    if isinstance(error, (httpx2.UnsupportedProtocol, httpx2.InvalidURL, httpx2.TooManyRedirects)):
        return NoSuchModel(f"{endpoint} is no address that can be asked: {short(str(error))}")
    if isinstance(error, (openai.APIConnectionError, httpx2.HTTPError, httpx2.StreamError, ssl.SSLError)):
        cause = error.__cause__ or error
        why = short(str(cause)) or type(cause).__name__
        if begun:
            return ReplyTruncated(f"the answer of {endpoint} broke off: {why}")
        return EndpointUnreachable(f"{endpoint} cannot be reached, or the connection broke: {why}")
    if isinstance(error, openai.APIError):
        return told_fault(error.body if error.body is not None else error.message, endpoint)
    return EndpointError(f"the call to {endpoint} failed: {short(str(error)) or type(error).__name__}")


def _text_of(body: object) -> str:
    try:
        return body if isinstance(body, str) else "" if body is None else json.dumps(body)
    except RecursionError:
        return ""


def told_fault(body: object, endpoint: str) -> ModelError:
    """Return our error for an `error` object that came with status 200, as some gateways send it."""
    code = body.get("code") if isinstance(body, Mapping) else None
    status = int(code) if isinstance(code, (int, str)) and str(code).isdigit() and 400 <= int(code) <= 599 else 500
    return status_fault(status, _text_of(body), endpoint, {})


def _told(text: str) -> tuple[str, str, Mapping[str, Any]]:
    """Return the message, the words to look for reasons in, and the object of an error's body."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return short(text), text[:4000], {}
    inner = data.get("error", data) if isinstance(data, Mapping) else data
    if not isinstance(inner, Mapping):
        return short(str(inner)), text[:4000], {}
    message = inner.get("message") or inner.get("detail") or inner.get("error") or text
    return short(str(message)), text[:4000], inner


def status_fault(status: int, text: str, endpoint: str, headers: Mapping[str, str]) -> ModelError:
    """Return our error for an answer with an HTTP status that is not 2xx; header names in lower case."""
    said, words, told = _told(text)
    quoted = f": {said}" if said else ""
    if status in {401, 403}:
        return CredentialsRefused(f"{endpoint} refuses the key ({status}){quoted}", status=status, detail=words)
    if status == 402 or (status == 429 and _QUOTA.search(words)):
        return QuotaExhausted(f"the quota at {endpoint} is used up ({status}){quoted}", status=status, detail=words)
    if status == 429:
        after = server_hint(headers)
        return RateLimited(
            f"{endpoint} takes no more calls for now (429){quoted}", status=status, after=after, detail=words
        )
    if 300 <= status < 400:
        target = short(headers.get("location", "another address"))
        return NoSuchModel(f"{endpoint} redirects to {target}: give that address instead", status=status, detail=words)
    if status in {408, 409, 425} or status >= 500:
        # llama.cpp and others report an overlong prompt as 500.
        if status == 500 and _OVERFLOW.search(words):
            return _overflow(status, said, words, told, endpoint)
        after = server_hint(headers)
        if after is None and status == 503 and "loading model" in words.lower():
            after = _LOADING_SECONDS
        return EndpointFailed(f"{endpoint} failed ({status}){quoted}", status=status, after=after, detail=words)
    if status == 413 or _OVERFLOW.search(words):
        return _overflow(status, said, words, told, endpoint)
    if status == 404 or status == 405 or (status == 400 and _MODEL.search(words)):
        return NoSuchModel(f"{endpoint} knows no such address or model ({status}){quoted}", status=status, detail=words)
    return _refusal(status, said, words, told, endpoint)


def _refusal(status: int, said: str, words: str, told: Mapping[str, Any], endpoint: str) -> EndpointError:
    param = str(told.get("param") or "")
    message = f"{endpoint} refuses the request ({status})" + (f": {said}" if said else "")
    if _TOOLS.search(f"{param} {said}"):
        return FeatureUnsupported(message, status=status, detail=words, param="tools")
    return RequestRefused(message, status=status, detail=words, param=param)


def _overflow(status: int, said: str, words: str, told: Mapping[str, Any], endpoint: str) -> ContextOverflow:
    limit, size = told.get("n_ctx"), told.get("n_prompt_tokens")
    if not isinstance(limit, int):
        found = _LIMIT.search(words)
        limit = int(found[1]) if found else 0
    message = f"the prompt is longer than the model's context at {endpoint}" + (f": {said}" if said else "")
    return ContextOverflow(message, status=status, detail=words, limit=limit, size=size if isinstance(size, int) else 0)
