"""What kind of campaign is simulated: how many calls, how they end, and with which tags.

A `Profile` is a description; `pearl_exporter.simulator.campaign` makes calls from it.
"""

from dataclasses import dataclass

OFFICE_HOURS = (
    (0.0,) * 7 + (0.2, 0.7, 1.0, 1.0, 0.9, 0.6, 0.8, 1.0, 1.0, 0.8, 0.5, 0.2) + (0.0,) * 5
)
"""Weights of the 24 hours (UTC) of a campaign that dials while offices are open."""

AROUND_THE_CLOCK = (
    (0.6, 0.5, 0.5, 0.5, 0.5, 0.6) + (0.8,) * 3 + (1.0,) * 9 + (0.9,) * 3 + (0.7,) * 3
)
"""Weights of the 24 hours (UTC) of a campaign that dials day and night."""

EVERY_DAY = (1.0,) * 7
WORKING_DAYS = (1.0, 1.0, 1.0, 1.0, 1.0, 0.3, 0.0)

PLAIN_TAGS = ("interested", "callback", "not interested", "wrong number", "price too high")
UNICODE_TAGS = (
    "interested",
    "callback ",  # a customer's trailing space
    "callback",
    "🔥 hot lead",
    "مهتم",
    "要回电",
    "",  # an empty tag, which people can make
    'says "maybe"\\later',
    "Größe unklar",
)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The description of one campaign. Shares lie between 0 and 1, and are of calls.

    Attributes:
        outbound_id: The outbound's id, 24 hex digits.
        name: The outbound's name.
        calls_a_day: The expected number of calls.
        hours: Weights of the 24 hours of a day, UTC.
        weekdays: Weights of the days of a week, Monday first.
        status: The outbound's status in the platform's list; 1 is running.
        total_agents: The outbound's agents in the platform's list.
        answer_share: Share of the calls that are answered.
        voice_mail_share: Share of the others that leave a voice mail.
        abandon_share: Share of the others that are given up in the queue.
        success_definition: Whether answered calls end as 100 or 110; without it, as 130.
        success_share: Share of answered calls that end as 100.
        max_tries: How often a lead is called at most.
        tags: The tags that calls may get, the most frequent first.
        tagged_share: Share of answered calls with tags.
        median_seconds: Median of the lognormal durations.
        spread: Standard deviation of the durations' logarithm.
        longest_seconds: No duration is longer.
        queue_seconds: Mean wait in the queue.
        late_row_share: Share of the rows that appear late.
        late_outcome_share: Share of the outcomes that are written late.
        late_tags_share: Share of the tags that are written after the outcome.
        revised_share: Share of the rows that change long after the outcome was written.
        deleted_share: Share of the rows that are deleted.
        unknown_code_share: Share of the rows with a code that no documentation has.
        null_share: Share of the rows with null for tags, and for either number.
        plain_times: Whether every ``startTime`` is as ``.fffZ``; otherwise a few have other
            fractions, other zones or none.
    """

    outbound_id: str
    name: str
    calls_a_day: float = 20_000
    hours: tuple[float, ...] = AROUND_THE_CLOCK
    weekdays: tuple[float, ...] = EVERY_DAY
    status: int = 1
    total_agents: int = 20

    answer_share: float = 0.35
    voice_mail_share: float = 0.12
    abandon_share: float = 0.02
    success_definition: bool = True
    success_share: float = 0.3
    max_tries: int = 5

    tags: tuple[str, ...] = UNICODE_TAGS
    tagged_share: float = 0.7

    median_seconds: float = 75.0
    spread: float = 0.9
    longest_seconds: float = 7200.0
    queue_seconds: float = 6.0

    late_row_share: float = 0.01
    late_outcome_share: float = 0.01
    late_tags_share: float = 0.03
    revised_share: float = 0.01
    deleted_share: float = 0.003
    unknown_code_share: float = 0.002
    null_share: float = 0.01
    plain_times: bool = False

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: A field has a value that can't be simulated; the message names it.
        """
        if len(self.hours) != 24 or len(self.weekdays) != 7:
            raise ValueError("wanted 24 weights in Profile.hours and 7 in Profile.weekdays")
        if sum(self.hours) <= 0 or sum(self.weekdays) <= 0:
            raise ValueError("wanted a weight above 0 in Profile.hours and in Profile.weekdays")
        for name, value in vars(self).items():
            if name.endswith("_share") and not 0.0 <= value <= 1.0:
                raise ValueError(f"Profile.{name} is {value}, wanted 0 to 1")

    def calls_a_minute(self, minute: int) -> float:
        """Return how many calls are expected to start in the epoch minute ``minute``."""
        hour = minute // 60
        day = hour // 24
        weight = self.hours[hour % 24] * self.weekdays[(day + 3) % 7]  # 1 January 1970: a Thursday
        usual = sum(self.hours) * sum(self.weekdays) / 7
        return self.calls_a_day * weight / usual / 60
