"""Messages between processes: a header of JSON and raw arrays, every length checked. Nothing is ever unpickled."""

import hashlib
import hmac
import json
import secrets
import socket
import struct
from contextlib import suppress
from math import prod

import numpy as np

# What a message begins with: a mark, the bytes of the header, the bytes of all arrays.
_PREFIX = struct.Struct("<4sIQ")
_MARK = b"skl1"
_DTYPES = {name: np.dtype(name) for name in ("<f4", "<f8", "<i8", "<u4")}
_LARGEST_HEADER = 1 << 20
_LARGEST_ARRAY = 1 << 44
# Of the challenges that prove the token.
_CHALLENGE = 32
HANDSHAKE_SECONDS = 10.0
# What is smaller is copied, so that it takes no call of the system of its own.
_SMALL = 1 << 15


class Lost(ConnectionError):
    """The other side has gone, or what it sent is no message."""


class Connection:
    """Messages over a socket that both sides have proved to know the token of.

    Parameters
    ----------
    sock : socket
    """

    def __init__(self, sock):
        self.sock = sock
        # What was read beyond the bytes that were asked for.
        self._small = memoryview(bytearray(_SMALL))
        self._ahead = self._small[:0]
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A machine that has gone without a word is noticed after half a minute.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, seconds in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4)):
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)

    def fileno(self):
        """Return the number of the socket, for `selectors`."""
        return self.sock.fileno()

    def send(self, kind, values=None, arrays=None):
        """Send a message: what it is, a dict that JSON can hold, a dict of arrays."""
        self.send_parts(encode(kind, values, arrays))

    def send_parts(self, parts):
        """Send what `encode` has made, or other bytes."""
        try:
            for part in parts:
                self.sock.sendall(part)
        except OSError as error:
            raise Lost(f"the connection broke while sending: {error}") from error

    def receive(self, into=None):
        """Return kind, values and arrays of the next message; arrays named in `into` are read into these."""
        mark, n_header, n_arrays = _PREFIX.unpack(self._exactly(_PREFIX.size))
        if mark != _MARK or n_header > _LARGEST_HEADER:
            raise Lost("received something that is no message")
        try:
            kind, values, described = json.loads(self._exactly(n_header))
            specs = [(str(name), _DTYPES[dtype], tuple(map(_size, shape))) for name, dtype, shape in described]
        except (ValueError, KeyError, TypeError) as error:
            raise Lost(f"received a message with a broken header: {error}") from error
        sizes = [dtype.itemsize * prod(shape) for _, dtype, shape in specs]
        if sum(sizes) != n_arrays or max(sizes, default=0) > _LARGEST_ARRAY:
            raise Lost(f"received a message whose arrays have {n_arrays} bytes, expected {sum(sizes)}")
        arrays = {}
        for name, dtype, shape in specs:
            array = (into or {}).get(name)
            if array is None:
                array = np.empty(shape, dtype)
            elif array.dtype != dtype or array.shape != shape:
                raise Lost(f"received {name} of {dtype} of shape {shape}, expected {array.dtype} of {array.shape}")
            self.receive_into(array)
            arrays[name] = array
        return kind, values, arrays

    def receive_into(self, array):
        """Fill a contiguous array with the bytes that come next."""
        view = memoryview(array).cast("B") if array.size else memoryview(b"")
        while len(view):
            if len(self._ahead) == 0 and len(view) < _SMALL:
                self._ahead = self._small[: self._read(self._small)]
            n = min(len(self._ahead), len(view))
            if n:
                view[:n], self._ahead = self._ahead[:n], self._ahead[n:]
            else:
                n = self._read(view)
            view = view[n:]

    def _read(self, view):
        try:
            n = self.sock.recv_into(view)
        except OSError as error:
            raise Lost(f"the connection broke: {error}") from error
        if n == 0:
            raise Lost("the other side closed the connection")
        return n

    def _exactly(self, n):
        block = np.empty(n, np.uint8)
        self.receive_into(block)
        return block.tobytes()

    def wait_for_the_end(self, seconds):
        """Send no more, and pass over what comes, until the other side has closed the connection, or for so long.

        A socket that is closed with bytes unread takes back what the other side has not read yet.
        """
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.settimeout(seconds)
            while self.sock.recv_into(self._small):
                pass

    def close(self):
        """Close the socket; the other side finds the end of the messages."""
        with suppress(OSError):  # where it is closed already
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


def _size(number):
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= _LARGEST_ARRAY:
        raise ValueError(f"{number!r} is no length of an axis")
    return number


def encode(kind, values=None, arrays=None):
    """Return a message as a list of buffers; large arrays are views.

    Parameters
    ----------
    kind : str
    values : dict or None, default=None
        What JSON can hold. Floats come back with the same bits.
    arrays : dict of str to ndarray, or None, default=None
        Of float32, float64, int64 or uint32.

    Returns
    -------
    list of buffer
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    described = [(name, array.dtype.newbyteorder("<").str, array.shape) for name, array in arrays.items()]
    wrong = [name for name, dtype, _ in described if dtype not in _DTYPES]
    if wrong:
        raise TypeError(f"{wrong[0]} is an array of {arrays[wrong[0]].dtype}, which messages do not hold")
    header = json.dumps([kind, values or {}, described]).encode()
    n_bytes = sum(array.nbytes for array in arrays.values())
    parts, small = [], [_PREFIX.pack(_MARK, len(header), n_bytes), header]
    for array in arrays.values():
        if array.nbytes < _SMALL:
            small.append(array.tobytes())
        else:
            parts += [b"".join(small), memoryview(array).cast("B")]
            small = []
    return [*parts, b"".join(small)]


def listen(host):
    """Return a socket that others can connect to, on a free port of an address of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, 0), family=family, backlog=256)


def connect(address, token, seconds=None):
    """Return a `Connection` to who listens at (host, port).

    Parameters
    ----------
    address : (str, int)
    token : bytes
        Both sides prove that they know it.
    seconds : float or None, default=None
        How long to wait for the other side; None for as long as it takes.
    """
    sock = socket.create_connection(tuple(address), timeout=HANDSHAKE_SECONDS)
    try:
        sock.settimeout(seconds)
        theirs = _read(sock, _CHALLENGE)
        own = secrets.token_bytes(_CHALLENGE)
        sock.sendall(own + _proof(token, b"connect", theirs, own))
        if not hmac.compare_digest(_read(sock, _CHALLENGE), _proof(token, b"listen", own, theirs)):
            raise Lost(f"who listens at {address[0]}:{address[1]} does not know the token")
        return Connection(sock)
    except BaseException:
        sock.close()
        raise


def accept(listener, token, seconds):
    """Return a `Connection` with the next that connects and knows the token, None after so many seconds.

    Who does not know it is cut off.
    """
    listener.settimeout(seconds)
    try:
        sock, _ = listener.accept()
    except TimeoutError:
        return None
    try:
        sock.settimeout(HANDSHAKE_SECONDS)
        own = secrets.token_bytes(_CHALLENGE)
        sock.sendall(own)
        answer = _read(sock, 2 * _CHALLENGE)
        theirs, proof = answer[:_CHALLENGE], answer[_CHALLENGE:]
        if not hmac.compare_digest(proof, _proof(token, b"connect", own, theirs)):
            raise Lost("the token is wrong")
        sock.sendall(_proof(token, b"listen", theirs, own))
        return Connection(sock)
    except OSError:  # Lost and timeouts are such too
        sock.close()
        return None
    except BaseException:
        sock.close()
        raise


def _proof(token, role, *challenges):
    return hmac.digest(token, role + b"".join(challenges), hashlib.sha256)


def _read(sock, n):
    block = b""
    while len(block) < n:
        more = sock.recv(n - len(block))
        if not more:
            raise Lost("the other side closed the connection before it knew the token")
        block += more
    return block
