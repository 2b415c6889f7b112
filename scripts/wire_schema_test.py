"""The schemas of wire/kafka: what contradicts itself is refused, with the place in the words."""

import importlib.util
import json
import pathlib
import sys

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "wire" / "kafka"


def load_module(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


schema = load_module("schema")
interpret = load_module("interpret")


def api_with(tmp_path, *fields, flexible="2+"):
    path = tmp_path / "ask.json"
    path.write_text(json.dumps({
        "type": "api", "name": "Ask", "key": 1, "about": "", "versions": "0-3",
        "flexible": flexible, "request": list(fields), "response": []}), encoding="utf-8")
    return schema.load(path)


@pytest.mark.parametrize("field, words", [
    ({"name": "a", "type": "int32", "nullable": True}, "int32 cannot be null"),
    ({"name": "a", "type": "records"}, "records are nullable"),
    ({"name": "a", "type": "int32", "tag": 0}, "version 0 is not flexible"),
    ({"name": "a", "type": "int32", "versions": "2+", "tag": 1}, "tags of a struct are 0, 1, 2"),
    ({"name": "a", "type": "int32", "versions": "4+"}, "none of its versions is spoken"),
    ({"name": "a", "type": "int32", "versions": "since 3"}, "since 3"),
    ({"name": "a", "type": "Unknown"}, "struct Unknown is not defined"),
    ({"name": "a", "type": "string", "as": "Offset"}, "is for integers"),
    ({"name": "a", "type": "int32", "colour": "red"}, "unknown key colour"),
])
def test_a_field_that_contradicts_itself_is_refused(tmp_path, field, words):
    with pytest.raises(schema.SchemaError, match=words):
        api_with(tmp_path, field)


def test_versions_of_a_field_are_clipped_to_those_of_the_message(tmp_path):
    api = api_with(tmp_path, {"name": "a", "type": "string", "versions": "1+", "nullable": "3+"})
    (field,) = api.request.fields
    assert field.versions == schema.Range(1, 3)
    assert field.nullable == schema.Range(3, 3)


def test_the_interpreter_reads_back_what_it_wrote(tmp_path):
    api = api_with(
        tmp_path,
        {"name": "names", "type": "[]Name", "fields": [{"name": "text", "type": "string"}]},
        {"name": "extra", "type": "int64", "versions": "2+", "tag": 0})
    values = {"names": [{"text": "ab"}, {"text": ""}]}
    assert interpret.encode(api.request, 1, values) == bytes.fromhex("00000002" "00026162" "0000")
    values["extra"] = 5
    flexible = interpret.encode(api.request, 2, values)
    assert flexible == bytes.fromhex("03" "03616200" "0100" "01" "0008" "0000000000000005")
    assert interpret.decode(api.request, 2, flexible) == (values, b"")
