"""Prints every name of wsgiref, one a line: "+ module.name" for one that is
public, "- module.name" for one that is private or special, or that a class
inherits.

Public are the names of dir(module) that do not begin with "_" and that the module
does not import; of each class those in its __dict__, and the attributes that its
methods set; and the two hooks whose names begin with "_".
"""

import ast
import importlib
import inspect
import sys

HOOKS = {"_write", "_flush"}


def imported(tree):
    """The names that the statements of a module import."""
    names = set()
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
    return names


def attributes(node):
    """The attributes that the methods of a class set on their instance."""
    for inner in ast.walk(node):
        if (
            isinstance(inner, ast.Attribute)
            and isinstance(inner.ctx, ast.Store)
            and isinstance(inner.value, ast.Name)
            and inner.value.id == "self"
        ):
            yield inner.attr


def main():
    print(*sys.version_info[:2], sep=".")
    for name in ("util", "headers", "types", "simple_server", "validate", "handlers"):
        module = importlib.import_module("wsgiref." + name)
        tree = ast.parse(inspect.getsource(module))
        foreign = imported(tree)
        classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        public, other = set(), set()

        def add(prefix, names):
            for n in names:
                private = n.startswith("_") and n not in HOOKS or prefix.startswith("_")
                (other if private else public).add(prefix + n)

        add("", set(dir(module)) - foreign)
        for n, node in classes.items():
            add(n + ".", vars(getattr(module, n)))
            add(n + ".", attributes(node))
            other.update(n + "." + m for m in dir(getattr(module, n)))
        for n in sorted(public):
            print("+", name + "." + n)
        for n in sorted(other - public):
            print("-", name + "." + n)


main()
