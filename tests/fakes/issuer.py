"""An issuer of access tokens on loopback: it lists its public keys (JWKS) and signs what it is told to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER = "https://login.example/tenant-1/v2.0"
AUDIENCE = "api://groundswell"
TENANT = "tenant-1"


class Issuer:
    """`url` is where the keys are; `keys` those that it lists, by kid; `asked` how often it was."""

    def __init__(self) -> None:
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.keys: dict[str, Any] = {
            "rsa-1": RSAAlgorithm.to_jwk(self.rsa.public_key(), as_dict=True),
            "ec-1": ECAlgorithm.to_jwk(self.ec.public_key(), as_dict=True),
        }
        self.url = ""
        self.asked = 0
        self.is_down = False

    def token(self, *, key: Any = None, kid: str = "rsa-1", algorithm: str = "RS256", **claims: Any) -> str:
        """A token that is good in every respect but those that `claims` change (None: left out)."""
        now = int(time.time())
        usual = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "tid": TENANT,
            "sub": "app-7",
            "iat": now,
            "nbf": now,
            "exp": now + 600,
        }
        usual["roles"] = ["Groundswell.Data.Read"]
        body = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        return jwt.encode(body, self.rsa if key is None else key, algorithm, headers={"kid": kid})


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer that answers."""
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked += 1
            body = json.dumps({"keys": [{**key, "kid": kid, "use": "sig"} for kid, key in issuer.keys.items()]})
            self.send_response(503 if issuer.is_down else 200)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer.url = f"http://127.0.0.1:{server.server_port}/keys"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
