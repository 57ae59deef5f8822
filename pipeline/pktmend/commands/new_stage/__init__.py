"""`pktmend stages new`: a folder with a stage that works, and its tests, to begin with.

The skeletons lie beside this file, and @name@ in them is the name of the stage.  All do the same, so that one file of
tests holds for each.
"""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path
from typing import Final

from pktmend.errors import ConfigError, OSFailure
from pktmend.host.output_file import write_text

FILES: Final = {  # of each language: the file that is written, and the skeleton it is made of
    "python": {"@name@.py": "python.txt"},
    "c": {"@name@.py": "c.txt"},
    "cython": {"@name@.pyx": "cython.txt", "setup.py": "setup.txt"},
    "numba": {"@name@.py": "numba.txt"},
}
_TESTS: Final = {"test_@name@.py": "tests.txt"}
_WRAPPED: Final = ("cython", "numba")  # what --stage takes is not yet a stage in Python
_BUILD: Final = {"cython": "python setup.py -q build_ext --inplace && "}
_TAKEN: Final = sys.stdlib_module_names | {"cython", "numba", "numpy", "pktmend", "setup"}  # what a skeleton imports
_MODE, _FOLDER_MODE = 0o644, 0o755  # whatever the umask: --stage refuses what others may write


def new_stage(name: str, language: str) -> str:
    """Write the folder *name* here; return what to do next.

    Raises: ConfigError if it is no name for a stage; OSFailure if there is something of that name, or nothing can be
            written.
    """
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ConfigError(f"{name!r} is no name for a stage", "small letters, digits and _, such as drop_echo")
    if name in _TAKEN:
        raise ConfigError(f"a stage {name!r} would hide a module of that name", "choose another, such as drop_echo")
    folder = Path(name)
    try:
        folder.mkdir(_FOLDER_MODE)
        folder.chmod(_FOLDER_MODE)
    except OSError as error:
        hint = "choose another name, or remove it" if isinstance(error, FileExistsError) else ""
        raise OSFailure(f"{folder}: {error.strerror}", hint, error.errno or 0, str(folder)) from None
    for target, skeleton in {**FILES[language], **_TESTS}.items():
        text = _filled(Path(__file__).with_name(skeleton).read_text(encoding="utf-8"), name, language)
        write_text(str(folder / target.replace("@name@", name)), text, mode=_MODE)
    return (
        f"{folder}/ is a stage that drops UDP to port 9, and its tests. Try both:\n"
        f"  cd {name} && {_BUILD.get(language, '')}python test_{name}.py\n"
        f"  pktmend bridge -i A -I B --stage {loaded_as(name, language)}\n"
        "`pktmend help writing-stages` says what else a stage can do."
    )


def loaded_as(name: str, language: str) -> str:
    """Return what --stage takes, in its folder."""
    return f'"$(echo ./{name}.*.so):{name}"' if language == "cython" else f"./{name}.py:{name}"


def _filled(text: str, name: str, language: str) -> str:
    is_wrapped = language in _WRAPPED
    text = text.replace("@wraps@", ", wrap_native" if is_wrapped else "")
    text = text.replace("@stage@", 'wrap_native(@name@, name="@name@")' if is_wrapped else "@name@")
    return text.replace("@name@", name)
