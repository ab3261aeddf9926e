"""Signature version 4 by hand, for uploads that our clients do not make over plain HTTP."""

import datetime
import hashlib
import hmac
import http.client
import urllib.parse

from conftest import ACCESS_KEY, ENDPOINT, SECRET_KEY

HOST = ENDPOINT.removeprefix("http://")
EMPTY = hashlib.sha256(b"").hexdigest()


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Request:
    """A signed PUT whose body is sent in signed or unsigned chunks."""

    def __init__(self, path, payload, headers, secret=SECRET_KEY, access_key=ACCESS_KEY):
        now = datetime.datetime.now(datetime.timezone.utc)
        self.time, self.scope = now.strftime("%Y%m%dT%H%M%SZ"), f"{now:%Y%m%d}/us-east-1/s3/aws4_request"
        key = ("AWS4" + secret).encode()
        for part in self.scope.split("/"):
            key = sign(key, part)
        self.key, self.path = key, urllib.parse.quote(path)
        self.headers = {"host": HOST, "x-amz-content-sha256": payload, "x-amz-date": self.time, **headers}
        names = ";".join(sorted(self.headers))
        canonical = "".join(f"{name}:{self.headers[name]}\n" for name in sorted(self.headers))
        request = f"PUT\n{self.path}\n\n{canonical}\n{names}\n{payload}"
        digest = hashlib.sha256(request.encode()).hexdigest()
        self.seed = self.signature(f"AWS4-HMAC-SHA256\n{self.time}\n{self.scope}\n{digest}")
        self.headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={access_key}/{self.scope}, SignedHeaders={names}, Signature={self.seed}"
        )

    def signature(self, text):
        return sign(self.key, text).hex()

    def signed_chunks(self, chunks, trailers=None):
        previous, out = self.seed, b""
        for chunk in [*chunks, b""]:
            digest = hashlib.sha256(chunk).hexdigest()
            previous = self.signature(
                f"AWS4-HMAC-SHA256-PAYLOAD\n{self.time}\n{self.scope}\n{previous}\n{EMPTY}\n{digest}"
            )
            out += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + chunk
            out += b"\r\n" if chunk or trailers is None else b""
        if trailers is not None:
            text = "".join(f"{name}:{value}\n" for name, value in sorted(trailers.items()))
            digest = hashlib.sha256(text.encode()).hexdigest()
            last = self.signature(f"AWS4-HMAC-SHA256-TRAILER\n{self.time}\n{self.scope}\n{previous}\n{digest}")
            out += "".join(f"{name}:{value}\r\n" for name, value in trailers.items()).encode()
            out += f"x-amz-trailer-signature:{last}\r\n\r\n".encode()
        return out

    def send(self, body):
        connection = http.client.HTTPConnection(HOST, timeout=30)
        connection.request("PUT", self.path, body=body, headers=self.headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def unsigned_chunks(chunks, trailers):
    out = b"".join(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in chunks) + b"0\r\n"
    return out + "".join(f"{name}:{value}\r\n" for name, value in trailers.items()).encode() + b"\r\n"
