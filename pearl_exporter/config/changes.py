"""The keys in which two configurations differ: names alone, since a value may be a secret."""

from pydantic import BaseModel

from pearl_exporter.config.settings import SECTIONS, Settings
from pearl_exporter.detection.signals import Signal


def changed_keys(old: Settings, new: Settings) -> tuple[str, ...]:
    """Return the changed keys of all sections but ``outbounds``, such as ``poll.window``.

    A default that follows another key (``poll.give_up``) changes with that key.
    """
    keys = [
        f"{section}.{key}"
        for section in SECTIONS
        for key in _differing(getattr(old, section), getattr(new, section))
    ]
    keys += [
        f"signals.{signal}.{key}"
        for signal in Signal
        for key in _differing(old.signals[signal], new.signals[signal])
    ]
    return tuple(keys)


def changed_outbounds(old: Settings, new: Settings) -> dict[str, tuple[str, ...]]:
    """Return the changed keys of each outbound that is in both, by its new name.

    Values from ``poll`` are resolved, so a changed ``poll.window`` is a change of every outbound
    without a window of its own.
    """
    before = {outbound.id: outbound for outbound in old.outbounds}
    return {
        outbound.name: keys
        for outbound in new.outbounds
        if (was := before.get(outbound.id)) is not None and (keys := _differing(was, outbound))
    }


def _differing(old: BaseModel, new: BaseModel) -> tuple[str, ...]:
    return tuple(key for key in type(new).model_fields if getattr(old, key) != getattr(new, key))
