"""A small OpenID Connect provider: `python provider.py PORT CLAIMS_FILE`.

Everybody who comes is signed in at once as the person that the claims file describes; it checks the
client's credentials, the redirect address, the code and PKCE, as a real one does.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlparse

CLIENT = ("cerro", "client-secret")
CODES: dict[str, dict[str, str]] = {}
TOKENS: set[str] = set()


class Provider(BaseHTTPRequestHandler):
    issuer = ""
    claims = Path()

    def do_GET(self) -> None:
        url = urlparse(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if url.path == "/.well-known/openid-configuration":
            self._json(
                {
                    "issuer": self.issuer,
                    "authorization_endpoint": f"{self.issuer}/authorize",
                    "token_endpoint": f"{self.issuer}/token",
                    "userinfo_endpoint": f"{self.issuer}/userinfo",
                }
            )
        elif url.path == "/authorize" and query["client_id"] == CLIENT[0]:
            code = secrets.token_urlsafe(8)
            CODES[code] = query
            back = urlencode({"code": code, "state": query["state"]})
            self.send_response(302)
            self.send_header("Location", f"{query['redirect_uri']}?{back}")
            self.end_headers()
        elif url.path == "/userinfo" and self._bearer() in TOKENS:
            self._json(json.loads(self.claims.read_text()))
        else:
            self._json({"error": "invalid_request"}, 400)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {key: values[0] for key, values in parse_qs(body).items()}
        asked = CODES.pop(form.get("code", ""), {})
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        right = (
            self._client(form) == CLIENT
            and asked.get("redirect_uri") == form.get("redirect_uri")
            and asked.get("code_challenge") == challenge
        )
        if not right:
            self._json({"error": "invalid_grant"}, 400)
            return
        token = secrets.token_urlsafe(16)
        TOKENS.add(token)
        self._json({"access_token": token, "token_type": "Bearer", "scope": asked["scope"]})

    def _client(self, form: dict[str, str]) -> tuple[str, str]:
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            name, _, secret = base64.b64decode(value).decode().partition(":")
            return name, secret
        return form.get("client_id", ""), form.get("client_secret", "")

    def _bearer(self) -> str:
        return self.headers.get("Authorization", "").partition(" ")[2]

    def _json(self, document: object, status: int = 200) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


if __name__ == "__main__":
    Provider.issuer = f"http://127.0.0.1:{sys.argv[1]}"
    Provider.claims = Path(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Provider).serve_forever()
