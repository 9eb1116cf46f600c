"""One request to an endpoint: address and key from the environment, told to nobody."""

from __future__ import annotations

import email.utils
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from rsccli.errors import UsageProblem

ADDRESS, KEY = "RSCCLI_ENDPOINT", "RSCCLI_API_KEY"
CONNECT_S = 10.0
MAX_ANSWER_BYTES = 8 * 2**20
_PATH = "/chat/completions"


@dataclass(frozen=True)
class Address:
    """Where and with which key; its text shows neither.

    Attributes:
        url: of chat completions. key: or None for servers that need none.
    """

    url: str
    key: str | None

    def __repr__(self) -> str:
        return "Address(...)"

    def hide(self, text: str) -> str:
        """A text of others without the key, the address and its host."""
        parts = urlsplit(self.url)
        for secret in sorted({self.key or "", self.url, parts.netloc, parts.hostname or ""}, key=len, reverse=True):
            if len(secret) > 2:
                text = text.replace(secret, "...")
        return text


def address_from(environment: Mapping[str, str] = os.environ) -> Address:
    """Address and key from the environment.

    Raises:
        UsageProblem: there is no address, or one that is none.
    """
    given, key = environment.get(ADDRESS, "").strip(), environment.get(KEY, "").strip()
    if not given:
        raise UsageProblem(
            f"--endpoint: set {ADDRESS} to the address of an OpenAI-compatible server, for example "
            f"export {ADDRESS}=http://127.0.0.1:8000/v1 (and {KEY} where it needs a key)"
        )
    try:
        parts = urlsplit(given)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise UsageProblem(f"{ADDRESS} is no address: it begins with http:// or https:// and names a host")
    if not key.isascii() or not key.isprintable():
        raise UsageProblem(f"{KEY} holds characters that no key has: set it again")
    path = parts.path.rstrip("/")
    path = path if path.endswith(_PATH) else path + _PATH
    return Address(urlunsplit((parts.scheme, parts.netloc, path, parts.query, "")), key or None)


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        status: of HTTP, or None where no answer came. body: of the answer.
        trouble: why none came, or None. retry_after_s: how long the endpoint wants to be left alone, or None.
    """

    status: int | None
    body: bytes = b""
    trouble: str | None = None
    retry_after_s: float | None = None


class Client:
    """Sends requests; each thread has one of its own.

    Args:
        address: where to. timeout_s: longest time for one answer.
    """

    def __init__(self, address: Address, timeout_s: float) -> None:
        import requests

        self._address, self._timeout_s = address, timeout_s
        self._session = requests.Session()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def post(self, body: bytes) -> Reply:
        """Send one request and read its answer whole."""
        import requests
        import urllib3

        deadline = time.monotonic() + self._timeout_s
        # Errors of these libraries hold the address: only their kind is told.
        try:
            with self._session.post(
                self._address.url,
                data=body,
                headers={"Content-Type": "application/json", "Accept": "application/json"},
                auth=self._sign,
                timeout=(min(CONNECT_S, self._timeout_s), self._timeout_s),
                stream=True,
                allow_redirects=False,
            ) as answer:
                data = _read(answer.raw, deadline)
                after = retry_after_s(answer.headers.get("Retry-After"))
                if data is None:
                    return Reply(None, trouble=f"no whole answer in {self._timeout_s:g} s")
                return Reply(answer.status_code, data, retry_after_s=after)
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            return Reply(None, trouble=f"no answer in {self._timeout_s:g} s")
        except requests.exceptions.SSLError:
            return Reply(None, trouble="its certificate cannot be trusted (REQUESTS_CA_BUNDLE names other ones)")
        except requests.ConnectionError:
            return Reply(None, trouble="no connection to it")
        except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError):
            return Reply(None, trouble="the connection broke off")

    def _sign(self, request: Any) -> Any:  # noqa: ANN401 - requests' own prepared request
        # Given as auth, so that a .netrc does not put another key in its place.
        if self._address.key is not None:
            request.headers["Authorization"] = f"Bearer {self._address.key}"
        return request


def _read(raw: Any, deadline: float) -> bytes | None:  # noqa: ANN401 - urllib3's own response
    """The body, or None where it takes too long: a server may send a byte now and then for ever."""
    parts, size = [], 0
    while chunk := raw.read1(1 << 16, decode_content=True):
        parts.append(chunk)
        size += len(chunk)
        if time.monotonic() > deadline or size > MAX_ANSWER_BYTES:
            return None
    return b"".join(parts)


def retry_after_s(value: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Seconds of a ``Retry-After`` (RFC 9110, 10.2.3): a number, or a date; None where there is none to read."""
    if value is None:
        return None
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - now()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if seconds == seconds and seconds < 1e9 else None
