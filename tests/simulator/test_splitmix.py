"""SplitMix64 is the published one: these are its first outputs for two seeds."""

import pytest

from pearl_exporter.simulator.splitmix import splitmix64

GAMMA = 0x9E3779B97F4A7C15
"""What the generator's state grows by at each step."""


@pytest.mark.parametrize(
    ("seed", "outputs"),
    [
        (0, [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]),
        (1234567, [6457827717110365317, 3203168211198807973, 9817491932198370423]),
    ],
)
def test_the_outputs_are_the_published_ones(seed, outputs):
    assert [splitmix64(seed + step * GAMMA) for step in range(3)] == outputs


def test_a_number_of_more_than_64_bits_counts_by_its_low_ones():
    assert splitmix64((1 << 64) + 5) == splitmix64(5)
