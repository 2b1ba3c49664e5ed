"""Errors of the model client.

ModelError
├── ModelSettingsError      a tier, an address, a price or a key is missing or wrong
├── PromptError             a prompt file and what it is filled with do not fit
├── ContextTooLong          what may not be left out does not fit the model's context
├── LedgerError             the ledger cannot be read or written, so nothing is spent
├── CapReached              the call could exceed a cap of the ledger, so it was not made
├── CallCancelled           the person or the run stopped the call
│   └── CallOverdue             the time of whoever asked was over
├── ScriptEnded             a scripted model was asked more often than it has replies
├── LocalModelError         the embedded model cannot be fetched, served or kept alive
├── CassetteError           a cassette cannot be read or written
│   └── CassetteMismatch    a replayed run asks for something that was not recorded
├── EndpointError           the endpoint did not serve the call
│   ├── EndpointUnreachable     no connection, or it broke
│   ├── EndpointTimeout         no answer in time
│   ├── EndpointFailed          it says that the fault is its own (5xx, 408, 409)
│   ├── RateLimited             too many calls for now
│   │   └── QuotaExhausted      no calls any more until somebody pays
│   ├── CredentialsRefused      the key is missing, wrong or may not do this
│   ├── NoSuchModel             the address or the model's name is unknown there
│   └── RequestRefused          it does not take the request as it is
│       ├── ContextOverflow     the prompt is longer than the model's context
│       └── FeatureUnsupported  it lacks tool calls, a JSON schema or another feature
└── ReplyError              the endpoint answered, but with nothing that can be used
    ├── ReplyNotJson            a web page or other text instead of the protocol
    ├── ReplyMalformed          JSON that is not the protocol's
    ├── ReplyTruncated          the answer broke off
    ├── ReplyEmpty              no choice, or a choice without text and tool calls
    └── ReplyFiltered           the endpoint withheld the answer
"""

from __future__ import annotations

from agents.errors import AgentError


class ModelError(AgentError):
    """Root of the model client's errors; the message is one sentence fit for a person, without credentials."""

    retryable = False
    """Whether the same call may succeed a little later."""
    maybe_charged = False
    """Whether the endpoint may have worked on the call, so that it counts at its worst case."""


class ModelSettingsError(ModelError):
    """A tier, an address, a price or a key is missing or wrong."""


class PromptError(ModelError):
    """A prompt file and what it is filled with do not fit."""


class ContextTooLong(ModelError):
    """What may not be left out of the prompt does not fit the model's context."""


class LedgerError(ModelError):
    """The ledger cannot be read or written, so nothing is spent."""


class CapReached(ModelError):
    """The call could exceed a cap, so it was not made."""

    def __init__(self, message: str, *, scope: str, unit: str, cap: int, used: int, wanted: int) -> None:
        """Keep what was compared: `unit` is `tokens` or `micro`, `used` includes what others have reserved."""
        super().__init__(message)
        self.scope = scope
        self.unit = unit
        self.cap = cap
        self.used = used
        self.wanted = wanted


class CallCancelled(ModelError):
    """The person or the run stopped the call."""

    maybe_charged = True


class CallOverdue(CallCancelled):
    """The time of whoever asked was over."""


class ScriptEnded(ModelError):
    """A scripted model was asked more often than it has replies."""


class LocalModelError(ModelError):
    """The embedded model cannot be fetched, served or kept alive."""


class CassetteError(ModelError):
    """A cassette cannot be read or written."""


class CassetteMismatch(CassetteError):
    """A replayed run asks for something that was not recorded; the message says what differs."""


class EndpointError(ModelError):
    """The endpoint did not serve the call."""

    def __init__(
        self, message: str, *, status: int | None = None, after: float | None = None, detail: str = ""
    ) -> None:
        """Keep the HTTP status, the seconds that the server asks to wait, and the server's own words."""
        super().__init__(message)
        self.status = status
        self.after = after
        self.detail = detail


class EndpointUnreachable(EndpointError):
    """No connection could be made, or it broke before the answer's end."""

    retryable = True
    maybe_charged = True


class EndpointTimeout(EndpointError):
    """No answer came in time."""

    retryable = True
    maybe_charged = True


class EndpointFailed(EndpointError):
    """The endpoint says that the fault is its own."""

    retryable = True


class RateLimited(EndpointError):
    """Too many calls for now."""

    retryable = True


class QuotaExhausted(RateLimited):
    """The account's quota is used up; waiting does not help."""

    retryable = False


class CredentialsRefused(EndpointError):
    """The key is missing, wrong, or may not do this."""


class NoSuchModel(EndpointError):
    """The address or the model's name is unknown at the endpoint."""


class RequestRefused(EndpointError):
    """The endpoint does not take the request as it is."""

    def __init__(self, message: str, *, status: int | None = None, detail: str = "", param: str = "") -> None:
        """Keep the name of the parameter that was refused, where the endpoint says it."""
        super().__init__(message, status=status, detail=detail)
        self.param = param


class ContextOverflow(RequestRefused):
    """The prompt is longer than the model's context."""

    def __init__(
        self, message: str, *, status: int | None = None, detail: str = "", limit: int = 0, size: int = 0
    ) -> None:
        """Keep the context's and the prompt's length in tokens where the endpoint says them, else 0."""
        super().__init__(message, status=status, detail=detail)
        self.limit = limit
        self.size = size


class FeatureUnsupported(RequestRefused):
    """The endpoint or model lacks a feature that the request needs; `param` names it."""


class ReplyError(ModelError):
    """The endpoint answered, but with nothing that can be used."""

    retryable = True
    maybe_charged = True

    def __init__(self, message: str, *, excerpt: str = "") -> None:
        """Keep the beginning of what came instead."""
        super().__init__(message)
        self.excerpt = excerpt


class ReplyNotJson(ReplyError):
    """A web page or other text came instead of the protocol."""


class ReplyMalformed(ReplyError):
    """JSON came that is not the protocol's."""


class ReplyTruncated(ReplyError):
    """The answer broke off before its end."""


class ReplyEmpty(ReplyError):
    """No choice came, or one without text and tool calls."""


class ReplyFiltered(ReplyError):
    """The endpoint withheld the answer."""

    retryable = False
