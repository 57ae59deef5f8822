"""What pktmend has changed, and what it was before, from one command to the next.

Rules of this file:
1. What is remembered is what was *requested* before, feature by feature: what follows from it comes back by itself.
2. An interface is known by namespace, number and name.  The kernel uses these again after a deletion; whoever restores
   touches only what still is as we left it, so what is not as we left it is not ours.
3. An interface that was restored is released: a policy leaves it alone until it is read again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from pktmend.errors import OSFailure
from pktmend.host.own_folder import OwnFolder, state_folder

NAME: Final = "offload.json"
RELEASED: Final = "offload-released.json"
MOST_RELEASED: Final = 4096
Remembered = dict[str, dict[str, bool]]  # feature: {"before": requested, "set": what we asked for}


@dataclass
class State:
    """What the files hold: changes by interface, and the interfaces that no policy is to touch."""

    changed: dict[str, Remembered] = field(default_factory=dict)
    released: dict[str, None] = field(default_factory=dict)

    def release(self, key: str) -> None:
        """Forget what was changed, and keep policies away; of those released long ago not for ever."""
        self.changed.pop(key, None)
        self.released[key] = None
        while len(self.released) > MOST_RELEASED:
            del self.released[next(iter(self.released))]

    def forget(self, key: str) -> None:
        """Of an interface that is gone."""
        self.changed.pop(key, None)
        self.released.pop(key, None)


class Memory:
    """The state files: what was changed, under a key for each interface, and what was released.

    They lie in state_folder(), for root gone at the next boot, as the changes are.
    """

    def __init__(self) -> None:
        self.folder = state_folder()

    @contextmanager
    def opened(self) -> Iterator[State]:
        """Lock the files, yield what they hold, write back what was changed, also after an error."""
        with OwnFolder(self.folder) as folder, folder.locked("offload.lock"):
            state = self._read(folder)
            before = _encoded(state)
            try:
                yield state
            finally:
                for (name, now), was in zip(_encoded(state).items(), before.values(), strict=True):
                    if now != was:
                        folder.write(name, now)

    def read(self) -> State:
        """Return what the files hold; nothing if there are none.  Raises PrivilegeError if they are another user's."""
        try:
            with OwnFolder(self.folder, makes=False) as folder:
                return self._read(folder)
        except FileNotFoundError:
            return State()

    def _read(self, folder: OwnFolder) -> State:
        changed = self._load(folder, NAME, dict[str, Remembered])
        return State(changed or {}, dict.fromkeys(self._load(folder, RELEASED, list[str]) or ()))

    def _load(self, folder: OwnFolder, name: str, kind: Any) -> Any:
        try:
            return msgspec.json.decode(folder.read(name), type=kind)
        except FileNotFoundError:
            return None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise OSFailure(
                f"{self.folder / name} cannot be read: {error}", "remove it to forget earlier changes"
            ) from error


def _encoded(state: State) -> dict[str, bytes]:
    return {NAME: msgspec.json.encode(state.changed), RELEASED: msgspec.json.encode(list(state.released))}


def key_of(inode: int, index: int, interface: str) -> str:
    """Return what an interface is known by: JSON is UTF-8, a name need not be."""
    return f"{inode}/{index}/{os.fsencode(interface).decode(errors='backslashreplace')}"
