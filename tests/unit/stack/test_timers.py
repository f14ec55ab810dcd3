"""Deadlines of a box: order, cancelling, late calls."""

from __future__ import annotations

from netsim.stack.timers import Timers


def test_timers_of_one_instant_fire_in_order_of_arming():
    timers, fired = Timers(), []
    timers.arm(5, lambda at: fired.append(("a", at)))
    timers.arm(3, lambda at: fired.append(("b", at)))
    timers.arm(5, lambda at: fired.append(("c", at)))
    timers.run(5)
    assert fired == [("b", 3), ("a", 5), ("c", 5)]


def test_a_late_call_gives_each_its_own_instant_and_runs_what_they_arm():
    timers, fired = Timers(), []

    def again(at):
        fired.append(at)
        if at < 30:
            timers.arm(at + 10, again)

    timers.arm(10, again)
    timers.run(1000)
    assert fired == [10, 20, 30]
    assert timers.next() is None


def test_a_cancelled_timer_neither_fires_nor_is_waited_for():
    timers, fired = Timers(), []
    first = timers.arm(5, fired.append)
    timers.arm(9, fired.append)
    first.cancel()
    assert not first.pending
    assert timers.next() == 9
    timers.run(9)
    assert fired == [9]
