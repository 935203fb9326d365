"""Owns the browser of the tests: headless Chromium, spoken to over a pipe in the DevTools protocol; no driver, no network."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_SECONDS = 60


class Browser:
    """One Chromium; every page is a tab of its own."""

    def __init__(self, folder: Path) -> None:
        """Start it with its profile in that folder."""
        program = next((found for name in _NAMES if (found := shutil.which(name))), None)
        assert program, "these tests need Chromium: install the package `chromium` (.ci/run does)"
        heard, self._out = os.pipe()
        self._in, said = os.pipe()
        arguments = [
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--disable-extensions", "--hide-scrollbars", "--force-device-scale-factor=1", f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank",
        ]
        # Chromium hears on descriptor 3 and answers on 4.
        shell = ["bash", "-c", f'exec 3<&{heard} 4>&{said}; exec "$@"', "bash", *arguments]
        self._process = subprocess.Popen(shell, pass_fds=(heard, said), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "HOME": str(folder)})
        os.close(heard)
        os.close(said)
        self._number = 0
        self._answers: Queue[dict[str, Any]] = Queue()
        self.events: list[dict[str, Any]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        rest = b""
        while part := os.read(self._in, 1 << 16):
            *whole, rest = (rest + part).split(b"\0")
            for each in whole:
                message = json.loads(each)
                if "id" in message:
                    self._answers.put(message)
                else:
                    self.events.append(message)
        os.close(self._in)

    def ask(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """Send a command and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + _SECONDS
        while True:
            try:
                answer = self._answers.get(timeout=max(0.1, until - time.monotonic()))
            except Empty:
                raise TimeoutError(f"{method}: no answer after {_SECONDS} s") from None
            if answer["id"] == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    @contextmanager
    def open(self, file: Path, *, width: int = 1200, height: int = 900, media: str = "", scheme: str = "light") -> Iterator[Page]:
        """Show a file; the page is loaded whole."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            page.ask(f"{domain}.enable")
        page.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        page.ask("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}])
        page.ask("Page.navigate", url=file.resolve().as_uri())
        until = time.monotonic() + _SECONDS
        while not any(each["method"] == "Page.loadEventFired" for each in page.events()):
            assert time.monotonic() < until, "the page does not load"
            time.sleep(0.02)
        try:
            yield page
        finally:
            self.ask("Target.closeTarget", targetId=target)

    def close(self) -> None:
        """End this browser."""
        os.close(self._out)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)


class Page:
    """A page that is shown."""

    def __init__(self, browser: Browser, session: str) -> None:
        """Take the browser and the protocol's name of the tab."""
        self._browser, self._session = browser, session

    def ask(self, method: str, **parameters: Any) -> Any:
        return self._browser.ask(method, self._session, **parameters)

    def events(self) -> list[dict[str, Any]]:
        return [each for each in list(self._browser.events) if each.get("sessionId") == self._session]

    def run(self, expression: str) -> Any:
        """What an expression is in the page; the protocol runs it whatever the page's policy says."""
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def complaints(self) -> list[str]:
        """What the console said: errors, violations of the policy, exceptions, messages."""
        self.run("new Promise(done => requestAnimationFrame(() => setTimeout(done, 100)))")
        return [json.dumps(each["params"])[:500] for each in self.events() if each["method"] in {"Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"}]

    def requests(self) -> list[str]:
        """What it asked for, but for itself and what stands in it."""
        asked = [each["params"]["request"]["url"] for each in self.events() if each["method"] == "Network.requestWillBeSent"]
        return [each for each in asked[1:] if not each.startswith("data:")]

    def picture(self) -> bytes:
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])

    def pdf(self) -> bytes:
        return base64.b64decode(self.ask("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"])

    def press(self, key: str, code: int) -> None:
        for kind in ("rawKeyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, for all tests of this process."""
    folder = tempfile.mkdtemp(prefix="toughen-chromium-")
    opened = Browser(Path(folder))
    try:
        yield opened
    finally:
        opened.close()
        shutil.rmtree(folder, ignore_errors=True)
