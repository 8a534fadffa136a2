"""The words of OKR sheets, English and German, with a few in French and Spanish: headers, kinds, levels.

All are written as `folded` leaves them: lower case, without accents and punctuation.
"""

from connectors.spreadsheet.units import folded

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
DOWN = (
    "reduce decrease cut lower shorten drop shrink minimise minimize reduzieren senken verringern verkurzen "
    "mindern kurzen"
)
UP = "increase raise grow improve boost lift expand maximise maximize steigern erhohen verbessern ausbauen anheben"
HOLD = "maintain keep hold sustain stay remain halten beibehalten erhalten sichern"


def is_header(text: str) -> bool:
    """Whether a text is a header as somebody would write it."""
    return len(text) <= 80 and any(folded(text) in spellings for spellings in HEADERS.values())


def says(text: str, words: str) -> bool:
    """Whether one of the words is in a text."""
    return bool(set(folded(text).split()) & set(words.split()))
