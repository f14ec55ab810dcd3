"""What a command in a real node is started with, as far as no kernel is needed to see it."""

from __future__ import annotations

import pytest

from netsim.errors import Skipped
from netsim.live.command import hosts_file, ports_open, start

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1
   1: 0100000A:0050 0200000A:9C40 01 00000000:00000000 00:00000000 00000000     0        0 12 1
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 13 1"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  122: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 14 2 0 0"""


class Namespace:
    """A namespace of which only /proc/net is read."""

    def __init__(self, **tables):
        self.tables = tables

    def read(self, path):
        return self.tables.get(path.rpartition("/")[2])


def test_every_node_has_its_name_in_the_hosts_file():
    text = hosts_file({"host": "10.0.0.1", "world": "203.0.113.10"})
    assert text == "127.0.0.1 localhost\n10.0.0.1 host\n203.0.113.10 world\n"


@pytest.mark.parametrize(
    ("tables", "count"), [({"tcp": TCP}, 2), ({"tcp": TCP, "udp": UDP}, 3), ({"udp6": UDP}, 1), ({}, 0)]
)
def test_a_port_is_open_where_tcp_listens_or_udp_is_bound(tables, count):
    """Connections of a listener are none. A kernel without IPv6 has no tables for it."""
    assert ports_open(Namespace(**tables)) == count


def test_a_tool_that_is_missing_is_named_with_its_package(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Skipped, match=r"a command in a real node needs unshare \(Debian: util-linux, mount\)"):
        start(Namespace(), ["true"], "")
