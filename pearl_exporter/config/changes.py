"""Which keys two configurations differ in: names alone, never a value, which may be a secret."""

from pydantic import BaseModel

from pearl_exporter.config.settings import SECTIONS, Settings


def changed_keys(old: Settings, new: Settings) -> tuple[str, ...]:
    """Give the keys of all sections but ``outbounds`` whose values differ, as ``poll.window``.

    A default that follows another key (``poll.give_up``) is changed with it.
    """
    return tuple(
        f"{section}.{key}"
        for section in SECTIONS
        for key in _differing(getattr(old, section), getattr(new, section))
    )


def changed_outbounds(old: Settings, new: Settings) -> dict[str, tuple[str, ...]]:
    """Give the outbounds in both that poll otherwise now, by their new names: what differs.

    What an outbound takes from ``poll`` is its own here, so a changed ``poll.window`` is told of
    every outbound that goes by it.
    """
    before = {outbound.id: outbound for outbound in old.outbounds}
    return {
        outbound.name: keys
        for outbound in new.outbounds
        if (was := before.get(outbound.id)) is not None and (keys := _differing(was, outbound))
    }


def _differing(old: BaseModel, new: BaseModel) -> tuple[str, ...]:
    return tuple(key for key in type(new).model_fields if getattr(old, key) != getattr(new, key))
