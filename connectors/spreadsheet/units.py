"""The words that sheets use beside their numbers and days, in English and German: units, months, and for nothing.

All are written as `folded` leaves them: lower case, without accents and punctuation.
"""

import re
import unicodedata

_TIMES = {
    "seconds": "second seconds sec secs s sekunde sekunden sek",
    "minutes": "minute minutes min mins minuten",
    "hours": "hour hours hr hrs h stunde stunden std",
    "days": "day days d tag tage tagen kalendertage jour jours dia dias",
    "weeks": "week weeks wk wks woche wochen",
    "months": "month months monat monate monaten",
    "business_days": "business_day business_days working_day working_days workday workdays arbeitstag arbeitstage "
    "arbeitstagen werktag werktage werktagen",
    "business_hours": "business_hour business_hours working_hour working_hours arbeitsstunde arbeitsstunden",
    "percent": "percent pct prozent percentage percentages vh",
    "EUR": "eur euro euros",
    "USD": "usd dollar dollars us_dollar us_dollars",
    "GBP": "gbp pound pounds",
    "CHF": "chf franken sfr",
    "people": "people person persons personen mitarbeiter mitarbeitende employees employee headcount fte ftes",
    "score": "score points_score nps csat",
    "points": "point points pts punkt punkte",
    "count": "count number anzahl stuck stk pieces pcs",
}
#: Words for units, as language.md names them.
UNITS = {word.replace("_", " "): unit for unit, words in _TIMES.items() for word in words.split()}
SYMBOLS = {"%": "percent", "€": "EUR", "$": "USD", "£": "GBP", "us$": "USD"}
#: What people put where they know nothing yet.
NOTHING = frozenset(
    {"", "na", "n a", "tbd", "tba", "tbc", "none", "null", "ka", "k a", "offen", "unklar", "unknown", "todo"}
)
_MONTHS = (
    "jan january januar janner", "feb february februar", "mar march marz maerz mrz", "apr april", "may mai",
    "jun june juni", "jul july juli", "aug august", "sep sept september", "oct october okt oktober", "nov november",
    "dec december dez dezember",
)  # fmt: skip
MONTHS = {word: number for number, words in enumerate(_MONTHS, 1) for word in words.split()}


def folded(text: str) -> str:
    """Lower case without accents (ß is ss) and with a space for all that is no letter or digit."""
    plain = unicodedata.normalize("NFKD", text.lower().replace("ß", "ss"))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return " ".join(re.findall(r"[^\W_]+", plain))


def unit_of(text: str) -> str | None:
    """The unit that a text names; a text of its own where it names none that is known, None where it is empty."""
    text = " ".join(text.split()).strip(" .,;:()[]")
    if not text:
        return None
    known = known_unit(text)
    if known is not None:
        return known
    over, slash, under = re.sub(r"\s+(?:per|pro|je)\s+", "/", text, flags=re.IGNORECASE).partition("/")
    if slash and over.strip() and under.strip():
        return f"{unit_of(over)}/{known_unit(under) or under.strip().lower()}"
    return text[:40].strip() if re.fullmatch(r"[A-Z]{2,5}", text) else text[:40].strip().lower()


def known_unit(text: str) -> str | None:
    """The unit that a text names, if it is one that is known."""
    stripped = text.strip().lower()
    if stripped in SYMBOLS:
        return SYMBOLS[stripped]
    if stripped in ("pp", "%-points"):
        return "points"
    # Without its signs `€/h` would be hours.
    return UNITS.get(folded(text)) if re.fullmatch(r"[^\W\d][\w .()-]*", stripped) else None
