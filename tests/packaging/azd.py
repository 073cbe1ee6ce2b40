"""Which files ``azd deploy`` takes: the rules of the Azure Developer CLI for ``.funcignore``.

Source: "Configure service packaging file exclusions" in the Azure Developer CLI's documentation. The file has the
standard syntax of ``.gitignore``; if it exists, azd itself leaves out only ``local.settings.json``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec


def packaged_files(root: Path) -> Iterator[str]:
    """Yield the files below ``root`` that would be published, relative to it, sorted."""
    ignore = GitIgnoreSpec.from_lines((root / ".funcignore").read_text().splitlines())
    for folder, folders, files in root.walk():
        place = folder.relative_to(root)
        folders[:] = sorted(name for name in folders if not ignore.match_file(f"{(place / name).as_posix()}/"))
        for name in sorted(files):
            path = (place / name).as_posix()
            if path != "local.settings.json" and not ignore.match_file(path):
                yield path
