"""Every command that was given to a real kernel, its answer compared: cases i1 and n1, and the set-up of all.

Source: observed-linux sections 8, 14 and 15.
"""

from functools import cache

import pytest
from cases.case import load
from cases.compare import answer
from cases.lab import Play

NAMES = ["a1_nud_default", "b1_nud_short", "c1_unresolved", "d2_altroutes_dynamics", "e1_multipath", "f1_two_isp_masq",
         "f2a_gw_dies", "f2c_link_down", "g1_snat_ranges", "h1_rp_filter", "i1_device_address", "j2_arp_replies",
         "m1_conntrack_timeouts", "n1_error_texts"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_set_up_line_gets_the_recorded_answer(name):
    case = load(name)
    play = Play(case)
    want = [(each["node"], each["cmd"], *answer(each)) for each in case.answers]
    assert want == [(each["node"], each["cmd"], *answer(each)) for each in play.answers]
    print(f"{name}: {len(want)} set-up answers equal")


@cache
def played(name):
    return Play(load(name)).run()


def commands(name):
    return [pytest.param(name, i, id=f"{name[:2]}-{i:03}: {e['cmd']}") for i, e in enumerate(load(name).of("cmd"))]


@pytest.mark.parametrize(("name", "index"), [*commands("i1_device_address"), *commands("n1_error_texts")])
def test_a_command_gets_the_recorded_answer(name, index):
    want, got = load_events(name)[index], played(name).of("cmd")[index]
    assert want["cmd"].strip() == got["cmd"]
    assert answer(want) == answer(got)


@cache
def load_events(name):
    return load(name).of("cmd")
