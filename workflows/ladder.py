"""The models of one run: opened when they are first needed, paid from one ledger, each answer kept.

Nothing of a model client is imported until a tier is opened, and no tier is opened before a cheaper one has failed.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from agents.models.errors import CapReached, LocalModelError, ModelError, ModelSettingsError
from agents.models.protocol import ChatModel, ChatReply, ChatRequest
from agents.models.tiers import Capabilities, Tier
from workflows.runs import state_folder
from workflows.tiers import caps_of, is_embedded

if TYPE_CHECKING:
    import httpx2

    from agents.models.cassettes import Cassette
    from agents.models.gateway import CallRecord
    from agents.models.ledger import Account, Ledger, Spent
    from agents.models.local import LocalServer
    from agents.models.prompts import Fence
    from agents.models.scrubbing import Scrubber
    from workflows.settings import Settings

T = TypeVar("T")
LEDGER = "ledger.sqlite"
"""File in the state folder; a replay has one of its own in the run's folder, as it costs nothing."""
_PROBE_TOKENS = 700
"""What each of the two calls that find out about tools and schemas is booked at."""


class Once(Protocol):
    """Does a piece of work, or returns what it gave before; see `workflows.runs.Run.once`."""

    def __call__(self, name: str, work: Callable[[], T], /) -> T: ...


@dataclass(frozen=True, slots=True)
class Rung:
    """A tier that can be asked."""

    tier: Tier
    number: int
    """Its place in the run's ladder, from 1; tier 0 needs no model."""
    model: ChatModel
    findings: tuple[str, ...] = ()
    """What was found out about it, a sentence each."""

    @property
    def native(self) -> bool:
        """Whether tools are called by the protocol's own means, and not as text."""
        return self.tier.capabilities.tools is True


class Journalled:
    """A `ChatModel` whose answers are records of the run: a resumed run is given them again, and pays for none twice.

    The n-th equal request gets the n-th answer that was recorded for it.
    """

    def __init__(self, model: ChatModel, tier: str, once: Once) -> None:
        """Ask `model`; `once` is that of a run."""
        self._model = model
        self._tier = tier
        self._once = once
        self._answered: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    def complete(
        self, request: ChatRequest, *, stop: threading.Event | None = None, on_text: Callable[[str], None] | None = None
    ) -> ChatReply:
        """Answer from the records, or ask the model; see `ChatModel`."""
        plain = json.dumps(asdict(request), sort_keys=True, default=str)
        digest = hashlib.sha256(f"{self._tier}\0{plain}".encode("utf-8", "surrogatepass")).hexdigest()[:20]
        with self._lock:
            number = self._answered[digest]
        reply = self._once(f"call-{digest}-{number}", lambda: self._model.complete(request, stop=stop, on_text=on_text))
        with self._lock:
            self._answered[digest] = max(self._answered[digest], number + 1)
        return reply


class Ladder:
    """The tiers of one run; safe for threads, and a context manager."""

    def __init__(
        self,
        chosen: tuple[Tier, ...],
        settings: Settings,
        environment: Mapping[str, str],
        account: Account,
        folder: Path,
        *,
        once: Once,
        note: Callable[[str], None],
        on_call: Callable[[CallRecord], None],
        stop: threading.Event,
    ) -> None:
        """Take what `wanted` returned; `folder`, `once` and `stop` are the run's."""
        self.tiers = chosen
        self._settings = settings
        self._environment = environment
        self._account = account
        self._folder = folder
        self._once = once
        self._note = note
        self._on_call = on_call
        self._stop = stop
        self._lock = threading.RLock()
        self._open: dict[str, Rung] = {}
        self._closers: list[Callable[[], None]] = []
        self._ledger: Ledger | None = None
        self._cassette: Cassette | None = None
        self._nonce = ""

    def __bool__(self) -> bool:
        """Whether any model may be asked."""
        return bool(self.tiers)

    @property
    def replaying(self) -> bool:
        """Whether the answers come from a cassette."""
        return bool(self._settings.replay)

    @property
    def ledger(self) -> Ledger:
        """Where calls are booked; what a killed process had booked is settled when it is opened."""
        from agents.models.ledger import Ledger

        with self._lock:
            if self._ledger is None:
                path = (self._folder if self.replaying else state_folder()) / LEDGER
                self._ledger = Ledger(path, caps_of(self._settings))
            return self._ledger

    def spent(self) -> Spent:
        """Return what this run has cost so far."""
        return self.ledger.spent("run", self._account)

    def fence(self) -> Fence:
        """Return the fence around untrusted text: one mark for the whole run, also after a resume and in a replay."""
        from agents.models.prompts import Fence

        with self._lock:
            if not self._nonce:
                self._nonce = str(self._once("nonce", self._fresh_nonce))
        return Fence(self._nonce)

    def _fresh_nonce(self) -> str:
        import secrets

        cassette = self._tape()
        return secrets.token_hex(16) if cassette is None else cassette.nonce

    def rung(self, tier: Tier, *, tools: bool = False) -> Rung:
        """Return a tier ready to be asked; `tools` finds out whether it can call tools, where that is unknown.

        Raises:
            ModelError: it cannot be reached, fetched or served, or the ledger cannot be used.

        """
        with self._lock:
            known = self._open.get(tier.name)
            if known is None or (tools and known.tier.capabilities.tools is None):
                known = self._opened(tier if known is None else known.tier, self.tiers.index(tier) + 1, tools=tools)
                self._open[tier.name] = known
            return known

    def close(self) -> None:
        """End the local model's process and close all connections; may be called again."""
        with self._lock:
            closers, self._closers = self._closers, []
            self._open.clear()
        for close in reversed(closers):
            with suppress(Exception):
                close()
        if self._ledger is not None:
            self._ledger.close()

    def _opened(self, tier: Tier, number: int, *, tools: bool) -> Rung:
        from agents.models.client import EndpointModel
        from agents.models.gateway import Gateway
        from agents.models.trimming import TokenCounter

        if is_embedded(tier) and not self.replaying:
            tier = replace(self._served().tier, capabilities=tier.capabilities)
        name = f"tier-{tier.name}" + ("-tools" if tools else "")
        model, capabilities, enforced, findings = self._once(name, lambda: self._looked_at(tier, tools=tools))
        tier = replace(tier, model=model, capabilities=capabilities, context_enforced=enforced)
        for finding in findings:
            self._note(f"model tier {tier.name}: {finding}")
        endpoint = EndpointModel(tier, transport=self._transport(tier))
        self._closers.append(endpoint.close)
        # A frozen counter trims alike in a run and in its replay, whatever order calls end in.
        guarded = Gateway(
            endpoint, tier, self.ledger, self._account, scrubber=self._scrubber(), counter=TokenCounter(frozen=True),
            on_call=self._on_call, waiting=not self.replaying,
        )  # fmt: skip
        return Rung(tier, number, Journalled(guarded, tier.name, self._once), findings)

    def _looked_at(self, tier: Tier, *, tools: bool) -> tuple[str, Capabilities, bool, tuple[str, ...]]:
        """Find out what the settings leave open."""
        from agents.models.client import EndpointModel
        from agents.models.probe import probe

        can = tier.capabilities
        calls = tools and can.tools is None
        if tier.model and can.context is not None and not calls:
            return tier.model, can, tier.context_enforced, ()
        model = EndpointModel(tier, transport=self._transport(tier))
        try:
            found = probe(model, calls=calls and self._paid(tier), stop=self._stop)
        finally:
            model.close()
        if not found.reached:
            raise ModelError(f"the model tier {tier.name} cannot be used: {'; '.join(found.findings)}")
        if not found.tier.model:
            raise ModelSettingsError(f"model tier {tier.name}: {'; '.join(found.findings)}")
        return found.tier.model, found.tier.capabilities, found.tier.context_enforced, found.findings

    def _paid(self, tier: Tier) -> bool:
        """Book the calls of a probe at their worst case; false where no cap leaves room for them."""
        tokens = 2 * _PROBE_TOKENS
        micro = None if tier.prices is None else tier.prices.worst(tokens, tokens)
        try:
            with self.ledger.booked(self._account, tokens=tokens, micro=micro, tier=tier.name, purpose="probe"):
                return True
        except CapReached:
            return False

    def _served(self) -> LocalServer:
        from agents.models.fetching import QWEN_CODER, fetched
        from agents.models.local import LocalServer, available

        if (missing := available()) is not None:
            raise LocalModelError(missing)
        file = fetched(QWEN_CODER)
        if file is None:
            raise LocalModelError(
                f"the embedded model {QWEN_CODER.name} is not on this machine ({QWEN_CODER.size // 10**6} MB); "
                "get it with: greendiff models --fetch"
            )
        self._note(f"starting the embedded model {QWEN_CODER.name}")
        server = LocalServer(file, name=QWEN_CODER.name, context=QWEN_CODER.context)
        self._closers.append(server.close)
        server.start(stop=self._stop)
        return server

    def _scrubber(self) -> Scrubber:
        from agents.models.scrubbing import Scrubber

        return Scrubber(self._environment, [(f"key of {tier.name}", tier.key) for tier in self.tiers if tier.key])

    def _tape(self) -> Cassette | None:
        """Return the cassette of this run, None where nothing is recorded or replayed."""
        with self._lock:
            if self._cassette is None and (self._settings.record or self._settings.replay):
                from agents.models.cassettes import Cassette

                if self._settings.replay:
                    self._cassette = Cassette.replay(Path(self._settings.replay), self._scrubber())
                else:
                    begun = self._folder / "recording"
                    self._cassette = Cassette.record(
                        Path(str(self._settings.record)), self._scrubber(), resume=begun.exists()
                    )
                    begun.touch()
            return self._cassette

    def _transport(self, tier: Tier) -> httpx2.BaseTransport | None:
        cassette = self._tape()
        if cassette is None:
            return None
        if self.replaying:
            return cassette.transport()
        from agents.models.transport import open_transport

        return cassette.transport(open_transport(tier.endpoint))
