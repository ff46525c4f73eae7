"""IPython's own shell, made quiet: no history on disk, no configuration, no processes.

Names, `Out`, `_`, magics and the life of a failed cell's frames are IPython's, because the memory
that a notebook holds depends on them. Only what it shows differs: no prompts, no colours, and
tracebacks are reported as data instead of text.
"""

import ast
import builtins
import contextlib
import re
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType

from IPython.core.compilerop import CachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.inputtransformer2 import TransformerManager
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.text import SList
from traitlets.config import Config

from grader.sandbox.untouched import Foreign, shield

shield(globals())

MOST_COMMANDS = 64
MOST_COMMAND_CHARACTERS = 300

# fmt: off
_REAL_LINE_MAGICS = frozenset((
    "time", "timeit", "who", "whos", "who_ls", "precision", "xdel", "reset", "reset_selective",
    "pprint",
))
_REAL_CELL_MAGICS = frozenset(("time", "timeit", "capture"))
_COMMAND_MAGICS = frozenset((
    "system", "sx", "sh", "bash", "script", "pip", "conda", "mamba", "uv", "run", "cmd", "perl",
    "ruby", "python", "python2", "python3", "!",
))
_SILENT_MAGICS = frozenset((
    "cd", "matplotlib", "load_ext", "reload_ext", "autoreload", "config", "env", "set_env",
    "pylab", "pwd", "ls", "mkdir", "rm", "cp", "mv", "cat", "tb", "html", "javascript", "js",
    "latex", "markdown", "svg", "HTML", "SVG", "tensorboard", "tensorflow_version", "colors",
    "xmode", "pdb", "automagic", "store",
))
# fmt: on


_SPECIAL = re.compile(r"^[^\S\n]*[%!?,;/]|=[^\S\n]*[%!]|\?[^\S\n]*(?:#.*)?$", re.MULTILINE)
"""Where IPython's own syntax may begin or end; some of what it finds is plain Python."""
_AWAITS = re.compile(r"\b(?:await|async)\b")
_TRANSFORMERS = len(TransformerManager().token_transformers)  # type: ignore[no-untyped-call]


class QuietDisplayHook(DisplayHook):
    """Shows the text of a result without the ``Out[1]:`` before it."""

    def write_output_prompt(self) -> None:
        """Write nothing."""

    def write_format_data(self, format_dict: dict[str, str], md_dict: object = None) -> None:
        """Print the text of the result."""
        del md_dict
        if "text/plain" in format_dict:
            sys.stdout.write(format_dict["text/plain"] + "\n")


class NamingCompiler(CachingCompiler):
    """Remembers the file name under which IPython compiled the latest cell."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.latest = ""

    def cache(self, transformed_code: str, number: int = 0, raw_code: str | None = None) -> str:
        """Return the file name of a cell."""
        self.latest = str(super().cache(transformed_code, number, raw_code))
        return self.latest


def awaits(cell: str) -> bool:
    """Return whether a cell may await something; only a compiler knows whether it does."""
    return _AWAITS.search(cell) is not None


class QuickTransformers(TransformerManager):
    """Leaves out the search for IPython's own syntax where a cell cannot have any.

    It splits a cell into tokens, which takes longer than a short cell itself.
    """

    def do_token_transforms(self, lines: list[str]) -> list[str]:
        """Return the lines with magics, commands and questions for help turned into Python."""
        if not _SPECIAL.search("\n".join(lines)) and len(self.token_transformers) == _TRANSFORMERS:
            return lines
        return super().do_token_transforms(lines)  # type: ignore[no-any-return,no-untyped-call]


class _Outputs(dict[int, list[Foreign]]):
    """Stands for the outputs that IPython keeps beside what is shown, and keeps none of them."""

    def __missing__(self, count: int) -> list[Foreign]:
        return []


class QuietShell(InteractiveShell):
    """IPython's shell without a terminal, a kernel, a home folder or child processes.

    Attributes:
        commands: shell commands that the cell would have run.
        cell_tree: the running cell as IPython parsed it, None before.
        nvidia_smi: gives the card's text; None without a virtual GPU.
        write_file: takes path and text of a file that a cell writes.
        started: told the tree of a cell before it runs.
        entered: the state of the file that it works on.
    """

    displayhook_class = QuietDisplayHook
    compiler_class = NamingCompiler

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.cell_tree: ast.Module | None = None
        self.nvidia_smi: Foreign = None
        self.write_file: Foreign = None
        self.started: Foreign = None
        self.entered: FileState | None = None
        config = Config()
        config.HistoryManager.enabled = False
        config.HistoryManager.hist_file = ":memory:"
        super().__init__(  # type: ignore[no-untyped-call]
            ipython_dir="", config=config, autocall=0, colors="nocolor", xmode="Minimal"
        )
        history: Foreign = self.history_manager
        history.outputs = _Outputs()
        self.input_transformer_manager = QuickTransformers()  # type: ignore[no-untyped-call]
        formatter: Foreign = self.display_formatter
        formatter.active_types = ["text/plain"]
        warnings.filterwarnings("ignore", message="To exit: use")

    # What IPython would look for in the home folder or do to the whole process.

    def init_profile_dir(self, profile_dir: object) -> None:
        """Have no profile."""

    def init_virtualenv(self) -> None:
        """Leave `sys.path` alone."""

    def init_sys_modules(self) -> None:
        """Leave ``__main__`` alone: the warm server is still running in it."""

    def init_logstart(self) -> None:
        """Log nothing."""

    @contextlib.contextmanager
    def _tee(self, channel: str) -> Iterator[None]:
        """Keep no second copy of what is printed, which nothing would bound."""
        del channel
        yield

    # Tracebacks are data.

    def showtraceback(self, exc_tuple: Foreign = None, *args: Foreign, **keywords: Foreign) -> None:
        """Keep the exception as IPython does, in `sys.last_traceback`, and print nothing."""
        try:
            self._get_exc_info(exc_tuple)  # type: ignore[no-untyped-call]
        except ValueError:
            return

    def showsyntaxerror(self, *args: Foreign, **keywords: Foreign) -> None:
        """Keep the exception and print nothing."""
        self.showtraceback()

    def showindentationerror(self) -> None:
        """Keep the exception and print nothing."""
        self.showtraceback()

    def _format_exception_for_storage(
        self, exception: BaseException, *args: Foreign, **keywords: Foreign
    ) -> dict[str, Foreign]:
        """Store the name alone: nobody reads the history here, and formatting reads files."""
        return {"ename": type(exception).__name__, "evalue": "", "traceback": []}

    # The running cell.

    @property
    def latest_file(self) -> str:
        """The file name that frames of the latest cell carry."""
        compiler: Foreign = self.compile
        return str(compiler.latest)

    def should_run_async(self, raw_cell: str, **keywords: Foreign) -> bool:
        """Return whether a cell awaits something, compiling it only where it may."""
        return awaits(raw_cell) and bool(super().should_run_async(raw_cell, **keywords))

    def transform_ast(self, node: ast.Module) -> ast.Module:
        """Keep the tree, from which bound names are read."""
        tree: ast.Module = super().transform_ast(node)  # type: ignore[no-untyped-call]
        if self.cell_tree is None:
            self.cell_tree = tree
            if self.started is not None:
                self.started(tree)
        return tree

    # Commands never run.

    def record_command(self, command: str) -> None:
        """Note a shell command, and print the card's text for ``nvidia-smi``."""
        if len(self.commands) < MOST_COMMANDS:
            self.commands.append(command.strip()[:MOST_COMMAND_CHARACTERS])
        text = self._smi_text(command)
        if text:
            sys.stdout.write(text if text.endswith("\n") else text + "\n")

    def _smi_text(self, command: str) -> str:
        asks = any(line.split()[:1] == ["nvidia-smi"] for line in command.splitlines())
        return str(self.nvidia_smi()) if asks and self.nvidia_smi is not None else ""

    def system(self, cmd: str) -> None:
        """Note the command."""
        self.record_command(cmd)

    system_piped = system
    system_raw = system

    def getoutput(self, cmd: str, split: bool = True, depth: int = 0) -> Foreign:  # noqa: FBT001, FBT002
        """Note the command, and return the lines of the card's text or nothing."""
        del depth
        if len(self.commands) < MOST_COMMANDS:
            self.commands.append(cmd.strip()[:MOST_COMMAND_CHARACTERS])
        text = self._smi_text(cmd)
        return SList(text.splitlines()) if split else text

    def ask_exit(self) -> None:
        """End the cell."""
        raise SystemExit

    def ask_yes_no(self, *args: object, **keywords: object) -> bool:
        """Answer yes: nobody is there to ask."""
        return True

    # Magics: a few real ones; the rest is harmless.

    def run_line_magic(self, magic_name: str, line: str, _stack_depth: int = 1) -> Foreign:
        """Run a line magic that has a meaning here, and let the others pass."""
        if magic_name in _REAL_LINE_MAGICS or self._own_magic("line", magic_name):
            return super().run_line_magic(magic_name, line, _stack_depth=_stack_depth + 1)
        if magic_name in _COMMAND_MAGICS:
            plain = magic_name in ("system", "sx", "sh", "!")
            self.record_command(line if plain else f"{magic_name} {line}")
        elif magic_name not in _SILENT_MAGICS:
            sys.stderr.write(f"UsageError: Line magic function `%{magic_name}` not found.\n")
        return None

    def run_cell_magic(self, magic_name: str, line: str, cell: str) -> Foreign:
        """Run a cell magic that has a meaning here, and let the others pass."""
        if magic_name in _REAL_CELL_MAGICS or self._own_magic("cell", magic_name):
            own: Foreign = super()
            return own.run_cell_magic(magic_name, line, cell)
        if magic_name in _COMMAND_MAGICS:
            self.record_command(cell)
        elif magic_name in ("writefile", "file"):
            self._write_file(line, cell)
        elif magic_name not in _SILENT_MAGICS:
            sys.stderr.write(f"UsageError: Cell magic `%%{magic_name}` not found.\n")
        return None

    def _own_magic(self, kind: str, name: str) -> bool:
        """Return whether the student registered a magic of that name."""
        function = self.magics_manager.magics[kind].get(name)
        return callable(function) and not str(
            getattr(function, "__module__", "IPython")
        ).startswith("IPython")

    def _write_file(self, line: str, cell: str) -> None:
        path = line.removeprefix("-a ").strip().strip("'\"")
        if self.write_file is not None and path:
            self.write_file(path, cell)
            sys.stdout.write(f"Writing {path}\n")


class FileState:
    """What IPython keeps for one notebook: names, `In`, `Out`, `_`, the count of cells."""

    def __init__(self, shell: QuietShell, name: str = "__main__") -> None:
        self.module = ModuleType(name)
        self.names: dict[str, Foreign] = vars(self.module)
        self.names["__builtin__"] = builtins
        self.names["__builtins__"] = builtins
        self._shell = shell
        self._hidden: dict[str, Foreign] = {}
        self._count = 1
        self._underscores: tuple[Foreign, Foreign, Foreign] = ("", "", "")
        self._histories: dict[str, Foreign] = {
            "input_hist_parsed": [""],
            "input_hist_raw": [""],
            "output_hist": {},
            "output_hist_reprs": {},
        }
        self._fresh = True

    def enter(self, *, notebook: bool = True) -> None:
        """Make this the file that the shell works on; only a notebook gets `Out` and `_`."""
        sys.modules["__main__"] = self.module
        if self._shell.entered is not self or self._shell.user_ns is not self.names:
            self._enter()
        if notebook and self._fresh:
            self._fresh = False
            self._shell.init_user_ns()  # type: ignore[no-untyped-call]
            self.names.update({"_": "", "__": "", "___": ""})

    def _enter(self) -> None:
        shell, history = self._shell, self._shell.history_manager
        shell.entered = self
        shell.user_module, shell.user_ns = self.module, self.names
        shell.user_ns_hidden = self._hidden
        shell.ns_table = {"user_global": self.names, "user_local": self.names,
                          "builtin": vars(builtins)}  # fmt: skip
        for name, value in self._histories.items():
            setattr(history, name, value)
        shell.execution_count = self._count
        hook = shell.displayhook
        hook._, hook.__, hook.___ = self._underscores

    def leave(self) -> None:
        """Keep what the shell changed."""
        shell, history = self._shell, self._shell.history_manager
        for name in self._histories:
            self._histories[name] = getattr(history, name)
        self._count = shell.execution_count
        hook = shell.displayhook
        self._underscores = (hook._, hook.__, hook.___)
