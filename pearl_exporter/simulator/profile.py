"""What kind of campaign is simulated: its volume, its manners and its vocabulary.

A `Profile` is a description; `pearl_exporter.simulator.campaign` brings it to life.
Shares are of calls and lie between 0 and 1; lengths are in seconds.
"""

from dataclasses import dataclass

OFFICE_HOURS = (
    (0.0,) * 7 + (0.2, 0.7, 1.0, 1.0, 0.9, 0.6, 0.8, 1.0, 1.0, 0.8, 0.5, 0.2) + (0.0,) * 5
)
"""Weights of the 24 hours (UTC) of a campaign that dials while offices are open."""

AROUND_THE_CLOCK = (
    (0.6, 0.5, 0.5, 0.5, 0.5, 0.6) + (0.8,) * 3 + (1.0,) * 9 + (0.9,) * 3 + (0.7,) * 3
)
"""Weights of the 24 hours (UTC) of a campaign that never sleeps."""

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
    "",  # an empty tag is a thing people manage to make
    'says "maybe"\\later',
    "Größe unklar",
)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One campaign's character. ``outbound_id`` is 24 hex digits; ``status`` 1 is running."""

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
    """True writes every startTime as ``.fffZ``; else a few have other fractions, zones or none."""

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated. Raises ValueError that names the field."""
        if len(self.hours) != 24 or len(self.weekdays) != 7:
            raise ValueError("Profile.hours wants 24 weights and Profile.weekdays 7")
        if sum(self.hours) <= 0 or sum(self.weekdays) <= 0:
            raise ValueError("Profile.hours and Profile.weekdays want a weight above 0")
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


@dataclass(frozen=True, kw_only=True)
class Incident:
    """A spell in which calls fail: ``share`` of those that start in [start_ms, end_ms).

    ``kind`` "error" ends them in 500 (mostly telephony ``failed``), "unreachable" in 150 (no
    answer); both with duration 0.
    """

    kind: str
    start_ms: int
    end_ms: int
    share: float = 0.8

    def __post_init__(self) -> None:
        """Refuse a spell that can't be. Raises ValueError that says what was wanted."""
        if self.kind not in ("error", "unreachable"):
            raise ValueError(f'Incident.kind is {self.kind!r}, wanted "error" or "unreachable"')
        if self.end_ms <= self.start_ms:
            raise ValueError("Incident.end_ms must lie after start_ms")
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"Incident.share is {self.share}, wanted 0 to 1")
