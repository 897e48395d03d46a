"""Any value that a configuration file may hold, most of them wrong."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.support.config_keys import settings_keys

MANY = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["30s", "1h", "a", "https://x", "memory:", ":1", "info"]),
)
KNOWN = sorted({part.strip("[]") for key in settings_keys() for part in key.path.split(".")})
KEYS = st.one_of(st.sampled_from(KNOWN), st.text(max_size=6))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
