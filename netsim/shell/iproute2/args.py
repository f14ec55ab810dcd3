"""Reading iproute2's words: abbreviations, addresses, numbers, and the error texts of each.

A command's words are consumed by an `Args` cursor; every wrong word raises `Failure` with the tool's text, its exit
status, and a hint when the word looks like a known keyword.
Source: iproute2 6.1 lib/utils.c (matches, get_addr, get_prefix, get_u32, invarg, duparg2, incomplete_command).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import NoReturn

from netsim.addr import MASKS, Ip, Mac, Prefix
from netsim.shell.iproute2.names import c_number
from netsim.shell.tool import Failure, Word

EXIT_SYNTAX = 255
EXIT_INPUT = 1
EXIT_KERNEL = 2

INET = "inet"
ANY_FAMILY = "any valid"

INET6_REFUSED = Failure(
    "RTNETLINK answers: Operation not supported", EXIT_KERNEL, None, "netsim's boxes speak IPv4 only"
)


def matches(text: str, keyword: str) -> bool:
    """Tell whether `text` is `keyword` or an abbreviation of it; the empty word is none."""
    return bool(text) and keyword.startswith(text)


def suggestion(text: str, keywords: Sequence[str]) -> str:
    """Return a did-you-mean hint, "" when nothing is close."""
    swapped = [word for word in keywords if sorted(word) == sorted(text)]
    close = swapped or difflib.get_close_matches(text, keywords, n=1, cutoff=0.6)
    return f'did you mean "{close[0]}"?' if close else ""


def parse_c_ip(text: str) -> Ip:
    """Mirror get_addr_ipv4(): "10.1" is 10.1.0.0, parts may be octal or hexadecimal. Raises ValueError."""
    parts = text.split(".")
    if len(parts) > 4:
        raise ValueError(f"{text!r} has too many parts")
    octets = [c_number(part) for part in parts]
    if max(octets) > 255:
        raise ValueError(f"{text!r} has a part above 255")
    return int.from_bytes(bytes([*octets, 0, 0, 0][:4]), "big")


def parse_c_prefix(text: str) -> Prefix:
    """Read "10/8", "10.0.0.0/255.0.0.0", "default", "any", "all" or a bare address. Raises ValueError."""
    if text in ("default", "any", "all"):
        return Prefix(0, 0)
    quad, slash, length = text.partition("/")
    addr = parse_c_ip(quad)
    if not slash:
        return Prefix(addr, 32)
    if "." in length:
        return Prefix(addr, MASKS.index(parse_c_ip(length)))
    plen = c_number(length)
    if plen > 32:
        raise ValueError(f"{text!r} has a length above 32")
    return Prefix(addr, plen)


class Args:
    """The words of one command, consumed from the left.

    `said` is the command so far ("ip route add"), `family` what -4 said of addresses.
    """

    def __init__(self, words: Sequence[Word], said: str = "ip") -> None:
        self.words = words
        self.at = 0
        self.said = said
        self.family = ANY_FAMILY

    def __bool__(self) -> bool:
        return self.at < len(self.words)

    @property
    def word(self) -> Word:
        """The word to read now."""
        return self.words[self.at]

    @property
    def text(self) -> str:
        """Its text."""
        return self.words[self.at].text

    def take(self) -> Word:
        """Consume the current word."""
        word = self.words[self.at]
        self.at += 1
        return word

    def value(self) -> Word:
        """Consume the current keyword and the word after it, which is returned. Raises Failure at the end."""
        self.at += 1
        if self.at >= len(self.words):
            raise self.incomplete()
        return self.take()

    def step(self) -> None:
        """Consume the current keyword; a word must follow (it stays current)."""
        self.at += 1
        if self.at >= len(self.words):
            raise self.incomplete()

    def is_(self, *keywords: str) -> bool:
        """Tell whether the current word is one of `keywords`, in full."""
        return self.text in keywords

    def like(self, *keywords: str) -> bool:
        """Tell whether the current word abbreviates one of `keywords`."""
        return any(matches(self.text, keyword) for keyword in keywords)

    def incomplete(self) -> Failure:
        """Say that a value is missing."""
        last = self.words[-1] if self.words else None
        return Failure('Command line is not complete. Try option "help"', EXIT_SYNTAX, last)


def invalid(why: str, word: Word, *, blank_line: bool = True, hint: str = "") -> Failure:
    """Mirror invarg(): most callers' text ends in a newline of its own, hence the blank line."""
    end = "\n" if blank_line else ""
    return Failure(f'Error: argument "{word.text}" is wrong: {why}{end}', EXIT_SYNTAX, word, hint)


def garbage(keyword: str, word: Word, keywords: Sequence[str] = ()) -> Failure:
    """Mirror duparg2(): a second value for `keyword`, or a word nobody knows."""
    what = f'Error: either "{keyword}" is duplicate, or "{word.text}" is a garbage.'
    return Failure(what, EXIT_SYNTAX, word, suggestion(word.text, keywords))


def duplicate(keyword: str, word: Word) -> Failure:
    """Mirror duparg(): a keyword that may stand once stands again; `word` is its second value."""
    return Failure(f'Error: duplicate "{keyword}": "{word.text}" is the second value.', EXIT_SYNTAX, word)


def integer(word: Word, why: str) -> int:
    """Mirror get_integer(): a signed number of 32 bits."""
    sign = -1 if word.text.startswith("-") else 1
    unsigned = Word(word.text.removeprefix("-"), word.column)
    try:
        return sign * number(unsigned, why, high=0x7FFFFFFF)
    except Failure:
        raise invalid(why, word) from None


def number(word: Word, why: str, *, low: int = 0, high: int = 0xFFFFFFFF, blank_line: bool = True) -> int:
    """Read an unsigned number inside bounds."""
    return named(word, c_number, why, low=low, high=high, blank_line=blank_line)


def named(
    word: Word, read: Callable[[str], int], why: str, *, low: int = 0, high: int = 0xFFFFFFFF, blank_line: bool = True
) -> int:
    """Read a number or a name through `read`."""
    try:
        result = read(word.text)
    except ValueError:
        raise invalid(why, word, blank_line=blank_line) from None
    if not low <= result <= high:
        raise invalid(why, word, blank_line=blank_line)
    return result


def _not_an_address(kind: str, family: str, word: Word) -> NoReturn:
    if ":" in word.text and family != INET:
        raise Failure(INET6_REFUSED.stderr, INET6_REFUSED.rc, word, INET6_REFUSED.hint)
    raise Failure(f'Error: {family} {kind} is expected rather than "{word.text}".', EXIT_INPUT, word)


def address(word: Word, family: str) -> Ip:
    """Read an address; `family` is what the tool has gathered so far, for its text."""
    if word.text in ("default", "any", "all"):
        return 0
    try:
        return parse_c_ip(word.text)
    except ValueError:
        _not_an_address("address", family, word)


def prefix(word: Word, family: str) -> Prefix:
    """Read a prefix, host bits kept."""
    try:
        return parse_c_prefix(word.text)
    except ValueError:
        _not_an_address("prefix", family, word)


def link_address(word: Word) -> Mac:
    """Mirror ll_addr_a2n(): octets in hexadecimal; what follows the digits of the last one, or the sixth, is not read.

    A wrong number of octets is the kernel's to refuse.
    """
    text = word.text
    octets = bytearray()
    while len(octets) < 20:
        part, colon, text = text.partition(":")
        digits = part
        while digits and any(char not in "0123456789abcdefABCDEF" for char in digits):
            digits = digits[:-1]
        if not digits or (digits != part and colon) or int(digits, 16) & 0xFFFFFFFF > 255:
            raise Failure(f'"{part}" is invalid lladdr.', EXIT_INPUT, word)
        octets.append(int(digits, 16) & 0xFF)
        if not colon:
            break
    return bytes(octets)
