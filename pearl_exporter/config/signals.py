"""The section `signals`: which shares of an outbound's calls are watched, and how closely.

It has a mapping of the same keys for each signal, for all outbounds, and each outbound may replace
some of them::

    signals:
      error: {sensitivity: high}
    outbounds:
      - id: 65f1c0ffee
        signals:
          error: {ceiling: 0.5}

`resolve_signals` makes of both the settings of one outbound. They are read by `load`, key by key,
since they are one level deeper than the keys of other sections.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from pearl_exporter.config import fields
from pearl_exporter.config.problems import Problems, SectionKeys
from pearl_exporter.config.sections import Section, check_section
from pearl_exporter.config.yaml_lines import KeyPath
from pearl_exporter.detection.signals import Signal

Sensitivity = Literal["low", "normal", "high"]


class SignalSettings(Section):
    """How one signal is watched."""

    enabled: fields.Switch = Field(
        default=True, description="Whether the signal is watched; if not, it has no series."
    )
    sensitivity: Annotated[Sensitivity, fields.one_of("low", "normal", "high")] = Field(
        default="normal",
        description="How much evidence is enough for a warning or a page: `high` asks for less.",
    )
    at_least_bad_calls: Annotated[int, fields.whole(1, 100_000)] = Field(
        default=10, description="Fewer bad calls than this are no evidence."
    )
    ceiling: Annotated[float | None, fields.share_or_none()] = Field(
        default=None,
        description="Share of bad calls that is too high whatever is usual, such as `0.5`.",
    )

    def given(self) -> dict[str, object]:
        """Return the keys that were given, without defaults."""
        return {key: getattr(self, key) for key in self.model_fields_set}


SignalsSettings = Mapping[Signal, SignalSettings]

DEFAULT_SIGNALS: SignalsSettings = {signal: SignalSettings() for signal in Signal}

SIGNAL_KEYS = tuple(SignalSettings.model_fields)


def check_signals(
    value: object, path: KeyPath, problems: Problems
) -> Mapping[Signal, SignalSettings]:
    """Return the settings of the signals that a section has, without the keys with a problem.

    Args:
        value: The section as the file has it.
        path: Where it is in the file.
        problems: Gets the problems.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        problems.add(path, "wanted a mapping of signals, such as error: {sensitivity: high}")
        return {}
    names, found = [str(signal) for signal in Signal], {}
    known: SectionKeys = {"": names, str(path[0]): SIGNAL_KEYS}
    for name, settings in value.items():
        if name not in names:
            problems.add_unknown((*path, name), {str(path[0]): names})
            continue
        checked = check_section(SignalSettings, settings or {}, (*path, name), problems, known)
        found[Signal(name)] = checked or SignalSettings()
    return found


def resolve_signals(
    for_all: Mapping[Signal, SignalSettings], own: Mapping[Signal, SignalSettings]
) -> SignalsSettings:
    """Return the settings of one outbound's signals.

    Args:
        for_all: What the section `signals` has.
        own: What the outbound has of its own.
    """
    empty = SignalSettings()
    return {
        signal: SignalSettings.model_validate(
            {**for_all.get(signal, empty).given(), **own.get(signal, empty).given()}
        )
        for signal in Signal
    }
