"""Encodes and decodes messages as plain dicts, straight from their schemas.

For tools that are not in a hurry. It shares nothing with the generated C++ but the schemas, so each
can be held against the other.
"""

import struct
import uuid

import schema

FORMATS = {'int8': '>b', 'int16': '>h', 'int32': '>i', 'int64': '>q', 'uint16': '>H',
           'uint32': '>I', 'bool': '>?', 'float64': '>d'}
LENGTH_FORMATS = {'string': '>h'}  # All else has int32 lengths.


def uvarint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


class Encoder:
    def __init__(self, message, version):
        self.message, self.version = message, version
        self.flexible = version in message.flexible
        self.out = bytearray()

    def length(self, kind, length):
        if self.flexible:
            self.out += uvarint(0 if length is None else length + 1)
        else:
            code = LENGTH_FORMATS.get(kind, '>i')
            self.out += struct.pack(code, -1 if length is None else length)

    def single(self, kind, value):
        if kind in FORMATS:
            self.out += struct.pack(FORMATS[kind], value)
        elif kind == 'uuid':
            self.out += uuid.UUID(int=value).bytes
        elif kind in schema.PLAIN:
            raw = value.encode() if kind == 'string' else bytes(value)
            self.length(kind, len(raw))
            self.out += raw
        else:
            self.struct(self.message.structs[kind].fields, value)

    def field(self, field, value):
        if value is None:
            assert self.version in field.nullable, f'{field.name} may not be null'
            return self.length('array' if field.array else field.type, None)
        if not field.array:
            return self.single(field.type, value)
        self.length('array', len(value))
        for element in value:
            self.single(field.type, element)

    def struct(self, fields, values):
        present = [f for f in fields if self.version in f.versions]
        unknown = values.keys() - {f.name for f in fields}
        assert not unknown, f'{self.message.name} has no {unknown}'
        for field in present:
            if field.tag is None:
                self.field(field, values.get(field.name, default_of(field, self.version)))
        if not self.flexible:
            return
        tagged = [f for f in present if f.tag is not None and f.name in values]
        self.out += uvarint(len(tagged))
        for field in tagged:
            inner = Encoder(self.message, self.version)
            inner.field(field, values[field.name])
            self.out += uvarint(field.tag) + uvarint(len(inner.out)) + inner.out


class Decoder:
    def __init__(self, message, version, data):
        self.message, self.version, self.data = message, version, data
        self.flexible = version in message.flexible

    def take(self, count):
        assert count <= len(self.data), f'{count} bytes wanted, {len(self.data)} left'
        head, self.data = self.data[:count], self.data[count:]
        return head

    def number(self, code):
        return struct.unpack(code, self.take(struct.calcsize(code)))[0]

    def uvarint(self):
        value = shift = 0
        while (byte := self.take(1)[0]) & 0x80:
            value |= (byte & 0x7f) << shift
            shift += 7
        return value | byte << shift

    def length(self, kind):
        if self.flexible:
            length = self.uvarint() - 1
        else:
            length = self.number(LENGTH_FORMATS.get(kind, '>i'))
        return None if length < 0 else length

    def single(self, kind):
        if kind in FORMATS:
            return self.number(FORMATS[kind])
        if kind == 'uuid':
            return uuid.UUID(bytes=self.take(16)).int
        if kind not in schema.PLAIN:
            return self.struct(self.message.structs[kind].fields)
        if (length := self.length(kind)) is None:
            return None
        raw = self.take(length)
        return raw.decode() if kind == 'string' else raw

    def field(self, field):
        if not field.array:
            return self.single(field.type)
        count = self.length('array')
        return None if count is None else [self.single(field.type) for _ in range(count)]

    def skip_tags(self, known=None):
        """Returns the values of known tags, by name."""
        values = {}
        for _ in range(self.uvarint()):
            tag, body = self.uvarint(), self.take(self.uvarint())
            if field := (known or {}).get(tag):
                values[field.name] = Decoder(self.message, self.version, body).field(field)
        return values

    def struct(self, fields):
        present = [f for f in fields if self.version in f.versions]
        values = {f.name: self.field(f) for f in present if f.tag is None}
        if self.flexible:
            values |= self.skip_tags({f.tag: f for f in present if f.tag is not None})
        return values


def default_of(field, version):
    if field.default is None and version not in field.nullable:
        return [] if field.array else ''
    if field.is_struct and not field.array:
        return {}
    return field.default


def encode(message, version, values):
    encoder = Encoder(message, version)
    encoder.struct(message.fields, values)
    return bytes(encoder.out)


def decode(message, version, data):
    """The values and the bytes that follow."""
    decoder = Decoder(message, version, data)
    return decoder.struct(message.fields), decoder.data
