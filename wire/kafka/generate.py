#!/usr/bin/env python3
"""Writes the C++ codec of Kafka messages, or of metadata records, from their schemas.

    generate.py --namespace qlab::wire --folder wire/kafka --out DIRECTORY SCHEMA...

For each schema of type `api`: <stem>.h (the structs), <stem>_fields.h (their fields in wire order,
for any codec) and <stem>.cc (encode and decode); for all of them together apis.h, apis.cc and
all_messages.h.
For schemas of type `record`: one records.h, records_fields.h and records.cc.
A file that would not change is not touched.
"""

import argparse
import sys
from pathlib import Path

import schema
from schema import VERSION_MAX

PLAIN_CPP = {
    'bool': 'bool', 'float64': 'double', 'uuid': 'Uuid', 'string': 'std::string', 'bytes': 'Bytes',
    'records': 'ByteView', **{name: f'std::{name}_t' for name in schema.INTEGERS}}
ENUMS = {'KafkaError': 'wire/kafka/errors.h', 'ApiKey': 'wire/kafka/apis.h'}
LINE_MAX = 100


def snake(name):
    """ApiVersions -> api_versions."""
    return ''.join(f'_{c.lower()}' if c.isupper() and i else c.lower() for i, c in enumerate(name))


def element_type(field):
    if field.alias in ENUMS:
        return f'wire::{field.alias}'
    return field.alias or PLAIN_CPP.get(field.type, field.type)


def cpp_type(field):
    result = element_type(field)
    if field.array:
        result = f'std::vector<{result}>'
    return f'std::optional<{result}>' if field.optional else result


def literal(field):
    """The default as an expression that may be compared with the field."""
    value = field.default
    if field.type == 'bool':
        return 'true' if value else 'false'
    if field.type == 'string':
        return f'"{value}"'
    if field.type in schema.INTEGERS:
        number = str(value)
        if field.type in ('int32', 'int64'):
            bits = 8 * schema.INTEGERS[field.type]
            limits = {-2**(bits - 1): 'min', 2**(bits - 1) - 1: 'max'}
            if value in limits:
                number = f'std::numeric_limits<std::{field.type}_t>::{limits[value]}()'
        if not field.alias:
            return number
        return f'{element_type(field)}{{{number}}}'
    return f'{element_type(field)}{{}}'


def is_default(field):
    if field.optional and field.default is None:
        return f'!m.{field.name}'
    if field.array or (field.type in ('string', 'bytes') and not field.default):
        return f'm.{field.name}.empty()'
    return f'm.{field.name} == {literal(field)}'


def initializer(field):
    """Every field has one, so that a designated initializer may leave it out without a warning."""
    if field.optional:
        return '{}' if field.default is None else f' = {literal(field)}'
    if field.array or field.is_struct or field.type in ('string', 'bytes', 'uuid'):
        return f' = "{field.default}"' if field.type == 'string' and field.default else '{}'
    if field.alias:
        return literal(field).removeprefix(element_type(field))
    return f' = {literal(field)}'


def within(versions, bounds):
    """The C++ condition that tells the versions apart inside `bounds`; empty if all belong."""
    parts = []
    if versions.low > bounds.low:
        parts.append(f'c.version() >= {versions.low}')
    if versions.high < bounds.high:
        parts.append(f'c.version() <= {versions.high}')
    return ' && '.join(parts)


def comment(text, indent=''):
    """Comment lines of at most LINE_MAX columns."""
    lines, line = [], f'{indent}//'
    for word in text.split():
        if len(line) + 1 + len(word) > LINE_MAX:
            lines.append(line)
            line = f'{indent}//'
        line += f' {word}'
    return [*lines, line] if text else []


def struct_body(fields, indent, name):
    lines = []
    for field in fields:
        lines += comment(field.about, indent)
        lines.append(f'{indent}{cpp_type(field)} {field.name}{initializer(field)};')
    if fields:
        lines.append('')
    default = '' if has_views(fields) else ' = default'
    lines += [f'{indent}bool operator==(const {name}&) const{default};',
              f'{indent}template <class Codec, class Self>',
              f'{indent}static void each_field(Codec& c, Self& m);']
    return lines


def has_views(fields):
    """Views compare by what they see, which the language leaves to us."""
    return any(f.type == 'records' for f in fields)


def message_struct(message, constants):
    """The struct of a message with the structs of its fields inside."""
    lines = [*comment(message.about), f'struct {message.name} {{']
    lines += [f'  static constexpr {line};' for line in constants]
    flexible = message.flexible.low if message.flexible else 'wire::never_flexible'
    lines += [f'  static constexpr std::string_view message_name = "{message.name}";',
              f'  static constexpr std::int16_t versions_min = {message.versions.low};',
              f'  static constexpr std::int16_t versions_max = {message.versions.high};',
              f'  static constexpr std::int16_t flexible_min = {flexible};', '']
    for struct in message.structs.values():
        body = struct_body(struct.fields, '    ', struct.name)
        lines += [f'  struct {struct.name} {{', *body, '  };', '']
    return [*lines, *struct_body(message.fields, '  ', message.name), '};', '']


def field_lines(field, bounds):
    if field.optional:
        null = within(field.nullable, field.versions) or 'true'
        call = f'c.nullable("{field.name}", m.{field.name}, {null});'
    else:
        call = f'c.value("{field.name}", m.{field.name});'
    if not (present := within(field.versions, bounds)):
        return [f'  {call}']
    lines = [f'  if ({present}) {{', f'    {call}']
    if not field.ignorable:
        lines += ['  } else {', f'    c.absent("{field.name}", {is_default(field)});']
    return [*lines, '  }']


def tag_lines(fields, bounds):
    tagged = [f for f in fields if f.tag is not None]
    lines = []
    for field in tagged:
        if not field.ignorable and (present := within(field.versions, bounds)):
            lines.append(f'  if (!({present})) c.absent("{field.name}", {is_default(field)});')
    if not tagged:
        return [*lines, '  c.tags();']
    tags = [f'Tag{{{f.tag}, "{f.name}", m.{f.name}, {is_default(f)}, '
            f'{within(f.versions, bounds) or "true"}}}' for f in tagged]
    return [*lines, '  c.tags(' + ',\n         '.join(tags) + ');']


def each_field(message, path, fields):
    lines = ['template <class Codec, class Self>',
             f'void {path}::each_field(Codec& c, [[maybe_unused]] Self& m) {{']
    for field in fields:
        if field.tag is None:
            lines += field_lines(field, message.versions)
    return [*lines, *tag_lines(fields, message.versions), '}', '']


def fields_of(message):
    """each_field of a message, those of its structs first."""
    lines = []
    for struct in message.structs.values():
        lines += each_field(message, f'{message.name}::{struct.name}', struct.fields)
    return lines + each_field(message, message.name, message.fields)


def comparisons(message):
    lines = []
    structs = [(f'{message.name}::{s.name}', s.name, s.fields) for s in message.structs.values()]
    for path, name, fields in [*structs, (message.name, message.name, message.fields)]:
        if has_views(fields):
            same = [f'same_bytes({f.name}, other.{f.name})' if f.type == 'records' else
                    f'{f.name} == other.{f.name}' for f in fields]
            lines += [f'bool {path}::operator==(const {name}& other) const {{',
                      f'  return {" && ".join(same)};', '}', '']
    return lines


def all_fields(messages):
    for message in messages:
        yield from message.fields
        for struct in message.structs.values():
            yield from struct.fields


def includes(messages, folder):
    """What a header needs, by what its fields are made of."""
    fields = list(all_fields(messages))
    needed = {'cstdint': True, 'string_view': True,
              'limits': any('numeric_limits' in initializer(f) for f in fields),
              'optional': any(f.optional for f in fields),
              'string': any(f.type == 'string' for f in fields),
              'vector': any(f.array for f in fields)}
    standard = [name for name, is_needed in needed.items() if is_needed]
    own = {'common/bytes.h', 'common/ids.h', 'common/result.h', 'wire/kafka/message.h'}
    own |= {ENUMS[f.alias] for f in fields if f.alias in ENUMS}
    own |= {'wire/kafka/apis.h'} if folder == 'wire/kafka' else set()
    return [*(f'#include <{name}>' for name in sorted(standard)), '',
            *(f'#include "{name}"' for name in sorted(own)), '']


class Output:
    """Where the files go, and the C++ namespace and folder they belong to."""

    def __init__(self, namespace, folder, directory):
        self.namespace, self.folder, self.directory = namespace, folder, Path(directory)

    def write(self, name, head, body, origin):
        title = f'// Generated by wire/kafka/generate.py from {origin}; changes here are lost.'
        text = '\n'.join([title, *head, f'namespace {self.namespace} {{', '', *body,
                          f'}}  // namespace {self.namespace}', ''])
        path = self.directory / name
        if not path.exists() or path.read_text(encoding='utf-8') != text:
            path.write_text(text, encoding='utf-8')

    def fields(self, stem, messages, origin):
        head = ['#pragma once', f'#include "{self.folder}/{stem}.h"',
                '#include "wire/kafka/tag.h"', '']
        body = [] if self.namespace == 'qlab::wire' else ['using wire::Tag;', '']
        for message in messages:
            body += fields_of(message)
        self.write(f'{stem}_fields.h', head, body, origin)

    def source_head(self, stem):
        return [f'#include "{self.folder}/{stem}.h"', '', '#include "wire/kafka/decoder.h"',
                '#include "wire/kafka/encoder.h"', '#include "wire/kafka/same_bytes.h"',
                f'#include "{self.folder}/{stem}_fields.h"', '']


# What the generated files have around the parts that depend on the schemas.
API_DECLARATIONS = """\
Result<void> encode(BytesWriter& out, const {name}& message, std::int16_t version);
template <>
Result<{name}> decode<{name}>(BytesReader& in, std::int16_t version);
"""

API_DEFINITIONS = """\
Result<void> encode(BytesWriter& out, const {name}& message, std::int16_t version) {{
  return encode_message(out, message, version);
}}

template <>
Result<{name}> decode<{name}>(BytesReader& in, std::int16_t version) {{
  return decode_message<{name}>(in, version);
}}
"""

TABLE_HEADER = """\
// Any int16 may come off the wire; find_api() tells whether it is one of these.
enum class ApiKey : std::int16_t {{
{keys}
}};

struct VersionRange {{
  std::int16_t min = 0;
  std::int16_t max = 0;

  bool contains(std::int16_t version) const {{ return min <= version && version <= max; }}
  bool operator==(const VersionRange&) const = default;
}};

struct ApiInfo {{
  ApiKey key;
  std::string_view name;    // Kafka's, as in "ApiVersions".
  VersionRange versions;    // What encode and decode speak.
  VersionRange advertised;  // What ApiVersions says if it is served; empty between nodes.
  std::int16_t flexible_min;
}};

// Every API that has a schema, by ascending key. Which of them are served is for a broker to say.
std::span<const ApiInfo> supported_apis();
// Null when there is no schema for the key.
const ApiInfo* find_api(ApiKey key);
"""

TABLE_SOURCE = """\
namespace {{
constexpr std::array<ApiInfo, {count}> apis{{
{rows}
}};
}}  // namespace

std::span<const ApiInfo> supported_apis() {{ return apis; }}

const ApiInfo* find_api(ApiKey key) {{
  for (const ApiInfo& api : apis) {{
    if (api.key == key) return &api;
  }}
  return nullptr;
}}
"""

RECORD_HEADER = """\
using Record = std::variant<{names}>;

// Appends the record's id, its newest version and its fields.
//
// Errors: as encode (wire/kafka/message.h).
Result<void> encode_record(BytesWriter& out, const Record& record);

// Reads one record and leaves what follows it unread.
//
// Errors: corrupt; unsupported, for an id or a version that this build does not know.
Result<Record> decode_record(BytesReader& in);
"""

RECORD_SOURCE = """\
Result<void> encode_record(BytesWriter& out, const Record& record) {{
  return std::visit(
      [&out]<class T>(const T& body) -> Result<void> {{
        wire::encode_record_head(out, T::record_id, T::versions_max);
        return wire::encode_message(out, body, T::versions_max);
      }},
      record);
}}

Result<Record> decode_record(BytesReader& in) {{
  TRY(const wire::RecordHead head, wire::decode_record_head(in));
  switch (head.id) {{
{cases}
    default:
      return fail(Errc::unsupported, "record id {{}} is unknown", head.id);
  }}
}}
"""

ALL_SCHEMAS = 'the schemas'


def write_api(out, path, api):
    stem, origin = Path(path).stem, Path(path).name
    messages = [api.response, api.request]  # The request names its response.
    key = f'ApiKey api_key = ApiKey::{snake(api.name)}'
    header = message_struct(api.response, [key]) + message_struct(api.request, [key])
    header.insert(header.index(f'struct {api.request.name} {{') + 1,
                  f'  using Response = {api.response.name};')
    header += [API_DECLARATIONS.format(name=m.name) for m in messages]
    out.write(f'{stem}.h', ['#pragma once', *includes(messages, out.folder)], header, origin)
    out.fields(stem, messages, origin)
    source = [line for message in messages for line in comparisons(message)]
    source += [API_DEFINITIONS.format(name=m.name) for m in messages]
    out.write(f'{stem}.cc', out.source_head(stem), source, origin)


def write_api_table(out, apis):
    apis = sorted(apis, key=lambda api: api.key)
    keys = '\n'.join(f'  {snake(a.name)} = {a.key},' for a in apis)
    head = ['#pragma once', '#include <cstdint>', '#include <span>', '#include <string_view>', '']
    out.write('apis.h', head, [TABLE_HEADER.format(keys=keys)], ALL_SCHEMAS)
    rows = [f'    ApiInfo{{ApiKey::{snake(a.name)}, "{a.name}", '
            f'{{{a.versions.low}, {a.versions.high}}}, '
            f'{{{a.advertised.low}, {a.advertised.high}}}, '
            f'{a.flexible.low if a.flexible else VERSION_MAX}}},' for a in apis]
    out.write('apis.cc', [f'#include "{out.folder}/apis.h"', '', '#include <array>', ''],
              [TABLE_SOURCE.format(count=len(apis), rows='\n'.join(rows))], ALL_SCHEMAS)


def write_all_messages(out, apis):
    """What a test needs that has something to say about every message."""
    names = [m.name for _, api in apis for m in (api.request, api.response)]
    head = ['#pragma once', '#include <tuple>', '',
            *(f'#include "{out.folder}/{Path(path).stem}_fields.h"' for path, _ in apis), '']
    body = [f'using AllMessages = std::tuple<{", ".join(names)}>;', '']
    out.write('all_messages.h', head, body, ALL_SCHEMAS)


def write_records(out, records):
    records = sorted(records, key=lambda record: record.id)
    head = ['#pragma once', *includes(records, out.folder)]
    head.insert(head.index(''), '#include <variant>')
    header = [line for record in records
              for line in message_struct(record, [f'std::uint32_t record_id = {record.id}'])]
    header.append(RECORD_HEADER.format(names=', '.join(r.name for r in records)))
    out.write('records.h', head, header, ALL_SCHEMAS)
    out.fields('records', records, ALL_SCHEMAS)
    cases = [f'    case {r.name}::record_id:\n'
             f'      return wire::decode_message<{r.name}>(in, head.version);' for r in records]
    source = [line for record in records for line in comparisons(record)]
    source.append(RECORD_SOURCE.format(cases='\n'.join(cases)))
    head = out.source_head('records')
    head.insert(-2, '#include "wire/kafka/record_head.h"')
    out.write('records.cc', head, source, ALL_SCHEMAS)


def check_unique(what, pairs):
    seen = {}
    for key, name in pairs:
        if key in seen:
            raise schema.SchemaError(f'{what} {key} belongs to {seen[key]} and to {name}')
        seen[key] = name


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument('--namespace', required=True, help='of the generated code')
    arguments.add_argument('--folder', required=True, help='as it stands in an #include')
    arguments.add_argument('--out', required=True, help='directory that the files go to')
    arguments.add_argument('schemas', nargs='+')
    options = arguments.parse_args()
    try:
        loaded = [(path, schema.load(path)) for path in options.schemas]
        apis = [(path, one) for path, one in loaded if isinstance(one, schema.Api)]
        records = [one for _, one in loaded if isinstance(one, schema.Record)]
        check_unique('key', ((api.key, api.name) for _, api in apis))
        check_unique('record id', ((record.id, record.name) for record in records))
    except schema.SchemaError as error:
        sys.exit(f'generate.py: {error}')
    out = Output(options.namespace, options.folder, options.out)
    for path, api in apis:
        write_api(out, path, api)
    if apis:
        write_api_table(out, [api for _, api in apis])
        write_all_messages(out, apis)
    if records:
        write_records(out, records)


if __name__ == '__main__':
    main()
