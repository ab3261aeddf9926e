"""Users who come with a token instead of a password."""

import base64
import http.server
import json
import os
import socket
import threading
import time

import pytest
from conftest import ENDPOINT, options
from nacl.encoding import Base64Encoder
from nacl.public import Box, PrivateKey, PublicKey
from oscar_python.client import Client
from requests.exceptions import HTTPError


def token(expires):
    """Looks like a token, is signed by nobody."""
    parts = [{"alg": "none"}, {"iss": "https://nobody.example", "sub": "ada", "exp": expires}, "x"]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


@pytest.fixture
def issuer():
    """A token endpoint that gives a fresh token for the right refresh token."""
    fresh = token(time.time() + 3600)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
            good = "grant_type=refresh_token" in asked and "refresh_token=once" in asked
            body = json.dumps({"access_token": fresh} if good else {}).encode()
            self.send_response(200 if good else 400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/token", fresh
    server.shutdown()


def bare(**changes):
    return {"cluster_id": "edge", "endpoint": ENDPOINT, "ssl": False} | changes


def test_an_expired_token_is_refreshed_and_a_forged_one_refused(issuer):
    endpoint, fresh = issuer
    client = Client(bare(oidc_token=token(1), refresh_token="once", token_endpoint=endpoint))
    assert client.get_access_token() == fresh
    with pytest.raises(HTTPError) as refusal:
        client.get_cluster_info()
    assert refusal.value.response.status_code == 401


def test_a_token_of_oidc_agent_is_sent(tmp_path, monkeypatch):
    """A stand-in for `oidc-agent` that speaks its protocol: keys are exchanged, then one sealed question is answered."""
    path, asked = str(tmp_path / "agent"), []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def serve():
        while True:
            connection, _ = listener.accept()
            with connection:
                theirs = PublicKey(base64.b64decode(connection.recv(4096)))
                ours = PrivateKey.generate()
                connection.sendall(ours.public_key.encode(Base64Encoder))
                _, nonce, sealed = connection.recv(4096).decode().split(":")
                box = Box(ours, theirs)
                asked.append(json.loads(box.decrypt(base64.b64decode(sealed), base64.b64decode(nonce))))
                answer = {"status": "success", "access_token": token(time.time() + 60), "issuer": "i", "expires_at": 0}
                text = json.dumps(answer)
                sealed = box.encrypt(text.encode(), encoder=Base64Encoder)
                connection.sendall(f"{len(text)}:{sealed.nonce.decode()}:{sealed.ciphertext.decode()}".encode())

    threading.Thread(target=serve, daemon=True).start()
    monkeypatch.setenv("OIDC_SOCK", path)
    client = Client(bare(shortname="ada"))
    with pytest.raises(HTTPError) as refusal:
        client.list_services()
    assert refusal.value.response.status_code == 401
    assert [question["account"] for question in asked] == ["ada", "ada"]


def test_credentials_of_no_kind_are_an_error():
    with pytest.raises(ValueError):
        Client(bare())
    client = Client(options())
    client.set_auth_type(bare(oidc_token="x"))
    client.oidc_client(bare(oidc_token="x"))
    with pytest.raises(HTTPError) as refusal:
        client.get_cluster_info()
    assert refusal.value.response.status_code in (400, 401)
