"""What should not stand in a file, and how many times it is tried."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

fuzz = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
WRITABLE = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["adam", "spline", "1e3", "yes", "", "../x", "\x00", "[", "ising", -0.0])
    | st.lists(st.integers(-2, 3), max_size=3)
    | st.dictionaries(st.text(max_size=5) | st.integers(), st.integers(), max_size=2)
)
"""Values that YAML can write."""
ODD = WRITABLE | st.just(10**5000)
