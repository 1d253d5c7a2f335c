"""An HTTPS server whose every answer a story decides, and the certificates for it; it keeps what it was asked."""

import ipaddress
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .processes import wait_until
from .story import tell
from .topology import Namespace

PORT = 443


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    source: str


@dataclass(frozen=True)
class Response:
    body: bytes
    status: int = 200
    kind: str = "application/pvd+json"
    headers: Mapping[str, str] | None = None

    @property
    def wire(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} Thus", f"Content-Type: {self.kind}", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in (self.headers or {}).items()]
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + self.body


Answer = Callable[[Request], Response | None]
"""None is silence until the client gives up."""


class Authority:
    """A certification authority of the lab's own, which openssl makes in a directory that everybody may read."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self._name = name
        self.certificate = directory / f"{name}.pem"
        self._openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", f"/CN=Lab {name}", "-keyout", f"{name}.key", "-out", f"{name}.pem",
        )  # fmt: skip
        self.certificate.chmod(0o644)

    def certify(self, host: str) -> ssl.SSLContext:
        """A server's context with a certificate for this name."""
        stem = f"{self._name}-{host}"
        (self._directory / f"{stem}.ext").write_text(f"subjectAltName=DNS:{host}\n")
        self._openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={host}",
            "-keyout", f"{stem}.key", "-out", f"{stem}.csr",
        )  # fmt: skip
        self._openssl(
            "x509", "-req", "-in", f"{stem}.csr", "-CA", f"{self._name}.pem", "-CAkey", f"{self._name}.key", "-days", "1",
            "-CAcreateserial", "-extfile", f"{stem}.ext", "-out", f"{stem}.pem",
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._directory / f"{stem}.pem", self._directory / f"{stem}.key")
        return context

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self._directory, check=True, capture_output=True, timeout=30)


class HttpsServer:
    """One request for each connection, each in a thread of its own."""

    def __init__(self, namespace: Namespace, ip: str, context: ssl.SSLContext, answer: Answer, port: int = PORT) -> None:
        family = socket.AF_INET6 if ipaddress.ip_address(ip).version == 6 else socket.AF_INET
        self.answer = answer
        self.requests: list[Request] = []
        self.times: list[float] = []
        """Of the requests, on the monotonic clock."""
        self.connections = 0
        self._context = context
        self._closing = threading.Event()
        self._listener = namespace.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((ip, port))
        self._listener.listen(16)
        self._listener.settimeout(0.1)
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    def wait_asked(self, count: int = 1, seconds: float = 15.0) -> list[Request]:
        wait_until(lambda: len(self.requests) >= count, f"{count} requests at the server", seconds)
        return self.requests

    def __enter__(self) -> "HttpsServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                peer, address = self._listener.accept()
            except TimeoutError:
                continue
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(peer, address[0]))
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer: socket.socket, source: str) -> None:
        peer.settimeout(5)
        try:
            with peer, self._context.wrap_socket(peer, server_side=True) as secure:
                self._talk(secure, source)
        except (ssl.SSLError, OSError) as error:
            tell(f"web  {source}: {error}")

    def _talk(self, secure: ssl.SSLSocket, source: str) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            part = secure.recv(4096)
            if not part:
                return
            head += part
        first, *lines = head.split(b"\r\n\r\n")[0].decode().split("\r\n")
        method, path, _ = first.split(" ")
        assert method == "GET"
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        request = Request(path, headers, source)
        tell(f"web  GET {path} from {source}")
        self.times.append(time.monotonic())
        self.requests.append(request)
        response = self.answer(request)
        if response is None:
            self._closing.wait()
        else:
            secure.sendall(response.wire)
