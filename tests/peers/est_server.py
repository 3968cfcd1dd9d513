"""An EST server (RFC 7030) of few lines: the certificates that it gives are openssl's."""

from __future__ import annotations

import base64
import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.peers.certificates import Authority
from tests.peers.openssl import openssl

PATH = "/.well-known/est/box/"


class EstServer(http.server.ThreadingHTTPServer):
    """Signs with `openssl x509`, answers with `openssl crl2pkcs7`; remembers who asked for what."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.authority = authority.write(folder, "authority")
        own = authority.issue(folder, "est")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own.certificate, own.key)
        context.load_verify_locations(self.authority.certificate)
        context.verify_mode = ssl.CERT_OPTIONAL
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.asked: list[tuple[str, str]] = []
        self.status = 200
        self.kind = "application/pkcs7-mime; smime-type=certs-only"

    def certificate(self, request: bytes) -> bytes:
        file = self.folder / "request"
        file.write_bytes(request)
        signed, bag = self.folder / "signed.pem", self.folder / "bag"
        signer = ("-CA", self.authority.certificate, "-CAkey", self.authority.key)
        words = ("-req", "-inform", "DER", "-in", file, "-days", "90", "-out", signed)
        openssl("x509", *words, *signer, "-CAcreateserial", "-copy_extensions", "copy").check()
        bagged = ("-nocrl", "-certfile", signed, "-outform", "DER", "-out", bag)
        openssl("crl2pkcs7", *bagged).check()
        return bag.read_bytes()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: EstServer

    def do_POST(self) -> None:
        shown = self.connection.getpeercert()  # type: ignore[attr-defined]
        who = dict(each[0] for each in shown["subject"])["commonName"] if shown else ""
        self.server.asked.append((self.path, who or self.headers.get("Authorization", "")))
        request = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/pkcs10"
        body = b""
        if self.server.status == 200:
            body = base64.encodebytes(self.server.certificate(base64.b64decode(request)))
        self.send_response(self.server.status)
        self.send_header("Content-Type", self.server.kind)
        self.send_header("Retry-After", "60")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing to standard error."""


@contextmanager
def running_est_server(folder: Path, authority: Authority) -> Iterator[EstServer]:
    """One that serves until the end of the block."""
    with EstServer(folder, authority) as made:
        runs = threading.Thread(target=made.serve_forever, args=(0.05,))
        runs.start()
        try:
            yield made
        finally:
            made.shutdown()
            runs.join()
