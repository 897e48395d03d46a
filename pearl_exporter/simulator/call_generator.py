"""The calls of a campaign, generated from a seed, one epoch minute at a time.

Each minute has its own random numbers, drawn from (seed, outbound, minute), and depends on the
minutes before it only by the leads that wait to be called again. So two generators with one seed
and one start make the same calls, whoever asks for what in which order. That holds only while every
call draws its random numbers in the same order: a new draw belongs after the others.
"""

import math
from random import Random

from pearl_exporter.simulator.call_life import CallLife, LateChange, Tags
from pearl_exporter.simulator.campaign_profile import Profile
from pearl_exporter.simulator.row_writer import TIME_STEPS_MS

MINUTE_MS = 60_000
HOUR_MS = 3_600_000

MAX_APPEARANCE_MS = 10 * MINUTE_MS
"""No row appears longer than this after its call started."""

MAX_LATE_CHANGE_MS = 4 * HOUR_MS
"""No row changes or is deleted longer than this after its outcome and tags were written."""

_TIME_FORMATS = (0,) * 50 + (1, 1, 2, 2, 3, 3, 4, 5, 6, 7)
_SAMPLES = 2048


def horizon_ms(profile: Profile) -> int:
    """Return the time after its start beyond which no call of ``profile`` changes any more."""
    longest_queue = 7 * profile.queue_seconds * 1000 + 2_000
    ringing = MINUTE_MS
    writing = 13 * MINUTE_MS
    call = int(longest_queue + ringing + max(profile.longest_seconds, 60) * 1000)
    return max(call + writing, MAX_APPEARANCE_MS) + MAX_LATE_CHANGE_MS


class CallGenerator:
    """Makes a profile's calls minute by minute; ``next_minute`` is the epoch minute to come."""

    def __init__(self, profile: Profile, seed: int, start_ms: int) -> None:
        self.profile = profile
        self.next_minute = start_ms // MINUTE_MS
        self._seed = f"{seed}/{profile.outbound_id}"
        # By minute, the leads to be called again in it, and which try that is.
        self._waiting: dict[int, list[tuple[int, int]]] = {}
        self._calls = 0
        self._leads = 0
        self._durations = _durations(profile)
        self._tag_lists = _tag_lists(profile, Random(self._seed))

    def minute(self) -> list[CallLife]:
        """Return the calls of ``next_minute`` in the order of their starts, and move on."""
        minute = self.next_minute
        self.next_minute += 1
        random = Random(f"{self._seed}/{minute}")
        number = _poisson(random, self.profile.calls_a_minute(minute))
        again = self._waiting.pop(minute, [])
        if len(again) > number:
            self._waiting.setdefault(minute + 1, [])[:0] = again[number:]
        starts = self._starts(random, minute * MINUTE_MS, number)
        return [
            self._call(random, start, form, again[place] if place < len(again) else None)
            for place, (start, form) in enumerate(starts)
        ]

    def _starts(self, random: Random, minute_ms: int, number: int) -> list[tuple[int, int]]:
        """Return ``number`` starts within the minute, in order, each with its time format."""
        draw = random.random
        starts = [minute_ms + int(draw() * MINUTE_MS) for _ in range(number)]
        if self.profile.plain_times:
            return [(start, 0) for start in sorted(starts)]
        forms = [_TIME_FORMATS[int(draw() * len(_TIME_FORMATS))] for _ in range(number)]
        pairs = zip(starts, forms, strict=True)
        return sorted((start - start % TIME_STEPS_MS[form], form) for start, form in pairs)

    def _call(
        self, random: Random, start: int, form: int, again: tuple[int, int] | None
    ) -> CallLife:
        """Return one call with its whole life, of a new lead unless ``again`` names one."""
        if again is None:
            self._leads += 1
            again = (self._leads, 1)
        self._calls += 1
        lead, tries = again
        draw = random.random
        queued = start + 200 + int(draw() * 1500)
        # An exponential wait in the queue, cut so that none is longer than 7 times its mean.
        answer = queued + int(-math.log(1.0 - draw() * 0.999) * self.profile.queue_seconds * 1000)
        call = CallLife(
            self._calls, lead, start, start, queued, answer, answer, answer, answer, 150, 7, 0, ()
        )
        call.time_format = form
        self._decide(random, call, tries)
        self._write(random, call)
        self._add_oddities(random, call)
        return call

    def _decide(self, random: Random, call: CallLife, tries: int) -> None:
        """Set the call's outcome and duration and, where nobody was reached, plan another try."""
        profile = self.profile
        luck = random.random()
        if luck < profile.answer_share:
            seconds = self._durations[int(random.random() * _SAMPLES)]
            if profile.success_definition:
                call.outcome = 100 if random.random() < profile.success_share else 110
            else:
                call.outcome = 130
            self._talk(call, seconds)
            if random.random() < profile.tagged_share:
                call.tags = self._tag_lists[int(random.random() * len(self._tag_lists))]
            return
        luck = (luck - profile.answer_share) / (1.0 - profile.answer_share)
        if luck < profile.voice_mail_share:
            call.outcome = 70
            self._talk(call, 8.0 + random.random() * 30)
        elif luck < profile.voice_mail_share + profile.abandon_share:
            call.outcome, call.call_status = 300, 8
            call.talk = call.end = call.talk + 1
        else:
            self._fail(random, call, last=tries >= profile.max_tries)
        if tries < profile.max_tries and call.outcome in (10, 70, 150, 300):
            self._try_again(random, call, tries)

    def _talk(self, call: CallLife, seconds: float) -> None:
        call.call_status = 4
        call.end = call.talk + int(seconds * 1000)
        call.duration = max(1, int(seconds))

    def _fail(self, random: Random, call: CallLife, *, last: bool) -> None:
        """End a call that nobody answered: no answer, busy, or failed."""
        kind = random.random()
        if kind < 0.70:
            call.call_status = 7
            call.outcome = 150 if last or random.random() < 0.6 else 10
            call.end = call.talk + 15_000 + int(random.random() * 30_000)
        elif kind < 0.90:
            call.call_status = 5
            call.outcome = 150 if last else 10
            call.end = call.talk + 2_000
        else:
            call.call_status = 6
            call.outcome = 30 if kind < 0.93 else 220 if kind < 0.95 else 500
            call.end = call.talk + 500
        call.talk = call.end  # never on a call

    def _try_again(self, random: Random, call: CallLife, tries: int) -> None:
        """Plan the next call of the lead, some hours later and not at night."""
        minute = (call.start + int((2 + 4 * random.random()) * HOUR_MS)) // MINUTE_MS
        usual = self.profile.calls_a_day / 1440
        for _ in range(24):
            if self.profile.calls_a_minute(minute) >= usual / 2:
                break
            minute += 60
        self._waiting.setdefault(minute, []).append((call.lead, tries + 1))

    def _write(self, random: Random, call: CallLife) -> None:
        """Set when outcome and tags are written: seconds after the end, minutes for a few calls."""
        profile = self.profile
        talked = call.duration > 0
        delay = 2_000 + int(random.random() ** 3 * (88_000 if talked else 8_000))
        if random.random() < profile.late_outcome_share:
            delay = 2 * MINUTE_MS + int(random.random() * 8 * MINUTE_MS)
        call.written = call.tagged = call.end + delay
        if talked and random.random() < profile.late_tags_share:
            call.tagged += int(random.random() * 3 * MINUTE_MS)
        if not talked:
            call.talk = call.written

    def _add_oddities(self, random: Random, call: CallLife) -> None:
        """Add what the profile's shares ask for: late rows, unknown codes, changes, deletions."""
        profile = self.profile
        draw = random.random
        if draw() < profile.late_row_share:
            call.appear = call.start + 2_000 + int(draw() ** 2 * (MAX_APPEARANCE_MS - 2_000))
        if draw() < profile.unknown_code_share:
            if draw() < 0.5:
                call.outcome = 777
            else:
                call.call_status = 12
        if draw() < profile.null_share:
            call.tags = None
        call.early_cancel = draw() < 0.01
        settled = max(call.written, call.tagged, call.appear)
        if draw() < profile.revised_share:
            at_ms = settled + 1 + int(draw() ** 3 * (MAX_LATE_CHANGE_MS - 1))
            call.late_change = self._late_change(random, call, at_ms)
        if draw() < profile.deleted_share:
            call.deleted = call.appear + 1_000 + int(draw() ** 2 * (MAX_LATE_CHANGE_MS - 1_000))

    def _late_change(self, random: Random, call: CallLife, at_ms: int) -> LateChange:
        """Return a change of the outcome, the duration or the tags."""
        outcome, duration, tags = call.outcome, call.duration, call.tags
        what = int(random.random() * 3)
        if what == 0:
            outcome = {100: 110, 110: 100}.get(outcome, 500)
        elif what == 1 and duration:
            duration += 1 + int(random.random() * 20)
        else:
            tags = self._tag_lists[int(random.random() * len(self._tag_lists))]
        return LateChange(at_ms, outcome, duration, tags)


def _durations(profile: Profile) -> list[float]:
    """Return samples of the lognormal durations, in seconds: one draw picks one of them."""
    random = Random(f"lengths/{profile.median_seconds}/{profile.spread}")
    centre = math.log(profile.median_seconds)
    return [
        min(random.lognormvariate(centre, profile.spread), profile.longest_seconds)
        for _ in range(_SAMPLES)
    ]


def _tag_lists(profile: Profile, random: Random) -> list[Tags]:
    """Return the lists of tags to pick from: one to three tags, in some lists one tag twice."""
    if not profile.tags:
        return [()]
    weights = [1.0 / (place + 1) for place in range(len(profile.tags))]
    lists = [
        random.choices(profile.tags, weights, k=1 + int(random.random() ** 2 * 3))
        for _ in range(256)
    ]
    return [tuple(tags) for tags in lists]


def _poisson(random: Random, mean: float) -> int:
    """Return a Poisson-distributed number: by Knuth's method, for a large mean by the normal's."""
    if mean > 50:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    limit, product, number = math.exp(-mean), random.random(), 0
    while product > limit:
        product *= random.random()
        number += 1
    return number
