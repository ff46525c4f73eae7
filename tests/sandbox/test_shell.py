"""What the shell leaves out of IPython's work changes nothing of what IPython does."""

import subprocess
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.async_helpers import _should_be_async
from IPython.core.inputtransformer2 import TransformerManager

from grader.sandbox.shell import QuickTransformers, awaits

ROOT = Path(__file__).resolve().parents[2]
PIECES = (
    "x = 1", "%time x", "%%time", "!ls", "x = !ls", "x = %who", "y = \\", "(", ")", "[", "]", "?",
    "x?", "x??", "?x", "  ?x", "x ? # why", "# почему?", "'%d = %s' % (1, 2)", "a != b", "a %= 2",
    "/print 1", ",f a", ";f a", "  ; f", "'''", '"""', "if x:", "    %time", "    y", ">>> x",
    "... y", "In [1]: x", "", "   ", "\t%who", "lambda: 0", "f(x,", "  %d)", "s = f'{x!r}'",
    "x==!y", "await f()", "async def f(): pass", "é%", "'\\\n%time'", "a, = !ls", "self.x = !ls",
    "\f%who", "x =\\", "=%", "\x0c!ls", "\u2028!ls", "x = 5;", "yield",
)  # fmt: skip
CELLS = st.lists(st.sampled_from(PIECES), max_size=6).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n", " ", "\r", ""]).map(lambda end: end.join(lines))
)


def outcome(manager, cell):
    try:
        return manager.transform_cell(cell)
    except Exception as error:  # noqa: BLE001  # of any kind, so long as it is the same
        return type(error)


@settings(max_examples=1500, deadline=None)
@given(CELLS)
def test_a_cell_becomes_what_ipython_makes_of_it(cell):
    assert outcome(QuickTransformers(), cell) == outcome(TransformerManager(), cell)


@settings(max_examples=500, deadline=None)
@given(CELLS)
def test_what_awaits_nothing_is_not_looked_at_again(cell):
    assert awaits(cell) or not _should_be_async(cell)


def test_a_transformer_of_the_students_is_asked():
    class Shout(TransformerManager().token_transformers[0]):
        @classmethod
        def find(cls, tokens_by_line):
            raise RuntimeError("asked")

    manager = QuickTransformers()
    manager.token_transformers = [*manager.token_transformers, Shout]
    assert outcome(manager, "x = 1") is RuntimeError


PRINTED = """
import io, sys
from grader.sandbox.shell import QuietShell

shell = QuietShell.instance()
sys.stdout = sys.stderr = io.StringIO()
for cell in (
    "for count in range(9): print(count)",
    "display('shown')\\nraise ValueError",
    "import sys\\nprint('error', file=sys.stderr)\\n1 + 1",
):
    shell.run_cell(cell, store_history=True)
assert "shown" in sys.stdout.getvalue() and "error" in sys.stdout.getvalue()
assert not shell.history_manager.outputs, shell.history_manager.outputs
"""


def test_nothing_is_kept_of_what_is_printed_and_displayed():
    """IPython 9 keeps all of it, which filled the memory where a loop printed for ever."""
    subprocess.run([sys.executable, "-c", PRINTED], cwd=ROOT, check=True, timeout=60)
