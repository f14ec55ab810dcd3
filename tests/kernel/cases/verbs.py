"""The recorder's applications: udp, udp_flows, icmp, ping, tcp, and its services, on the emulator's sockets."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from netsim.addr import ip_str, parse_ip
from netsim.sim.node import Node
from netsim.stack.errno import NAMES, Refusal
from netsim.stack.requests import (
    Accept,
    Bind,
    Close,
    Connect,
    Listen,
    Receive,
    Send,
    Socket,
    SocketName,
    SocketOption,
    TakeErrors,
)
from netsim.units import NS_PER_S

from .clients import LETTERS, Conversation, Ping, echo, echo_fields, ns

if TYPE_CHECKING:
    from .lab import Play

T0_SECONDS = 1.0
"""The lab's clock when the timeline begins."""


class Verbs:
    """The applications of one play; everything they see goes into its events."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self._holders: dict[tuple[str, str, int], int] = {}
        self._closed: dict[str, set[int]] = {}

    def _node(self, name: str) -> Node:
        return self.play.lab[name].node

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self.play.at(self.play.lab.now + ns(seconds), action)

    def _open(self, node: str, kind: str, o: dict[str, Any], **more: Any) -> int:
        fd = self._node(node).request(
            Socket(kind=kind, dev=o.get("dev", ""), ttl=o.get("ttl", 0), tos=o.get("tos") or 0,
                   mark=o.get("mark", 0), recverr=True, **more)
        )  # fmt: skip
        assert isinstance(fd, int), (node, o, fd)
        return fd

    def _errors(self, node: str, fd: int, what: str, o: dict[str, Any]) -> None:
        self.note_errors(self._node(node).request(TakeErrors(fd=fd)), node, what, o)

    def note_errors(self, errors: Any, node: str, what: str, o: dict[str, Any]) -> None:
        for error in errors:
            self.play.log(
                "sock_err", node, what=what, dst=o.get("dst"), err=NAMES[error.errno], type=error.icmp_type,
                code=error.icmp_code, offender=ip_str(error.offender), origin="icmp",
            )  # fmt: skip

    # Services

    def serve(self, service: dict[str, Any]) -> None:
        """Open a service."""
        node, addr = self._node(service["node"]), parse_ip(service.get("bind", "0.0.0.0"))
        if "tcp_echo" in service:
            fd = node.request(Socket(kind="tcp"))
            node.request(Bind(fd=fd, addr=addr, port=service["tcp_echo"]))
            node.request(Listen(fd=fd))
            node.listen(fd, lambda event: self._accept(service, fd))
            return
        port = service.get("udp_echo") or service["udp_sink"]
        fd = node.request(Socket(kind="udp"))
        node.request(Bind(fd=fd, addr=addr, port=port))
        node.listen(fd, lambda event: self._serve_udp(service, fd, port))

    def _serve_udp(self, service: dict[str, Any], fd: int, port: int) -> None:
        name = service["node"]
        for got in self._node(name).request(Receive(fd=fd)):
            self.play.log("udp_srv_rx", name, frm=f"{ip_str(got.src)}:{got.sport}", to=ip_str(got.dst), port=port,
                          data=got.payload[:24].decode("latin1"))  # fmt: skip
            if "udp_echo" in service:
                self._node(name).request(Send(fd=fd, payload=got.payload, addr=got.src, port=got.sport, src=got.dst))

    def _accept(self, service: dict[str, Any], fd: int) -> None:
        name, node = service["node"], self._node(service["node"])
        while isinstance(child := node.request(Accept(fd=fd)), int):
            _, _, peer, port = node.request(SocketName(fd=child))
            frm = f"{ip_str(peer)}:{port}"
            self.play.log("tcp_srv_accept", name, frm=frm, port=service["tcp_echo"])
            node.listen(child, lambda event, child=child, frm=frm: self._serve_tcp(name, child, frm))
            self._serve_tcp(name, child, frm)

    def _serve_tcp(self, name: str, fd: int, frm: str) -> None:
        node = self._node(name)
        while isinstance(data := node.request(Receive(fd=fd)), bytes):
            if not data:
                self.play.log("tcp_srv_eof", name, frm=frm)
                node.unlisten(fd)
                node.request(Close(fd=fd))
                return
            node.request(Send(fd=fd, payload=data))
        if NAMES[data.errno] != "EAGAIN":
            self.play.log("tcp_srv_err", name, frm=frm, err=data.strerror)
            node.unlisten(fd)

    # UDP

    def udp(self, node: str, o: dict[str, Any]) -> None:
        """Send `count` datagrams from one socket."""
        box, dst = self._node(node), parse_ip(o["dst"])
        fd = self._open(node, "udp", o)
        if o.get("bcast"):
            box.request(SocketOption(fd=fd, name="broadcast", value=1))
        if o.get("src") or o.get("sport"):
            src, sport = o.get("src", "0.0.0.0"), o.get("sport", 0)
            if sport:
                self._take_over(node, src, sport, fd)
            bound = box.request(Bind(fd=fd, addr=parse_ip(src), port=sport))
            assert not isinstance(bound, Refusal), (node, o, bound)
        box.listen(fd, lambda event: self._udp_news(node, fd, o))
        if o.get("connect"):
            answer = box.request(Connect(fd=fd, addr=dst, port=o["dport"]))
            if isinstance(answer, Refusal):
                self.play.log("udp_err", node, op="connect", dst=o["dst"], err=answer.name, text=answer.strerror)
                return
            local, port, _, _ = box.request(SocketName(fd=fd))
            self.play.log("udp_connect", node, dst=o["dst"], local=f"{ip_str(local)}:{port}")
        self._udp_send(node, fd, o, 0)

    def _udp_send(self, node: str, fd: int, o: dict[str, Any], k: int) -> None:
        payload = f"{o.get('data', 'd')}{k}".encode().ljust(o.get("size", 8), b".")
        to = {} if o.get("connect") else {"addr": parse_ip(o["dst"]), "port": o["dport"]}
        answer = self._node(node).request(Send(fd=fd, payload=payload, **to))
        if isinstance(answer, Refusal):
            self.play.log("udp_err", node, op="send", dst=o["dst"], k=k, err=answer.name, text=answer.strerror)
        elif not o.get("quiet"):
            self.play.log("udp_tx", node, dst=f"{o['dst']}:{o['dport']}", sport=o.get("sport"), k=k)
        if k + 1 < o.get("count", 1):
            self._after(self._udp_pace(node, o, k), lambda: self._udp_send(node, fd, o, k + 1))
        else:
            self._after(o.get("hold", 0.3), lambda: self._close(node, fd))

    def _udp_pace(self, node: str, o: dict[str, Any], k: int) -> float:
        """Return the seconds to the next datagram: as recorded, else as asked for."""
        dst = f"{o['dst']}:{o['dport']}"
        sent = [
            e["t"] for e in self.play.case.of("udp_tx", node=node) if (e["dst"], e["sport"]) == (dst, o.get("sport"))
        ]
        if len(sent) != o.get("count", 1):
            return o.get("interval", 1)
        return max(0.0, T0_SECONDS + sent[k + 1] - self.play.lab.now / NS_PER_S)

    def _udp_news(self, node: str, fd: int, o: dict[str, Any]) -> None:
        self._errors(node, fd, "udp", o)
        for got in self._node(node).request(Receive(fd=fd)):
            self.play.log("udp_rx", node, frm=f"{ip_str(got.src)}:{got.sport}", sport=o.get("sport"),
                          data=got.payload[:24].decode("latin1"))  # fmt: skip

    def _take_over(self, node: str, src: str, sport: int, fd: int) -> None:
        """Let a socket have a port that an older one still holds, as SO_REUSEADDR does; the older one hears no more."""
        older = self._holders.get((node, src, sport))
        self._holders[node, src, sport] = fd
        if older is not None:
            self._close(node, older)

    def _close(self, node: str, fd: int, *, abort: bool = False) -> None:
        closed = self._closed.setdefault(node, set())
        if fd in closed:
            return
        closed.add(fd)
        self._node(node).unlisten(fd)
        self._node(node).request(Close(fd=fd, abort=abort))

    def udp_flows(self, node: str, o: dict[str, Any]) -> None:
        """Send one unit from each of `n` sockets."""
        self._flow(node, o, 0)

    def _flow(self, node: str, o: dict[str, Any], k: int) -> None:
        box, proto = self._node(node), o.get("proto", "udp")
        targets = o["dst"] if isinstance(o["dst"], list) else [o["dst"]]
        ports = o.get("dport", 9)
        ports = ports if isinstance(ports, list) else [ports]
        dst, dport = parse_ip(targets[k % len(targets)]), ports[k % len(ports)]
        if proto == "icmp":
            fd = self._open(node, "raw", o, protocol=1)
            answer: Any = box.request(Send(fd=fd, payload=echo(o.get("id", 1) + k, 1, b""), addr=dst))
        else:
            fd = self._open(node, proto, o)
            sport = o.get("sport", 0) and o["sport"] + k * o.get("sport_step", 1)
            answer = box.request(Bind(fd=fd, addr=parse_ip(o.get("src", "0.0.0.0")), port=sport))
            if not isinstance(answer, Refusal):
                if proto == "udp":
                    answer = box.request(Send(fd=fd, payload=f"flow{k}".encode(), addr=dst, port=dport))
                else:
                    answer = box.request(Connect(fd=fd, addr=dst, port=dport))
        if isinstance(answer, Refusal):
            self.play.log("flow_err", node, k=k, err=answer.strerror)
        if proto != "tcp":
            self._close(node, fd)
        if k + 1 < o["n"]:
            self._after(o.get("gap", 0.004), lambda: self._flow(node, o, k + 1))
        else:
            self.play.log("flows_done", node, n=o["n"])

    # ICMP

    def icmp(self, node: str, o: dict[str, Any]) -> None:
        """Send echo requests from a raw socket."""
        fd = self._open(node, "raw", o, protocol=1)
        if o.get("src"):
            self._node(node).request(Bind(fd=fd, addr=parse_ip(o["src"])))
        self._node(node).listen(fd, lambda event: self._icmp_news(node, fd, o))
        self._icmp_send(node, fd, o, 0)

    def _icmp_send(self, node: str, fd: int, o: dict[str, Any], k: int) -> None:
        ident, seq = o.get("id", 1), o.get("seq", 1) + k
        payload = echo(ident, seq, LETTERS[: o.get("size", 32)])
        answer = self._node(node).request(Send(fd=fd, payload=payload, addr=parse_ip(o["dst"])))
        if isinstance(answer, Refusal):
            self.play.log("icmp_err", node, dst=o["dst"], seq=seq, err=answer.name, text=answer.strerror)
        else:
            self.play.log("icmp_tx", node, dst=o["dst"], id=ident, seq=seq)
        if k + 1 < o.get("count", 1):
            self._after(o.get("interval", 1), lambda: self._icmp_send(node, fd, o, k + 1))
        else:
            self._after(o.get("hold", 0.3), lambda: self._close(node, fd))

    def _icmp_news(self, node: str, fd: int, o: dict[str, Any]) -> None:
        self._errors(node, fd, "icmp", o)
        for got in self._node(node).request(Receive(fd=fd)):
            kind, code, _, ident, seq = got.payload[0], got.payload[1], 0, *echo_fields(got.payload)
            if kind != 8:
                self.play.log("icmp_rx", node, frm=ip_str(got.src), type=kind, code=code, id=ident, seq=seq)

    # ping

    def ping(self, node: str, args: str) -> None:
        """Run iputils' ping beside everything else; what it prints are events."""
        self.play.log("ping_start", node, args=args)
        ping = Ping(self, node, args.split(), lambda line: self.play.log("ping", node, args=args, line=line),
                    lambda rc: self.play.log("ping_end", node, args=args, rc=rc))  # fmt: skip
        ping.pace = self._recorded_pace(node, ping)
        ping.start()

    def _recorded_pace(self, node: str, ping: Ping) -> list[float]:
        """Return the seconds between requests as they were: -i 0.3 came out as 0.30 to 0.33."""
        sent = [
            p.t
            for iface, packets in self.play.case.packets.items()
            for p in packets
            if iface.startswith(f"{node}.") and p.way == "out" and f"> {ping.target} ttl 64 ICMP echo-request" in p.line
        ]
        return [after - t for t, after in pairwise(sent)] if len(sent) == ping.count else []

    def ping_to_end(self, node: str, line: str) -> dict[str, Any]:
        """Run a ping command and let time pass until it ends; return exit status and output."""
        out: list[str] = []
        ended: list[int] = []
        ping = Ping(self, node, line.split()[1:], out.append, ended.append)
        ping.start()
        env = self.play.world.env
        while not ended:
            env.run_to(env.now + ns(0.05))
        return {"rc": ended[0], "out": "".join(f"{text}\n" for text in out), "err": "".join(ping.complaints)}

    # TCP

    def tcp(self, node: str, o: dict[str, Any]) -> None:
        """Open a connection, write `count` messages, close."""
        Conversation(self, node, o).start()
