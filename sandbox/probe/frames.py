"""Messages on a byte stream: four bytes of length, most significant first, then that many bytes of JSON."""

import json
import os
import struct

LIMIT = 16 * 1024 * 1024
"""Bytes of JSON in the largest message; whoever reads refuses more before it takes memory."""

_HEADER = struct.Struct(">I")
# Taken now, because tests replace such functions.
_dumps, _loads, _write, _read = json.dumps, json.loads, os.write, os.read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, List, Optional


class FrameError(ValueError):
    """The stream holds something that is no message, or ended inside one."""


def encode(obj: "Any") -> bytes:
    """Return the message for a JSON value; lone surrogates survive. Raises FrameError beyond `LIMIT`."""
    body = _dumps(obj, separators=(",", ":")).encode("ascii")
    if len(body) > LIMIT:
        raise FrameError("a message of {} bytes is too large".format(len(body)))
    return _HEADER.pack(len(body)) + body


def write_message(stream: "BinaryIO", obj: "Any") -> None:
    """Write one message to a binary stream and flush it."""
    stream.write(encode(obj))
    stream.flush()


def write_message_fd(fd: int, obj: "Any") -> None:
    """Write one message to a blocking file descriptor, wholly."""
    data = memoryview(encode(obj))
    while data:
        data = data[_write(fd, data) :]


def read_message(stream: "BinaryIO") -> "Optional[Any]":
    """Return the next message of a binary stream, None at its end.

    Raises FrameError where it ends inside a message, or where something else than a message comes.
    """
    header = _exactly(stream, _HEADER.size)
    if not header:
        return None
    body = _exactly(stream, _length(header))
    return _decoded(body)


def read_message_fd(fd: int) -> "Optional[Any]":
    """Do as `read_message` on a blocking file descriptor, without reading beyond the message."""
    header = _exactly_fd(fd, _HEADER.size)
    if not header:
        return None
    return _decoded(_exactly_fd(fd, _length(header)))


class Decoder:
    """Collects bytes as they come and gives the messages that are whole."""

    def __init__(self, limit: int = LIMIT) -> None:
        """Refuse messages of more than `limit` bytes."""
        self._limit = limit
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished message wait."""
        return len(self._buffer)

    def feed(self, data: bytes) -> "List[Any]":
        """Return the messages that `data` completes, in order; raises FrameError on what is no message."""
        buffer = self._buffer
        buffer += data
        found: "List[Any]" = []
        start = 0
        while len(buffer) - start >= _HEADER.size:
            (length,) = _HEADER.unpack_from(buffer, start)
            if length > self._limit:
                raise FrameError("a message of {} bytes was announced".format(length))
            end = start + _HEADER.size + length
            if len(buffer) < end:
                break
            found.append(_decoded(bytes(buffer[start + _HEADER.size : end])))
            start = end
        del buffer[:start]
        return found


def _length(header: bytes) -> int:
    if len(header) < _HEADER.size:
        raise FrameError("the stream ended inside a message")
    (length,) = _HEADER.unpack(header)
    if length > LIMIT:
        raise FrameError("a message of {} bytes was announced".format(length))
    return int(length)


def _decoded(body: bytes) -> "Any":
    try:
        return _loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FrameError("the stream holds something that is no message") from error


def _exactly(stream: "BinaryIO", size: int) -> bytes:
    data = stream.read(size)
    while data and len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            raise FrameError("the stream ended inside a message")
        data += more
    if size and not data:
        return b""
    return data


def _exactly_fd(fd: int, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        more = _read(fd, size - len(parts))
        if not more:
            if parts:
                raise FrameError("the stream ended inside a message")
            return b""
        parts += more
    return bytes(parts)
