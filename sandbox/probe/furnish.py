"""Makes an environment to the JSON order on the first line of its input: a virtual environment, packages, bytecode.

Runs with the base interpreter, inside the sandbox, while that is online. The last line that it prints is a JSON object
with the versions of what is installed, or with the error.
"""

from __future__ import annotations

import importlib.util
import json
import os
import py_compile
import re
import shutil
import struct
import subprocess
import sys
import tempfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TAIL = 20000
OFFLINE = re.compile(
    "NewConnectionError|NameResolutionError|Temporary failure in name|Network is unreachable|ProxyError"
)
UNUSED = {
    "test",
    "tests",
    "idlelib",
    "turtledemo",
    "lib2to3",
    "tkinter",
    "__pycache__",
    "site-packages",
    "dist-packages",
}

VERSIONS = """
import json, platform, re
from importlib.metadata import distributions
found = {}
for one in distributions():
    name = one.metadata["Name"]
    if name:
        found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), one.version)
found["python"] = platform.python_version()
print(json.dumps(found))
"""


class Failed(Exception):
    """The environment cannot be made; the message is a sentence, the second argument what the installer said."""


def say(line: str) -> None:
    print(line, flush=True)


def make_venv(order: dict[str, Any]) -> str:
    """Make the virtual environment without pip; return its folder of packages."""
    import venv

    venv.EnvBuilder(symlinks=True, with_pip=False, clear=True).create(order["venv"])
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    python = os.path.join(order["venv"], "bin", "python")
    return subprocess.run([python, "-I", "-c", where], check=True, stdout=subprocess.PIPE).stdout.decode().strip()


def pip_install(order: dict[str, Any], requirements: list[str]) -> str:
    """Install; return "" or the end of what the installer said."""
    python = os.path.join(order["venv"], "bin", "python")
    options = [
        "--no-input",
        "--disable-pip-version-check",
        "--no-warn-script-location",
        "--prefer-binary",
        "--no-compile",
    ]
    env = dict(os.environ, **order["pip_env"])
    argv = [python, order["pip"], "install", *options, *requirements]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env) as process:
        said = b""
        for line in process.stdout or ():
            said = (said + line)[-TAIL:]
            text = line.decode("utf-8", "replace").strip()
            if text.startswith(("Collecting ", "Building ", "Installing ")):
                say(text[:200])
    return said.decode("utf-8", "replace") if process.returncode else ""


def install(order: dict[str, Any]) -> None:
    """Install what is required, then what is merely hinted at, as far as it can be had."""
    required, hinted = order["requirements"], order["hints"]
    if not required and not hinted:
        return
    if order["constraints"]:
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
            file.write("\n".join(order["constraints"]))
            file.flush()
            if not pip_install(order, ["--constraint", file.name, *required, *hinted]):
                return
        say("the lock file's versions cannot be installed together; installing what the declarations allow")
    said = pip_install(order, [*required, *hinted])
    if said and hinted:
        unreachable = OFFLINE.search(said) is not None
        say("some of what is only hinted at cannot be installed")
        # Exact versions of long ago are the usual reason.
        loose = [re.sub(r"\s*==[^;,\]]*", "", hint) for hint in hinted]
        if loose != hinted and not unreachable:
            said = pip_install(order, [*required, *loose])
        if said:
            said = pip_install(order, required) if required else ""
            if not said and not unreachable:
                for hint in loose:
                    if pip_install(order, [*required, hint]):
                        say("left out: " + hint)
    if said:
        raise Failed("The repository's dependencies could not be installed.", said)


def has_module(order: dict[str, Any], name: str) -> bool:
    python = os.path.join(order["venv"], "bin", "python")
    check = "import importlib.util, sys; sys.exit(importlib.util.find_spec(%r) is None)" % name
    return subprocess.run([python, "-I", "-c", check], check=False).returncode == 0


def add_supplies(order: dict[str, Any], site: str) -> None:
    """Copy the runner that greendiff brings into an environment that has none of its own."""
    if order["supplies"] and not has_module(order, "pytest"):
        for name in sorted(os.listdir(order["supplies"])):
            source, target = os.path.join(order["supplies"], name), os.path.join(site, name)
            if name.endswith(".dist-info"):
                stem = name.split("-")[0].lower()
                if any(n.lower().startswith(stem + "-") and n.endswith(".dist-info") for n in os.listdir(site)):
                    continue
            if os.path.exists(target):
                continue
            if os.path.isdir(source):
                shutil.copytree(source, target)
            else:
                shutil.copyfile(source, target)
    if not has_module(order, "pytest"):
        said = pip_install(order, ["pytest"])
        if said:
            raise Failed("pytest could not be installed into the repository's environment.", said)


def add_distribution(order: dict[str, Any], site: str) -> None:
    """Write the metadata and the commands of the repository's own distribution, which is not installed."""
    if not order["distribution"]:
        return
    name, version = order["distribution"]
    stem = re.sub(r"[-_.]+", "_", name)
    for found in os.listdir(site):
        # Something that is needed for the tests needs the distribution in turn: the repository's is meant.
        if found.lower().startswith(stem.lower() + "-") and found.endswith(".dist-info"):
            shutil.rmtree(os.path.join(site, found))
    folder = os.path.join(site, "%s-%s.dist-info" % (stem, version))
    os.makedirs(folder)
    files = {"METADATA": "Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (name, version), "INSTALLER": "greendiff\n"}
    if order["entry_points"]:
        files["entry_points.txt"] = order["entry_points"]
    for file, text in files.items():
        with open(os.path.join(folder, file), "w", encoding="utf-8") as handle:
            handle.write(text)
    section = re.search(r"^\[(console|gui)_scripts\]\n((?:[^\[].*\n)*)", order["entry_points"], re.MULTILINE)
    for line in section.group(2).splitlines() if section else ():
        matched = re.match(r"([\w.-]+) = ([\w.]+):(\w+)((?:\.\w+)*)$", line)
        if matched:
            write_command(order, *matched.groups())


def write_command(order: dict[str, Any], name: str, module: str, first: str, rest: str) -> None:
    python = os.path.join(order["venv"], "bin", "python")
    path = os.path.join(order["venv"], "bin", name)
    if os.path.lexists(path) and name.startswith(("python", "pip", "pytest", "activate")):
        return
    with open(path, "w", encoding="utf-8") as handle:
        handle.write("#!%s\nimport sys\nfrom %s import %s\nsys.exit(%s%s())\n" % (python, module, first, first, rest))
    os.chmod(path, 0o755)  # noqa: S103 (a program that everyone in the sandbox may run)


def existing_code(source: str, target: str) -> bool:
    """Take over the bytecode that lies beside a source file if it is current, marked as not to be checked again."""
    cached = os.path.join(os.path.dirname(source), "__pycache__", os.path.basename(target))
    try:
        with open(cached, "rb") as file:
            data = file.read()
        found = os.stat(source)
    except OSError:
        return False
    stamp = int(found.st_mtime) & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF
    if data[:4] != importlib.util.MAGIC_NUMBER or struct.unpack_from("<III", data, 4) != (0, *stamp):
        return False
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "wb") as file:
        file.write(data[:4] + struct.pack("<I", 1) + bytes(8) + data[16:])
    return True


def compile_all(stdlib: str, sites: list[str], prefix: str) -> None:
    """Put bytecode of every module under `prefix`, the only place where commands look for it.

    Unchecked by time and size: what it belongs to is sealed too.
    """
    sys.pycache_prefix = prefix
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for root in [stdlib, *sites]:
        for folder, names, files in os.walk(root):
            unused = UNUSED if folder == stdlib else {"__pycache__"}
            names[:] = [name for name in names if name not in unused]
            for file in files:
                if not file.endswith(".py"):
                    continue
                source = os.path.join(folder, file)
                target = importlib.util.cache_from_source(source)
                if os.path.exists(target) or existing_code(source, target):
                    continue
                try:
                    py_compile.compile(source, target, doraise=True, invalidation_mode=mode, quiet=1)
                except (py_compile.PyCompileError, OSError, ValueError, RecursionError):
                    continue


def main() -> int:
    order = json.loads(sys.stdin.readline())
    try:
        say("making a virtual environment")
        site = make_venv(order)
        if order["sites"]:
            lines = ["import site; site.addsitedir(%r)\n" % path for path in order["sites"]]
            with open(os.path.join(site, "greendiff-interpreter.pth"), "w", encoding="utf-8") as file:
                file.writelines(lines)
        install(order)
        add_supplies(order, site)
        add_distribution(order, site)
        say("compiling")
        compile_all(os.path.dirname(os.__file__), [site, *order["sites"]], order["pycache"])
        python = os.path.join(order["venv"], "bin", "python")
        found = subprocess.run([python, "-I", "-c", VERSIONS], check=True, stdout=subprocess.PIPE).stdout
    except Failed as failed:
        print(json.dumps({"error": failed.args[0], "output": failed.args[1]}))
        return 1
    except (OSError, subprocess.CalledProcessError, ImportError) as error:
        print(json.dumps({"error": "The environment could not be made: %s." % error, "output": ""}))
        return 1
    print(json.dumps({"versions": json.loads(found)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
