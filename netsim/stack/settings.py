"""The settings of a box as values the packet path reads: one slotted class a family, defaults mainline's.

Times are held in Ns whatever unit a sysctl's name has; sysctl.py ties names to these attributes. A profile overrides.
Source: net/ipv4/devinet.c, net/core/neighbour.c, sysctl_net_ipv4.c, route.c, nf_conntrack_standalone.c (6.x).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from netsim.units import NS_PER_MS, NS_PER_S, Ns

CONGESTION_CONTROLS = ("reno", "cubic")
"""What net.ipv4.tcp_congestion_control may name; the setting holds which."""
RENO = 0
CUBIC = 1


@dataclass(slots=True)
class DevConf:
    """net.ipv4.conf.NAME: one for each device, one for `all`, one for `default`."""

    accept_local: int = 0
    accept_redirects: int = 1
    accept_source_route: int = 1
    arp_accept: int = 0
    arp_announce: int = 0
    arp_evict_nocarrier: int = 1
    arp_filter: int = 0
    arp_ignore: int = 0
    arp_notify: int = 0
    drop_gratuitous_arp: int = 0
    drop_unicast_in_l2_multicast: int = 0
    forwarding: int = 0
    ignore_routes_with_linkdown: int = 0
    log_martians: int = 0
    medium_id: int = 0
    promote_secondaries: int = 0
    proxy_arp: int = 0
    proxy_arp_pvlan: int = 0
    route_localnet: int = 0
    rp_filter: int = 0
    secure_redirects: int = 1
    send_redirects: int = 1
    shared_media: int = 1
    src_valid_mark: int = 0

    def copy(self) -> DevConf:
        """Return a new object with the same values (a device takes over `default` when it appears)."""
        return replace(self)


@dataclass(slots=True)
class NeighParms:
    """net.ipv4.neigh.NAME: times in Ns, counts, and the drawn `reachable_time` of this device.

    `reachable_time` is uniform in [0.5, 1.5) of base_reachable_time; the neighbour table draws it. `unres_qlen_bytes`
    is mainline's queue bound by truesize, `unres_qlen` the packet count of 2.2 and 2.4. The gc fields matter on the
    table's default object only.
    """

    base_reachable_time: Ns = 30 * NS_PER_S
    reachable_time: Ns = 30 * NS_PER_S
    retrans_time: Ns = NS_PER_S
    delay_first_probe_time: Ns = 5 * NS_PER_S
    gc_stale_time: Ns = 60 * NS_PER_S
    locktime: Ns = NS_PER_S
    proxy_delay: Ns = 800 * NS_PER_MS
    anycast_delay: Ns = NS_PER_S
    interval_probe_time: Ns = 5 * NS_PER_S
    ucast_solicit: int = 3
    mcast_solicit: int = 3
    app_solicit: int = 0
    mcast_resolicit: int = 0
    unres_qlen: int = 3
    unres_qlen_bytes: int = 212992
    proxy_qlen: int = 64
    gc_interval: Ns = 30 * NS_PER_S
    gc_thresh1: int = 128
    gc_thresh2: int = 512
    gc_thresh3: int = 1024

    def copy(self) -> NeighParms:
        """Return a new object with the same values."""
        return replace(self)


@dataclass(slots=True)
class Ipv4Conf:
    """net.ipv4.NAME: what belongs to the whole namespace. Times in Ns."""

    ip_default_ttl: int = 64
    ip_forward_use_pmtu: int = 0
    ip_no_pmtu_disc: int = 0
    ip_dynaddr: int = 0
    ip_nonlocal_bind: int = 0
    fwmark_reflect: int = 0
    icmp_echo_ignore_all: int = 0
    icmp_echo_ignore_broadcasts: int = 1
    icmp_errors_use_inbound_ifaddr: int = 0
    icmp_msgs_burst: int = 50
    icmp_msgs_per_sec: int = 1000
    icmp_ratelimit: Ns = NS_PER_S
    icmp_ratemask: int = 0x1818
    fib_multipath_hash_fields: int = 0x7
    fib_multipath_hash_policy: int = 0
    fib_multipath_hash_seed: int = 0
    fib_multipath_use_neigh: int = 0
    ip_local_port_low: int = 32768
    ip_local_port_high: int = 60999
    ipfrag_time: Ns = 30 * NS_PER_S
    ipfrag_high_thresh: int = 4194304
    tcp_syn_retries: int = 6
    tcp_synack_retries: int = 5
    tcp_retries1: int = 3
    tcp_retries2: int = 15
    tcp_orphan_retries: int = 0
    tcp_fin_timeout: Ns = 60 * NS_PER_S
    tcp_keepalive_time: Ns = 7200 * NS_PER_S
    tcp_keepalive_intvl: Ns = 75 * NS_PER_S
    tcp_keepalive_probes: int = 9
    tcp_syn_linear_timeouts: int = 4
    tcp_congestion_control: int = CUBIC
    tcp_frto: int = 2
    tcp_sack: int = 1
    tcp_timestamps: int = 1
    tcp_window_scaling: int = 1


@dataclass(slots=True)
class RouteConf:
    """net.ipv4.route.NAME: the route cache of 2.2 and 2.4, redirects, path MTU, error limits. Times in Ns."""

    min_delay: Ns = 2 * NS_PER_S
    max_delay: Ns = 10 * NS_PER_S
    gc_interval: Ns = 60 * NS_PER_S
    gc_timeout: Ns = 300 * NS_PER_S
    gc_min_interval: Ns = 500 * NS_PER_MS
    gc_elasticity: int = 8
    gc_thresh: int = 1024
    max_size: int = 16384
    secret_interval: Ns = 600 * NS_PER_S
    redirect_load: Ns = 20 * NS_PER_MS
    redirect_number: int = 9
    redirect_silence: Ns = 20_480 * NS_PER_MS
    error_burst: Ns = 5 * NS_PER_S
    error_cost: Ns = NS_PER_S
    mtu_expires: Ns = 600 * NS_PER_S
    min_pmtu: int = 552
    min_adv_mss: int = 256


@dataclass(slots=True)
class ConntrackConf:
    """net.netfilter.nf_conntrack_NAME. Time-outs in Ns. Source: linux-kernel note 5.4."""

    acct: int = 0
    buckets: int = 262144
    checksum: int = 1
    max: int = 262144
    expect_max: int = 4096
    generic_timeout: Ns = 600 * NS_PER_S
    icmp_timeout: Ns = 30 * NS_PER_S
    udp_timeout: Ns = 30 * NS_PER_S
    udp_timeout_stream: Ns = 120 * NS_PER_S
    gre_timeout: Ns = 30 * NS_PER_S
    gre_timeout_stream: Ns = 180 * NS_PER_S
    tcp_be_liberal: int = 0
    tcp_loose: int = 1
    tcp_ignore_invalid_rst: int = 0
    tcp_max_retrans: int = 3
    tcp_timeout_syn_sent: Ns = 120 * NS_PER_S
    tcp_timeout_syn_recv: Ns = 60 * NS_PER_S
    tcp_timeout_established: Ns = 432000 * NS_PER_S
    tcp_timeout_fin_wait: Ns = 120 * NS_PER_S
    tcp_timeout_close_wait: Ns = 60 * NS_PER_S
    tcp_timeout_last_ack: Ns = 30 * NS_PER_S
    tcp_timeout_time_wait: Ns = 120 * NS_PER_S
    tcp_timeout_close: Ns = 10 * NS_PER_S
    tcp_timeout_max_retrans: Ns = 300 * NS_PER_S
    tcp_timeout_unacknowledged: Ns = 300 * NS_PER_S
