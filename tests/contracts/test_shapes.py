"""Every tensor in a public signature of the calculus and of the machine names its axes."""

import ast

import jaxtyping

DTYPES = {name for name in dir(jaxtyping) if name[0].isupper()}


def is_axes(node):
    """Whether the node is Float[Tensor, "batch dim"] or the like."""
    return isinstance(node, ast.Subscript) and ast.unparse(node.value).split(".")[-1] in DTYPES


def has_bare_tensor(annotation):
    if annotation is None or is_axes(annotation):
        return False
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return has_bare_tensor(ast.parse(annotation.value, mode="eval").body)
    if isinstance(annotation, ast.Name | ast.Attribute):
        return ast.unparse(annotation).split(".")[-1] == "Tensor"
    return any(has_bare_tensor(child) for child in ast.iter_child_nodes(annotation))


def annotations(function):
    arguments = function.args
    rest = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *rest]
    return [*(argument.annotation for argument in every), function.returns]


def test_every_tensor_in_a_public_signature_names_its_axes(library):
    subjects = [source for source in library if source.path.parts[1] in ("flow", "model")]
    public = [(s, node) for s in subjects for node in s.functions if not node.name.startswith("_")]
    assert [f"{s.path}:{f.lineno} {f.name}" for s, f in public if any(map(has_bare_tensor, annotations(f)))] == []
