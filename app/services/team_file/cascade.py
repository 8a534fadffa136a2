"""The cascade of objectives: what each supports and contributes to must exist, and nothing leads back to itself."""

from collections.abc import Iterator
from itertools import pairwise

from app.domain.alignment import Edge, find_cycle
from app.domain.language import ObjectiveSpec
from app.services.team_file.context import Context, KnownNames
from app.services.team_file.problems import Path, shown

_MOST_CIRCLES = 20


def check_cascade(context: Context, objectives: dict[str, ObjectiveSpec], names: set[str]) -> None:
    """Check the references of a team's objectives (`names`: all of them, those that are wrong in themselves too)."""
    edges = [edge for name, spec in objectives.items() for edge in _edges(context, name, spec, names, context.known)]
    _check_circles(context, edges)


def _edges(
    context: Context, name: str, spec: ObjectiveSpec, names: set[str], known: KnownNames | None
) -> Iterator[Edge]:
    """The edges from an objective to others that are there, as far as is known."""
    path: Path = ("objectives", name)
    source = f"{context.team}/{name}"
    for index, reference in enumerate(spec.supports):
        if _is_there(context, reference, (*path, "supports", index), names, known):
            yield Edge(source, reference, "supports")
    seen: set[str] = set()
    for index, (given, contribution) in enumerate(zip(spec.contributes_to, spec.contributions, strict=True)):
        here: Path = (*path, "contributes_to", index)
        here = here if isinstance(given, str) else (*here, "objective")
        if contribution.objective in seen:
            context.problems.add(here, "duplicate_name", "this objective is named before; once is enough")
            continue
        seen.add(contribution.objective)
        if _is_there(context, contribution.objective, here, names, known):
            yield Edge(source, contribution.objective, "contributes_to", contribution.weight)


def _is_there(context: Context, reference: str, here: Path, names: set[str], known: KnownNames | None) -> bool:
    problems = context.problems
    team, separator, name = reference.partition("/")
    if not separator:
        suggestion = f"{context.team}/{reference}" if reference in names and context.team else None
        problems.add(here, "unknown_name", "an objective is named with its team: team/name", suggestion=suggestion)
        return False
    if team == context.team and name not in names:
        suggestion = problems.suggest(name, sorted(names))
        suggestion = f"{team}/{suggestion}" if suggestion else None
        problems.add(here, "unknown_name", f"there is no objective {shown(name)}", suggestion=suggestion)
        return False
    if team != context.team and known is not None and reference not in known.objectives:
        # Teams' files are applied in any order, so the other one may still come.
        problems.warn(here, "unknown_name", f"there is no objective {shown(reference)} yet")
    return True


def _check_circles(context: Context, own: list[Edge]) -> None:
    """Report objectives that support or contribute to themselves, directly or through others: one problem a circle."""
    others = [] if context.known is None else [edge for edge in context.known.edges if not _is_own(context, edge)]
    edges = [*own, *others]
    for _ in range(_MOST_CIRCLES):
        way = find_cycle(edges)
        if way is None:
            return
        # The step that closes the circle, or the last one before it that is this team's.
        steps = reversed(list(pairwise(way)))
        culprit = next((edge for step in steps for edge in edges if _is(edge, step) and edge in own), None)
        if culprit is None:
            # Other teams' circle, which is not for this one to mend.
            edges = [edge for edge in edges if not _is(edge, (way[0], way[1]))]
            continue
        name = culprit.source.partition("/")[2]
        message = f"objectives depend on each other in a circle: {' → '.join(way)}"
        context.problems.add(("objectives", name, culprit.kind), "circle", message)
        edges = [edge for edge in edges if not _is(edge, (culprit.source, culprit.target))]


def _is_own(context: Context, edge: Edge) -> bool:
    return edge.source.partition("/")[0] == context.team


def _is(edge: Edge, step: tuple[str, str]) -> bool:
    return (edge.source, edge.target) == step
