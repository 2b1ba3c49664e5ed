import threading
import time

import pytest

from agents.models.client import EndpointModel
from agents.models.deadline import Deadlined
from agents.models.errors import CallCancelled, CallOverdue, EndpointFailed
from agents.models.protocol import ChatRequest
from tests.models.endpoint import Say, ScriptedEndpoint, Status


def test_a_call_ends_with_the_time_of_whoever_asks(request_: ChatRequest) -> None:
    with ScriptedEndpoint([Say("hello"), Say("late", delay=30)]) as endpoint:
        model = Deadlined(EndpointModel(endpoint.tier()), 2.0)
        assert model.complete(request_).text == "hello"
        with pytest.raises(CallOverdue, match="the time of 2 s was over"):
            model.complete(request_)
        # Nothing more is sent from then on.
        with pytest.raises(CallOverdue):
            model.complete(request_)
        assert len(endpoint.chats) == 2


def test_who_stops_a_call_is_told_so(request_: ChatRequest) -> None:
    stop = threading.Event()
    with ScriptedEndpoint([Say("late", delay=30)]) as endpoint:
        model = Deadlined(EndpointModel(endpoint.tier()), 600)
        threading.Timer(0.2, stop.set).start()
        with pytest.raises(CallCancelled) as caught:
            model.complete(request_, stop=stop)
    assert not isinstance(caught.value, CallOverdue)


def test_other_errors_pass_and_no_thread_stays(request_: ChatRequest) -> None:
    with ScriptedEndpoint([Status(500)]) as endpoint, pytest.raises(EndpointFailed):
        Deadlined(EndpointModel(endpoint.tier()), 600).complete(request_)
    end = time.monotonic() + 10
    while any(thread.name == "deadline" for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)
