"""An issuer of tokens as OpenID Connect has it: its keys over HTTPS, and tokens that it, or somebody else, signed."""

from __future__ import annotations

import base64
import ipaddress
import json
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

AUDIENCE = "interlock-tests"
_KEY = "key-1"


class Quiet(SimpleHTTPRequestHandler):
    """Says nothing about what it was asked."""

    def log_message(self, *_args: Any) -> None:
        pass


class Issuer:
    """Runs until it is closed. `certificate` is the file by which its server is to be trusted."""

    def __init__(self, folder: Path) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.certificate = folder / "certificate.pem"
        self.certificate.write_bytes(_certificate(self._key))
        secret = folder / "key.pem"
        encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        secret.write_bytes(self._key.private_bytes(*encoding))
        (site := folder / "site").mkdir()
        (site / ".well-known").mkdir()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        numbers = self._key.public_key().public_numbers()
        key = {"kty": "RSA", "kid": _KEY, "alg": "RS256", "use": "sig"} | {
            name: _text(number.to_bytes((number.bit_length() + 7) // 8, "big"))
            for name, number in (("n", numbers.n), ("e", numbers.e))
        }
        about = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        (site / ".well-known/openid-configuration").write_text(json.dumps(about))
        (site / "keys").write_text(json.dumps({"keys": [key]}))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, secret)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self, scope: str, key: rsa.RSAPrivateKey | None = None, **claims: Any) -> str:
        """A token that holds these scopes; by a key of somebody else, or with claims of one's own."""
        now = int(time.time())
        whole = {"iss": self.url, "aud": AUDIENCE, "sub": "somebody", "iat": now, "exp": now + 600, "scope": scope}
        parts = [_text(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": _KEY}, whole | claims)]
        signed = ".".join(parts).encode()
        return f"{signed.decode()}.{_text((key or self._key).sign(signed, padding.PKCS1v15(), hashes.SHA256()))}"


def altered(token: str, **claims: Any) -> str:
    """The same token with other claims under the old signature."""
    head, body, signature = token.split(".")
    found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return f"{head}.{_text(json.dumps(found | claims).encode())}.{signature}"


def unsigned(token: str) -> str:
    """The same claims under a head that says that nobody signed."""
    head = _text(json.dumps({"alg": "none", "kid": _KEY}).encode())
    return f"{head}.{token.split('.')[1]}."


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _certificate(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "the tests' issuer")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
