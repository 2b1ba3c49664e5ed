"""The messages between the probe and the host."""

from __future__ import annotations

import io
import os
import struct

import pytest

from sandbox.probe import frames

VALUES = [{"a": 1}, ["é", "\udc80", "\0"], None, "x" * 70_000, 1.5, {}]


def test_messages_come_back_as_they_went_in() -> None:
    stream = io.BytesIO()
    for value in VALUES:
        frames.write_message(stream, value)
    stream.seek(0)
    assert [frames.read_message(stream) for _ in VALUES] == VALUES
    assert frames.read_message(stream) is None


@pytest.mark.parametrize("step", [1, 3, 4096])
def test_decoder_takes_bytes_as_they_come(step: int) -> None:
    data = b"".join(frames.encode(value) for value in VALUES)
    decoder = frames.Decoder()
    found = [m for at in range(0, len(data), step) for m in decoder.feed(data[at : at + step])]
    assert found == VALUES
    assert decoder.pending == 0


def test_file_descriptors_carry_messages_and_nothing_beyond_is_read() -> None:
    reading, writing = os.pipe()
    frames.write_message_fd(writing, {"first": 1})
    frames.write_message_fd(writing, [])
    os.write(writing, b"rest")
    os.close(writing)
    assert frames.read_message_fd(reading) == {"first": 1}
    assert frames.read_message_fd(reading) == []
    assert os.read(reading, 100) == b"rest"
    assert frames.read_message_fd(reading) is None
    os.close(reading)


@pytest.mark.parametrize(
    "data",
    [b"\0", struct.pack(">I", 10) + b"{}", struct.pack(">I", 2) + b"{x", struct.pack(">I", 1) + b"\xff", b"\xff" * 9],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(frames.FrameError):
        frames.read_message(io.BytesIO(data))
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    with pytest.raises(frames.FrameError):
        frames.read_message_fd(reading)
    os.close(reading)


def test_decoder_refuses_what_is_too_large_before_it_comes() -> None:
    with pytest.raises(frames.FrameError):
        frames.Decoder(limit=10).feed(struct.pack(">I", 11))
    with pytest.raises(frames.FrameError):
        frames.encode("x" * frames.LIMIT)


def test_deep_nesting_is_refused() -> None:
    body = b"[" * 200_000
    with pytest.raises(frames.FrameError):
        frames.Decoder().feed(struct.pack(">I", len(body)) + body)
