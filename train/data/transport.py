"""HTTP as a download needs it: one server, one connection kept open from file to file, and faults with a meaning.

Nothing is asked of another host than the one of the address (contract C10): a redirection is followed on that host
only, and never from https to http. Proxies are taken from the environment (`https_proxy`, `no_proxy`).
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from edge_mi.errors import ConfigError

from .retry import retry_after_s

BLOCK_BYTES: Final = 1 << 16
_REDIRECTS: Final = 5
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_AGAIN: Final = {408, 425, 429, 500, 502, 503, 504}


class TransferFault(Exception):
    """A request that brought no file.

    again: whether the same request may succeed later. retry_after_s: how long the server wants to be left alone.
    busy: whether the server says so of itself, and not of one file.
    """

    def __init__(
        self, message: str, *, again: bool, retry_after_s: float | None = None, busy: bool = False
    ) -> None:
        super().__init__(message)
        self.again = again
        self.retry_after_s = retry_after_s
        self.busy = busy


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for a connection to stand, and for the next byte to come."""

    connect_s: float = 20.0
    stall_s: float = 60.0


def server_address(url: str) -> SplitResult:
    """A server and a folder on it. Raises ConfigError for anything but http(s)://HOST[:PORT]/FOLDER."""
    try:
        address = urlsplit(url.rstrip("/"))
        port = address.port
    except ValueError as exc:
        raise ConfigError(f"{url} is no address: {exc}") from exc
    if address.scheme not in _DEFAULT_PORTS or not address.hostname or port == 0:
        raise ConfigError(f"{url} is no address; expected http(s)://HOST[:PORT]/FOLDER")
    if address.username or address.password or address.query or address.fragment:
        raise ConfigError(
            f"{address.scheme}://{address.hostname} ... holds a user, a query or a fragment; give a plain address"
        )
    return address


class Reply:
    """An answer whose body is still to be read. length: bytes of the body, None where the server does not say."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self.status = response.status
        self.content_range = response.getheader("Content-Range")
        self.length = response.length

    def blocks(self) -> Iterator[bytes]:
        """The body, as it comes; TransferFault where it breaks off or stands still."""
        received = 0
        try:
            while block := self._response.read1(BLOCK_BYTES):
                received += len(block)
                yield block
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise _fault(exc) from exc
        if self.length is not None and received != self.length:
            raise TransferFault(f"broke off after {received} of {self.length} bytes", again=True)
        self._response.close()  # read1 leaves it open, and the connection would not take the next request


class Connection:
    """A connection to the server of `address`, made when it is needed and made again when it is lost."""

    def __init__(self, address: SplitResult, timeouts: Timeouts) -> None:
        self._address = address
        self._timeouts = timeouts
        self._link: http.client.HTTPConnection | None = None
        self._by_proxy = False

    def get(self, path: str, first_byte: int = 0) -> Reply:
        """Ask for a file below the address, from its byte `first_byte` on.

        Status 200, 206 and 416 come back; everything else is a TransferFault.
        """
        url = f"{self._address.geturl()}/{quote(path)}"
        for _ in range(_REDIRECTS + 1):
            response = self._ask(url, first_byte)
            if response.status in (200, 206):
                encoding = response.getheader("Content-Encoding", "identity")
                if encoding != "identity":
                    self.close()
                    raise TransferFault(f"the server sends {encoding}, which was not asked for", again=False)
                return Reply(response)
            if response.status == 416:
                self.close()
                return Reply(response)
            self.close()
            if response.status not in (301, 302, 303, 307, 308):
                raise _refusal(response)
            url = self._follow(url, response.getheader("Location"))
        raise TransferFault(f"more than {_REDIRECTS} redirections", again=False)

    def close(self) -> None:
        """Leave the server."""
        if self._link is not None:
            self._link.close()
        self._link = None

    def abort(self) -> None:
        """End what another thread is waiting for here."""
        link = self._link
        sock = link.sock if link is not None else None
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it is closed already

    def _ask(self, url: str, first_byte: int) -> http.client.HTTPResponse:
        headers = {"Accept-Encoding": "identity", "User-Agent": "edge-mi"}
        if first_byte:
            headers["Range"] = f"bytes={first_byte}-"
        kept = self._link is not None
        try:
            return self._send(url, headers)
        except (ConnectionError, http.client.RemoteDisconnected) as exc:
            if not kept:
                raise _fault(exc) from exc
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise _fault(exc) from exc
        try:  # the server had closed a connection that was kept open, as it may at any time
            return self._send(url, headers)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise _fault(exc) from exc

    def _send(self, url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        try:
            if self._link is None:
                self._link = self._connect(urlsplit(url))
            parts = urlsplit(url)
            self._link.request("GET", url if self._by_proxy else parts.path or "/", headers=headers)
            return self._link.getresponse()
        except BaseException:
            self.close()
            raise

    def _connect(self, target: SplitResult) -> http.client.HTTPConnection:
        host, port = target.hostname or "", target.port or _DEFAULT_PORTS[target.scheme]
        proxy = None if _is_loopback(host) or proxy_bypass(host) else getproxies().get(target.scheme)
        self._by_proxy = proxy is not None and target.scheme == "http"
        at = urlsplit(proxy if proxy is None or "//" in proxy else f"//{proxy}") if proxy else None
        place = (host, port) if at is None else (at.hostname or "", at.port or 80)
        link: http.client.HTTPConnection
        if target.scheme == "https":
            link = http.client.HTTPSConnection(
                *place, timeout=self._timeouts.connect_s, context=ssl.create_default_context()
            )
            if at is not None:
                link.set_tunnel(host, port, _proxy_password(at))
        else:
            link = http.client.HTTPConnection(*place, timeout=self._timeouts.connect_s)
        link.connect()
        link.sock.settimeout(self._timeouts.stall_s)
        return link

    def _follow(self, url: str, location: str | None) -> str:
        if location is None:
            raise TransferFault("a redirection that names no place", again=False)
        old = urlsplit(url)
        try:
            new = urlsplit(urljoin(url, location))
            same_port = (new.port or _DEFAULT_PORTS.get(new.scheme)) == (
                old.port or _DEFAULT_PORTS[old.scheme]
            )
        except ValueError as exc:
            raise TransferFault(f"a redirection to {location[:200]!a}", again=False) from exc
        safer = (old.scheme, new.scheme) == ("http", "https")
        if new.hostname != old.hostname or not (safer or (new.scheme == old.scheme and same_port)):
            raise TransferFault(
                f"the server sends us on to {new.scheme}://{new.netloc}, which nobody asked for; where you trust "
                "it, name it with --base-url",
                again=False,
            )
        return new._replace(fragment="").geturl()


def _refusal(response: http.client.HTTPResponse) -> TransferFault:
    status = response.status
    wait_s = retry_after_s(response.getheader("Retry-After"), datetime.now(UTC))
    return TransferFault(
        f"the server answers {status} {response.reason}".rstrip(),
        again=status in _AGAIN, retry_after_s=wait_s, busy=status in (429, 503),
    )  # fmt: skip


def _fault(exc: Exception) -> TransferFault:
    if isinstance(exc, TimeoutError):
        return TransferFault("the server is silent", again=True)
    if isinstance(exc, ssl.SSLCertVerificationError):
        return TransferFault(f"the server's certificate is refused ({exc.verify_message})", again=False)
    if isinstance(exc, socket.gaierror):
        return TransferFault(f"the host is not known ({exc.strerror})", again=True)
    text = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc) or type(exc).__name__
    return TransferFault(f"the connection broke ({text})", again=True)


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _proxy_password(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode()}"}
