"""`groundswell serve` as real processes: HTTPS, keys, what reaches its log, and who may listen where."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api.keys import create, revoke
from api.serve import ServeError, _anonymous_hosts, _check_certificate, _check_host
from api.settings import Settings
from tests.api.stores import fill, last_week
from tests.api.test_serve import MAIN, free_port, wait_for

OPERATION = "create_forecast_v1_forecasts_post"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"),
    *("--virtual-time-budget=8000", "--window-size=1280,3000", "--dump-dom"),
)


@contextmanager
def serving(home: Path, *options: str, **environment: str) -> Iterator[str]:
    """A server; the address under which it answers. Its log is in `home / "log"`."""
    port = free_port()
    scheme = "https" if "--tls-cert" in options else "http"
    address = f"{scheme}://127.0.0.1:{port}"
    command = [*MAIN, "--home", str(home), "serve", "--port", str(port), "--workers", "1", *options]
    with (
        (home / "log").open("wb") as log,
        subprocess.Popen(command, stderr=log, env=os.environ | environment) as process,
    ):
        try:
            wait_for(lambda: b"serving" in (home / "log").read_bytes() or process.poll() is not None)
            yield address
        finally:
            process.terminate()
            process.wait(60)


def certificate(folder: Path, password: bytes | None = None) -> tuple[str, str]:
    """A certificate for 127.0.0.1 that signs itself, and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "groundswell")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cipher = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, cipher))
    return str(folder / "cert.pem"), str(folder / "key.pem")


@pytest.mark.heavy
def test_https_with_a_certificate_of_ones_own(tmp_path: Path) -> None:
    fill(tmp_path, last_week())
    cert, key = certificate(tmp_path / "tls")
    trusting = ssl.create_default_context(cafile=cert)
    with serving(tmp_path, "--tls-cert", cert, "--tls-key", key) as address, httpx.Client(verify=trusting) as client:
        page = client.get(f"{address}/v1/categories?limit=1").json()
        assert page["next"].startswith(f"{address}/v1/categories?")
        assert b"serving https://" in (tmp_path / "log").read_bytes()
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(cert)
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        port = int(address.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises(ssl.SSLError):
            old.wrap_socket(plain, server_hostname="127.0.0.1")
        with pytest.raises(httpx.ConnectError):
            httpx.get(address)


@pytest.mark.heavy
def test_keys_in_a_real_process_and_in_its_log(tmp_path: Path) -> None:
    fill(tmp_path, last_week())
    settings = Settings(home=tmp_path)
    key, text = create(settings, "erp", ["data:read"])
    with serving(tmp_path) as address, httpx.Client(base_url=address) as client:
        good = client.get("/v1/categories", headers={"X-API-Key": text})
        assert good.status_code == 200
        assert "server" not in good.headers
        assert client.get("/v1/categories").status_code == 401
        assert client.get(f"/v1/categories?api_key={text}&limit=1").status_code == 401
        assert client.get(f"/nothing?api%5Fkey={text}").status_code == 404
        assert client.get("/v1/categories?limit=1&token=hunter2").status_code == 401
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        client.get(f"/ws?api_key={text}", headers={**upgrade, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="})
        with socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1]))) as raw:
            raw.sendall(f"GET /?api_key={text} HTTP/9\r\n\r\n".encode())
            raw.recv(1000)
        revoke(settings, key.id)
        begun = time.monotonic()
        wait_for(lambda: client.get("/v1/categories", headers={"X-API-Key": text}).status_code == 401, 20)
        assert time.monotonic() - begun < 10
    log = (tmp_path / "log").read_text()
    assert text[19:] not in log
    assert "hunter2" not in log
    assert re.search(rf"GET /v1/categories 200 [\d.]+ ms key={key.id} \d+ bytes", log)
    assert "GET /v1/categories?api_key=***&limit=1 401" in log
    assert '"GET ' not in log  # the form of uvicorn's access log


@pytest.mark.heavy
def test_only_a_named_proxy_is_believed(tmp_path: Path) -> None:
    fill(tmp_path, last_week())
    claim = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7", "Host": "localhost"}
    with serving(tmp_path) as address:
        assert (
            httpx.get(f"{address}/v1/categories?limit=1", headers=claim).json()["next"].startswith("http://localhost/")
        )
    with serving(tmp_path, GROUNDSWELL_TRUSTED_PROXIES="127.0.0.0/8") as address:
        assert (
            httpx.get(f"{address}/v1/categories?limit=1", headers=claim).json()["next"].startswith("https://localhost/")
        )


@pytest.mark.heavy
def test_a_foreign_name_is_refused_while_nobody_is_asked(tmp_path: Path) -> None:
    fill(tmp_path, last_week())
    with serving(tmp_path, GROUNDSWELL_PUBLIC_URL="https://forecast.example/x") as address:
        for host, status in (("localhost", 200), ("forecast.example", 200), ("rebound.example", 421)):
            assert httpx.get(f"{address}/v1/categories", headers={"Host": host}).status_code == status


@pytest.mark.heavy
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_documentation_page_works_under_its_policy(tmp_path: Path) -> None:
    with serving(tmp_path) as address:
        command = [
            str(CHROMIUM),
            *FLAGS,
            f"--user-data-dir={tmp_path / 'profile'}",
            f"{address}/docs#/forecasts/{OPERATION}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    assert "Forecast one category" in done.stdout
    assert "Try it out" in done.stdout  # the operation is unfolded, with its example
    remarks = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert [line for line in remarks if "escaping deep link whitespace" not in line] == []


def test_an_open_api_listens_on_this_machine_alone(tmp_path: Path) -> None:
    public = Settings(home=tmp_path, host="0.0.0.0")
    with pytest.raises(ServeError, match="keys create"):
        _check_host(public, False)
    _check_host(public, True)
    _check_host(Settings(home=tmp_path), False)
    issuer = {"jwt_issuer": "https://a.example", "jwt_audience": "a", "jwt_jwks_url": "https://a.example/keys"}
    _check_host(Settings(home=tmp_path, host="0.0.0.0", **issuer), False)  # type: ignore[arg-type]
    key, _ = create(public, "erp", ["data:read"])
    _check_host(public, False)
    revoke(public, key.id)
    with pytest.raises(ServeError, match="no live key"):
        _check_host(public, False)


def test_the_names_under_which_an_open_api_answers(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, public_url="https://forecast.example/x")
    assert _anonymous_hosts(settings, False) == {"localhost", "127.0.0.1", "::1", "forecast.example"}
    assert _anonymous_hosts(settings, True) is None
    assert _anonymous_hosts(Settings(home=tmp_path, host="0.0.0.0"), False) == frozenset()


def test_a_certificate_that_cannot_be_used_is_told_at_once(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path / "a")
    _, other = certificate(tmp_path / "b")
    _, locked = certificate(tmp_path / "c", b"secret")
    _check_certificate(Settings(tls_cert=cert, tls_key=key))
    for pair, message in [
        ((cert, ""), "tls_key is missing"),
        (("", key), "tls_cert is missing"),
        ((cert, other), "cannot be used"),
        ((cert, locked), "has a password"),
        ((cert, str(tmp_path / "none")), "No such file"),
        ((key, key), "cannot be used"),
    ]:
        with pytest.raises(ServeError, match=message):
            _check_certificate(Settings(tls_cert=pair[0], tls_key=pair[1]))
