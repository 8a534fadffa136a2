"""The words of OKR sheets, English and German, with a few in French and Spanish: headers, units, kinds, months.

All are written as `folded` leaves them: lower case, without accents and punctuation.
"""

import re
import unicodedata

#: What a column holds, and the headers that say so.
HEADERS: dict[str, tuple[str, ...]] = {
    "item": (
        "objective key result", "objectives key results", "objective kr", "objectives krs", "o kr", "okr", "okrs",
        "objective and key result", "objectives and key results", "objective or key result", "ziel schlusselergebnis",
        "ziele schlusselergebnisse", "ziel und schlusselergebnis", "ziele und schlusselergebnisse", "ziel kr",
        "title", "titel", "item", "name", "bezeichnung", "okr title", "okr titel",
    ),
    "objective": (
        "objective", "objectives", "objective title", "objective name", "goal", "goals", "ziel", "ziele",
        "zielsetzung", "oberziel", "leitziel", "what", "o", "objectif", "objectifs", "objetivo", "objetivos",
    ),
    "key_result": (
        "key result", "key results", "keyresult", "keyresults", "kr", "krs", "key result title", "key result name",
        "key result description", "measure of success", "success measure", "schlusselergebnis", "schlusselergebnisse",
        "schluesselergebnis", "schluesselergebnisse", "kernergebnis", "kernergebnisse", "ergebnis",
        "messbares ergebnis", "resultat cle", "resultats cles", "resultado clave", "resultados clave",
    ),
    "type": ("type", "typ", "level", "ebene", "item type", "okr type", "o kr type", "element", "art"),
    "id": ("id", "no", "nr", "number", "nummer", "ref", "key", "okr id", "lfd nr"),
    "baseline": (
        "baseline", "baseline value", "base line", "base", "base value", "start", "start value", "starting value",
        "starting point", "initial", "initial value", "from", "as is", "ausgangswert", "ausgangslage", "startwert",
        "basiswert", "basis", "ausgangspunkt", "von", "anfangswert", "valeur initiale", "valor inicial", "linea base",
    ),
    "target": (
        "target", "target value", "targets", "goal value", "end value", "to", "to be", "zielwert", "zielgrosse",
        "zielmarke", "soll", "sollwert", "soll wert", "auf", "planwert", "cible", "valeur cible", "meta",
        "valor meta", "valor objetivo",
    ),
    "current": (
        "current", "current value", "current state", "actual", "actual value", "actuals", "latest", "latest value",
        "now", "today", "value", "ist", "istwert", "ist wert", "aktuell", "aktueller wert", "aktueller stand",
        "stand", "wert", "heute", "valeur actuelle", "valor actual",
    ),
    "range": (
        "baseline target", "from to", "start target", "start end", "baseline to target", "from to value", "von auf",
        "von bis", "ausgangswert zielwert", "start ziel", "ist soll", "range", "change", "veranderung",
    ),
    "unit": (
        "unit", "units", "unit of measure", "uom", "measure unit", "metric unit", "einheit", "masseinheit",
        "mass einheit", "unite", "unidad",
    ),
    "metric": (
        "metric", "metrics", "kpi", "measure", "measurement", "indicator", "how measured", "kennzahl", "messgrosse",
        "metrik", "indikator", "messung", "indicateur", "indicador",
    ),
    "owner": (
        "owner", "owners", "owned by", "owner email", "kr owner", "okr owner", "responsible", "accountable", "dri",
        "lead", "assignee", "verantwortlich", "verantwortliche", "verantwortlicher", "verantwortliche person",
        "zustandig", "besitzer", "responsable", "proprietaire", "who", "wer",
    ),
    "starts": (
        "start date", "starts", "from date", "begin", "begins", "startdatum", "beginn", "date de debut",
    ),
    "ends": (
        "due", "due date", "end", "ends", "end date", "deadline", "target date", "by when", "until", "enddatum",
        "frist", "fallig", "fallig am", "falligkeit", "falligkeitsdatum", "bis", "ende", "termin", "zieldatum",
        "stichtag", "echeance", "date de fin", "fecha limite", "fecha fin",
    ),
    "cycle": (
        "cycle", "q", "okr cycle", "quarter", "period", "time period", "timeframe", "time frame", "time", "quartal",
        "zeitraum", "zyklus", "okr zyklus", "periode", "trimestre", "periodo", "cycle okr",
    ),
    "weight": (
        "weight", "weights", "weighting", "importance", "gewicht", "gewichtung", "poids", "peso", "ponderation",
    ),
    "kind": (
        "kind", "commitment", "commit", "committed aspirational", "committed or aspirational", "kr type",
        "key result type", "ambition", "verbindlichkeit", "art des kr", "zielart",
    ),
    "focus": (
        "focus", "focus area", "theme", "category", "pillar", "strategic pillar", "area", "fokus", "fokusbereich",
        "schwerpunkt", "kategorie", "thema", "handlungsfeld",
    ),
    "team": (
        "team", "department", "squad", "unit team", "abteilung", "bereich", "gruppe", "equipe", "equipo",
    ),
    "source": (
        "source", "data source", "source of data", "tool", "system", "source system", "quelle", "datenquelle",
        "werkzeug", "quellsystem", "fuente",
    ),
    # Known, and of no use here: what is computed from values, and words for people.
    "ignored": (
        "progress", "progress percent", "completion", "complete", "score", "grade", "status", "rag", "confidence",
        "health", "fortschritt", "zielerreichung", "erfullung", "erfullungsgrad", "bewertung", "ampel", "zuversicht",
        "note", "notes", "comment", "comments", "remark", "remarks", "description", "details", "kommentar",
        "kommentare", "bemerkung", "bemerkungen", "notiz", "notizen", "anmerkung", "anmerkungen", "beschreibung",
        "last updated", "updated", "link", "url", "priority", "prioritat", "initiative", "initiatives", "initiativen",
        "massnahme", "massnahmen", "next steps",
    ),
}  # fmt: skip
_GERMAN = (
    "aktuell aktueller ausgangswert beginn bis einheit enddatum ergebnis fallig frist gewicht gewichtung ist "
    "istwert kennzahl messgrosse quartal schlusselergebnis schlusselergebnisse soll stand startdatum startwert "
    "verantwortlich verantwortliche von wert zeitraum ziel ziele zielsetzung zielwert zyklus"
)
GERMAN_HEADERS = frozenset(_GERMAN.split())

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

KINDS = {
    **dict.fromkeys(
        ("committed", "commit", "commitment", "roofshot", "must", "verbindlich", "verpflichtend"), "committed"
    ),
    **dict.fromkeys(
        ("aspirational", "aspiration", "stretch", "moonshot", "ambitious", "ambitioniert", "ambition", "could"),
        "aspirational",
    ),
    **dict.fromkeys(("maintain", "hold", "keep", "health", "health metric", "halten", "erhalten"), "maintain"),
}
LEVELS = {
    **dict.fromkeys(("objective", "o", "goal", "ziel", "obj", "objectif", "objetivo"), "objective"),
    **dict.fromkeys(
        ("key result", "kr", "keyresult", "schlusselergebnis", "schluesselergebnis", "kernergebnis", "metric"),
        "key_result",
    ),
}
#: What people put where they know nothing yet.
NOTHING = frozenset(
    {"", "na", "n a", "tbd", "tba", "tbc", "none", "null", "ka", "k a", "offen", "unklar", "unknown", "todo"}
)
# What programs write where there is no number; nothing that could be reached.
NO_NUMBERS = frozenset({"nan", "inf", "infinity", "unendlich"})
FOCUS = {
    "process efficiency": "process_efficiency", "efficiency": "process_efficiency", "processes": "process_efficiency",
    "prozesseffizienz": "process_efficiency", "effizienz": "process_efficiency", "prozesse": "process_efficiency",
    "cost management": "cost_management", "cost": "cost_management", "costs": "cost_management",
    "kosten": "cost_management", "kostenmanagement": "cost_management", "quality control": "quality_control",
    "quality": "quality_control", "qualitat": "quality_control", "qualitatskontrolle": "quality_control",
    "service levels": "service_levels", "service level": "service_levels", "servicelevel": "service_levels",
}  # fmt: skip
_MONTHS = (
    "jan january januar janner", "feb february februar", "mar march marz maerz mrz", "apr april", "may mai",
    "jun june juni", "jul july juli", "aug august", "sep sept september", "oct october okt oktober", "nov november",
    "dec december dez dezember",
)  # fmt: skip
MONTHS = {word: number for number, words in enumerate(_MONTHS, 1) for word in words.split()}

DOWN = (
    "reduce decrease cut lower shorten drop shrink minimise minimize reduzieren senken verringern verkurzen "
    "mindern kurzen"
)
UP = "increase raise grow improve boost lift expand maximise maximize steigern erhohen verbessern ausbauen anheben"
HOLD = "maintain keep hold sustain stay remain halten beibehalten erhalten sichern"


def folded(text: str) -> str:
    """Lower case without accents (ß is ss) and with a space for all that is no letter or digit."""
    plain = unicodedata.normalize("NFKD", text.lower().replace("ß", "ss"))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return " ".join(re.findall(r"[^\W_]+", plain))


def is_header(text: str) -> bool:
    """Whether a text is a header as somebody would write it."""
    return len(text) <= 80 and any(folded(text) in spellings for spellings in HEADERS.values())


def says(text: str, words: str) -> bool:
    """Whether one of the words is in a text."""
    return bool(set(folded(text).split()) & set(words.split()))


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
