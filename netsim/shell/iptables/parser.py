"""Read one iptables command into what it asks for, in the order and with the words of iptables 1.8.9.

Heads up: getopt.py cuts the words; extension.py holds the extensions' side. A mistake is a Failure with the tool's
whole text, so that checking a line and running it say the same.
Source: iptables/xshared.c do_parse(), ipv4_post_parse(), command_default(); recorded in tests/golden/iptables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netsim.shell.iptables.commands import (
    ALLOWED,
    CHAIN_MAX,
    DEVICE_MAX,
    INVERTIBLE,
    OPTION_LETTERS,
    RULE_COMMANDS,
    TABLES,
    VERSION,
    Command,
)
from netsim.shell.iptables.extension import (
    MatchExtension,
    MisuseError,
    RuleHead,
    TargetExtension,
    Uses,
    number,
)
from netsim.shell.iptables.getopt import Extra, Getopt, Token, UnknownOptionError
from netsim.shell.iptables.names import protocol_name, protocol_number
from netsim.shell.iptables.printer import save_text
from netsim.shell.iptables.registry import MATCHES, VERDICTS, is_target, load_match, load_target
from netsim.shell.iptables.values import check_transport, merged, read_hosts
from netsim.shell.tool import Failure, Word
from netsim.stack.netfilter.matchspec import (
    MatchSpec,
    TcpMatch,
    UdpMatch,
)
from netsim.stack.netfilter.rulespec import (
    IPT_INV_DSTIP,
    IPT_INV_FRAG,
    IPT_INV_PROTO,
    IPT_INV_SRCIP,
    IPT_INV_VIA_IN,
    IPT_INV_VIA_OUT,
    JumpTarget,
    RuleSpec,
    TargetSpec,
    VerdictTarget,
)


class Parser:
    """Reads one line. `program` stands in the texts: iptables, or iptables-restore for its lines."""

    def __init__(self, words: Sequence[Word], program: str = "iptables", table: str = "") -> None:
        self.program = program
        self.command = Command(table=table or "filter")
        self._opts = Getopt(words)
        self._end = words[-1] if words else Word(program, 1)
        self._invert = False
        self._inverts = 0
        self._addresses: dict[str, tuple[str, Word]] = {}
        self._devices = {"i": "", "o": ""}
        self._table = Word("", 1)
        self._proto = 0
        self._proto_used = False
        self._jump: Word | None = None
        self._goto = False
        self._matches: list[tuple[MatchExtension, Uses]] = []
        self._target: tuple[TargetExtension, Uses] | None = None

    def parse(self) -> Command:
        """Return the command. Raises Failure."""
        try:
            while self._step():
                pass
            return self._finish()
        except MisuseError as misuse:
            raise self.failure(misuse.what, self._opts.last if self._opts.at else self._end) from None

    def failure(self, what: str, word: Word | None, rc: int = 2) -> Failure:
        """Make a parameter problem: the tool's name, the words, and where help is."""
        return Failure(f"{self.program} {VERSION}: {what}\n{self._try()}", rc, word)

    def _try(self) -> str:
        return f"Try `{self.program} -h' or '{self.program} --help' for more information."

    # One option at a time

    def _step(self) -> bool:
        try:
            token = self._opts.next()
        except UnknownOptionError as unknown:
            self._load_protocol(unknown)
            return True
        if token is None or self.command.version or self.command.help:
            return False
        if token.extra is not None:
            self._use(token.extra, token)
        elif not token.letter:
            self._bare(token)
            return True
        else:
            self._option(token)
        self._invert = False
        return True

    @property
    def _head(self) -> RuleHead:
        """What the line has said of the protocol so far."""
        return RuleHead(self._proto, bool(self._inverts & IPT_INV_PROTO))

    def _bare(self, token: Token) -> None:
        """Take "!"; refuse anything else that is no option."""
        if token.value != "!":
            raise Failure(f"Bad argument `{token.value}'\n{self._try()}", 2, token.word)
        if self._invert:
            raise MisuseError("multiple consecutive ! not allowed")
        self._invert = True

    def _load_protocol(self, unknown: UnknownOptionError) -> None:
        """Load the match called like the protocol once, for an option that nobody knew."""
        name = protocol_name(self._proto) if self._proto else ""
        loaded = any(each.name == name for each, _ in self._matches)
        if not unknown.text.startswith("--") or name not in MATCHES or (loaded and self._proto_used) or loaded:
            raise MisuseError(f'unknown option "{unknown.text}"')
        self._proto_used = True
        self._add_match(MATCHES[name])
        self._opts.again()

    def _add_match(self, extension: MatchExtension) -> None:
        uses = Uses(extension.name, extension.options)
        self._matches.append((extension, uses))
        self._opts.extras[:0] = [Extra(uses, option) for option in extension.options]

    def _use(self, extra: Extra, token: Token) -> None:
        words: tuple[str, ...] = (token.value,) if extra.option.args else ()
        if extra.option.args == 2:
            second = self._opts.argument()
            if second is None:
                raise MisuseError(f"--{extra.option.name} requires two args.")
            words = (token.value, second.text)
        extra.uses.add(extra.option, words, self._invert, self._head)

    def _option(self, token: Token) -> None:
        letter = token.letter
        if letter in "ADCIRLSFZNXEP":
            self._command(letter, token)
        elif letter == "t":
            if self._invert:
                raise MisuseError("unexpected ! flag before --table")
            self.command.table, self._table = token.value, token.word
        elif letter == "m":
            if self._invert:
                raise MisuseError("unexpected ! flag before --match")
            self._add_match(load_match(token.value))
        elif letter in "jg":
            self._jump_to(letter, token)
        elif letter in OPTION_LETTERS:
            self._setting(letter, token)
        elif letter == "w":
            self._wait(token.value or self._word())
        elif letter == "W":
            if not token.value.isdigit():
                raise MisuseError("wait interval not numeric")
            self.command.warnings.append("Ignoring deprecated --wait-interval option.")
        elif letter == "6":
            raise Failure(self._try(), 2, token.word)
        elif letter == "V":
            self.command.version = True
        elif letter == "h":
            self.command.help = True

    @staticmethod
    def _wait(text: str) -> None:
        """Read the seconds of -w, which nobody waits here."""
        whole, _, part = text.partition(".")
        if text and not (whole.isdigit() and (part.isdigit() or not part)):
            raise MisuseError("wait seconds not numeric")

    def _command(self, letter: str, token: Token) -> None:
        command = self.command
        if letter == "N":
            self._check_new_chain(token.value)
        if self._invert:
            raise MisuseError("unexpected '!' flag")
        if letter == "Z" and command.letter in ("L", "S"):
            command.zero = True
        elif letter in "LS" and command.letter == "Z":
            command.zero, command.letter = True, letter
        elif command.letter:
            raise MisuseError(f"Cannot use -{letter} with -{command.letter}")
        else:
            command.letter = letter
        chain = token.value or self._word() if letter in "LSFZX" else token.value
        command.chain = chain or command.chain
        if letter == "I":
            command.number = 1
        if letter in "DILSZ":
            given = self._opts.argument()
            if given is not None:
                command.number = self._rule_number(given.text)
        elif letter == "R":
            given = self._opts.argument()
            if given is None:
                raise MisuseError("-R requires a rule number")
            command.number = self._rule_number(given.text)
        elif letter == "E":
            command.new_name = self._word()
            if not command.new_name:
                raise MisuseError("-E requires old-chain-name and new-chain-name")
        elif letter == "P":
            command.policy = self._word()
            if not command.policy:
                raise MisuseError("-P requires a chain and a policy")

    def _word(self) -> str:
        given = self._opts.argument()
        return "" if given is None else given.text

    @staticmethod
    def _rule_number(text: str) -> int:
        value = number(text, 1)
        if value is None:
            raise MisuseError(f"Invalid rule number `{text}'")
        return value

    @staticmethod
    def _check_new_chain(name: str) -> None:
        """Mirror parse_chain()."""
        if len(name) >= CHAIN_MAX:
            raise MisuseError(f"chain name `{name}' too long (must be under {CHAIN_MAX} chars)")
        if name[:1] in ("-", "!"):
            raise MisuseError(f"chain name not allowed to start with `{name[0]}'")
        if not name or is_target(name):
            raise MisuseError("chain name may not clash with target name")
        if any(char.isspace() for char in name):
            raise MisuseError(f"Invalid chain name `{name}'")

    def _once(self, letter: str) -> None:
        """Mirror set_option()."""
        shown = "j" if letter == "g" else letter
        if shown in self.command.options and shown != "v":
            raise MisuseError(f"multiple -{shown} flags not allowed")
        self.command.options.add(shown)
        if self._invert and shown not in INVERTIBLE:
            raise MisuseError(f"cannot have ! before -{shown}")

    def _jump_to(self, letter: str, token: Token) -> None:
        self._once(letter)
        # iptables takes the word that came last, whole: a target that hangs on its -j is not found.
        name = token.word.text
        if not name:
            raise MisuseError("Invalid target name (too short)")
        self._jump, self._goto = token.word, letter == "g"
        extension = load_target(name) if letter == "j" else None
        if extension is not None:
            uses = Uses(extension.name, extension.options)
            self._target = extension, uses
            self._opts.extras[:0] = [Extra(uses, option) for option in extension.options]

    def _setting(self, letter: str, token: Token) -> None:
        self._once(letter)
        if letter in "sd":
            self._addresses[letter] = (token.word.text, token.word)
            self._note_invert(IPT_INV_SRCIP if letter == "s" else IPT_INV_DSTIP)
        elif letter in "io":
            self._device(letter, token.value)
            self._note_invert(IPT_INV_VIA_IN if letter == "i" else IPT_INV_VIA_OUT)
        elif letter == "p":
            value = protocol_number(token.value.lower())
            if value is None:
                raise MisuseError(f'unknown protocol "{token.value.lower()}" specified')
            if not value and self._invert:
                raise MisuseError("rule would never match protocol")
            self._proto = value
            self._note_invert(IPT_INV_PROTO)
        elif letter == "f":
            self._note_invert(IPT_INV_FRAG)
        elif letter == "c":
            self._counters(token.value)

    def _note_invert(self, bit: int) -> None:
        self._inverts |= bit if self._invert else 0

    def _device(self, letter: str, name: str) -> None:
        """Mirror xtables_parse_interface()."""
        if not name:
            raise MisuseError("Empty interface is likely to be undesired")
        if len(name) > DEVICE_MAX:
            raise MisuseError(f"interface name `{name}' must be shorter than IFNAMSIZ ({DEVICE_MAX})")
        if "/" in name or " " in name:
            self.command.warnings.append(
                f"Warning: weird character in interface `{name}' ('/' and ' ' are not allowed by the kernel)."
            )
        self._devices[letter] = name

    def _counters(self, text: str) -> None:
        """Mirror parse_counters(): "-c 5 500" or "-c 5,500"."""
        first, comma, second = text.partition(",")
        if not comma:
            given = self._opts.argument()
            if given is None:
                raise MisuseError("-c requires packet and byte counter")
            second = given.text
        if not (first.isascii() and first.isdigit()):
            raise MisuseError("-c packet counter not numeric")
        if not (second.isascii() and second.isdigit()):
            raise MisuseError("-c byte counter not numeric")
        self.command.counters = int(first), int(second)

    # The whole line

    def _finish(self) -> Command:
        command = self.command
        if command.version or command.help:
            return command
        if command.table == "nat" and "DROP" in (command.policy, self._jump.text if self._jump else ""):
            raise MisuseError(
                '\nThe "nat" table is not intended for filtering, the use of DROP is therefore inhibited.\n\n'
            )
        head = self._head
        matches = self._build_matches(head)
        target = self._build_target(head)
        if not command.letter:
            raise MisuseError("no command specified")
        if self._invert:
            raise MisuseError("nothing appropriate following !")
        sources, destinations = self._hosts("s"), self._hosts("d")
        if (len(sources) > 1 and self._inverts & IPT_INV_SRCIP) or (
            len(destinations) > 1 and self._inverts & IPT_INV_DSTIP
        ):
            raise MisuseError("! not allowed with multiple source or destination IP addresses")
        if command.letter == "R" and (len(sources) > 1 or len(destinations) > 1):
            raise MisuseError("Replacement rule does not specify a unique address")
        self._check_options()
        if len(command.chain) >= CHAIN_MAX:
            raise MisuseError(f"chain name `{command.chain}' too long (must be under {CHAIN_MAX} chars)")
        if command.letter in RULE_COMMANDS:
            self._check_devices()
            check_transport(matches, self._proto)
        if command.table not in TABLES:
            raise Failure(
                f"{self.program} {VERSION}: table '{command.table}' does not exist\n"
                "Perhaps iptables or your kernel needs to be upgraded.", 3, self._table,
            )  # fmt: skip
        command.rules = tuple(self._rule(src, dst, matches, target) for src in sources for dst in destinations)
        return command

    def _build_matches(self, head: RuleHead) -> tuple[MatchSpec, ...]:
        built: list[MatchSpec] = []
        for extension, uses in self._matches:
            uses.finish()
            spec = extension.build(uses, head)
            self.command.warnings += uses.warnings
            if built and isinstance(spec, TcpMatch | UdpMatch) and type(built[-1]) is type(spec):
                # Two header matches in a row load as one (nft has no bounds between them).
                built[-1] = merged(built[-1], spec)
            else:
                built.append(spec)
        return tuple(built)

    def _build_target(self, head: RuleHead) -> TargetSpec | None:
        if self._target is not None:
            extension, uses = self._target
            uses.finish()
            return extension.build(uses, head)
        if self._jump is None:
            return None
        if self._jump.text in VERDICTS and not self._goto:
            return VerdictTarget(self._jump.text)
        return JumpTarget(self._jump.text, self._goto)

    def _hosts(self, letter: str) -> list[tuple[int, int]]:
        """Return the (address, mask) pairs of -s or -d, one that holds everything without it."""
        if letter not in self._addresses:
            return [(0, 0)]
        text, word = self._addresses[letter]
        try:
            return read_hosts(text)
        except MisuseError as misuse:
            raise self.failure(misuse.what, word) from None

    def _check_options(self) -> None:
        """Mirror generic_opt_check(): an option that the command does not take."""
        command = self.command
        allowed = ALLOWED[command.letter]
        if command.letter == "D" and command.number:
            allowed = "v"
        for letter in "nsdpjvxio0cf":
            if letter in command.options and letter not in allowed:
                raise MisuseError(f"Illegal option `-{letter}' with this command")

    def _check_devices(self) -> None:
        """Mirror check_inverse()'s neighbours: a hook without that device."""
        chain = self.command.chain
        if chain in ("PREROUTING", "INPUT") and "o" in self.command.options:
            raise MisuseError(f"Can't use -o with {chain}\n")
        if chain in ("POSTROUTING", "OUTPUT") and "i" in self.command.options:
            raise MisuseError(f"Can't use -i with {chain}\n")

    def _rule(
        self, src: tuple[int, int], dst: tuple[int, int], matches: tuple[MatchSpec, ...], target: TargetSpec | None
    ) -> RuleSpec:
        spec = RuleSpec(
            src=src, dst=dst, iif=self._devices["i"], oif=self._devices["o"], proto=self._proto,
            fragment="f" in self.command.options, invert=self._inverts, matches=matches, target=target,
        )  # fmt: skip
        return replace(spec, text=save_text(spec).strip())
