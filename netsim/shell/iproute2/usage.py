"""What `ip help` and its like print here: the commands and options that netsim's `ip` takes, in iproute2's notation."""

from __future__ import annotations

IP = """\
Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }
where  OBJECT := { address | link | neighbour | ntable | route | rule }
       OPTIONS := { -V[ersion] | -s[tatistics] | -d[etails] | -h[uman-readable] | -j[son] | -p[retty] |
                    -f[amily] { inet } | -4 | -o[neline] | -br[ief] | -N[umeric] | -c[olor] }"""

ROUTE = """\
Usage: ip route { list | flush } SELECTOR
       ip route get ADDRESS [ from ADDRESS iif STRING ]
                            [ oif STRING ] [ tos TOS ] [ mark NUMBER ]
                            [ ipproto PROTOCOL ] [ sport NUMBER ] [ dport NUMBER ] [ --why ]
       ip route { add | del | change | append | prepend | replace | test } ROUTE
SELECTOR := [ root PREFIX ] [ match PREFIX ] [ exact PREFIX ]
            [ table TABLE_ID ] [ proto RTPROTO ] [ via ADDRESS ] [ dev STRING ]
            [ type TYPE ] [ scope SCOPE ] [ src ADDRESS ] [ metric METRIC ] [ tos TOS ]
ROUTE := NODE_SPEC [ INFO_SPEC ]
NODE_SPEC := [ TYPE ] PREFIX [ tos TOS ]
             [ table TABLE_ID ] [ proto RTPROTO ]
             [ scope SCOPE ] [ metric METRIC ]
INFO_SPEC := NH OPTIONS FLAGS [ nexthop NH ]...
NH := [ via [ inet ] ADDRESS ] [ dev STRING ] [ weight NUMBER ] NHFLAGS
OPTIONS := [ mtu [ lock ] NUMBER ] [ advmss NUMBER ] [ src ADDRESS ]
TYPE := { unicast | local | broadcast | multicast | throw |
          unreachable | prohibit | blackhole | nat }
TABLE_ID := [ local | main | default | all | NUMBER ]
SCOPE := [ host | link | global | NUMBER ]
NHFLAGS := [ onlink ]
RTPROTO := [ kernel | boot | static | NUMBER ]"""

RULE = """\
Usage: ip rule { add | del } SELECTOR ACTION
       ip rule { flush }
       ip rule [ list [ SELECTOR ]]
SELECTOR := [ not ] [ from PREFIX ] [ to PREFIX ] [ tos TOS ]
            [ fwmark FWMARK[/MASK] ]
            [ iif STRING ] [ oif STRING ] [ pref NUMBER ]
            [ uidrange NUMBER-NUMBER ]
            [ ipproto PROTOCOL ]
            [ sport [ NUMBER | NUMBER-NUMBER ]
            [ dport [ NUMBER | NUMBER-NUMBER ] ]
ACTION := [ table TABLE_ID ]
          [ protocol PROTO ]
          [ nat ADDRESS ]
          [ goto NUMBER ]
          [ suppress_prefixlength NUMBER ]
TABLE_ID := [ local | main | default | NUMBER ]"""

ADDRESS = """\
Usage: ip address {add|change|replace} IFADDR dev IFNAME [ noprefixroute ]
       ip address del IFADDR dev IFNAME
       ip address flush [ dev IFNAME ] [ scope SCOPE-ID ]
                            [ to PREFIX ] [ label LABEL ] [up]
       ip address [ show [ dev IFNAME ] [ scope SCOPE-ID ]
                         [ to PREFIX ] [ primary | secondary ] [ label LABEL ] [up] ]
IFADDR := PREFIX | ADDR peer PREFIX
          [ broadcast ADDR ] [ label IFNAME ] [ scope SCOPE-ID ]
SCOPE-ID := [ host | link | global | NUMBER ]"""

LINK = """\
Usage: ip link add [ name ] NAME [ address LLADDR ] [ mtu MTU ] type TYPE
       ip link delete { DEVICE | dev DEVICE }
       ip link set { DEVICE | dev DEVICE }
			[ { up | down } ]
			[ arp { on | off } ]
			[ promisc { on | off } ]
			[ name NEWNAME ]
			[ address LLADDR ]
			[ mtu MTU ]
       ip link show [ DEVICE ] [up] [type TYPE]
TYPE := { dummy }"""

NEIGH = """\
Usage: ip neigh { add | del | change | replace }
                { ADDR [ lladdr LLADDR ] [ nud STATE ] proxy ADDR }
                [ dev DEV ] [ use ] [ managed ] [ extern_learn ]

	ip neigh { show | flush } [ proxy ] [ to PREFIX ] [ dev DEV ] [ nud STATE ]
	ip neigh get { ADDR | proxy ADDR } dev DEV

STATE := { delay | failed | incomplete | noarp | none |
           permanent | probe | reachable | stale }"""

NTABLE = """\
Usage: ip ntable change name NAME [ dev DEV ]
        [ thresh1 VAL ] [ thresh2 VAL ] [ thresh3 VAL ] [ gc_int MSEC ]
        [ PARMS ]
Usage: ip ntable show [ dev DEV ] [ name NAME ]
PARMS := [ base_reachable MSEC ] [ retrans MSEC ] [ gc_stale MSEC ]
         [ delay_probe MSEC ] [ queue LEN ]
         [ app_probes VAL ] [ ucast_probes VAL ] [ mcast_probes VAL ]
         [ anycast_delay MSEC ] [ proxy_delay MSEC ] [ proxy_queue LEN ]
         [ locktime MSEC ]"""
