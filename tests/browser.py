"""A real browser without a window, for tests of pages."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

PROGRAM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)

PROBE = """\
<!doctype html><meta charset="utf-8"><title>probe</title><body><pre id="found"></pre>
<script>
const frame = document.createElement("iframe");
frame.style.cssText = "border: 0; height: 900px; width: %(width)dpx";
frame.onload = () => {
  const inside = frame.contentDocument, found = {};
  found.overflow = inside.documentElement.scrollWidth - inside.documentElement.clientWidth;
  found.background = getComputedStyle(inside.body).backgroundColor;
  found.ink = getComputedStyle(inside.body).color;
  found.title = inside.title;
  found.ran = frame.contentWindow.ran === true;
  found.headings = [...inside.querySelectorAll("h1, h2")].map(one => one.textContent);
  found.rows = [...inside.querySelectorAll("table")].map(table => [...table.tBodies[0].rows].map(
    row => [...row.cells].map(cell => cell.textContent.trim())));
  found.tags = [...new Set([...inside.querySelectorAll("*")].map(one => one.localName))].sort();
  found.text = inside.body.textContent;
  document.getElementById("found").textContent = JSON.stringify(found);
};
frame.srcdoc = %(page)s;
document.body.append(frame);
</script>
"""


def _run(*arguments: str, home: Path) -> str:
    assert PROGRAM is not None
    argv = [PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
    argv += [f"--user-data-dir={home / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND", "--no-first-run"]
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}
    done = subprocess.run([*argv, *arguments], capture_output=True, text=True, timeout=120, env=env, check=True)
    return done.stdout


def look(page: str, folder: Path, *, width: int = 1100, dark: bool = False) -> dict[str, Any]:
    """Return what the browser makes of a page: its texts, tables and colours, and how far it is too wide."""
    probe = folder / "probe.html"
    quoted = json.dumps(page).replace("</", "<\\/")
    probe.write_text(PROBE % {"width": width, "page": quoted}, encoding="utf-8")
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    dom = _run(scheme, "--virtual-time-budget=3000", "--dump-dom", probe.as_uri(), home=folder)
    found = re.search(r'<pre id="found">(.+?)</pre>', dom, re.DOTALL)
    assert found, f"the page did not load: {dom[:500]}"
    return dict(json.loads(unescape(found[1])))


def picture(page: Path, to: Path, *, width: int = 1100, height: int = 900, dark: bool = False) -> None:
    """Take a picture of a page, as a PNG file."""
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    _run(scheme, f"--window-size={width},{height}", f"--screenshot={to}", page.resolve().as_uri(), home=to.parent)
