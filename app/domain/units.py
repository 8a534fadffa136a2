"""Units of metrics as formulas see them: `EUR/people`, `EUR`, `percent`.

A unit is any text; `*` and `/` make one of others. Nothing is converted: hours are not days, EUR is not USD. `percent`
is the one unit with a size, a hundredth of a plain number, so `overhead * share` is right as it stands and `done / all`
is a percent without a factor of 100.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from app.domain.formula import Formula, Negative, Node, Number, Operation, Reference, walk

#: Words for a plain number.
DIMENSIONLESS = frozenset({"1", "ratio", "fraction", "factor"})
PERCENT = "percent"
# Active codes of ISO 4217 (https://www.six-group.com/en/products-services/financial-information/data-standards.html),
# without funds, metals and test codes.
_ISO_4217 = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF
IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK
MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR
SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED
VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES = frozenset(_ISO_4217.split())


@dataclass(frozen=True, slots=True)
class Unit:
    """Powers of base units, and what one of it is worth: 1, or 1/100 for each `percent`."""

    powers: frozenset[tuple[str, int]]
    scale: Fraction = Fraction(1)

    def __str__(self) -> str:
        over = [name for name, power in sorted(self.powers) for _ in range(power)]
        under = [name for name, power in sorted(self.powers) for _ in range(-power)]
        text = "*".join(over) or ("1" if under else "a plain number")
        return "/".join([text, *under])

    @property
    def currencies(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.powers if name in CURRENCIES)


class UnitError(ValueError):
    """A formula whose units do not fit; the message says which."""


@lru_cache(maxsize=4096)
def parse_unit(text: str) -> Unit:
    """A unit's text as powers; text that is no product or quotient is a unit of its own."""
    powers: Counter[str] = Counter()
    scale = Fraction(1)
    sign = 1
    pieces = re.split(r"([*/·])", text)
    if not all(piece.strip() for piece in pieces[::2]):
        return Unit(frozenset({(text, 1)}))
    for index, piece in enumerate(pieces):
        name = piece.strip()
        if index % 2:
            sign = -1 if name == "/" else 1
        elif name == PERCENT:
            scale *= Fraction(1, 100) ** sign
        elif name not in DIMENSIONLESS:
            powers[name] += sign
    return Unit(_powers(powers), scale)


def _powers(counted: Mapping[str, int]) -> frozenset[tuple[str, int]]:
    return frozenset((name, power) for name, power in counted.items() if power)


def check_units(formula: Formula, units: Mapping[str, str], declared: str) -> None:
    """Raise UnitError where the formula's units do not fit each other, or not the one that its metric declares."""
    known = {name: parse_unit(unit) for name, unit in units.items()}
    expected = parse_unit(declared)
    currencies = sorted({code for unit in (*known.values(), expected) for code in unit.currencies})
    if len(currencies) > 1:
        raise UnitError(f"currencies are never converted, and this mixes {' and '.join(currencies)}")
    if expected.scale != 1 or any(unit.scale != 1 for unit in known.values()):
        _refuse_hundreds(formula)
    computed = _unit(formula.root, known)
    if computed.powers != expected.powers:
        raise UnitError(f"the formula is in {computed}, but the metric's unit is {declared}")


def _refuse_hundreds(formula: Formula) -> None:
    for node in walk(formula.root):
        sides = (node.left, node.right) if isinstance(node, Operation) and node.operator in "*/" else ()
        if any(isinstance(side, Number) and side.value == 100 for side in sides):
            raise UnitError("a percent counts in hundredths by itself: leave the 100 out")


def _unit(node: Node, known: Mapping[str, Unit]) -> Unit:
    """The unit of a node. Its scale says whether it is a percent as written: products are plain numbers again."""
    if isinstance(node, Number):
        return Unit(frozenset(), Fraction(1, 100) if node.is_percent else Fraction(1))
    if isinstance(node, Reference):
        return known[node.text]
    if isinstance(node, Negative):
        return _unit(node.operand, known)
    left, right = _unit(node.left, known), _unit(node.right, known)
    if node.operator in "+-":
        if left.powers != right.powers:
            raise UnitError(f"{_named(left)} and {_named(right)} can not be added or subtracted")
        for side, unit, other in ((node.left, left, right), (node.right, right, left)):
            if is_constant(side) and unit.scale != other.scale:
                raise UnitError("a percent and a plain number are added: write the number as a percent, such as 100%")
        return left if left.scale == right.scale else Unit(left.powers)
    powers = Counter(dict(left.powers))
    for name, power in right.powers:
        powers[name] += power if node.operator == "*" else -power
    return Unit(_powers(powers))


def is_constant(node: Node) -> bool:
    """Whether a node is made of numbers alone."""
    return not any(isinstance(inner, Reference) for inner in walk(node))


def _named(unit: Unit) -> str:
    return "percent" if not unit.powers and unit.scale != 1 else str(unit)
