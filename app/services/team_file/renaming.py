"""`renamed_from`: one object goes on under another name, so the old one is not in the file any more."""

from app.domain.language import TeamFile
from app.services.team_file.problems import Path, Problems, shown


def check_renames(file: TeamFile, problems: Problems) -> None:
    """Report renames of what is still there, and two objects that want to be the same one."""
    for section in ("connections", "datasets", "metrics", "objectives"):
        specs = getattr(file, section)
        _check({(section, name): spec.renamed_from for name, spec in specs.items()}, set(specs), problems)
    key_results: dict[Path, str | None] = {
        ("objectives", objective, "key_results", name): spec.renamed_from
        for objective, wanted in file.objectives.items()
        for name, spec in wanted.key_results.items()
    }
    _check(key_results, {str(path[-1]) for path in key_results}, problems)


def _check(renamed: dict[Path, str | None], names: set[str], problems: Problems) -> None:
    taken: dict[str, str] = {}
    for path, old in renamed.items():
        if old is None:
            continue
        here, name = (*path, "renamed_from"), str(path[-1])
        if old == name:
            problems.add(here, "renamed_from", "this is its own name: leave renamed_from out")
        elif old in names:
            message = f"{shown(old)} is still in the file: take it out, or leave renamed_from out once it is done"
            problems.add(here, "renamed_from", message)
        elif old in taken:
            problems.add(here, "renamed_from", f"{shown(taken[old])} is renamed from {shown(old)} too")
        taken.setdefault(old, name)
