"""A headless Chromium inside a namespace, spoken to by the DevTools protocol over two pipes.

Source: chromedevtools.github.io/devtools-protocol; `--remote-debugging-pipe` reads descriptor 3 and writes 4, messages
end with a NUL.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from pktmend.testbed.netns import Host, end
from tools import PATIENCE

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


class Browser:
    """One page.  It starts when made, and is waited for when it is first told something.

    events: what it has told of itself.
    """

    def __init__(self, host: Host, folder: Path) -> None:
        program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
        if program is None:
            pytest.skip("not installed: chromium")
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # the shell puts the two ends where the browser looks for them
        script = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self.process = host.spawn(
            *("bash", "-c", script, "bash", program, "--headless", "--no-sandbox", "--disable-gpu"),
            *("--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--disable-extensions"),
            *("--remote-debugging-pipe", f"--user-data-dir={folder}", "about:blank"),
            pass_fds=[theirs_in, theirs_out],
            env={**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._number = 0
        self._data = b""
        self._session = ""
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, *, is_sure: bool = True, **parameters: Any) -> dict[str, Any]:
        """Call a method; return its result, which may be an error unless *is_sure*."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self._next(deadline, method)
            if answer.get("id") == self._number:
                assert "error" not in answer or not is_sure, (method, answer)
                result: dict[str, Any] = answer.get("result", {})
                return result
            self.events.append(answer)

    def _next(self, deadline: float, doing: str) -> dict[str, Any]:
        while b"\0" not in self._data:
            ready = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))[0]
            data = os.read(self._in, 1 << 20) if ready else b""
            assert data, f"the browser does not answer: {doing}"
            self._data += data
        text, _, self._data = self._data.partition(b"\0")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def attach(self) -> None:
        """Wait until it has started."""
        targets = self.ask("Target.getTargets")["targetInfos"]
        target = next(each["targetId"] for each in targets if each["type"] == "page")
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Go there, and wait until it is loaded."""
        if not self._session:
            self.attach()
        self.ask("Page.navigate", url=url)
        deadline = time.monotonic() + PATIENCE
        while (state := self.value("document.readyState + location.href")) != "complete" + url:
            assert time.monotonic() < deadline, state

    def value(self, expression: str) -> Any:
        """Return what an expression in the page comes to."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def told(self, method: str) -> list[dict[str, Any]]:
        """Return the events of one kind."""
        self.value("0")
        return [event["params"] for event in self.events if event.get("method") == method]

    def show(self, width: int, height: int, *, scheme: str = "light") -> None:
        """Be so large, and prefer light or dark."""
        if not self._session:
            self.attach()
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, path: Path) -> None:
        """Write what is to be seen as PNG."""
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))

    def close(self) -> None:
        """End it."""
        end(self.process)
        os.close(self._out)
        os.close(self._in)
