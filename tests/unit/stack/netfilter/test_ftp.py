"""The FTP helper: what is read, what is expected, what is rewritten, and the numbers afterwards.

Source: linux-kernel 5.10.
"""

from __future__ import annotations

import pytest

from netsim.addr import ip_str, parse_ip
from netsim.stack.netfilter.conntrack import CtTemplate
from netsim.stack.netfilter.ct_requests import DumpExpectations
from netsim.stack.netfilter.ftp_text import (
    NF_CT_FTP_EPRT,
    NF_CT_FTP_EPSV,
    NF_CT_FTP_PASV,
    NF_CT_FTP_PORT,
    Found,
    Partial,
    command,
    search,
)
from netsim.stack.netfilter.status import IP_CT_RELATED
from netsim.units import ms, sec
from netsim.wire.tcp import build_options, parse_tcp


@pytest.mark.parametrize(
    ("direction", "text", "found"),
    [
        (0, b"PORT 192,168,0,3,4,1\r\n", Found(NF_CT_FTP_PORT, 0xC0A80003, 1025, 5, 15)),
        (0, b"port 192,168,0,3,4,1\r\n", Found(NF_CT_FTP_PORT, 0xC0A80003, 1025, 5, 15)),
        (0, b"EPRT |1|192.168.0.3|1025|\r\n", Found(NF_CT_FTP_EPRT, 0xC0A80003, 1025, 5, 20)),
        (1, b"227 Entering Passive Mode (192,168,0,3,4,1).\r\n", Found(NF_CT_FTP_PASV, 0xC0A80003, 1025, 27, 15)),
        (1, b"227 =192,168,0,3,4,1\r\n", Found(NF_CT_FTP_PASV, 0xC0A80003, 1025, 5, 15)),
        (1, b"229 Entering Extended Passive Mode (|||1025|)\r\n", Found(NF_CT_FTP_EPSV, 0, 1025, 36, 8)),
        (0, b"PORT 192,168,0,3,4", Partial()), (0, b"POR", Partial()), (0, b"PORT", Partial()),
        (1, b"229 Entering", Partial()), (0, b"PORT 192,168,0,999,4,1\r\n", Partial()),
        (0, b"USER anonymous\r\n", None), (1, b"PORT 192,168,0,3,4,1\r\n", None), (0, b"LIST\r\n", None),
    ],
)  # fmt: skip
def test_announcements_are_read(direction, text, found):
    assert search(text, direction) == found


@pytest.mark.parametrize("kind", [NF_CT_FTP_PORT, NF_CT_FTP_PASV, NF_CT_FTP_EPRT, NF_CT_FTP_EPSV])
def test_what_is_written_reads_back(kind):
    lead = {NF_CT_FTP_PORT: b"PORT ", NF_CT_FTP_PASV: b"227 (", NF_CT_FTP_EPRT: b"EPRT ", NF_CT_FTP_EPSV: b"229 ("}
    text = lead[kind] + command(kind, 0x0A000102, 40000) + b"\r\n"
    found = search(text, 1 if kind in (NF_CT_FTP_PASV, NF_CT_FTP_EPSV) else 0)
    assert (found.kind, found.port) == (kind, 40000)
    assert found.addr == (0 if kind == NF_CT_FTP_EPSV else 0x0A000102)


class Control:
    """A control connection from 192.168.0.3 through the masquerading router, both greetings said."""

    def __init__(self, kit, router, kernel_6: bool = True) -> None:
        self.kit, self.router, self.now = kit, router, sec(1)
        self.sent, self.got = 101, 501
        if kernel_6:
            router.nf.register(0, -300, self.attach)
        self.client(b"", "S", 100, 0)
        self.server(b"", "SA", 500, 101)
        self.client(b"", "A", 101, 501)
        self.server(b"220 hello\r\n")
        self.client(b"USER me\r\n")

    @staticmethod
    def attach(skb, indev, outdev, now) -> int:
        if skb.dport == 21 and skb.ct is None:
            skb.nfct_template = CtTemplate(helper="ftp")
        return 1

    def client(self, text, flags="PA", seq=None, ack=None, options=b""):
        seq, ack = (self.sent if seq is None else seq), (self.got if ack is None else ack)
        packet = self.kit.tcp("192.168.0.3", 4000, "203.0.113.10", 21, flags, seq, ack, text, options=options)
        self.sent = max(self.sent, seq + len(text))
        return self.router.receive(packet, "lan0", self.now)

    def server(self, text, flags="PA", seq=None, ack=None, options=b""):
        seq, ack = (self.got if seq is None else seq), (self.sent if ack is None else ack)
        packet = self.kit.tcp("203.0.113.10", 21, "10.0.1.2", 4000, flags, seq, ack, text, options=options)
        self.got = max(self.got, seq + len(text))
        return self.router.receive(packet, "wan0", self.now)


@pytest.fixture
def control(kit, router) -> Control:
    return Control(kit, router)


def test_port_is_announced_with_the_outside_address_and_numbers_shift(kit, control):
    text = b"PORT 192,168,0,3,4,1\r\n"
    out = control.client(text)
    assert bytes(out.data[40:]) == b"PORT 10,0,1,2,4,1\r\n"
    assert kit.sound(out)
    shift = len("10,0,1,2,4,1") - len("192,168,0,3,4,1")
    seen = parse_tcp(out.data, 20)
    assert seen.seq == control.sent - len(text)
    back = control.server(b"200 ok\r\n", ack=control.sent + shift)
    assert parse_tcp(back.data, 20).ack == control.sent
    assert kit.sound(back)
    later = control.client(b"LIST\r\n")
    assert parse_tcp(later.data, 20).seq == control.sent - 6 + shift
    assert kit.sound(later)


def test_sack_edges_are_shifted_too(kit, control):
    control.client(b"PORT 192,168,0,3,4,1\r\n")
    shift = len("10,0,1,2,4,1") - len("192,168,0,3,4,1")
    edges = (control.sent + 10 + shift, control.sent + 20 + shift)
    back = control.server(b"", "A", ack=control.sent + shift, options=build_options(sack=[edges]))
    option = bytes(back.data[-8:])
    assert [int.from_bytes(option[at : at + 4], "big") - control.sent for at in (0, 4)] == [10, 20]
    assert kit.sound(back)


@pytest.mark.parametrize("options", [b"\x05\xdd\x01\x01", b"\x2c\x01\x00\x00", b"\x01\x01\x01\x05"])
def test_a_segment_with_a_partial_option_ends_where_numbers_are_shifted(kit, control, options):
    """nf_ct_sack_adjust(): "no partial options"; nf_confirm() drops what it cannot adjust."""
    control.client(b"PORT 192,168,0,3,4,1\r\n")
    assert control.client(b"", "A", options=options) == "POSTROUTING"
    assert control.client(b"", "A", options=b"\x01\x01\x01\x00") != "POSTROUTING"


def test_a_retransmitted_command_is_rewritten_again_and_shifts_once(kit, control):
    text, seq = b"PORT 192,168,0,3,4,1\r\n", control.sent
    first, again = control.client(text, seq=seq), control.client(text, seq=seq)
    assert first.data[40:] == again.data[40:]
    assert parse_tcp(first.data, 20).seq == parse_tcp(again.data, 20).seq
    shift = len("10,0,1,2,4,1") - len("192,168,0,3,4,1")
    assert parse_tcp(control.client(b"LIST\r\n").data, 20).seq == control.sent - 6 + shift


def test_the_data_connection_is_related_and_goes_to_the_announced_endpoint(kit, control):
    control.client(b"PORT 192,168,0,3,4,1\r\n")
    got = control.router.receive(kit.tcp("203.0.113.10", 20, "10.0.1.2", 1025, "S", 9), "wan0", control.now)
    assert (got.ctinfo, ip_str(got.daddr), got.dport) == (IP_CT_RELATED, "192.168.0.3", 1025)
    assert got.ct.master.tuple_orig.dport == 21
    assert kit.sound(got)
    back = control.router.receive(kit.tcp("192.168.0.3", 1025, "203.0.113.10", 20, "SA", 5, 10), "lan0", control.now)
    assert (ip_str(back.saddr), back.sport) == ("10.0.1.2", 1025)
    again = control.router.receive(kit.tcp("203.0.113.10", 21, "10.0.1.2", 1025, "S", 9), "wan0", control.now)
    assert again.out.name == "lo"  # one connection used the expectation up


def test_a_passive_servers_answer_is_expected_from_the_client(kit, control):
    control.server(b"227 Entering Passive Mode (203,0,113,10,200,1).\r\n")
    expected = control.router.nf.request(DumpExpectations(), now=control.now)
    assert [(e.src, e.dst, e.dport, e.helper, e.timeout) for e in expected] == [
        (parse_ip("192.168.0.3"), parse_ip("203.0.113.10"), 51201, "ftp", 300)
    ]
    out = control.router.receive(kit.tcp("192.168.0.3", 5000, "203.0.113.10", 51201, "S", 9), "lan0", control.now)
    assert (out.ctinfo, ip_str(out.saddr)) == (IP_CT_RELATED, "10.0.1.2")


def test_a_command_cut_off_by_the_segments_end_is_dropped(control):
    assert control.client(b"PORT 192,168") == "POSTROUTING"


def test_somebody_elses_address_is_not_expected(control):
    out = control.client(b"PORT 192,168,0,9,4,1\r\n")
    assert bytes(out.data[40:]) == b"PORT 192,168,0,9,4,1\r\n"
    assert control.router.nf.request(DumpExpectations(), now=control.now) == ()


def test_text_in_the_middle_of_a_line_is_not_read(control):
    control.client(b"SITE no line end ")
    out = control.client(b"PORT 192,168,0,3,4,1\r\n")
    assert b"192,168,0,3" in bytes(out.data)


def test_an_expectation_ends_after_300_seconds(kit, control):
    control.client(b"PORT 192,168,0,3,4,1\r\n")
    got = control.router.receive(kit.tcp("203.0.113.10", 20, "10.0.1.2", 1025, "S", 9), "wan0", control.now + sec(300))
    assert got.ctinfo != IP_CT_RELATED


def test_a_second_announcement_replaces_the_first(control):
    for port in (1, 2):
        control.client(b"PORT 192,168,0,3,4,%d\r\n" % port)
        control.server(b"200 ok\r\n", ack=control.sent - 3 * port)
    expected = control.router.nf.request(DumpExpectations(), now=control.now + ms(1))
    assert [e.dport for e in expected] == [1026]


def test_the_old_kernel_gives_port_21_its_helper_unasked(kit):
    router = kit.Router("linux-2.4")
    router.masquerade()
    control = Control(kit, router, kernel_6=False)
    out = control.client(b"PORT 192,168,0,3,4,1\r\n")
    assert bytes(out.data[40:]) == b"PORT 10,0,1,2,4,1\r\n"
    got = router.receive(kit.tcp("203.0.113.10", 20, "10.0.1.2", 1025, "S", 9), "wan0", control.now)
    assert (got.ctinfo, ip_str(got.daddr), got.dport) == (IP_CT_RELATED, "192.168.0.3", 1025)
    assert kit.sound(got)


def test_without_a_rule_kernel_6_reads_nothing(kit, router):
    control = Control(kit, router, kernel_6=False)
    assert bytes(control.client(b"PORT 192,168,0,3,4,1\r\n").data[40:]) == b"PORT 192,168,0,3,4,1\r\n"
