from __future__ import annotations

from netsim.wire import drop

REASONS = {
    name: value for name, value in vars(drop).items() if name.isupper() and name not in ("DESCRIPTIONS", "OWN_REASONS")
}


def test_a_reason_is_its_own_name():
    assert {name: name for name in REASONS} == REASONS


def test_descriptions_are_total():
    assert set(REASONS) == set(drop.DESCRIPTIONS)


def test_own_reasons_are_described_and_are_not_the_kernels():
    assert set(drop.DESCRIPTIONS) >= drop.OWN_REASONS
    assert not {"NEIGH_FAILED", "IP_RPFILTER", "NETFILTER_DROP"} & drop.OWN_REASONS


def test_descriptions_are_one_line_without_a_full_stop():
    for text in drop.DESCRIPTIONS.values():
        assert text
        assert "\n" not in text
        assert not text.endswith(".")
        assert len(text) < 110
