from pathlib import PurePath

from shared.triggers.site_pages import CONTENT_TYPES
from shared.web.html import static_files


def test_every_static_file_has_a_content_type() -> None:
    assert {PurePath(name).suffix for name in static_files()} == set(CONTENT_TYPES)
