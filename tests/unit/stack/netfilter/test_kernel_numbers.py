"""The numbers of this room, written out as the kernel's headers have them, and what a rule means that says nothing.

Source: include/uapi/linux/netfilter/*.h, netfilter_ipv4/*.h, net/netfilter/*.c (6.x); net/ipv4/netfilter (2.4);
net/ipv4/ip_masq.c (2.2).
"""

from __future__ import annotations

import dataclasses
from importlib import import_module

import pytest

NUMBERS = {
    "status": """
        IP_CT_ESTABLISHED 0 IP_CT_RELATED 1 IP_CT_NEW 2 IP_CT_IS_REPLY 3 IP_CT_ESTABLISHED_REPLY 3 IP_CT_RELATED_REPLY 4
        IP_CT_UNTRACKED 7 IP_CT_DIR_ORIGINAL 0 IP_CT_DIR_REPLY 1
        IPS_EXPECTED 0x1 IPS_SEEN_REPLY 0x2 IPS_ASSURED 0x4 IPS_CONFIRMED 0x8 IPS_SRC_NAT 0x10 IPS_DST_NAT 0x20
        IPS_NAT_MASK 0x30 IPS_SEQ_ADJUST 0x40 IPS_SRC_NAT_DONE 0x80 IPS_DST_NAT_DONE 0x100 IPS_NAT_DONE_MASK 0x180
        IPS_DYING 0x200 IPS_FIXED_TIMEOUT 0x400 IPS_NAT_CLASH 0x1000 IPS_HELPER 0x2000
        IPCT_NEW 0x1 IPCT_RELATED 0x2 IPCT_DESTROY 0x4 IPCT_REPLY 0x8 IPCT_ASSURED 0x10 IPCT_PROTOINFO 0x20
        IPCT_HELPER 0x40 IPCT_MARK 0x80 IPCT_SEQADJ 0x100""",
    "hooks": """
        NF_DROP 0 NF_ACCEPT 1 NF_STOLEN 2 NF_INET_PRE_ROUTING 0 NF_INET_LOCAL_IN 1 NF_INET_FORWARD 2
        NF_INET_LOCAL_OUT 3 NF_INET_POST_ROUTING 4 NF_IP_PRI_CONNTRACK_DEFRAG -400 NF_IP_PRI_RAW -300
        NF_IP_PRI_CONNTRACK -200 NF_IP_PRI_MANGLE -150 NF_IP_PRI_NAT_DST -100 NF_IP_PRI_FILTER 0 NF_IP_PRI_SECURITY 50
        NF_IP_PRI_NAT_SRC 100 NF_IP_PRI_CONNTRACK_HELPER 300 NF_IP_PRI_CONNTRACK_CONFIRM 2147483647
        NF_IP_PRI_LAST 2147483647""",
    "nat_range": """
        NF_NAT_RANGE_MAP_IPS 1 NF_NAT_RANGE_PROTO_SPECIFIED 2 NF_NAT_RANGE_PROTO_RANDOM 4 NF_NAT_RANGE_PERSISTENT 8
        NF_NAT_RANGE_PROTO_RANDOM_FULLY 16 NF_NAT_RANGE_PROTO_OFFSET 32 NF_NAT_RANGE_NETMAP 64
        NF_NAT_RANGE_PROTO_RANDOM_ALL 20 NF_NAT_MANIP_SRC 0 NF_NAT_MANIP_DST 1""",
    "matchspec": """
        XT_TCP_INV_SRCPT 1 XT_TCP_INV_DSTPT 2 XT_TCP_INV_FLAGS 4 XT_TCP_INV_OPTION 8
        XT_CONNTRACK_STATE 0x1 XT_CONNTRACK_PROTO 0x2 XT_CONNTRACK_ORIGSRC 0x4 XT_CONNTRACK_ORIGDST 0x8
        XT_CONNTRACK_REPLSRC 0x10 XT_CONNTRACK_REPLDST 0x20 XT_CONNTRACK_STATUS 0x40 XT_CONNTRACK_EXPIRES 0x80
        XT_CONNTRACK_ORIGSRC_PORT 0x100 XT_CONNTRACK_ORIGDST_PORT 0x200 XT_CONNTRACK_REPLSRC_PORT 0x400
        XT_CONNTRACK_REPLDST_PORT 0x800 XT_CONNTRACK_DIRECTION 0x1000
        XT_CONNTRACK_STATE_INVALID 0x1 XT_CONNTRACK_STATE_ESTABLISHED 0x2 XT_CONNTRACK_STATE_RELATED 0x4
        XT_CONNTRACK_STATE_NEW 0x8 XT_CONNTRACK_STATE_SNAT 0x40 XT_CONNTRACK_STATE_DNAT 0x80
        XT_CONNTRACK_STATE_UNTRACKED 0x100 FULL_MASK 0xffffffff ICMP_ANY 0xff LIMIT_SCALE 10000""",
    "rulespec": """
        IPT_INV_VIA_IN 0x1 IPT_INV_VIA_OUT 0x2 IPT_INV_SRCIP 0x8 IPT_INV_DSTIP 0x10 IPT_INV_FRAG 0x20
        IPT_INV_PROTO 0x40""",
    "klog": "XT_LOG_TCPSEQ 0x1 XT_LOG_TCPOPT 0x2 XT_LOG_IPOPT 0x4 XT_LOG_UID 0x8 XT_LOG_MACDECODE 0x20",
    "verdicts": "XT_CONTINUE -1",
    "ct_proto": "INVALID -1 STREAM_AFTER 2000000000",
    "ct_window": """
        IP_CT_TCP_FLAG_WINDOW_SCALE 0x1 IP_CT_TCP_FLAG_SACK_PERM 0x2 IP_CT_TCP_FLAG_CLOSE_INIT 0x4
        IP_CT_TCP_FLAG_BE_LIBERAL 0x8 IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED 0x10 IP_CT_TCP_FLAG_MAXACK_SET 0x20
        IP_CT_EXP_CHALLENGE_ACK 0x40 IP_CT_TCP_SIMULTANEOUS_OPEN 0x80 MAXACKWINCONST 66000 TCP_MAX_WSCALE 14
        U32 0xffffffff SIGN 0x80000000 TCP_SYN_SET 0 TCP_SYNACK_SET 1 TCP_FIN_SET 2 TCP_ACK_SET 3 TCP_RST_SET 4
        TCP_NONE_SET 5 TCP_CONNTRACK_SYN_SENT 1 TCP_CONNTRACK_SYN_RECV 2 FIN 1 SYN 2 RST 4 ACK 16""",
    "ct_tcp": """
        NF_REPEAT 4 REPEAT -4 TCP_CONNTRACK_NONE 0 TCP_CONNTRACK_ESTABLISHED 3 TCP_CONNTRACK_FIN_WAIT 4
        TCP_CONNTRACK_CLOSE_WAIT 5 TCP_CONNTRACK_LAST_ACK 6 TCP_CONNTRACK_TIME_WAIT 7 TCP_CONNTRACK_CLOSE 8
        TCP_CONNTRACK_SYN_SENT2 9 NO 0 SS 1 SR 2 ES 3 FW 4 CW 5 LA 6 TW 7 CL 8 S2 9""",
    "ct_24": """
        LI 9 UDP_TIMEOUT 30000000000 UDP_STREAM_TIMEOUT 180000000000 ICMP_TIMEOUT 30000000000
        GENERIC_TIMEOUT 600000000000""",
    "masq22": """
        PORT_MASQ_BEGIN 61000 PORT_MASQ_END 65096 MASQ_UDP_TIMEOUT 300000000000 MASQ_ICMP_TIMEOUT 60000000000""",
    "evict": """
        NF_CT_EVICTION_RANGE 8 GC_SCAN_INTERVAL_MAX 60000000000 GC_SCAN_INTERVAL_MIN 1000000000
        GC_SCAN_INTERVAL_CLAMP 300000000000 GC_SCAN_INITIAL_COUNT 100 GC_FIRST 1000000000""",
    "expect": "EXPECT_TIMEOUT 300000000000",
    "ftp": "FTP_PORT 21 NUM_SEQ_TO_REMEMBER 2 NF_NAT_EXP_ATTEMPTS 128",
    "ftp_text": "NF_CT_FTP_PORT 0 NF_CT_FTP_PASV 1 NF_CT_FTP_EPRT 2 NF_CT_FTP_EPSV 3",
    "nat_select": "NF_NAT_MAX_ATTEMPTS 128 NF_NAT_HARDER_THRESH 32 U32 0xffffffff",
    "tuples": "IPPROTO_GRE 47 IPPROTO_UDPLITE 136 GRE_VERSION_PPTP 1 GRE_PROTO_PPP 0x880b",
    "match_packet": "TCP_HLEN 20 UDP_HLEN 8",
    "tcpmss": "DEFAULT_MSS 536 IP_CHECK_AT 10",
    "ruleset": "JUMP_STACK_SIZE 16",
}
"""IP_CT_IS_REPLY is ESTABLISHED_REPLY; XT_CONNTRACK_STATE_SNAT is 1 << (IP_CT_NUMBER + 1), IP_CT_NUMBER being 5."""


@pytest.mark.parametrize("module", NUMBERS)
def test_a_constant_has_the_kernels_value(module):
    held = import_module(f"netsim.stack.netfilter.{module}")
    words = NUMBERS[module].split()
    for name, value in zip(words[::2], words[1::2], strict=True):
        assert getattr(held, name) == int(value, 0), name


def test_the_port_range_that_means_any_is_all_of_them():
    """xt_tcpudp: "0 - 65535"."""
    from netsim.stack.netfilter.matchspec import ANY_PORT

    assert ANY_PORT == (0, 65535)


def test_the_ports_of_masquerading_over_ipchains_are_those_of_2_2():
    """ip_fw_compat_masq.c: 61000 to 61000 + 4096 - 1."""
    from netsim.stack.netfilter.nat import MASQ_PORTS

    assert (MASQ_PORTS.flags, MASQ_PORTS.min_ip, MASQ_PORTS.max_ip) == (2, 0, 0)
    assert (MASQ_PORTS.min_proto, MASQ_PORTS.max_proto, MASQ_PORTS.base_proto) == (61000, 65095, 0)


OLD_COLUMNS = ("NO", "ES", "SS", "SR", "FW", "TW", "CL", "CW", "LA", "LI")
CONNTRACKS_24 = """
    SS ES SS SR SS SS SS SS SS LI | TW FW SS TW FW TW CL TW LA LI
    ES ES SS ES FW TW CL CW LA ES | CL CL SS CL CL TW CL CL CL CL
    SR ES SR SR SR SR SR SR SR SR | CL CW SS TW TW TW CL CW LA LI
    CL ES SS SR FW TW CL CW CL LI | CL CL CL CL CL CL CL CL LA LI"""
MASQ_STATES_22 = """
    SS ES SS SR SS SS SS SS SS LI | TW FW SS TW FW TW CL TW LA LI
    ES ES SS SR FW TW CL CW LA ES | CL CL SS CL CL TW CL CL CL CL
    SR ES ES SR SR SR SR SR SR SR | CL CW SS TW TW TW CL CW LA LI
    CL ES SS SR FW TW CL CW CL LI | CL CL CL SR CL CL CL CL LA LI"""
"""In the order of the sources: first what the inside sends; SYN, FIN, ACK and RST of each; columns as OLD_COLUMNS."""


@pytest.mark.parametrize(
    ("module", "name", "text"),
    [("ct_24", "TCP_CONNTRACKS_24", CONNTRACKS_24), ("masq22", "MASQ_TCP_STATES", MASQ_STATES_22)],
)
def test_an_old_state_table_is_the_old_kernels(module, name, text):
    """tcp_conntracks[], ip_conntrack_proto_tcp.c (2.4); masq_tcp_states[], ip_masq.c (2.2)."""
    held = getattr(import_module(f"netsim.stack.netfilter.{module}"), name)
    number = {"NO": 0, "SS": 1, "SR": 2, "ES": 3, "FW": 4, "CW": 5, "LA": 6, "TW": 7, "CL": 8, "LI": 9}
    rows = [row.split() for line in text.strip().splitlines() for row in line.split("|")]
    for at, row in enumerate(rows):
        for column, cell in zip(OLD_COLUMNS, row, strict=True):
            assert held[at // 4][at % 4][number[column]] == number[cell], (at, column)


@pytest.mark.parametrize(
    ("module", "name", "established"), [("ct_24", "TIMEOUTS_24", 432_000), ("masq22", "MASQ_TIMEOUTS", 900)]
)
def test_an_old_state_lasts_as_long_as_in_the_old_kernel(module, name, established):
    """tcp_timeouts[] of 2.4, masq_timeout_table of 2.2: NONE, SS, SR, ES, FW, CW, LA, TW, CL, LISTEN in seconds."""
    held = getattr(import_module(f"netsim.stack.netfilter.{module}"), name)
    seconds = (1800, 120, 60, established, 120, 60, 30, 120, 10, 120)
    assert dict(held) == {state: lasts * 1_000_000_000 for state, lasts in enumerate(seconds)}


def test_the_tcp_flags_that_may_stand_together_are_the_kernels():
    """tcp_valid_flags[]: SYN, SYN URG, SYN ACK, RST, RST ACK, FIN ACK, FIN ACK URG, ACK, ACK URG."""
    from netsim.stack.netfilter.ct_tcp import CLOSING, VALID_FLAGS

    assert sorted(VALID_FLAGS) == [0x02, 0x04, 0x10, 0x11, 0x12, 0x14, 0x22, 0x30, 0x31]
    assert sorted(CLOSING) == [4, 5, 6, 7, 8]


def test_replies_of_icmp_are_told_by_type():
    """invmap[], nf_conntrack_proto_icmp.c: echo, timestamp, information and address mask."""
    from netsim.stack.netfilter.tuples import INVMAP

    assert dict(INVMAP) == {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17}


def test_a_built_in_chain_stands_where_its_hook_is():
    from netsim.stack.netfilter.hooks import HOOK_CHAINS, HOOKS
    from netsim.stack.netfilter.ruleset import LAYOUT

    assert HOOK_CHAINS == ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
    assert list(HOOKS) == [0, 1, 2, 3, 4]
    assert dict(LAYOUT) == {
        "raw": (("PREROUTING", 0), ("OUTPUT", 3)),
        "mangle": (("PREROUTING", 0), ("INPUT", 1), ("FORWARD", 2), ("OUTPUT", 3), ("POSTROUTING", 4)),
        "nat": (("PREROUTING", 0), ("INPUT", 1), ("OUTPUT", 3), ("POSTROUTING", 4)),
        "filter": (("INPUT", 1), ("FORWARD", 2), ("OUTPUT", 3)),
        "security": (("INPUT", 1), ("FORWARD", 2), ("OUTPUT", 3)),
        "ipchains": (("input", 0), ("forward", 2), ("output", 4)),  # net/ipv4/netfilter/ip_fw_compat.c
    }


def test_a_table_runs_at_the_priority_of_its_name():
    """include/uapi/linux/netfilter_ipv4.h: NF_IP_PRI_RAW, MANGLE, FILTER, SECURITY."""
    from netsim.stack.netfilter.core import TABLE_PRIORITIES

    assert dict(TABLE_PRIORITIES) == {"raw": -300, "mangle": -150, "filter": 0, "security": 50}


def test_a_rejection_says_what_its_name_says():
    """RFC 792 and 1812: codes of destination unreachable."""
    from netsim.stack.netfilter.reject import CODES

    assert dict(CODES) == {
        "icmp-net-unreachable": 0, "icmp-host-unreachable": 1, "icmp-proto-unreachable": 2, "icmp-port-unreachable": 3,
        "icmp-net-prohibited": 9, "icmp-host-prohibited": 10, "icmp-admin-prohibited": 13,
    }  # fmt: skip


ANY_PORT = (0, 0xFFFF)
ALL = 0xFFFFFFFF
SILENT = {
    "matchspec.TcpMatch": {
        "sports": ANY_PORT, "dports": ANY_PORT, "flags_mask": 0, "flags_cmp": 0, "option": 0, "invert": 0,
    },
    "matchspec.UdpMatch": {"sports": ANY_PORT, "dports": ANY_PORT, "invert": 0},
    "matchspec.IcmpMatch": {"codes": (0, 0xFF), "invert": False},
    "matchspec.ConntrackMatch": {
        "invert": 0, "states": 0, "status": 0, "proto": 0, "origsrc": (0, 0), "origdst": (0, 0), "replsrc": (0, 0),
        "repldst": (0, 0), "origsrc_port": ANY_PORT, "origdst_port": ANY_PORT, "replsrc_port": ANY_PORT,
        "repldst_port": ANY_PORT, "expire": (0, 0),
    },
    "matchspec.MarkMatch": {"mask": ALL, "invert": False, "conn": False},
    "matchspec.LimitMatch": {"burst": 5},
    "matchspec.StatisticMatch": {"probability": 0, "every": 0, "packet": 0, "invert": False},
    "matchspec.AddrtypeMatch": {"src": 0, "dst": 0, "invert_src": False, "invert_dst": False, "limit": ""},
    "matchspec.IprangeMatch": {"src": None, "dst": None, "invert_src": False, "invert_dst": False},
    "matchspec.TosMatch": {"mask": 0xFF, "invert": False},
    **{
        f"matchspec.{name}Match": {"invert": False}
        for name in ("Multiport", "State", "Mac", "Length", "Dscp", "Pkttype", "Helper", "Tcpmss", "Via")
    },
    "rulespec.JumpTarget": {"goto": False},
    "rulespec.RejectTarget": {"how": "icmp-port-unreachable"},
    "rulespec.LogTarget": {"prefix": "", "level": 4, "flags": 0},
    "rulespec.MarkTarget": {"mask": ALL},
    "rulespec.ConnmarkTarget": {"ctmark": 0, "ctmask": ALL, "nfmask": ALL},
    "rulespec.CtTarget": {
        "notrack": False, "alias": False, "helper": "", "zone": None, "zone_orig": None, "zone_reply": None,
        "ctevents": (),
    },
    "rulespec.SideTarget": {"log": False, "mark": None, "mark_relative": False, "tos_and": 0xFF, "tos_xor": 0},
    "rulespec.RuleSpec": {
        "src": (0, 0), "dst": (0, 0), "iif": "", "oif": "", "proto": 0, "fragment": False, "invert": 0, "matches": (),
        "target": None, "text": "",
    },
    "nat_range.NatRange": {"flags": 0, "min_ip": 0, "max_ip": 0, "min_proto": 0, "max_proto": 0, "base_proto": 0},
    "requests.AppendRules": {"counters": (0, 0)},
    "requests.InsertRules": {"number": 1, "counters": (0, 0)},
    "requests.ReplaceRule": {"counters": (0, 0)},
    "requests.FlushRules": {"chain": ""},
    "requests.ZeroCounters": {"chain": "", "number": 0},
    "requests.DeleteChain": {"chain": ""},
    "requests.SetPolicy": {"counters": None},
    "requests.RestoreTable": {"flush": True},
    "requests.ChainInfo": {"loaded": True},
    "requests.DumpTables": {"table": ""},
    "ct_requests.ConntrackFilter": {
        **dict.fromkeys((
            "proto", "orig_src", "orig_dst", "reply_src", "reply_dst", "orig_sport", "orig_dport", "reply_sport",
            "reply_dport", "icmp_type", "icmp_code", "icmp_id", "mark", "zone",
        )),
        "mark_mask": ALL, "state": "", "status_set": 0, "status_clear": 0,
    },
    "ct_text.ConntrackInfo": {"helper": "", "counters": None},
}  # fmt: skip
"""What iptables' manual gives where an option is left out: LOG warning (4), REJECT port-unreachable, limit burst 5."""


@pytest.mark.parametrize("name", SILENT)
def test_what_is_not_said_means_what_the_tool_means_by_it(name):
    module, kind = name.split(".")
    fields = dataclasses.fields(getattr(import_module(f"netsim.stack.netfilter.{module}"), kind))
    given = {field.name: field.default for field in fields if field.default is not dataclasses.MISSING}
    assert given == SILENT[name]


@pytest.mark.parametrize("name", [name for name in SILENT if name.startswith(("matchspec.", "rulespec."))])
def test_a_rule_once_made_does_not_change_and_equals_its_like(name):
    """`iptables -D` and `-C` ask for equality; a rule's text takes no part in it."""
    from netsim.stack.netfilter.rulespec import RuleSpec

    module, kind = name.split(".")
    made = getattr(import_module(f"netsim.stack.netfilter.{module}"), kind)
    assert made.__dataclass_params__.frozen
    assert RuleSpec(text="-j ACCEPT") == RuleSpec(text="-j  ACCEPT")
    assert RuleSpec(proto=6) != RuleSpec(proto=17)
