"""limit and statistic: matches on how often and by chance. Source: libxt_limit.c, libxt_statistic.c (1.8.9)."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from types import MappingProxyType

from netsim.shell.iptables.extension import MisuseError, Option, RuleHead, Uses, integer
from netsim.stack.netfilter.match_state import rate
from netsim.stack.netfilter.matchspec import (
    LIMIT_SCALE,
    LimitMatch,
    StatisticMatch,
)

_UNITS = (("second", 1), ("minute", 60), ("hour", 3600), ("day", 86400))
_UNIT_NAMES = MappingProxyType({1: "sec", 60: "min", 3600: "hour", 86400: "day"})
DEFAULT_AVG = 20 * 60 * LIMIT_SCALE
"""3/hour."""
DEFAULT_BURST = 5
_PROBABILITY_ONE = 0x80000000


def _read_rate(option: Option, text: str) -> int:
    """Read "5", "5/s", "10/minute" into LIMIT_SCALE units a packet."""
    digits, slash, unit = text.partition("/")
    seconds = 1
    if slash:
        seconds = next((each for name, each in _UNITS if unit and name.startswith(unit.lower())), 0)
    if not seconds or not (digits.isascii() and digits.isdigit()) or int(digits) == 0:
        raise MisuseError(f'bad rate "{text}"\'')
    if int(digits) // seconds > LIMIT_SCALE:
        raise MisuseError(f'Rate too fast "{text}"')
    return seconds * LIMIT_SCALE // int(digits)


class LimitExtension:
    """`-m limit`."""

    name = "limit"
    options = (
        Option(owner="limit", name="limit", read=_read_rate),
        Option(owner="limit", name="limit-burst", read=integer(0, 10000)),
    )

    def build(self, uses: Uses, head: RuleHead) -> LimitMatch:
        """Make the spec; a burst of 0 is the default one (nft)."""
        return LimitMatch(
            avg=uses.value("limit", DEFAULT_AVG), burst=uses.value("limit-burst", DEFAULT_BURST) or DEFAULT_BURST
        )

    def save(self, spec: LimitMatch) -> str:
        """Print the rate, and a burst that is not the default."""
        burst = f" --limit-burst {spec.burst}" if spec.burst != DEFAULT_BURST else ""
        return f" --limit {self._rate(spec)}{burst}"

    def show(self, spec: LimitMatch, numeric: bool, head: RuleHead) -> str:
        """Print "limit: avg 5/sec burst 5"."""
        return f" limit: avg {self._rate(spec)} burst {spec.burst}"

    @staticmethod
    def _rate(spec: LimitMatch) -> str:
        packets, seconds = rate(spec.avg)
        return f"{packets}/{_UNIT_NAMES[seconds]}"


def _read_mode(option: Option, text: str) -> str:
    if text not in ("random", "nth"):
        raise MisuseError(f'Bad mode "{text}"')
    return text


def _read_probability(option: Option, text: str) -> int:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not 0 <= value <= 1:
        raise MisuseError('statistic: bad value for option "--probability", or out of range (0-1).\n')
    return int((value * _PROBABILITY_ONE).to_integral_value(rounding=ROUND_HALF_UP))


class StatisticExtension:
    """`-m statistic`."""

    name = "statistic"
    options = (
        Option(owner="statistic", name="mode", read=_read_mode),
        Option(owner="statistic", name="probability", read=_read_probability, invert=True),
        Option(owner="statistic", name="every", read=integer(1, 0xFFFFFFFF), invert=True),
        Option(owner="statistic", name="packet", read=integer(0, 0xFFFFFFFF)),
    )

    def build(self, uses: Uses, head: RuleHead) -> StatisticMatch:
        """Make the spec; what a mode needs is asked for before what every option needs."""
        mode = uses.value("mode", "random")
        if mode == "random" and "probability" not in uses:
            raise MisuseError("--probability must be specified when using random mode")
        if mode == "nth" and "every" not in uses and "packet" not in uses:
            raise MisuseError("--every and --packet must be specified when using nth mode")
        every, packet = uses.value("every", 0), uses.value("packet", 0)
        if mode == "nth" and every and packet >= every:
            raise MisuseError("the --packet p must be 0 <= p <= n-1")
        if "mode" not in uses:
            raise MisuseError('statistic: option "--mode" must be specified\n')
        for name, other in (("every", "packet"), ("packet", "every")):
            if name in uses and other not in uses:
                raise MisuseError(f'statistic: option "--{name}" also requires "--{other}".\n')
        if mode == "random":
            return StatisticMatch(probability=uses.value("probability"), invert=uses.inverted("probability"))
        return StatisticMatch(every=every, packet=packet, invert=uses.inverted("every"))

    def save(self, spec: StatisticMatch) -> str:
        """Print the mode and its numbers."""
        sign = " !" if spec.invert else ""
        if spec.every:
            return f" --mode nth{sign} --every {spec.every} --packet {spec.packet}"
        return f" --mode random{sign} --probability {self._share(spec)}"

    def show(self, spec: StatisticMatch, numeric: bool, head: RuleHead) -> str:
        """Print the same in words."""
        sign = " !" if spec.invert else ""
        if spec.every:
            packet = f" packet {spec.packet}" if spec.packet else ""
            return f" statistic mode nth{sign} every {spec.every}{packet}"
        return f" statistic mode random{sign} probability {self._share(spec)}"

    @staticmethod
    def _share(spec: StatisticMatch) -> str:
        share = (Decimal(spec.probability) / _PROBABILITY_ONE).quantize(Decimal("1e-11"))
        return f"{share:.11f}"


EXTENSIONS = (LimitExtension(), StatisticExtension())
