"""Whatever the API answers, a poll fails with a reason or is right, and nothing wrong stays.

Each answer is met at some request of some poll; ``python -m bench.soak.fault_injection``
meets each at every request.
"""

from collections.abc import Mapping

import pytest

from tests.support.bad_answers import BAD_ANSWERS, Bad
from tests.support.faulty_history import FIRST_READ, HistoryResult, history
from tests.support.virtual_time import run_virtually

pytestmark = pytest.mark.virtual_time

HONEST = [name for name, bad in BAD_ANSWERS.items() if not bad.may_lie]
LIARS = [name for name, bad in BAD_ANSWERS.items() if bad.may_lie]
REFUSALS = {"401", "403", "404"}
PAUSES = {name for name in HONEST if name.startswith("429 retry-after") and "9999" in name}
"""What has polls of their own left out: those that follow are not asked."""

EVERY = 7
"""One of this many requests is answered badly."""


def spread(names: list[str], begin: int) -> Mapping[int, Bad]:
    return {begin + EVERY * place: BAD_ANSWERS[name] for place, name in enumerate(names)}


def groups(names: list[str], size: int = 17) -> list[list[str]]:
    return [names[place::5] for place in range(5)]


@pytest.fixture(scope="module")
def undisturbed() -> HistoryResult:
    result = run_virtually(history({}))
    assert result.is_right
    assert result.requests > FIRST_READ + 17 * EVERY
    return result


def assert_nothing_wrong_stays(result: HistoryResult, names: list[str]) -> None:
    assert result.complaints == ()
    assert result.is_right
    assert result.reasons <= {reason for name in names for reason in BAD_ANSWERS[name].reasons}


@pytest.mark.parametrize("names", groups([n for n in HONEST if n not in REFUSALS | PAUSES]))
async def test_an_unusable_answer_costs_a_poll_and_no_call(names, undisturbed):
    result = await history(spread(names, FIRST_READ + 1))
    assert_nothing_wrong_stays(result, names)
    assert result.ledger.started == undisturbed.ledger.started
    assert result.ledger.by_status == undisturbed.ledger.by_status


@pytest.mark.parametrize("names", groups(LIARS))
async def test_a_wrong_answer_is_forgotten_once_a_right_one_came(names):
    assert_nothing_wrong_stays(await history(spread(names, 2)), names)


@pytest.mark.parametrize("name", sorted(REFUSALS | PAUSES))
async def test_a_refusal_or_a_long_pause_ends(name):
    result = await history({FIRST_READ + 3: BAD_ANSWERS[name]})
    assert_nothing_wrong_stays(result, [name])


@pytest.mark.parametrize("name", ["nothing at all", "rows turned round", "count huge", "empty"])
async def test_a_first_read_that_is_answered_badly_to_its_end(name):
    result = await history({1: BAD_ANSWERS[name]}, is_sticky=True)
    assert_nothing_wrong_stays(result, [name])
