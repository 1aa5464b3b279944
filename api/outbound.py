"""Requests to addresses that a client names: only where they may go, never redirected, over at a deadline.

A name is looked up once, every address behind it is checked, and the connection goes to a checked address: a name that
points elsewhere between the check and the request gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import httpcore
import httpx

SECONDS = 15.0  # for one request, from the name's look-up to the end of the answer
LARGEST_ANSWER = 65_536  # of an answer no more is read

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Not public, though the standard library of some versions takes them for it, or leading to IPv4 in ways of their own.
_NOT_PUBLIC = [
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24", "192.88.99.0/24", "::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "100::/64", "2001::/23",
        "3fff::/20", "5f00::/16", "fec0::/10",
    )
]  # fmt: skip


class AddressRefused(ValueError):  # noqa: N818 - named for what happened, as its callers read it
    """An address that requests may not go to; the message says what is allowed."""


@dataclass(frozen=True)
class Reply:
    """An answer: its status, its headers with lower-case names, and the beginning of its body."""

    status: int
    headers: dict[str, str]
    body: bytes


def check_url(url: str, targets: str) -> None:
    """Look up where a URL leads; `targets` is the setting webhook_targets. Raises AddressRefused."""
    parsed = _parsed(url, targets)
    try:
        _addresses(parsed.raw_host.decode(), _port(parsed), targets, plain=parsed.scheme == "http")
    except OSError as error:
        raise AddressRefused(f"a host that can be found; {parsed.host}: {error}") from error


def post(url: str, body: bytes, headers: dict[str, str], targets: str) -> Reply:
    """Post once; raises AddressRefused, and what is in `TRANSPORT_ERRORS`."""
    parsed = _parsed(url, targets)
    target = httpcore.URL(
        scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path or b"/"
    )
    backend = _Checked(targets, plain=parsed.scheme == "http", deadline=time.monotonic() + SECONDS)
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), SECONDS)
    with (
        httpcore.ConnectionPool(ssl_context=_tls(), network_backend=backend) as pool,
        pool.stream(
            "POST", target, headers=list(headers.items()), content=body, extensions={"timeout": timeouts}
        ) as answer,
    ):
        content = b""
        for piece in answer.iter_stream():
            content += piece
            if len(content) >= LARGEST_ANSWER:
                break
        told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
        return Reply(answer.status, told, content[:LARGEST_ANSWER])


TRANSPORT_ERRORS = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _parsed(url: str, targets: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise AddressRefused(f"an absolute https address ({error})") from error
    schemes = ("https", "http") if targets == "private" else ("https",)
    if parsed.scheme not in schemes or not parsed.host:
        raise AddressRefused(f"an absolute {' or '.join(schemes)} address (setting webhook_targets: {targets})")
    if not 0 < _port(parsed) < 65536:
        raise AddressRefused(f"an address whose port is from 1 to 65535, not {parsed.port}")
    if parsed.userinfo or parsed.fragment:
        raise AddressRefused("an address without user, password and fragment")
    return parsed


def _port(url: httpx.URL) -> int:
    if url.port is None:
        return 80 if url.scheme == "http" else 443
    return url.port


def _addresses(host: str, port: int, targets: str, *, plain: bool) -> list[str]:
    """The addresses behind a host, each checked; raises AddressRefused and OSError."""
    try:
        found = [str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except UnicodeError as error:  # of a part that is empty or too long
        raise OSError(f"no name of a host: {error}") from error
    for text in found:
        if not _allowed(_inner(ipaddress.ip_address(text.split("%")[0])), targets, plain=plain):
            where = "this machine only, without https" if plain else f"{targets} addresses only"
            raise AddressRefused(f"{where} (setting webhook_targets); {host} is {text}")
    return list(dict.fromkeys(found))


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address leads to, where it leads to one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or address


def _allowed(address: Address, targets: str, *, plain: bool) -> bool:
    if plain:
        return targets == "private" and address.is_loopback
    if address.is_multicast or address.is_link_local or address.is_unspecified:
        return False  # link-local: where clouds keep a machine's credentials
    if not address.is_loopback and any(address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global or (targets == "private" and (address.is_private or address.is_loopback))


class _Checked(httpcore.NetworkBackend):
    """Connects to checked addresses only."""

    def __init__(self, targets: str, *, plain: bool, deadline: float) -> None:
        self._targets, self._plain, self._deadline = targets, plain, deadline
        self._plug = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline counts
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        error: Exception | None = None
        for address in _addresses(host, port, self._targets, plain=self._plain):
            try:
                stream = self._plug.connect_tcp(address, port, _left(self._deadline), local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
            else:
                return _Timed(stream, self._deadline)
        raise error or httpcore.ConnectError(f"{host} has no address")


class _Timed(httpcore.NetworkStream):
    """A stream that ends at a deadline: a peer that sends a byte now and then would outlast any other timeout."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline)), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time for one request is over")
    return left
