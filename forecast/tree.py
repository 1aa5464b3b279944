"""Categories in trees: who is whose parent, as the matrix that sums leaves to every node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from forecast.errors import OptionError
from forecast.season import IntArray
from forecast.transform import FloatArray


@dataclass(frozen=True)
class Tree:
    """One tree or several. `inner` are the nodes with children, each before its children; `depths` of all nodes."""

    inner: tuple[str, ...]
    leaves: tuple[str, ...]
    parent: Mapping[str, str]
    depths: IntArray

    @property
    def names(self) -> tuple[str, ...]:
        """All nodes in the order of every array: inner ones, then leaves."""
        return self.inner + self.leaves

    @cached_property
    def below(self) -> FloatArray:
        """1 where a leaf is below an inner node, (inner, leaves)."""
        found = np.zeros((len(self.inner), len(self.leaves)))
        place = {name: i for i, name in enumerate(self.inner)}
        for column, leaf in enumerate(self.leaves):
            for above in self.above(leaf):
                found[place[above], column] = 1.0
        return found

    def above(self, name: str) -> list[str]:
        """Parent, grandparent and so on up to the root."""
        found = []
        while name in self.parent:
            name = self.parent[name]
            found.append(name)
        return found

    def leaves_of(self, name: str) -> list[str]:
        """The leaves below an inner node."""
        return [leaf for leaf in self.leaves if name in self.above(leaf)]

    def sums(self, leaves: FloatArray) -> FloatArray:
        """Values of all nodes (nodes, ...) from those of the leaves (leaves, ...)."""
        return np.concatenate([np.tensordot(self.below, leaves, axes=1), leaves])


def tree_of(parents: Mapping[str, str | None]) -> Tree:
    """The tree of a mapping from each category to its parent; None, or no entry, for a root.

    Raises OptionError where a category is above itself, or none has a parent.
    """
    parent = {child: above for child, above in parents.items() if above is not None}
    if not parent:
        raise OptionError("parents", "no category with a parent", "a parent for each category below a total")
    names = list(dict.fromkeys([*parent.values(), *parents]))
    depth = {name: len(_path(name, parent)) for name in names}
    inner = sorted(set(parent.values()), key=lambda name: (depth[name], names.index(name)))
    leaves = [name for name in names if name not in set(inner)]
    return Tree(tuple(inner), tuple(leaves), parent, np.array([depth[name] for name in (*inner, *leaves)]))


def _path(name: str, parent: Mapping[str, str]) -> list[str]:
    path = [name]
    while path[-1] in parent:
        above = parent[path[-1]]
        if above in path:
            raise OptionError("parents", " > ".join([*path, above]), "no category above itself")
        path.append(above)
    return path[1:]
