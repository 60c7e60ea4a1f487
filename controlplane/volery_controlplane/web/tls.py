"""TLS of the data server: the same files as the gRPC server's, read again when they change.

A client certificate is taken where one is shown, and not required: tasks have tokens, and no certificates.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

import structlog

from volery_controlplane.grpc.tls import TlsFiles

log = structlog.get_logger(__name__)


class WebTls:
    """The context that connections are secured with.

    The files were proven by the gRPC server's side of TLS, which is made before.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._states = files.states()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.load_cert_chain(files.certificate, files.key)
        if files.client_ca is not None:
            self.context.load_verify_locations(files.client_ca)
            self.context.verify_mode = ssl.CERT_OPTIONAL

    def renew(self) -> None:
        """Lets new connections use the files as they are now, if they have changed and are good."""
        try:
            states = self._files.states()
            if states == self._states:
                return
            self._states = states
            self.context.load_cert_chain(self._files.certificate, self._files.key)
        except (OSError, ssl.SSLError) as problem:
            log.error("changed TLS files are not used by the data server", problem=str(problem))


def names(certificate: Mapping[str, Any] | None) -> list[str]:
    """The common name and alternative names of a client's certificate, which TLS has verified."""
    if not certificate:
        return []
    found = [value for part in certificate.get("subject", ()) for kind, value in part if kind == "commonName"]
    return list(dict.fromkeys([*found, *(value for _, value in certificate.get("subjectAltName", ()))]))
