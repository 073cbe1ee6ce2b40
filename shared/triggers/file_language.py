"""The language of files."""

from __future__ import annotations

from shared.connections.model import Connection
from shared.words.language import Language, language_of


def file_language(connection: Connection | None, reader: Language) -> Language:
    """Return the language of a file's headings: a file about one connection is for the people there.

    Args:
        connection: The only one that the file is about; None if it is about several or none.
        reader: The language of whoever asks for it, for any other file.
    """
    return reader if connection is None else language_of(connection.language)
