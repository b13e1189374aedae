"""The rules of the house that a reader of the source can check."""

import ast
import re
from collections import defaultdict

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_LIBRARY_LINES = 33_100
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "core", "manager"}

CAMEL_CASE = re.compile(r"_?[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*")

# call -> why it is not made
FORBIDDEN_CALLS = {
    "torch.load": "weights are read from safetensors, never from pickles",
    "hasattr": "type by the abstract base",
}


def at(source, node):
    return f"{source.path}:{node.lineno}"


def test_a_file_has_at_most_400_lines(sources):
    assert [str(s.path) for s in sources if len(s.text.splitlines()) > MAX_FILE_LINES] == []


def test_a_function_has_at_most_60_lines(sources):
    def length(node):
        return node.end_lineno - node.lineno + 1

    assert [at(s, node) for s in sources for node in s.functions if length(node) > MAX_FUNCTION_LINES] == []


def test_the_library_stays_within_its_size_budget(library):
    assert sum(len(source.text.splitlines()) for source in library) <= MAX_LIBRARY_LINES


def test_every_file_and_folder_has_a_name_that_says_something(sources):
    assert [str(s.path) for s in sources if NAMELESS & set(s.path.with_suffix("").parts)] == []


def test_the_first_line_of_every_file_says_what_it_is(library):
    assert [str(source.path) for source in library if not ast.get_docstring(source.tree)] == []


def test_every_public_function_and_class_of_the_library_is_documented(library):
    def undocumented(nodes):
        named = (node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef))
        return (node for node in named if not node.name.startswith("_") and not ast.get_docstring(node))

    assert [at(source, node) for source in library for node in undocumented(source.tree.body)] == []


def test_every_public_method_of_the_api_is_documented(library):
    api = [source for source in library if str(source.path) == "blip3o/api.py"]
    methods = [(s, node) for s in api for node in s.functions if not node.name.startswith("_")]
    assert [at(source, node) for source, node in methods if not ast.get_docstring(node)] == []


def test_annotations_are_never_postponed(sources):
    assert [str(source.path) for source in sources if "__future__.annotations" in source.imports] == []


def test_a_type_name_is_defined_once_in_the_library(library):
    def defined(source):
        for node in source.tree.body:
            if isinstance(node, ast.ClassDef):
                yield node.name
            if isinstance(node, ast.Assign):
                yield from (target.id for target in node.targets if isinstance(target, ast.Name))

    homes = defaultdict(list)
    for source in library:
        for name in filter(CAMEL_CASE.fullmatch, defined(source)):
            homes[name].append(str(source.path))
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_the_library_makes_no_forbidden_call(library):
    calls = ((s, node) for s in library for node in s.nodes if isinstance(node, ast.Call))
    assert [at(s, node) for s, node in calls if ast.unparse(node.func) in FORBIDDEN_CALLS] == []


def test_devices_come_from_inputs_and_code_from_us(library):
    forbidden = re.compile(r"\.cuda\(|trust_remote_code=True|allow_pickle=True")
    assert [str(source.path) for source in library if forbidden.search(source.text)] == []


def test_a_to_do_bears_a_name(sources):
    nameless = re.compile(r"#\s*(TODO|FIXME|XXX)(?!\(\w+\))")
    assert [str(source.path) for source in sources if nameless.search(source.text)] == []


def test_every_config_is_a_frozen_dataclass_of_keywords(library):
    def is_frozen(node):
        return any(
            isinstance(decorator, ast.Call)
            and {"frozen", "kw_only"} <= {word.arg for word in decorator.keywords if ast.unparse(word.value) == "True"}
            for decorator in node.decorator_list
        )

    classes = ((s, node) for s in library for node in s.nodes if isinstance(node, ast.ClassDef))
    assert [at(s, node) for s, node in classes if node.name.endswith("Config") and not is_frozen(node)] == []


def test_every_folder_of_the_library_is_a_package(library):
    files = {source.path for source in library}
    assert sorted({str(path.parent) for path in files if path.parent / "__init__.py" not in files}) == []
