"""How late a world with real boxes is, by the real clock: no kernel is needed to be behind one."""

from __future__ import annotations

import os
import time

import pytest

from netsim.kernel.lateness import Lateness
from netsim.kernel.world import KernelWorld
from netsim.seeds import Seed
from netsim.sim.clock import FRAME
from netsim.stack.outbox import FrameOut, Outbox
from netsim.units import NS_PER_S, ms

STALL = 0.04


class Box:
    """What the world asks of a real box."""

    def __init__(self):
        self.outbox = Outbox(set())

    def settled(self):
        return True


class Owner:
    """Lets each frame of its box happen on the next hop a millisecond later."""

    def __init__(self, world, box):
        self.world, self.box = world, box
        self.behind = []

    def drain(self):
        self.box.outbox.frames.clear()
        due = self.world.env.now + ms(1)
        self.world.env.at(due, lambda: self.behind.append(self.world.clock() - due), FRAME)


@pytest.fixture
def stalled():
    """Return a world whose loop stalls while two frames come out of a box, and the owner of that box."""
    world = KernelWorld(Seed(1), Lateness(ms(20)))
    world.start()
    box = Box()
    owner = world.owners[box] = Owner(world, box)
    news = os.eventfd(1)

    def came(_mask):
        for _ in range(2):
            world.came(time.time_ns(), box, FrameOut("eth0", b"", 0, False, True))
            time.sleep(STALL)

    world.reactor.add(news, came)
    yield world, owner
    world.reactor.remove(news)
    os.close(news)
    world.close()


def test_a_loop_that_stalls_is_late_by_the_real_clock_and_ends_the_run(stalled):
    """The world's own clock stands at each frame's stamp while it is handed on: by that one nothing is ever late."""
    world, owner = stalled
    world.pump(ms(200))
    assert len(owner.behind) == 2
    assert max(owner.behind) > STALL * NS_PER_S
    assert world.lateness.most >= max(owner.behind) - ms(2)
    assert "behind the clock at" in world.fault
    assert world.ended


def test_a_step_that_takes_its_time_does_not_hide_how_late_the_wires_are(stalled):
    world, owner = stalled
    world.wait(lambda: len(owner.behind) == 2)
    assert world.lateness.most >= max(owner.behind) - ms(2)


def test_a_loop_in_time_is_not_late():
    world = KernelWorld(Seed(1), Lateness(ms(1000)))
    world.start()
    for step in range(5):
        world.env.at(ms(step), lambda: None)
    world.pump(ms(8))
    assert world.lateness.count
    assert not world.fault
    assert world.env.now == ms(8)
    world.close()
