"""Compile every Python file of a folder: ``python -I -S release/byte_code.py FOLDER``.

The app's folder is read-only in Azure, so without byte code in the package each cold start compiles everything again.
The byte code names no time and is not compared with its source (PEP 552, "unchecked"), so it is valid wherever and
whenever the package is unpacked.

What Python writes for a file depends a little on what the process has compiled before (which strings it knows). Run
this in a process of its own: a fixed order and an interpreter without site packages then always give the same bytes.
"""

from __future__ import annotations

import py_compile
import sys
from pathlib import Path


def compile_all(folder: Path) -> None:
    """Write the byte code of each file beside it, with paths relative to the folder.

    Raises:
        py_compile.PyCompileError: A file is not Python.
    """
    for source in sorted(folder.rglob("*.py")):
        py_compile.compile(
            str(source),
            dfile=source.relative_to(folder).as_posix(),
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


if __name__ == "__main__":
    compile_all(Path(sys.argv[1]))
