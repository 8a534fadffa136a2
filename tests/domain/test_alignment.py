"""The cascade: contributions weigh, support is shown, and nothing goes round in a circle."""

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.alignment import STANDS_ALONE, Edge, ObjectiveNode, find_cycle, roll_up_all
from app.domain.rollup import Part

D, F = Decimal, Fraction


def own(progress: str | None, weight: str = "1") -> Part:
    known = None if progress is None else F(progress)
    return Part(progress=known, weight=D(weight), status="unknown" if known is None else "on_track")


def gives(source: str, target: str, weight: str = "1") -> Edge:
    return Edge(source, target, "contributes_to", D(weight))


def test_a_child_weighs_in_by_the_weight_of_its_edge() -> None:
    nodes = {"top": ObjectiveNode([own("0")]), "a": ObjectiveNode([own("1")]), "b": ObjectiveNode([own("0.5", "9")])}
    rolled = roll_up_all(nodes, [gives("a", "top"), gives("b", "top", "2")])
    assert rolled["top"].progress == F(1, 2)
    assert [(share.part.name, share.share) for share in rolled["top"].parts] == [
        ("", F(1, 4)),
        ("a", F(1, 4)),
        ("b", F(1, 2)),
    ]


def test_the_cascade_is_as_deep_as_it_likes() -> None:
    depth = 5000
    nodes = {f"o{index}": ObjectiveNode([own("0.25")] if index == depth else []) for index in range(depth + 1)}
    edges = [gives(f"o{index + 1}", f"o{index}") for index in range(depth)]
    rolled = roll_up_all(nodes, edges)
    assert (rolled["o0"].progress, rolled["o0"].coverage) == (F(1, 4), F(1))
    assert find_cycle([*edges, Edge("o0", f"o{depth}", "supports")]) is not None


def test_support_is_never_added_up() -> None:
    nodes = {"top": ObjectiveNode([own("0.2")]), "a": ObjectiveNode([own("1")])}
    rolled = roll_up_all(nodes, [Edge("a", "top", "supports")])
    assert rolled["top"].progress == F(1, 5)
    assert len(rolled["top"].parts) == 1


def test_one_that_stands_alone_shows_what_contributes_and_counts_its_own() -> None:
    nodes = {"top": ObjectiveNode([own("0.2")], stands_alone=True), "a": ObjectiveNode([own("1")])}
    top = roll_up_all(nodes, [gives("a", "top")])["top"]
    assert (top.progress, top.coverage) == (F(1, 5), F(1))
    assert [(share.part.name, share.contribution, share.part.left_out) for share in top.parts] == [
        ("", F(1, 5), None),
        ("a", F(1), STANDS_ALONE),
    ]


def test_what_is_paused_weighs_nowhere() -> None:
    nodes = {"top": ObjectiveNode([own("0.2")]), "a": ObjectiveNode([own("1")], left_out="paused: later")}
    top = roll_up_all(nodes, [gives("a", "top")])["top"]
    assert (top.progress, top.parts[1].part.left_out) == (F(1, 5), "paused: later")
    alone = {**nodes, "top": ObjectiveNode([own("0.2")], stands_alone=True)}
    assert roll_up_all(alone, [gives("a", "top")])["top"].parts[1].part.left_out == "paused: later"


def test_the_unknown_lowers_the_coverage_all_the_way_up() -> None:
    nodes = {"top": ObjectiveNode([]), "a": ObjectiveNode([own("0.5"), own(None)]), "b": ObjectiveNode([own(None)])}
    top = roll_up_all(nodes, [gives("a", "top"), gives("b", "top")])["top"]
    assert (top.progress, top.coverage, top.status) == (F(1, 2), F(1, 4), "on_track")


def test_an_objective_with_nothing_in_it_is_unknown() -> None:
    rolled = roll_up_all({"top": ObjectiveNode([])}, [gives("elsewhere", "top"), gives("top", "elsewhere")])
    assert (rolled["top"].progress, rolled["top"].status, rolled["top"].coverage) == (None, "unknown", F(0))


@pytest.mark.parametrize(
    ("edges", "cycle"),
    [
        ([], None),
        ([("a", "b"), ("b", "c"), ("a", "c")], None),
        ([("a", "a")], ("a", "a")),
        ([("a", "b"), ("b", "a")], ("a", "b", "a")),
        ([("x", "a"), ("a", "b"), ("b", "c"), ("c", "a")], ("a", "b", "c", "a")),
    ],
)
def test_circles_are_found_and_named(edges: list[tuple[str, str]], cycle: tuple[str, ...] | None) -> None:
    known = [gives(*edge) for edge in edges]
    assert find_cycle(known) == cycle
    assert find_cycle(known[::-1]) == cycle
    if cycle is not None:
        nodes = {name: ObjectiveNode([]) for edge in edges for name in edge}
        with pytest.raises(ValueError, match="circle: a → "):
            roll_up_all(nodes, known)


names = st.sampled_from("abcdefg")


@given(st.lists(st.tuples(names, names), max_size=15))
def test_a_circle_is_one_and_without_one_every_objective_is_rolled_up_within_its_bounds(
    pairs: list[tuple[str, str]],
) -> None:
    edges = [gives(*pair) for pair in pairs]
    cycle = find_cycle(edges)
    nodes = {name: ObjectiveNode([own("0.25"), own("2")]) for name in "abcdefg"}
    if cycle is not None:
        assert cycle[0] == cycle[-1]
        assert set(pairwise(cycle)) <= set(pairs)
        return
    rolled = roll_up_all(nodes, edges)
    assert sorted(rolled) == sorted(nodes)
    for result in rolled.values():
        assert result.progress is not None
        assert F(1, 4) <= result.progress <= 1
