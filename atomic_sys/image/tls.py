# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sessions of requests with our idea of TLS: the system's authorities and those of certs.d."""

import contextlib
import ssl
from enum import Enum
from typing import TYPE_CHECKING

from atomic_sys.image.certificates import Certificates
from atomic_sys.image.http_response import NetworkError

if TYPE_CHECKING:  # only for its types: the import takes 80 ms
    import requests

_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


class Tls(Enum):
    """Whether the other side must prove who it is."""

    VERIFIED = "verified"
    UNVERIFIED = "unverified"


def new_session(tls: Tls, certificates: Certificates) -> "requests.Session":
    """A session without netrc, cookies, and the environment's idea of authorities.

    Raises NetworkError for certificates that cannot be used.
    """
    # Here because it takes 80 ms and only verbs that pull need it.
    from http.cookiejar import DefaultCookiePolicy

    import requests
    import urllib3

    class Session(requests.Session):
        def get_redirect_target(self, resp: requests.Response) -> None:
            """No redirect is followed: else it would be parsed, and its body read to any length."""

    session = Session()
    session.trust_env = False  # no netrc; and no REQUESTS_CA_BUNDLE beside the system's bundle
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    match tls:
        case Tls.VERIFIED:
            session.verify = _ca_bundle()
        case Tls.UNVERIFIED:
            session.verify = False
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    # Without a context of ours, urllib3 reads the system's authorities also to verify nothing.
    if certificates != Certificates() or tls is Tls.UNVERIFIED:
        session.mount("https://", _adapter(_context(tls, certificates)))
    return session


def _adapter(context: ssl.SSLContext) -> "requests.adapters.HTTPAdapter":
    # Here for the reason given in new_session().
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: int, **options: object) -> None:
            options["ssl_context"] = context
            super().init_poolmanager(*args, **options)  # type: ignore[no-untyped-call]  # stubs

        def proxy_manager_for(self, proxy: str, **options: object) -> object:
            options["ssl_context"] = context
            return super().proxy_manager_for(proxy, **options)  # type: ignore[no-untyped-call]  # stubs

    return Adapter()


def _context(tls: Tls, certificates: Certificates) -> ssl.SSLContext:
    # urllib3 matches the host's name where the context does not; an old one cannot let the context
    # do it for addresses. The system's authorities come by session.verify.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if tls is Tls.UNVERIFIED:
        context.verify_mode = ssl.CERT_NONE
    path = ""
    try:
        for path in certificates.authorities:
            context.load_verify_locations(path)
        for path, key in certificates.clients:
            context.load_cert_chain(path, key, password=_no_password)
    except (OSError, ValueError) as error:
        raise NetworkError(f"cannot use {path}: {error}") from error
    return context


def _no_password() -> str:
    raise ValueError("its key has a password")  # else OpenSSL would ask the terminal for it


def _ca_bundle() -> str:
    """The system's certificates, not those that a Python package brings along."""
    defaults = ssl.get_default_verify_paths()
    for path in (defaults.cafile, *_BUNDLES, defaults.capath):
        with contextlib.suppress(OSError):
            if path is not None:
                open(path, "rb").close()
                return path
    raise NetworkError("this system has no CA certificates", hint="install ca-certificates")
