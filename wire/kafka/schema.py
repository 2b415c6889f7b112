"""Reads the schemas of messages and records, and refuses those that contradict themselves.

A schema is one JSON file; README.md in this folder explains its keys. What comes out are plain
objects with every default filled in, so that a generator has nothing left to guess.
"""

import json
import re
from dataclasses import dataclass, field as member
from pathlib import Path

VERSION_MAX = 32767
INTEGERS = {'int8': 1, 'int16': 2, 'int32': 4, 'int64': 8, 'uint16': 2, 'uint32': 4}  # Bytes.
PLAIN = {*INTEGERS, 'bool', 'float64', 'uuid', 'string', 'bytes', 'records'}
NULLABLE = {'string', 'bytes', 'records'}

FIELD_KEYS = {'name', 'type', 'versions', 'nullable', 'default', 'tag', 'ignorable', 'as', 'about',
              'fields'}
API_KEYS = {'type', 'name', 'key', 'about', 'versions', 'advertised', 'flexible', 'request',
            'response'}
RECORD_KEYS = {'type', 'name', 'id', 'about', 'versions', 'fields'}


class SchemaError(Exception):
    """A schema that cannot be meant; the text names the file and the field."""


@dataclass(frozen=True)
class Range:
    """Versions from `low` to `high`, both included; empty when low > high."""
    low: int
    high: int

    @staticmethod
    def parse(text):
        if text == 'none':
            return Range(VERSION_MAX, -1)
        if not (found := re.fullmatch(r'(\d+)(?:(\+)|-(\d+))?', text)):
            raise SchemaError(f'versions "{text}" are none of "3", "3+", "3-7" and "none"')
        low = int(found[1])
        return Range(low, VERSION_MAX if found[2] else int(found[3]) if found[3] else low)

    def clip(self, other):
        return Range(max(self.low, other.low), min(self.high, other.high))

    def __contains__(self, version):
        return self.low <= version <= self.high

    def __bool__(self):
        return self.low <= self.high


@dataclass
class Field:
    name: str
    type: str           # One of PLAIN or the name of a struct; of the element when `array`.
    array: bool
    versions: Range     # Where the field is on the wire.
    nullable: Range     # Where it may be null.
    default: object
    tag: int | None
    ignorable: bool     # A version that cannot carry it drops it without an error.
    alias: str | None   # The C++ type that stands for the integer or uuid ("as").
    about: str

    @property
    def optional(self):
        return bool(self.nullable)

    @property
    def is_struct(self):
        return self.type not in PLAIN


@dataclass
class Struct:
    name: str
    fields: list


@dataclass
class Message:
    name: str
    about: str
    versions: Range
    flexible: Range
    fields: list
    structs: dict = member(default_factory=dict)  # By name, those used by others first.


@dataclass
class Api:
    name: str
    key: int
    about: str
    versions: Range     # What the codec speaks.
    advertised: Range   # What ApiVersions says; wider than `versions` only for old clients' sake.
    flexible: Range
    request: Message
    response: Message


@dataclass
class Record(Message):
    id: int = -1


def only_keys(what, data, allowed):
    if unknown := set(data) - allowed:
        raise SchemaError(f'{what}: unknown key {", ".join(sorted(unknown))}')


def default_of(data, type_name, array, nullable):
    if 'default' in data:
        return data['default']
    if nullable:
        return None
    if array or type_name in ('bytes', 'records'):
        return []
    return {'bool': False, 'string': '', 'float64': 0.0}.get(type_name, 0)


def read_field(message, data):
    what = f'{message.name}.{data.get("name", "?")}'
    only_keys(what, data, FIELD_KEYS)
    array = data['type'].startswith('[]')
    type_name = data['type'].removeprefix('[]')
    versions = Range.parse(data.get('versions', '0+')).clip(message.versions)
    nullable = data.get('nullable', 'none')
    nullable = Range.parse('0+' if nullable is True else nullable).clip(versions)
    if type_name == 'records' and not nullable:
        raise SchemaError(f'{what}: records are nullable in every version Kafka has')
    if nullable and not array and type_name in PLAIN and type_name not in NULLABLE:
        raise SchemaError(f'{what}: a {type_name} cannot be null')
    if not versions:
        raise SchemaError(f'{what}: none of its versions is spoken')
    if array and type_name in ('bool', 'records'):
        raise SchemaError(f'{what}: an array of {type_name} has no use here')
    tag = data.get('tag')
    if tag is not None and (not message.flexible or versions.low < message.flexible.low):
        raise SchemaError(f'{what}: tagged, but version {versions.low} is not flexible')
    alias = data.get('as')
    if alias and type_name not in INTEGERS and type_name != 'uuid':
        raise SchemaError(f'{what}: "as" is for integers and uuids')
    if type_name not in PLAIN:
        read_struct(message, what, type_name, data)
    elif 'fields' in data:
        raise SchemaError(f'{what}: a {type_name} has no fields')
    return Field(data['name'], type_name, array, versions, nullable,
                 default_of(data, type_name, array, bool(nullable)), tag,
                 data.get('ignorable', False), alias, data.get('about', ''))


def read_struct(message, what, name, data):
    """The first field of a struct type brings its fields, later ones only name it."""
    if 'fields' not in data:
        if name not in message.structs:
            raise SchemaError(f'{what}: struct {name} is not defined before')
    elif name in message.structs:
        raise SchemaError(f'{what}: struct {name} is defined twice')
    else:
        message.structs[name] = Struct(name, read_fields(message, data['fields']))
        message.structs[name] = message.structs.pop(name)  # Behind the structs that it uses.


def read_fields(message, fields):
    read = [read_field(message, data) for data in fields]
    tags = [f.tag for f in read if f.tag is not None]
    if tags != list(range(len(tags))):
        raise SchemaError(f'{message.name}: the tags of a struct are 0, 1, 2, ... in this order')
    return read


def read_message(kind, name, about, versions, flexible, fields):
    message = kind(name, about, versions, flexible.clip(versions), [])
    message.fields = read_fields(message, fields)
    return message


def load(path):
    """An Api or a Record. Raises SchemaError."""
    data = json.loads(Path(path).read_text(encoding='utf-8'))
    kind = data.get('type')
    try:
        versions = Range.parse(data['versions'])
        if kind == 'record':
            only_keys(data['name'], data, RECORD_KEYS)
            record = read_message(Record, data['name'], data['about'], versions, versions,
                                  data['fields'])
            record.id = data['id']
            return record
        if kind != 'api':
            raise SchemaError(f'type {kind} is neither api nor record')
        only_keys(data['name'], data, API_KEYS)
        flexible = Range.parse(data['flexible'])
        request, response = (
            read_message(Message, data['name'] + side.capitalize(), data['about'], versions,
                         flexible, data[side])
            for side in ('request', 'response'))
        return Api(data['name'], data['key'], data['about'], versions,
                   Range.parse(data.get('advertised', data['versions'])),
                   flexible.clip(versions), request, response)
    except (SchemaError, KeyError) as error:
        raise SchemaError(f'{path}: {error}') from error
