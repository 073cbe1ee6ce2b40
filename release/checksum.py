"""The checksum file beside a release's asset, in the form that ``sha256sum --check`` reads."""

from __future__ import annotations

import hashlib
from pathlib import Path


def sha256(file: Path) -> str:
    """Return the SHA-256 digest of a file in hexadecimal digits."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def write_checksum(asset: Path) -> Path:
    """Write ``<asset>.sha256`` beside an asset and return its path."""
    beside = asset.with_name(f"{asset.name}.sha256")
    beside.write_text(f"{sha256(asset)}  {asset.name}\n")
    return beside
