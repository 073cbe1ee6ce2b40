"""Which files "func azure functionapp publish" takes: the rules of Core Tools for ``.funcignore``.

Source: behaviour of Core Tools 4 (its class ``GitIgnoreParser`` and its walk over the folder). Patterns differ from
git's: a pattern is a prefix of the path from the top of the project, and must end at a word boundary; ``*`` is one or
more characters except slashes, ``**`` one or more of any characters; a leading slash means nothing; a line with ``!``
includes files again, wherever the line is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_FOLDERS_NEVER_TAKEN = frozenset({".git", ".vscode"})
_FILES_NEVER_TAKEN = frozenset({".funcignore", ".gitignore", "local.settings.json", "project.lock.json"})


class FuncIgnore:
    """The patterns of a ``.funcignore`` file."""

    def __init__(self, text: str) -> None:
        lines = [line.strip() for line in text.split("\n")]
        patterns = [line for line in lines if line and not line.startswith("#")]
        self._left_out = _prefix(pattern for pattern in patterns if not pattern.startswith("!"))
        taken_back = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
        self._takes_back = bool(taken_back)
        self._taken_back = _prefix(taken_back)

    def takes(self, path: str) -> bool:
        """Say whether a file is published; ``path`` is relative to the top, with forward slashes."""
        return bool(self._taken_back.match(path)) or not self._left_out.match(path)

    def takes_nothing_in(self, folder: str) -> bool:
        """Return whether a pattern is a prefix of all files below a folder, so that none is published."""
        return not self._takes_back and self._left_out.match(f"{folder}/") is not None


def published_files(root: Path) -> Iterator[str]:
    """Yield the files below ``root`` that would be published, relative to it, sorted.

    Core Tools look into every folder. This skips folders with nothing to publish, because some have very many files.
    """
    ignore = FuncIgnore((root / ".funcignore").read_text())
    for folder, folders, files in root.walk():
        place = folder.relative_to(root)
        folders[:] = sorted(
            name
            for name in folders
            if name.lower() not in _FOLDERS_NEVER_TAKEN and not ignore.takes_nothing_in((place / name).as_posix())
        )
        for name in sorted(files):
            path = (folder / name).relative_to(root).as_posix()
            if name.lower() not in _FILES_NEVER_TAKEN and ignore.takes(path):
                yield path


def _prefix(patterns: Iterable[str]) -> re.Pattern[str]:
    alternatives = [_translate(pattern.removeprefix("/")) for pattern in patterns]
    return re.compile(rf"(?:{'|'.join(alternatives)})\b" if alternatives else r"(?!)", re.ASCII)


def _translate(pattern: str) -> str:
    parts = re.split(r"(\*\*|\*)", pattern)
    return "".join({"**": ".+", "*": "[^/]+"}.get(part, re.escape(part)) for part in parts)
