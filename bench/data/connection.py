"""Connections that end: what a server sends is bounded in bytes and in time, before HTTP makes anything of it.

The bounds stand at the socket, below headers, redirects, chunks and compression, so that no trick in one of these can
outlast them. requests by itself bounds only the silence between two pieces.
"""

import http.client
import io
import time
from typing import Any, NamedTuple, cast

HEADERS = 1 << 15
"""Bytes of an answer until its body begins, redirects on the way included. Servers of files send one thousand."""

KEPT = "what arrived is kept, run the command again to go on"


class Limits(NamedTuple):
    """What is waited for.

    connect : seconds to connect.
    silence : seconds between two pieces of an answer.
    answer  : seconds until a body begins, with all redirects.
    window  : seconds over which the rate of a body is taken.
    slowest : bytes a second; a modem of 1996 sends more.
    longest : seconds of all connections to one address; what arrived is kept, and another call goes on.
    """

    connect: float = 10.0
    silence: float = 60.0
    answer: float = 60.0
    window: float = 60.0
    slowest: float = 4000.0
    longest: float = 86_400.0


class Refused(Exception):
    """An address that doesn't give the file, with the reason; another one may."""


class TooMuch(Refused):
    """An address that sends more than the file can have: nothing of it is worth keeping."""


class Ration:
    """What one address may send in all its connections, and how slowly; it is counted as it is read."""

    def __init__(self, limits: Limits) -> None:
        """Start the clock of the address."""
        self.limits = limits
        self.end = time.monotonic() + limits.longest
        self.bodies = 0
        self.connection()

    def connection(self) -> None:
        """Begin a connection: headers come first."""
        self._until, self._read = time.monotonic() + self.limits.answer, 0
        self._most: int | None = None

    def body(self, most: int, said: str) -> None:
        """Let the body come, of which this address may send `most` bytes in all; `said`: why it may not send more."""
        self._most, self._said = most, said
        self._waited, self._got = 0.0, 0

    def read_into(self, sock: Any, buffer: memoryview) -> int:
        """Read from a socket into the buffer; `Refused` if the address is too slow or sends too much."""
        left = HEADERS - self._read if self._most is None else self._most + 1 - self.bodies
        if left <= 0 and self._most is None:
            raise Refused(f"the headers of its answer don't end: more than {HEADERS:,} bytes")
        if left <= 0:
            raise TooMuch(self._said)
        silence = self.limits.silence
        while True:
            wait = min(silence, self._time_left())
            sock.settimeout(max(wait, 0.001))
            begin = time.monotonic()
            try:
                got: int = sock.recv_into(buffer[:left])
                break
            except TimeoutError:
                silence -= time.monotonic() - begin
                if silence <= 0:
                    raise
            finally:
                if self._most is not None:  # of waiting: a disk that takes long to write is no fault of the address
                    self._waited += time.monotonic() - begin
        self._read += got
        if self._most is not None:
            self.bodies, self._got = self.bodies + got, self._got + got
        return got

    def _time_left(self) -> float:
        """Return the seconds to the next bound; `Refused` if one was passed, TimeoutError if nothing has come."""
        now, limits = time.monotonic(), self.limits
        if now >= self.end:
            raise Refused(f"it took longer than {limits.longest:,g} s; {KEPT}")
        if self._most is None:
            if now >= self._until and not self._read:
                raise TimeoutError(f"no answer in {limits.answer:.3g} s")
            if now >= self._until:
                raise Refused(f"the headers of its answer don't end: {self._read} bytes in {limits.answer:.3g} s")
            return min(self.end, self._until) - now
        if self._waited >= limits.window:
            rate = self._got / self._waited
            if 0 < rate < limits.slowest:  # silence has a bound of its own
                raise Refused(
                    f"too slow: {rate:,.0f} bytes a second, at least {limits.slowest:,.0f} are asked for; {KEPT}"
                )
            self._waited, self._got = 0.0, 0
        return min(self.end - now, limits.window - self._waited)


def session(ration: Ration) -> Any:
    """Return a requests.Session whose connections are read with a ration, those through HTTP proxies too."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            self.sock = cast(Any, _Socket(self.sock, ration))

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            self.sock = cast(Any, _Socket(self.sock, ration))

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    pools = {"http": PlainPool, "https": SecurePool}

    class Bounded(HTTPAdapter):
        def init_poolmanager(self, *options: Any, **named: Any) -> None:
            super().init_poolmanager(*options, **named)
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
            manager = super().proxy_manager_for(proxy, **named)
            if not proxy.lower().startswith("socks"):  # these have pools of their own
                manager.pool_classes_by_scheme = pools
            return manager

    made = requests.Session()
    made.mount("http://", Bounded())
    made.mount("https://", Bounded())
    return made


class _Socket:
    """A socket whose files are read with a ration; all else is the socket's own."""

    def __init__(self, sock: Any, ration: Ration) -> None:
        self._sock, self._ration = sock, ration

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_File(self._sock, self._ration))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _File(io.RawIOBase):
    def __init__(self, sock: Any, ration: Ration) -> None:
        self._sock, self._ration = sock, ration
        self._kept = sock.makefile("rb", buffering=0)  # keeps the socket open until this is closed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._ration.read_into(self._sock, memoryview(buffer))

    def close(self) -> None:
        self._kept.close()
        super().close()


def reason(error: BaseException) -> str:
    """Return the first cause of a failed connection in words: "Connection refused", "timed out"."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(words).split())


def endless_headers(error: BaseException | None) -> bool:
    """Tell whether http.client gave up an answer for the number or the length of its headers."""
    while error is not None:
        if isinstance(error, http.client.LineTooLong) or "got more than" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
