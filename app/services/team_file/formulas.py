"""Formulas: the metrics they name, their units, and that none reads itself."""

from collections.abc import Iterator

from app.domain.formula import parse_formula
from app.domain.language import MetricSpec
from app.domain.units import UnitError, check_units
from app.services.team_file.context import Context
from app.services.team_file.problems import Path

#: How many formulas may read each other in a row.
MOST_IN_A_ROW = 10


def check_formulas(context: Context) -> None:
    """Check the formulas of a team's named metrics, once all of these are known."""
    formulas: dict[str, str] = {}
    for name, spec in context.metrics.specs.items():
        if isinstance(spec, MetricSpec) and spec.formula is not None:
            formulas[name] = spec.formula
            _check_units(context, spec, spec.formula, ("metrics", name))
    _check_support(context, formulas)
    _check_circles(context, formulas)


def _check_units(context: Context, spec: MetricSpec, text: str, path: Path) -> None:
    here = (*path, "formula")
    formula = parse_formula(text)
    units = {name: context.metric_unit(name, here) for name in formula.references}
    known = {name: unit for name, unit in units.items() if unit is not None}
    if len(known) < len(units):
        return
    try:
        check_units(formula, known, spec.unit)
    except UnitError as error:
        context.problems.add(here, "units", str(error))


def _check_support(context: Context, formulas: dict[str, str]) -> None:
    """What reads something unsupported is so itself."""
    waiting = True
    while waiting:
        waiting = False
        for name, text in formulas.items():
            reads = context.metrics.unsupported.intersection(parse_formula(text).references)
            if reads and name not in context.metrics.unsupported:
                context.metrics.unsupported.add(name)
                waiting = True


def _check_circles(context: Context, formulas: dict[str, str]) -> None:
    """Report formulas that read themselves, directly or through others, with the way round; and rows of too many."""
    known = {} if context.known is None else context.known.formulas
    own = f"{context.team}/"

    def reads(name: str) -> Iterator[str]:
        if name.startswith(own):
            text = formulas.get(name.removeprefix(own))
            references = () if text is None else parse_formula(text).references
            return iter([ref.replace(".", "/") if "." in ref else own + ref for ref in references])
        return iter(sorted(known.get(name, ())))

    depths: dict[str, int] = {}
    for start in formulas:
        if own + start in depths:
            continue
        trail = [own + start]
        stack = [reads(own + start)]
        while stack:
            step = next(stack[-1], None)
            if step is None:
                stack.pop()
                done = trail.pop()
                depths[done] = max((1 + depths.get(other, 0) for other in reads(done)), default=0)
            elif step in trail:
                circle = trail[trail.index(step) :]
                way = [name.removeprefix(own).replace("/", ".") for name in (*circle, step)]
                first = next((name for name in circle if name.startswith(own)), own + start)
                path = ("metrics", first.removeprefix(own), "formula")
                context.problems.add(path, "circle", f"formulas read each other in a circle: {' → '.join(way)}")
            elif step not in depths:
                trail.append(step)
                stack.append(reads(step))
    for name in formulas:
        if depths.get(own + name, 0) > MOST_IN_A_ROW:
            message = f"more than {MOST_IN_A_ROW} formulas read each other in a row"
            context.problems.add(("metrics", name, "formula"), "too_deep", message)
