"""What a patch has no business doing in product code, by dotted name: refused, or flagged for a person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

Weight = Literal["refuse", "flag"]

MACHINERY = frozenset(
    {"pytest", "_pytest", "unittest", "doctest", "nose", "nose2", "pluggy", "hypothesis", "xdist", "pytest_timeout",
     "coverage", "mock", "conftest", "test", "iniconfig"}
)  # fmt: skip
"""Modules of test machinery: product code that begins to import them is refused."""

NAMES: Mapping[str, tuple[Weight, str]] = {
    "os._exit": ("refuse", "ends the process without a word"),
    "os.abort": ("refuse", "ends the process without a word"),
    "os.kill": ("refuse", "sends signals to processes"),
    "os.killpg": ("refuse", "sends signals to processes"),
    "os.getppid": ("refuse", "looks for the process that runs it"),
    "signal.pthread_kill": ("refuse", "sends signals to processes"),
    "signal.raise_signal": ("refuse", "sends signals to processes"),
    "signal.signal": ("flag", "changes how signals are handled"),
    "os.fork": ("refuse", "forks the process"),
    "os.forkpty": ("refuse", "forks the process"),
    "os.execv": ("refuse", "replaces the process"),
    "os.execve": ("refuse", "replaces the process"),
    "os.execvp": ("refuse", "replaces the process"),
    "os.execvpe": ("refuse", "replaces the process"),
    "os.execl": ("refuse", "replaces the process"),
    "os.execle": ("refuse", "replaces the process"),
    "os.execlp": ("refuse", "replaces the process"),
    "os.execlpe": ("refuse", "replaces the process"),
    "os.dup2": ("refuse", "redirects the process's own streams"),
    "os.closerange": ("refuse", "closes the process's own streams"),
    "os.register_at_fork": ("refuse", "hooks into the process's life"),
    "os.system": ("flag", "starts a program"),
    "os.popen": ("flag", "starts a program"),
    "os.uname": ("flag", "asks where it runs"),
    "os.getlogin": ("refuse", "asks where it runs"),
    "socket.gethostname": ("refuse", "asks where it runs"),
    "socket.getfqdn": ("refuse", "asks where it runs"),
    "platform.node": ("refuse", "asks where it runs"),
    "getpass.getuser": ("refuse", "asks where it runs"),
    "atexit": ("refuse", "runs code when the process ends"),
    "weakref.finalize": ("flag", "runs code when the process ends"),
    "inspect.stack": ("refuse", "looks at who calls it"),
    "inspect.trace": ("refuse", "looks at who calls it"),
    "inspect.currentframe": ("refuse", "looks at who calls it"),
    "inspect.getouterframes": ("refuse", "looks at who calls it"),
    "inspect.getinnerframes": ("refuse", "looks at who calls it"),
    "inspect.getsource": ("flag", "reads source code while it runs"),
    "inspect.getsourcelines": ("flag", "reads source code while it runs"),
    "linecache": ("refuse", "reads source code while it runs"),
    "traceback.extract_stack": ("refuse", "looks at who calls it"),
    "traceback.format_stack": ("refuse", "looks at who calls it"),
    "traceback.print_stack": ("refuse", "looks at who calls it"),
    "traceback.walk_stack": ("refuse", "looks at who calls it"),
    "traceback.StackSummary": ("refuse", "looks at who calls it"),
    "sys._getframe": ("refuse", "looks at who calls it"),
    "sys._getframemodulename": ("refuse", "looks at who calls it"),
    "sys._current_frames": ("refuse", "looks at who calls it"),
    "sys.modules": ("refuse", "inspects or changes the loaded modules"),
    "sys.settrace": ("refuse", "traces the process"),
    "sys.setprofile": ("refuse", "traces the process"),
    "sys.monitoring": ("refuse", "traces the process"),
    "sys.gettrace": ("refuse", "asks whether it is traced"),
    "sys.getprofile": ("refuse", "asks whether it is traced"),
    "sys.addaudithook": ("refuse", "hooks into the interpreter"),
    "sys.meta_path": ("refuse", "changes how modules are imported"),
    "sys.path_hooks": ("refuse", "changes how modules are imported"),
    "sys.path_importer_cache": ("refuse", "changes how modules are imported"),
    "sys.path": ("flag", "changes or reads the import path"),
    "sys.argv": ("flag", "reads how the process was started"),
    "sys.orig_argv": ("refuse", "reads how the process was started"),
    "sys.flags": ("flag", "reads how the process was started"),
    "sys.__stdout__": ("flag", "reaches for the process's own streams"),
    "sys.__stderr__": ("flag", "reaches for the process's own streams"),
    "sys.__excepthook__": ("refuse", "hooks into the interpreter"),
    "threading.settrace": ("refuse", "traces the process"),
    "threading.setprofile": ("refuse", "traces the process"),
    "threading._shutdown": ("refuse", "hooks into the process's life"),
    "threading.main_thread": ("flag", "looks at the threads of the process"),
    "threading.enumerate": ("flag", "looks at the threads of the process"),
    "_thread.interrupt_main": ("refuse", "sends signals to processes"),
    "faulthandler": ("refuse", "hooks into the interpreter"),
    "gc": ("refuse", "searches the objects of the process"),
    "gc.collect": ("flag", "steers the garbage collector"),
    "ctypes": ("refuse", "reaches beneath Python's own rules"),
    "_ctypes": ("refuse", "reaches beneath Python's own rules"),
    "cffi": ("refuse", "reaches beneath Python's own rules"),
    "mmap": ("flag", "maps memory"),
    "marshal": ("refuse", "builds code from data"),
    "types.CodeType": ("refuse", "builds code from data"),
    "types.FunctionType": ("refuse", "builds code from data"),
    "eval": ("refuse", "runs code from a string"),
    "exec": ("refuse", "runs code from a string"),
    "compile": ("refuse", "runs code from a string"),
    "execfile": ("refuse", "runs code from a string"),
    "runpy": ("refuse", "runs code from a file"),
    "code": ("refuse", "runs code from a string"),
    "codeop": ("refuse", "runs code from a string"),
    "imp": ("refuse", "changes how modules are imported"),
    "zipimport": ("refuse", "changes how modules are imported"),
    "importlib.reload": ("refuse", "changes the loaded modules"),
    "importlib.invalidate_caches": ("refuse", "changes how modules are imported"),
    "importlib.machinery": ("refuse", "changes how modules are imported"),
    "importlib.util": ("flag", "imports modules by hand"),
    "pkgutil": ("flag", "imports modules by hand"),
    "pickle.loads": ("flag", "builds objects from data"),
    "pickle.load": ("flag", "builds objects from data"),
    "subprocess": ("flag", "starts a program"),
    "multiprocessing": ("flag", "starts processes"),
    "globals": ("flag", "reaches into the names of a module"),
    "__builtins__": ("refuse", "reaches into the built-in functions"),
    "builtins": ("flag", "reaches into the built-in functions"),
    "builtins.__dict__": ("refuse", "reaches into the built-in functions"),
    "sys.__dict__": ("refuse", "reaches into the interpreter"),
    "os.__dict__": ("refuse", "reaches into the operating system's functions"),
    "breakpoint": ("flag", "stops in a debugger"),
    "pdb": ("flag", "stops in a debugger"),
    "quit": ("flag", "ends the process"),
    "exit": ("flag", "ends the process"),
    "sys.exit": ("flag", "ends the process"),
    "SystemExit": ("flag", "ends the process"),
    "KeyboardInterrupt": ("flag", "raises or catches an interruption"),
    "posix": ("refuse", "reaches beneath Python's own rules"),
    "_posixsubprocess": ("refuse", "reaches beneath Python's own rules"),
    "_io": ("refuse", "reaches beneath Python's own rules"),
    "site": ("refuse", "changes how Python starts"),
    "sitecustomize": ("refuse", "changes how Python starts"),
    "usercustomize": ("refuse", "changes how Python starts"),
}  # fmt: skip
"""Dotted name (a module stands for everything in it) → weight and what using it does."""

CALL_ONLY = frozenset({"SystemExit", "KeyboardInterrupt", "exit", "quit", "compile", "code", "globals"})
"""Names that say something only where they are called or raised."""

ATTRIBUTES: Mapping[str, tuple[Weight, str]] = {
    "f_back": ("refuse", "looks at who calls it"),
    "f_code": ("refuse", "looks at who calls it"),
    "f_globals": ("refuse", "looks at who calls it"),
    "f_locals": ("refuse", "looks at who calls it"),
    "f_builtins": ("refuse", "looks at who calls it"),
    "f_trace": ("refuse", "traces the process"),
    "tb_frame": ("refuse", "looks at who calls it"),
    "tb_next": ("flag", "walks a traceback"),
    "gi_frame": ("refuse", "looks at who calls it"),
    "cr_frame": ("refuse", "looks at who calls it"),
    "ag_frame": ("refuse", "looks at who calls it"),
    "__builtins__": ("refuse", "reaches into the built-in functions"),
    "__globals__": ("refuse", "reaches into the names of other modules"),
    "__closure__": ("flag", "reaches into other functions"),
    "__code__": ("flag", "reaches into other functions"),
    "__subclasses__": ("flag", "searches for classes"),
    "__loader__": ("refuse", "changes how modules are imported"),
    "__spec__": ("flag", "asks how it was imported"),
    "_exit": ("refuse", "ends the process without a word"),
    "_getframe": ("refuse", "looks at who calls it"),
    "assertEqual": ("refuse", "reaches into the test machinery"),
    "assertTrue": ("refuse", "reaches into the test machinery"),
    "failureException": ("refuse", "reaches into the test machinery"),
    "TestCase": ("refuse", "reaches into the test machinery"),
}
"""Attribute names that matter on any object."""

ASSIGNED_ATTRIBUTES = frozenset({"__code__", "__class__", "__defaults__", "__kwdefaults__", "__bases__", "__wrapped__"})
"""Attributes whose assignment rewrites another object's nature."""

COMPARISONS = frozenset({"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__contains__",
                         "__instancecheck__", "__subclasscheck__"})  # fmt: skip
"""Methods that must look at their argument."""

WORDS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"PYTEST_|_PYTEST|PY_IGNORE_IMPORTMISMATCH|PYTHONBREAKPOINT"), "names a variable of test runs"),
    (re.compile(r"(?i)^_?(?:pytest|unittest|nose2?|pluggy|hypothesis|doctest|py\.test|tox|nox)(?:\..*|/.*)?$"),
     "names the test machinery"),
    (re.compile(r"(?i)_pytest\b|\bpytest_\w+|conftest|sitecustomize|usercustomize|pytest\.(?:ini|toml)"),
     "names the test machinery"),
    (re.compile(r"^/proc(?:/|$)|^/dev/(?:fd|std|tty|pts|shm)|^/sys(?:/|$)"), "names a path of the running system"),
    (re.compile(r"(?i)greendiff"), "names the program that judges it"),
    (re.compile(r"^__(?:eq|ne|contains|instancecheck|subclasscheck|class|builtins|globals|subclasses)__$"),
     "builds a method of comparison, or reaches for one, by name"),
    (re.compile(r"^(?:_exit|_getframe|settrace|setprofile|f_back|f_globals|assertEqual|TestCase)$"),
     "reaches for the process or the test machinery by name"),
)  # fmt: skip
"""Patterns of string constants (documentation apart), with what they mean."""

PLACE_VARIABLES = re.compile(
    r"^(?:CI|TOX_\w+|NOX_\w+|GITHUB_\w+|GITLAB_\w*|TRAVIS\w*|JENKINS_\w+|CONTINUOUS_INTEGRATION|BUILD_NUMBER"
    r"|COVERAGE_\w+|COV_\w+|PYTHONHASHSEED|PYTHONPATH|PYTHONSTARTUP|PYTHONOPTIMIZE|PYTHONDONTWRITEBYTECODE"
    r"|PYTHONPYCACHEPREFIX|HOSTNAME|USER|LOGNAME|PWD|_)$|PYTEST"
)
"""Variables of the environment by which code could tell where it runs."""

IMPORT_TIME_REFUSED = re.compile(
    r"^(?:open|print|input|io\.open|os\.(?!path\.|environ\.get|getenv|sep|fspath|cpu_count|getcwd)|shutil\.|subprocess\."
    r"|multiprocessing\.|threading\.(?:Thread|Timer)|_thread\.|concurrent\.futures\.|asyncio\.(?:run|create_task)"
    r"|socket\.|urllib\.|http\.|tempfile\.|signal\.|time\.sleep|warnings\.(?!warn$)|logging\.disable|sys\.exit$|exit$|quit$"
    r"|SystemExit$|KeyboardInterrupt$)"
)
"""Calls that a module must not begin to make while it is imported."""
IMPORT_TIME_METHODS = frozenset({"write_text", "write_bytes", "unlink", "rename", "replace_file", "mkdir", "rmdir",
                                 "symlink_to", "touch", "chmod", "start", "rmtree"})  # fmt: skip
"""Method names with which a module would write files or start threads while it is imported."""
