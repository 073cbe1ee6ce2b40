"""The sandbox's own certificate authority and the key that signs its access tokens, kept as files."""

from __future__ import annotations

import errno
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

DIRECTORY = Path(__file__).parent.parent / ".sandbox" / "certificates"
"""Where the files are by default; git does not track it."""


@dataclass(frozen=True)
class Certificates:
    """Where to find the files.

    Attributes:
        authority: The authority's certificate, PEM, which clients must trust (``SSL_CERT_FILE``).
        chain: The servers' certificate with its chain, PEM, for ``localhost``, ``127.0.0.1`` and ``::1``.
        key: The servers' private key, PEM.
        token_key: The managed identity's RSA private key, PEM, for signing access tokens.
    """

    authority: Path
    chain: Path
    key: Path
    token_key: Path


def ensure_certificates(directory: Path = DIRECTORY) -> Certificates:
    """Return the files of ``directory``; make them first if they are missing.

    Processes may call this at the same time: the directory appears complete or not at all, and the first one wins.
    """
    if not directory.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix="certificates-") as scratch:
            made = Path(scratch) / "made"
            made.mkdir(mode=0o700)
            _make(_files(made))
            try:
                made.rename(directory)
            except OSError as error:  # somebody else was first
                if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
                    raise
    return _files(directory)


def _files(directory: Path) -> Certificates:
    return Certificates(
        authority=directory / "authority.pem",
        chain=directory / "server.pem",
        key=directory / "server.key",
        token_key=directory / "token.key",
    )


def _make(files: Certificates) -> None:
    authority = trustme.CA(organization_name="Sandbox")
    server = authority.issue_cert("localhost", "127.0.0.1", "::1")
    authority.cert_pem.write_to_path(os.fspath(files.authority))
    for blob in server.cert_chain_pems:
        blob.write_to_path(os.fspath(files.chain), append=True)
    server.private_key_pem.write_to_path(os.fspath(files.key))
    token_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    files.token_key.write_bytes(
        token_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
