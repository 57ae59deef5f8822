"""Load the stages that a user names on the command line.

    FILE.py:NAME  ./FILE.so:NAME    a file
    package.module:NAME             an installed module
    NAME                            what an installed package offers as an entry point of the group `pktmend.stages`

each with `,argument=value` behind it, as often as needed.  Code comes from trusted places only (see trust), and never
from the current directory unless a path says so.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from pktmend._core import NativeStage
from pktmend.errors import ConfigError, PktmendError
from pktmend.host.trusted_path import open_trusted, require_trusted
from pktmend.runtime.native_stages import wrap_native
from pktmend.runtime.pipeline import Stage

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "pktmend.stages"
_ARGUMENT = re.compile(r'\s*([A-Za-z_]\w*)=("(?:[^"\\]|\\.)*"|[^,]*)(?:,|$)')


def load(text: str) -> Callable[[], Stage]:
    """Return what makes the stage *text* names, once for each worker.

    A class, and whatever is given arguments, is called for each worker, so that no two share its state; anything else
    is the stage itself.
    Raises: ConfigError that says what is wrong with which stage.
    """
    what = f"--stage {text}"
    target, _, tail = text.partition(",")
    arguments = _arguments(tail, what)
    place, colon, name = target.rpartition(":")
    label = name
    if not colon:
        place, name = _entry_point(target, what)
    try:
        found = _attribute(_module(place, what), name, what)
    except ConfigError as error:  # of require_trusted, which knows no options
        raise _fault(error.detail, error.hint) from error
    except PktmendError:
        raise
    except BaseException as error:  # it is the user's code: SystemExit ends nothing here
        raise _fault(f"{what}: {_words(error)}") from error

    def make() -> Stage:
        if not isinstance(found, type) and not arguments:
            return _as_stage(found, label, what)
        try:
            made = found(**arguments)
        except Exception as error:
            raise _fault(f"{what}: {_words(error)}") from error
        return _as_stage(made, label, what)

    return make


def _fault(detail: str, hint: str = "") -> ConfigError:
    return ConfigError(detail, hint, options=("stage",))


def entry_points() -> list[EntryPoint]:
    """Return what installed packages offer, by name."""
    from importlib.metadata import entry_points as offered  # a tenth of the start-up of a small `check`

    return sorted(offered(group=GROUP), key=lambda each: each.name)


def _words(error: BaseException) -> str:
    """What went wrong, and where in the user's code."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f" ({place.tb_frame.f_code.co_filename}:{place.tb_lineno})" if place else ""
    return f"{type(error).__name__}: {error}{where}"


def _arguments(text: str, what: str) -> dict[str, Any]:
    """`port=80,name=x` as a dictionary: a value is JSON if it can be, else text."""
    found: dict[str, Any] = {}
    at = 0
    while at < len(text):
        argument = _ARGUMENT.match(text, at)
        if argument is None:
            raise _fault(f"{what}: {text[at:]!r} is no argument", "name=value, separated by commas")
        name, value = argument[1], argument[2]
        if name in found:
            raise _fault(f"{what}: argument {name!r} is given twice")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
        at = argument.end()
    return found


def _entry_point(name: str, what: str) -> tuple[str, str]:
    known = entry_points()
    found = {(each.module, each.attr) for each in known if each.name == name}
    if len(found) == 1:
        return found.pop()
    if found:
        raise _fault(f"{what}: several packages offer a stage of that name", "say package.module:name")
    names = ", ".join(each.name for each in known) or "none"
    raise _fault(f"{what}: no installed package offers such a stage", f"there are: {names}; or say module:name")


def _module(place: str, what: str) -> ModuleType:
    if "/" in place or place.endswith((".py", ".so")):
        with open_trusted(Path(place).expanduser(), what) as (fd, path):
            return _from_file(fd, path)
    names = place.split(".")
    if not all(name.isidentifier() for name in names):
        raise _fault(f"{what}: {place!r} is neither a file nor a module")
    for end in range(1, len(names) + 1):  # each package before what is in it
        name = ".".join(names[:end])
        spec = importlib.util.find_spec(name)
        if spec is None:
            raise _fault(f"{what}: no module {name!r} is installed", "a file is named by its path: ./x.py:stage")
        if spec.has_location and spec.origin:
            require_trusted(Path(spec.origin), what, may_be_shared=False)
            if spec.cached and Path(spec.cached).exists():  # what Python has compiled before
                require_trusted(Path(spec.cached), what, may_be_shared=False)
        importlib.import_module(name)
    return sys.modules[place]


class _Source(importlib.machinery.SourceFileLoader):
    """Runs the source that it is given; compiled code that lies about is not looked at."""

    def __init__(self, name: str, path: str, source: bytes) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self._source, self.path)
        return code


def _from_file(fd: int, path: Path) -> ModuleType:
    """Load the module that *fd* is, once; *path* is its name."""
    name = f"pktmend_stage_of_{re.sub(r'[^A-Za-z0-9]', '_', str(path.parent))}.{path.name.split('.')[0]}"
    if name in sys.modules:
        return sys.modules[name]
    loader: importlib.machinery.SourceFileLoader | importlib.machinery.ExtensionFileLoader
    if path.suffix == ".py":
        loader = _Source(name, str(path), Path(f"/proc/self/fd/{fd}").read_bytes())
    elif path.suffix == ".so":
        kept = os.dup(fd)  # for good: the linker knows a library by its path, and takes another of that path for it
        loader = importlib.machinery.ExtensionFileLoader(name, f"/proc/self/fd/{kept}")
    else:
        raise _fault(f"{path} is no Python module", "a .py file or an extension module")
    spec = importlib.util.spec_from_file_location(name, loader.path, loader=loader)
    if spec is None:
        raise _fault(f"{path} is no Python module", "a .py file or an extension module")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _attribute(module: ModuleType, name: str, what: str) -> Any:
    exported: dict[str, Any] = getattr(module, "__pyx_capi__", {})  # functions of a Cython module
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part) and part not in exported:
            there = ", ".join(sorted({*exported, *(n for n in vars(module) if not n.startswith("_"))})) or "nothing"
            raise _fault(f"{what}: there is no {name!r} in {module.__file__}", f"there are: {there}")
        found = getattr(found, part) if hasattr(found, part) else exported[part]
    return found


def _as_stage(found: object, name: str, what: str) -> Stage:
    kind = type(found)
    if kind.__name__ == "PyCapsule" or kind.__module__.partition(".")[0] in ("numba", "_cffi_backend"):
        return wrap_native(found, name=name)
    if isinstance(found, NativeStage) or callable(found):
        stage: Stage = found
        return stage
    raise _fault(f"{what}: {found!r} cannot be called with a batch")
