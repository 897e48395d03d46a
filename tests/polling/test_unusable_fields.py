"""A call counts once for each field of it that cannot be used."""

from pearl_exporter.polling.unusable_fields import UnusableFields
from pearl_exporter.reading.search import UnusableRow


def test_a_call_counts_once_a_field():
    fields = UnusableFields()
    assert fields.count([UnusableRow(1, ("tags", "duration"))]) == {"tags": 1, "duration": 1}
    assert fields.count([UnusableRow(1, ("tags", "status")), UnusableRow(2, ("tags",))]) == {
        "status": 1,
        "tags": 1,
    }
    assert not fields.count([UnusableRow(2, ("tags",))])


def test_the_oldest_are_forgotten_first():
    fields = UnusableFields(size=2)
    for key in (1, 2, 1, 3):
        fields.count([UnusableRow(key, ("id",))])
    assert not fields.count([UnusableRow(1, ("id",)), UnusableRow(3, ("id",))])
    assert fields.count([UnusableRow(2, ("id",))]) == {"id": 1}
