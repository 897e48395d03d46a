"""The simulated clock runs with the real one, at its own speed, and can be stopped."""

import pytest

from pearl_exporter.simulator import SimulatedClock


class Wall:
    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


def test_it_runs_with_the_wall():
    wall = Wall()
    clock = SimulatedClock(wall)
    wall.seconds += 2.5
    assert clock() == 1_002_500


def test_it_runs_faster_and_starts_elsewhere():
    wall = Wall()
    clock = SimulatedClock(wall, 60.0, start_ms=7_000)
    wall.seconds += 1
    assert clock() == 67_000
    assert clock.speed == 60.0


def test_it_stands_while_paused_and_goes_on_from_there():
    wall = Wall()
    clock = SimulatedClock(wall, start_ms=0, paused=True)
    wall.seconds += 5
    assert (clock(), clock.paused) == (0, True)
    clock.advance(1.5)
    clock.resume()
    wall.seconds += 1
    assert (clock(), clock.paused) == (2_500, False)
    clock.pause()
    wall.seconds += 1
    assert clock() == 2_500


def test_it_can_be_set():
    clock = SimulatedClock(Wall(), paused=True)
    clock.set_ms(42)
    assert clock() == 42


def test_it_refuses_to_run_or_step_backwards():
    with pytest.raises(ValueError, match="speed"):
        SimulatedClock(Wall(), 0)
    with pytest.raises(ValueError, match="advance_seconds"):
        SimulatedClock(Wall()).advance(-1)
