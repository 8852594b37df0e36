"""A headless Chromium, spoken to over the pipe of its DevTools protocol: no driver, no library."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
DEADLINE_S = 60


class Chromium:
    """One page in a browser of its own, for as long as the ``with`` block lasts."""

    def __init__(self, profile: Path) -> None:
        self.complaints: list[str] = []
        """Errors and warnings of the console, uncaught exceptions, refused requests."""
        self.requests: list[str] = []
        self._count, self._buffer, self._done = 0, b"", {}
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()

        def wire() -> None:
            # The browser reads commands from descriptor 3 and writes answers to 4.
            low, high = os.dup(to_read), os.dup(to_write)
            os.dup2(low, 3), os.dup2(high, 4)

        self._process = subprocess.Popen(
            [
                *(PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *("--disable-background-networking", "--disable-dev-shm-usage"),
                *("--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=wire,
            close_fds=False,
        )
        os.close(to_read), os.close(to_write)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = None
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    _session: str | None = None

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, *_: Any) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)
        os.close(self._write), os.close(self._read)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and return its result; what happens meanwhile is taken down."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        return self._until(lambda: self._done.pop(self._count, None))

    def open(self, page: Path, width: int, scheme: str) -> None:
        """Show a file at a width in CSS pixels, with "light" or "dark" preferred."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media="screen", features=media)
        self._loaded = False
        self.call("Page.navigate", url=page.resolve().as_uri())
        self._until(lambda: self._loaded or None)

    def run(self, expression: str) -> Any:
        """Return the value of JavaScript in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self, file: Path, height: int = 900) -> None:
        clip = {"x": 0, "y": 0, "width": self.run("innerWidth"), "height": height, "scale": 1}
        answer = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(answer["data"]))

    _loaded = False

    def _until(self, condition: Any) -> Any:
        deadline = time.monotonic() + DEADLINE_S
        while (found := condition()) is None:
            ready, _, _ = select.select([self._read], [], [], 1)
            if ready:
                self._buffer += os.read(self._read, 1 << 20)
            *whole, self._buffer = self._buffer.split(b"\0")
            for text in whole:
                self._take(json.loads(text))
            assert self._process.poll() is None, "The browser ended."
            assert time.monotonic() < deadline, "The browser does not answer."
        return found

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            assert "error" not in message, message
            self._done[message["id"]] = message["result"]
            return
        event, what = message["method"], message["params"]
        if event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])
        elif event == "Runtime.exceptionThrown" or (
            event == "Log.entryAdded" and what["entry"]["level"] in ("error", "warning")
        ) or (
            event == "Runtime.consoleAPICalled" and what["type"] in ("error", "warning", "assert")
        ):  # fmt: skip
            self.complaints.append(json.dumps(what))
