"""What a hostile child sends: each byte string is one of our messages or a `ProtocolError`."""

import random
import socket
import time
import tracemalloc

import msgspec
import pytest

from grader.sandbox import wire
from grader.sandbox.protocol import (
    BackwardNode,
    BackwardRun,
    BoundName,
    Called,
    CellDone,
    CellError,
    DeviceLog,
    Output,
    ProtocolError,
    TensorFact,
)

MESSAGES = (
    CellDone(
        index=3,
        outcome="raised",
        output="x" * 300,
        error=CellError(type="ValueError", text="no", line=2),
        bound=tuple(BoundName(name=f"n{n}", kind="tensor") for n in range(20)),
        device=DeviceLog(
            allocated_before=0, reserved_before=0, allocated_after=9, reserved_after=9,
            peak_allocated=9, peak_reserved=9, fits_before=1 << 33,
        ),
        backward=(
            BackwardRun(
                how="backward",
                root=TensorFact(id=1, shape=(1,), dtype="float32", values=("1.0",)),
                nodes=(BackwardNode(id=0, name="AddBackward0", inputs=(1, 2)),),
                tensors=(),
                after={1: ("1.0", "nan")},
            ),
        ),
    ),
    Called(outputs=tuple(Output(type="tensor", values=("0.0",), shape=(1,)) for _ in range(50))),
)  # fmt: skip


TOKEN = bytes(range(wire.TOKEN_BYTES))


def mutated(data, source):
    """Return a message with some of its bytes changed, cut, doubled or put in."""
    data = bytearray(data)
    for _ in range(source.randint(1, 8)):
        place = source.randrange(len(data)) if data else 0
        what = source.randrange(4)
        if what == 0 and data:
            data[place] = source.randrange(256)
        elif what == 1:
            data[place:place] = source.randbytes(source.randint(1, 6))
        elif what == 2:
            del data[place : place + source.randint(1, 20)]
        else:
            data[place:place] = bytes([source.choice((0xDD, 0xDF, 0xC6, 0xDB, 0x91, 0xC9))])
    return bytes(data)


def hostile_bytes(number):
    source = random.Random(number)
    if number % 2:
        return source.randbytes(source.randint(0, 400))
    return mutated(msgspec.msgpack.encode(source.choice(MESSAGES)), source)


def test_ten_thousand_hostile_byte_strings_are_messages_or_protocol_errors():
    refused = 0
    tracemalloc.start()
    began = time.process_time()
    try:
        for number in range(10_000):
            try:
                wire.decode(hostile_bytes(number))
            except ProtocolError:
                refused += 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused > 9_000
    assert time.process_time() - began < 60
    assert peak < 8 << 20


@pytest.mark.parametrize(
    "data",
    [
        b"\x91" * 1_000_000,  # arrays in arrays
        b"\x81\xa1x" * 300_000,  # maps in maps
        b"\xdd\xff\xff\xff\xff",  # an array of 2**32 - 1
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\x81\xa4type\xa9cell-done" + b"\xa1x\x01" * 1000,
        b"\x82\xa4type\xa6called\xa7outputs\xdd\x00\xff\xff\xff" + b"\x80" * 1_000_000,
        b"\x81\xa4type\xa5\xff\xfe\xfd\xfc\xfb",  # no UTF-8
    ],
)
def test_a_bomb_is_refused_at_once_and_in_little_memory(data):
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(ProtocolError):
            wire.decode(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 2
    assert peak < 32 << 20


@pytest.mark.parametrize("length", [wire.MOST_FROM_CHILD + 1, 2**32 - 1])
def test_a_message_that_announces_too_much_is_refused_before_it_is_read(length):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(length.to_bytes(4, "little") + TOKEN)
        with pytest.raises(ProtocolError, match=str(length)):
            wire.read_frame(ours, TOKEN, time.monotonic() + 5)


def test_a_reply_to_an_earlier_question_is_refused():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(wire.frame(MESSAGES[1], TOKEN))
        with pytest.raises(ProtocolError, match="another question"):
            wire.read_frame(ours, wire.new_token(), time.monotonic() + 5)


def test_a_message_that_comes_byte_by_byte_is_late_at_the_deadline():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall((1000).to_bytes(4, "little") + TOKEN + b"x" * 10)
        began = time.monotonic()
        with pytest.raises(wire.Late):
            wire.read_frame(ours, TOKEN, time.monotonic() + 0.2)
        assert time.monotonic() - began < 2


def test_a_message_that_is_ours_is_read():
    for message in MESSAGES:
        assert wire.decode(msgspec.msgpack.encode(message)) == message
