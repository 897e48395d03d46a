"""The token bucket of ``rate_limit``."""

from pearl_exporter.web.rate_limit import TokenBucket


def test_a_burst_at_once_then_one_each_interval():
    bucket = TokenBucket(2.0, 3)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(now) for now in (101.9, 102.0, 103.9, 104.0)] == [False, True, False, True]


def test_a_pause_fills_it_to_its_burst_and_no_further():
    bucket = TokenBucket(1.0, 2)
    assert all(bucket.take(now) for now in (0.0, 0.0))
    assert [bucket.take(1000.0) for _ in range(3)] == [True, True, False]


def test_no_interval_is_no_limit():
    bucket = TokenBucket(0.0, 1)
    assert all(bucket.take(5.0) for _ in range(100))
