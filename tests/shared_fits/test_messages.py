"""Messages between processes: what is sent is what is received, and nothing else is believed."""

import json
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sklstm._distributed import messages
from sklstm._distributed.messages import Connection, Lost, accept, connect, encode, listen

TOKEN = b"t" * 32


@pytest.fixture
def pair():
    """Two ends of a connection: one speaks messages, the other bytes."""
    with listen("127.0.0.1") as listener:
        other = socket.create_connection(listener.getsockname())
        one, _ = listener.accept()
    yield Connection(one), other
    one.close()
    other.close()


def handshake(token_of_listener, token_of_caller):
    """Return what `accept` gives, and what `connect` gives or raises."""
    with listen("127.0.0.1") as listener, ThreadPoolExecutor() as executor:
        accepted = executor.submit(accept, listener, token_of_listener, 5.0)
        try:
            called = connect(listener.getsockname(), token_of_caller, 5.0)
        except OSError as error:
            called = error
        return accepted.result(), called


def test_both_know_the_token():
    here, there = handshake(TOKEN, TOKEN)
    arrays = {"a": np.arange(12.0).reshape(3, 4)[:, ::2], "b": np.zeros((0, 3), "f4"), "c": np.array([7], "i8")}
    values = {"scale": 0.1 + 0.2, "tiny": 5e-324, "names": ["x", None, True]}
    sender = threading.Thread(target=there.send, args=("step", values, arrays))
    sender.start()
    into = np.empty((3, 2))
    kind, found, received = here.receive({"a": into})
    sender.join()
    assert (kind, found) == ("step", values)
    assert received["a"] is into
    for name, array in arrays.items():
        np.testing.assert_array_equal(received[name], array, strict=True)
    here.close()
    with pytest.raises(Lost, match="closed the connection"):
        there.receive()
    there.close()


def test_messages_of_any_size_follow_each_other():
    here, there = handshake(TOKEN, TOKEN)
    sizes = [0, 1, 3, 8_000, 8_192, 9_000, 40_000, 2, 300_000, 5]
    rng = np.random.default_rng(0)
    sent = [{"a": rng.normal(size=n).astype("f4"), "b": np.arange(m)} for n in sizes for m in (0, 7, 5_000)]
    sender = threading.Thread(target=lambda: [there.send("x", {"k": k}, arrays) for k, arrays in enumerate(sent)])
    sender.start()
    for k, arrays in enumerate(sent):
        _, values, received = here.receive({"a": np.empty_like(arrays["a"])} if k % 2 else None)
        assert values == {"k": k}
        for name, array in arrays.items():
            np.testing.assert_array_equal(received[name], array, strict=True)
    sender.join()
    here.close()
    there.close()


def test_a_wrong_token_is_cut_off():
    here, there = handshake(TOKEN, b"x" * 32)
    assert here is None
    assert isinstance(there, Lost)


def test_a_listener_without_the_token_is_not_believed():
    """It answers something to the challenge."""
    with listen("127.0.0.1") as listener, ThreadPoolExecutor() as executor:
        called = executor.submit(connect, listener.getsockname(), TOKEN, 5.0)
        sock, _ = listener.accept()
        with sock:
            sock.sendall(b"n" * 32)
            answer = b""
            while len(answer) < 64:
                answer += sock.recv(64)
            sock.sendall(answer[32:])  # a copy of the proof proves nothing
            with pytest.raises(Lost, match="does not know the token"):
                called.result()


def test_nobody_connects():
    with listen("127.0.0.1") as listener:
        assert accept(listener, TOKEN, 0.01) is None


def raw(header, payload=b"", n_header=None, n_payload=None, mark=b"skl1"):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    n_header = len(header) if n_header is None else n_header
    return struct.pack("<4sIQ", mark, n_header, len(payload) if n_payload is None else n_payload) + header + payload


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "no message"),
        (raw(["x", {}, []], mark=b"skl2"), "no message"),
        (raw(["x", {}, []], n_header=1 << 30), "no message"),
        (raw(b"\x80\x04K\x01."), "broken header"),
        (raw(b"{}"), "broken header"),
        (raw(["x", {}]), "broken header"),
        (raw(["x", {}, [["a", "|O", [1]]]], b"12345678"), "broken header"),
        (raw(["x", {}, [["a", "<f4", [-1]]]], b""), "broken header"),
        (raw(["x", {}, [["a", "<f4", [1.5]]]], b"123456"), "broken header"),
        (raw(["x", {}, [["a", "<f4", [True]]]], b"1234"), "broken header"),
        (raw(["x", {}, [["a", "<f4", [2]]]], b"1234"), "arrays have 4 bytes, expected 8"),
        (raw(["x", {}, []], b"1234"), "arrays have 4 bytes, expected 0"),
        (raw(["x", {}, [["a", "<f4", [1 << 40, 1 << 40]]]], n_payload=1 << 50), "arrays have"),
        (raw(["x", {}, [["a", "<f4", [2]]]], n_payload=8), "closed the connection"),
        (raw(["x", {}, []])[:7], "closed the connection"),
    ],
)
def test_what_is_no_message_is_refused(pair, block, message):
    reader, other = pair
    other.sendall(block)
    other.shutdown(socket.SHUT_WR)
    with pytest.raises(Lost, match=message):
        reader.receive()


def test_an_array_of_another_shape_is_not_written(pair):
    reader, other = pair
    other.sendall(b"".join(encode("step", {}, {"weights": np.ones(3, "f4")})))
    weights = np.zeros(4, "f4")
    with pytest.raises(Lost, match="received weights of float32 of shape"):
        reader.receive({"weights": weights})
    assert (weights == 0).all()


def test_objects_are_not_sent():
    with pytest.raises(TypeError, match="a is an array of object"):
        encode("x", {}, {"a": np.array([None])})


def test_no_module_of_the_exchange_can_unpickle():
    for name in ("pickle", "marshal", "multiprocessing"):
        assert not hasattr(messages, name)
