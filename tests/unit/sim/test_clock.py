"""The clock: integer nanoseconds, a documented order inside one instant, light events that can be cancelled."""

from __future__ import annotations

import pytest

from netsim.errors import SimulationError
from netsim.sim.clock import CARRIER, DEADLINE, EXPECTATION, FRAME, STEP, Environment
from netsim.units import sec


def test_one_instant_runs_carriers_frames_deadlines_steps_and_expectations_in_this_order():
    env, seen = Environment(), []
    for priority, name in [(EXPECTATION, "expectation"), (STEP, "step"), (DEADLINE, "deadline"), (FRAME, "frame"),
                           (CARRIER, "carrier")]:  # fmt: skip
        env.at(10, lambda name=name: seen.append(name), priority)
    env.run_to(10)
    assert seen == ["carrier", "frame", "deadline", "step", "expectation"]


def test_a_users_timeout_comes_after_the_frames_of_its_instant_and_before_expectations():
    env, seen = Environment(), []

    def story():
        yield env.timeout(sec(1))
        seen.append("story")

    env.process(story())
    env.at(sec(1), lambda: seen.append("frame"), FRAME)
    env.at(sec(1), lambda: seen.append("expectation"), EXPECTATION)
    env.run_to(sec(1))
    assert seen == ["frame", "story", "expectation"]


def test_a_float_delay_is_refused_and_the_refusal_names_sec():
    env = Environment()
    with pytest.raises(SimulationError, match=r"use sec\(1.5\)"):
        env.timeout(1.5)
    with pytest.raises(SimulationError, match=r"use sec\(2.0\)"):
        env.run(until=2.0)
    assert env.now == 0


def test_a_cancelled_timer_does_nothing():
    env, seen = Environment(), []
    timer = env.at(5, lambda: seen.append("no"))
    env.at(6, lambda: seen.append("yes"))
    timer.cancel()
    assert not timer.pending
    env.run_to(10)
    assert seen == ["yes"]
    assert env.now == 10


def test_run_to_includes_its_instant_and_leaves_later_events_alone():
    env, seen = Environment(), []
    for at in (9, 10, 11):
        env.at(at, lambda at=at: seen.append(at))
    env.run_to(10)
    assert seen == [9, 10]
    env.run_to(20)
    assert seen == [9, 10, 11]
    assert env.events_run == 3


def test_the_past_takes_no_events():
    env = Environment()
    env.run_to(10)
    with pytest.raises(SimulationError, match="filed for 5 ns"):
        env.at(5, lambda: None)


def test_an_exception_in_a_process_ends_the_run():
    env = Environment()

    def story():
        yield env.timeout(1)
        raise RuntimeError("boom")

    env.process(story())
    with pytest.raises(RuntimeError, match="boom"):
        env.run_to(5)


def test_a_run_to_the_end_of_a_process_can_be_followed_by_another():
    env = Environment()

    def story(value):
        yield env.timeout(sec(1))
        return value

    assert env.run(env.process(story("one"))) == "one"
    assert env.run(env.process(story("two"))) == "two"
    assert env.now == sec(2)


def test_what_waits_for_the_event_that_ends_a_run_goes_on_in_the_next():
    env, seen = Environment(), []
    bell = env.event()

    def waiter():
        yield bell
        seen.append(env.now)

    env.process(waiter())
    env.at(sec(1), bell.succeed)
    env.run(bell)
    env.run_to(sec(2))
    assert seen == [sec(1)]
