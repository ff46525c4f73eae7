import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.intake.bounds import Bounds, Refused
from grader.intake.json_bytes import repaired, require_shallow

texts = st.text(alphabet='NaInfinity"\\[]{}u\ud83d\ude00\ue000é-\n', max_size=12)
values = st.recursive(
    st.one_of(texts, st.floats(), st.none(), st.integers()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=12,
)


def expected(value):
    """What a reader should see: no NaN, no infinity, no half of a pair."""
    if isinstance(value, float) and not math.isfinite(value):
        return 0
    if isinstance(value, str):
        # surrogate halves that meet are a pair once they are encoded
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [expected(item) for item in value]
    if isinstance(value, dict):
        return {expected(key): expected(item) for key, item in value.items()}
    return value


def depth(value):
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


@given(values)
def test_repaired_json_holds_what_python_meant(value):
    data = json.dumps(value).encode()
    assert len(repaired(data)) == len(data)
    assert json.loads(repaired(data)) == expected(json.loads(data))


@given(values, st.booleans())
def test_depth_is_what_a_parser_counts(value, ascii):
    data = json.dumps(value, ensure_ascii=ascii).encode(errors="replace")
    bounds = Bounds(json_depth=2)
    if depth(value) > 2:
        with pytest.raises(Refused, match=r"intake\.too-deep"):
            require_shallow(data, "a", bounds)
    else:
        require_shallow(data, "a", bounds)


@given(st.binary(max_size=200))
def test_any_bytes_can_be_repaired(data):
    assert len(repaired(data)) == len(data)
