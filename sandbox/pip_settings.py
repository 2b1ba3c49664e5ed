"""The host's settings of pip, for installations that run in a sandbox."""

from __future__ import annotations

import configparser
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

import platformdirs

_PATHS = {"PIP_FIND_LINKS", "PIP_CERT", "PIP_CLIENT_CERT", "PIP_CONSTRAINT"}
_URLS = {"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"}
_PASSED = {"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "all_proxy"}
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")


@dataclass(frozen=True, slots=True)
class PipSettings:
    """The host's settings of pip as environment variables, and the host's own paths that they name."""

    env: Mapping[str, str]
    paths: tuple[Path, ...] = ()

    def moved(self, folder: str) -> tuple[PipSettings, dict[str, str]]:
        """Return the settings with every path as it is called beneath `folder`, and the new name of each old one."""
        places = {str(path): f"{folder}/{number}" for number, path in enumerate(self.paths)}
        env = dict(self.env)
        for old in sorted(places, key=len, reverse=True):
            env = {key: re.sub(rf"{re.escape(old)}(?=/|\s|$)", places[old], value) for key, value in env.items()}
        return PipSettings(env, self.paths), places


def _pip_files() -> Iterator[Path]:
    home = Path.home()
    yield from (Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf"))
    yield from (home / ".pip/pip.conf", Path(platformdirs.user_config_dir("pip")) / "pip.conf")
    yield Path(sys.prefix) / "pip.conf"
    if named := os.environ.get("PIP_CONFIG_FILE"):
        yield Path(named)


def _local(word: str) -> Path | None:
    parsed = urlparse(word)
    if parsed.scheme == "file":
        return Path(unquote(parsed.path))
    return Path(word) if word.startswith("/") else None


def pip_settings() -> PipSettings:
    """Read pip's configuration files and `PIP_*` variables over them; absent local paths are left out."""
    found: dict[str, str] = {}
    for path in _pip_files():
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(path.read_text("utf-8"))
        except (OSError, configparser.Error, UnicodeDecodeError):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {f"PIP_{key.upper().replace('-', '_')}": value for key, value in parser.items(section)}
    found |= {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
    for dropped in ("PIP_CONFIG_FILE", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PIP_PYTHON"):
        found.pop(dropped, None)
    paths: dict[Path, None] = {}
    for key in (_PATHS | _URLS) & set(found):
        words = []
        for word in found[key].split():
            local = _local(word)
            if local is not None and not local.exists():
                continue
            if local is not None:
                # An index is often two folders, the pages and the files that they name.
                paths[local.parent if key in _URLS else local] = None
            words.append(word)
        found[key] = " ".join(words)
    env = {key: value for key, value in found.items() if value}
    env |= {key: os.environ[key] for key in _PASSED & set(os.environ)}
    env["PIP_CONFIG_FILE"] = os.devnull
    bundle = next((os.environ[k] for k in _CERTIFICATES if Path(os.environ.get(k, "/nowhere")).is_file()), None)
    if bundle:
        paths[Path(bundle)] = None
        env |= {"SSL_CERT_FILE": bundle, "PIP_CERT": bundle}
    return PipSettings(env, tuple(paths))
