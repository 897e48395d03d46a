"""How calls come about: one epoch minute at a time, from a seed.

Each minute has its own random numbers, drawn from (seed, outbound, minute), and depends on the
minutes before it only through the leads that wait to be tried again. So the calls of two generators
with one seed and one start are the same, whoever asks for what in which order.
"""

import math
from random import Random

from pearl_exporter.simulator.life import FORM_STEPS, NEVER, CallLife, Revision, Tags, spin
from pearl_exporter.simulator.profile import Incident, Profile

MINUTE_MS = 60_000
HOUR_MS = 3_600_000

LATEST_APPEARANCE_MS = 10 * MINUTE_MS
"""No row appears longer than this after its call started."""

LATEST_AFTERTHOUGHT_MS = 4 * HOUR_MS
"""No row changes or is deleted longer than this after its outcome and tags were written."""

_FORMS = (0,) * 50 + (1, 1, 2, 2, 3, 3, 4, 5, 6, 7)
_LENGTHS = 2048


def horizon_ms(profile: Profile) -> int:
    """Return the time after its start beyond which no call of ``profile`` changes any more."""
    longest_queue = 7 * profile.queue_seconds * 1000 + 2_000
    ringing = MINUTE_MS
    writing = 13 * MINUTE_MS
    call = int(longest_queue + ringing + max(profile.longest_seconds, 60) * 1000)
    return max(call + writing, LATEST_APPEARANCE_MS) + LATEST_AFTERTHOUGHT_MS


class Generator:
    """Makes a profile's calls minute by minute; ``next_minute`` is the epoch minute to come."""

    def __init__(self, profile: Profile, seed: int, start_ms: int) -> None:
        self.profile = profile
        self.next_minute = start_ms // MINUTE_MS
        self._seed = f"{seed}/{profile.outbound_id}"
        self._waiting: dict[int, list[tuple[int, int]]] = {}
        self._made = 0
        self._leads = 0
        self._lengths = _lengths(profile)
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
        draw = random.random
        starts = [minute_ms + int(draw() * MINUTE_MS) for _ in range(number)]
        if self.profile.plain_times:
            return [(start, 0) for start in sorted(starts)]
        forms = [_FORMS[int(draw() * len(_FORMS))] for _ in range(number)]
        pairs = zip(starts, forms, strict=True)
        return sorted((start - start % FORM_STEPS[form], form) for start, form in pairs)

    def _call(
        self, random: Random, start: int, form: int, again: tuple[int, int] | None
    ) -> CallLife:
        if again is None:
            self._leads += 1
            again = (self._leads, 1)
        self._made += 1
        lead, tries = again
        draw = random.random
        queued = start + 200 + int(draw() * 1500)
        # An exponential queue, cut so that nobody waits for more than about a quarter of an hour.
        answer = queued + int(-math.log(1.0 - draw() * 0.999) * self.profile.queue_seconds * 1000)
        call = CallLife(
            self._made, lead, start, start, queued, answer, answer, answer, answer, 150, 7, 0, ()
        )
        call.form = form
        self._decide(random, call, tries)
        self._write(random, call)
        self._spoil(random, call)
        return call

    def _decide(self, random: Random, call: CallLife, tries: int) -> None:
        """Give the call its outcome, its length and, where nobody was reached, another try."""
        profile = self.profile
        luck = random.random()
        if luck < profile.answer_share:
            seconds = self._lengths[int(random.random() * _LENGTHS)]
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
        minute = (call.start + int((2 + 4 * random.random()) * HOUR_MS)) // MINUTE_MS
        usual = self.profile.calls_a_day / 1440
        for _ in range(24):  # not at night
            if self.profile.calls_a_minute(minute) >= usual / 2:
                break
            minute += 60
        self._waiting.setdefault(minute, []).append((call.lead, tries + 1))

    def _write(self, random: Random, call: CallLife) -> None:
        """Set when outcome and tags are written: seconds after the end, in a few minutes after."""
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

    def _spoil(self, random: Random, call: CallLife) -> None:
        """Let the few calls be odd that the profile wants so."""
        profile = self.profile
        draw = random.random
        if draw() < profile.late_row_share:
            call.appear = call.start + 2_000 + int(draw() ** 2 * (LATEST_APPEARANCE_MS - 2_000))
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
            later = settled + 1 + int(draw() ** 3 * (LATEST_AFTERTHOUGHT_MS - 1))
            call.revision = self._revision(random, call, later)
        if draw() < profile.deleted_share:
            call.deleted = call.appear + 1_000 + int(draw() ** 2 * (LATEST_AFTERTHOUGHT_MS - 1_000))

    def _revision(self, random: Random, call: CallLife, later: int) -> Revision:
        outcome, duration, tags = call.outcome, call.duration, call.tags
        what = int(random.random() * 3)
        if what == 0:
            outcome = {100: 110, 110: 100}.get(outcome, 500)
        elif what == 1 and duration:
            duration += 1 + int(random.random() * 20)
        else:
            tags = self._tag_lists[int(random.random() * len(self._tag_lists))]
        return Revision(later, outcome, duration, tags)


def strike(call: CallLife, incident: Incident) -> None:
    """Let the incident end the call, if the call is one of those it hits. Its start is kept."""
    bits = spin(call.number ^ incident.start_ms)
    if (bits & 0xFFFFFF) / 0x1000000 >= incident.share:
        return
    error = incident.kind == "error"
    usual = (bits >> 24) % 10 < 8
    call.outcome = 500 if error else 150
    call.call_status = 6 if error and usual else 7
    call.duration = 0
    call.tags = ()
    call.end = call.queued + (1_000 if error else 25_000) + (bits >> 32) % 2_000
    call.written = call.tagged = call.talk = call.end + 1_000 + (bits >> 44) % 4_000
    call.revision = None
    call.deleted = NEVER


def _lengths(profile: Profile) -> list[float]:
    """Return the quantiles of the lognormal lengths of calls: one draw picks one of them."""
    random = Random(f"lengths/{profile.median_seconds}/{profile.spread}")
    centre = math.log(profile.median_seconds)
    return [
        min(random.lognormvariate(centre, profile.spread), profile.longest_seconds)
        for _ in range(_LENGTHS)
    ]


def _tag_lists(profile: Profile, random: Random) -> list[Tags]:
    """Return what a tagged call may bear: one to three tags, now and then one of them twice."""
    if not profile.tags:
        return [()]
    weights = [1.0 / (place + 1) for place in range(len(profile.tags))]
    lists = [
        random.choices(profile.tags, weights, k=1 + int(random.random() ** 2 * 3))
        for _ in range(256)
    ]
    return [tuple(tags) for tags in lists]


def _poisson(random: Random, mean: float) -> int:
    if mean > 50:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    limit, product, number = math.exp(-mean), random.random(), 0
    while product > limit:
        product *= random.random()
        number += 1
    return number
