"""Requests to addresses that a client names go where they may, and nowhere else."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi.testclient import TestClient

from api import outbound
from api.deliveries import attempt
from api.outbound import AddressRefused, check_url, post
from tests.fakes.server import Answer, serving

PUBLIC = "93.184.216.34"


def lookups(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Let the names of this test lead to these addresses, one look-up after the other; the hosts asked for."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *arguments: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if not name.endswith(".example"):
            return real(host, port, *arguments, **more)
        asked.append(name)
        family = socket.AF_INET6 if ":" in answers[len(asked) - 1] else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (answers[len(asked) - 1], port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


NOT_PUBLIC = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:db8::1",
    "192.0.0.192", "fec0::1", "::10.0.0.1", "64:ff9b:1::a00:1", "::ffff:0:a00:1", "3fff::1", "5f00::1",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_a_name_that_leads_inside_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    lookups(monkeypatch, address, address)
    with pytest.raises(AddressRefused, match="webhook_targets"):
        check_url("https://hook.example/", "public")
    with pytest.raises(AddressRefused, match="webhook_targets"):
        post("https://hook.example/", b"", {}, "public")


@pytest.mark.parametrize("address", [PUBLIC, "2606:4700::6810:84e5", "::ffff:93.184.216.34"])
def test_a_name_that_leads_outside_is_taken(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    lookups(monkeypatch, address)
    check_url("https://hook.example/", "public")


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0", "::ffff:169.254.169.254"])
def test_the_own_network_is_not_where_a_cloud_keeps_credentials(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    lookups(monkeypatch, address)
    with pytest.raises(AddressRefused):
        check_url("https://hook.example/", "private")


def test_the_own_network_may_be_allowed_but_not_without_https(monkeypatch: pytest.MonkeyPatch) -> None:
    lookups(monkeypatch, "10.0.0.1", "10.0.0.1", PUBLIC)
    check_url("https://hook.example/", "private")
    for _ in range(2):
        with pytest.raises(AddressRefused, match="this machine only"):
            check_url("http://hook.example/", "private")


REFUSED = [
    "http://hook.example/", "ftp://hook.example/", "hook.example", "/hook", "", "https://", "https://a:b@hook.example/",
    "https://hook.example/#x", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://localhost/",
    "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://no.such.host.invalid/", "https://hook..example.com/",
    "https://hook.example:99999/", "https://hook.example:0/", "https://hook.example/\x00", "https://[::1/",
    f"https://{'a' * 70}.example.com/",
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED)
def test_addresses_that_cannot_be_subscribed(
    home: Path, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    lookups(monkeypatch, PUBLIC)
    with client_of(home) as client:
        answer = client.post("/v1/webhooks", json={"callbackUrl": url})
        assert answer.status_code == 422, answer.text
        (error,) = answer.json()["errors"]
        assert error["field"] == "callbackUrl"
        assert "allowed" in error["message"]
        assert client.get("/v1/webhooks").json() == {"items": []}


def test_a_name_that_turns_inside_after_it_was_checked_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = lookups(monkeypatch, PUBLIC, "127.0.0.1")
    with serving(lambda _: Answer()) as inside:
        url = f"https://hook.example:{inside.url.rsplit(':', 1)[1]}/"
        check_url(url, "public")
        row = {"id": "msg_1", "url": url, "secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZg==", "body": b"{}"}
        outcome = attempt(row, "public")
        assert (outcome.verdict, outcome.status) == ("failed", None)
        assert "127.0.0.1" in str(outcome.error)
        assert inside.asked == []
    assert asked == ["hook.example"] * 2


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = lookups(monkeypatch, "127.0.0.1", PUBLIC)
    with serving(lambda _: Answer(b"here", 201, headers={"X-Told": "yes"})) as inside:
        reply = post(
            f"http://hook.example:{inside.url.rsplit(':', 1)[1]}/a?b=c%20d", b"{}", {"X-Asked": "1"}, "private"
        )
        assert (reply.status, reply.body, reply.headers["x-told"]) == (201, b"here", "yes")
        (request,) = inside.asked
        assert (request.path, request.query, request.body) == ("/a", {"b": "c d"}, b"{}")
        assert request.headers["host"].startswith("hook.example:")
    assert asked == ["hook.example"]


def test_no_more_than_the_beginning_of_an_answer_is_read() -> None:
    with serving(lambda _: Answer(b"x" * 10_000_000)) as talker:
        assert post(talker.url, b"", {}, "private").body == b"x" * outbound.LARGEST_ANSWER


def test_a_receiver_that_says_nothing_or_little_at_a_time_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "SECONDS", 0.5)
    with serving(lambda _: Answer(seconds=1.5)) as slow, pytest.raises(httpcore.ReadTimeout):
        post(slow.url, b"", {}, "private")
    with dripping() as address:
        started = time.monotonic()
        with pytest.raises(httpcore.ReadTimeout):
            post(address, b"", {}, "private")
        assert time.monotonic() - started < 5


@contextmanager
def dripping() -> Iterator[str]:
    """A server that sends one byte of an endless header each tenth of a second."""
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                for _ in range(100):
                    connection.sendall(b"x")
                    time.sleep(0.1)
            except OSError:
                return  # the client has left

    thread = threading.Thread(target=drip)
    thread.start()
    with listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join()


def certificate(folder: Path, name: str) -> Path:
    """A certificate of a host with its key, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    today = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / f"{name}.pem"
    path.write_bytes(secret + made.public_bytes(encoding))
    return path


class Polite(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """The test's output is its result."""


@pytest.mark.parametrize(("host", "trusted"), [("hook.example", True), ("other.example", False)])
def test_the_certificate_must_be_that_of_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, trusted: bool
) -> None:
    file = certificate(tmp_path, "hook.example")
    monkeypatch.setattr(outbound, "_tls", lambda: ssl.create_default_context(cafile=str(file)))
    lookups(monkeypatch, "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Polite)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        url = f"https://{host}:{server.server_port}/"
        if trusted:
            assert post(url, b"{}", {}, "private").status == 204
        else:
            with pytest.raises(httpcore.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                post(url, b"{}", {}, "private")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_usual_trust_is_that_of_httpx() -> None:
    assert outbound._tls().verify_mode == ssl.CERT_REQUIRED
    assert outbound._tls().check_hostname
    assert ipaddress.ip_address(PUBLIC).is_global
