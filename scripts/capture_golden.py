#!/usr/bin/env python3
"""Records what real Kafka clients send, for wire/kafka/testdata/.

    python3 scripts/capture_golden.py [kcat confluent kafka_python kafkajs]

Starts a stand-in broker that speaks just enough to keep a client going: one node, one topic with
one empty partition, an answer of defaults to all else. It advertises all that our codec speaks, so
the clients choose the versions that they will choose with our broker. Each client gets a file with
the longest request frame of each key and version. kafkajs is skipped unless NODE_PATH leads to it.
"""

import asyncio
import os
import re
import shutil
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / 'wire' / 'kafka'))
import interpret  # noqa: E402
import schema  # noqa: E402

SCHEMAS = sorted((ROOT / 'wire/kafka/schemas').glob('*.json'))
APIS = {api.key: api for api in map(schema.load, SCHEMAS)}
TOPIC = 'golden'
TOPIC_ID = 0x0123456789abcdef0123456789abcdef
LOG_END = 0
SECONDS_MAX = 20
LINE_HEX_DIGITS = 96


class StandIn:
    """Answers on one port; remembers each request frame by (api key, version)."""

    def __init__(self):
        self.frames = {}
        self.port = 0
        self.server = None

    async def start(self):
        self.server = await asyncio.start_server(self.serve, '127.0.0.1', 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        try:
            while True:
                size = await reader.readexactly(4)
                frame = await reader.readexactly(struct.unpack('>i', size)[0])
                if answer := self.answer(size + frame):
                    writer.write(struct.pack('>i', len(answer)) + answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def answer(self, frame):
        key, version, correlation, client_id = struct.unpack('>hhih', frame[4:14])
        head = struct.pack('>i', correlation)
        api = APIS.get(key)
        if api is None or version not in api.versions:
            # An ApiVersions of the future gets error 35 in version 0; the others should not come.
            return head + struct.pack('>hi', 35, 0) if key == 18 else None
        self.remember(key, version, frame)
        start = 14 + max(client_id, 0)
        decoder = interpret.Decoder(api.request, version, frame[start:])
        if decoder.flexible:
            decoder.skip_tags()
        request = decoder.struct(api.request.fields)
        assert not decoder.data, f'{api.name} version {version}: {len(decoder.data)} bytes too many'
        if key == 0 and request['acks'] == 0:
            return None
        if key != 18 and version in api.flexible:
            head += b'\0'
        values = getattr(self, snake(api.name), lambda _: {})(request)
        values = {k: v for k, v in values.items()
                  if any(f.name == k and version in f.versions for f in api.response.fields)}
        return head + interpret.encode(api.response, version, values)

    def remember(self, key, version, frame):
        old = self.frames.get((key, version), b'')
        self.frames[key, version] = max(old, frame, key=len)

    def place(self):
        return {'node_id': 1, 'host': '127.0.0.1', 'port': self.port}

    def api_versions(self, _):
        return {'api_keys': [
            {'api_key': a.key, 'min_version': a.advertised.low, 'max_version': a.advertised.high}
            for a in APIS.values() if a.advertised]}

    def metadata(self, request):
        named = request['topics'] or [{'name': TOPIC}]
        partition = {'partition_index': 0, 'leader_id': 1, 'leader_epoch': 0, 'replica_nodes': [1],
                     'isr_nodes': [1]}
        return {'brokers': [self.place()], 'controller_id': 1, 'cluster_id': 'golden', 'topics': [
            {'name': t['name'] or TOPIC, 'topic_id': TOPIC_ID, 'partitions': [partition]}
            for t in named]}

    def produce(self, request):
        return {'topics': [{'name': t['name'], 'partitions': [
            {'index': p['index'], 'base_offset': LOG_END} for p in t['partitions']]}
            for t in request['topics']]}

    def fetch(self, request):
        return {'topics': [{'topic': t['topic'], 'partitions': [
            {'partition_index': p['partition'], 'aborted_transactions': [], 'records': b''}
            for p in t['partitions']]} for t in request['topics']]}

    def list_offsets(self, request):
        return {'topics': [{'name': t['name'], 'partitions': [
            {'partition_index': p['partition_index'], 'offset': LOG_END}
            for p in t['partitions']]} for t in request['topics']]}

    def find_coordinator(self, request):
        keys = request.get('coordinator_keys', [])
        return {**self.place(), 'coordinators': [{**self.place(), 'key': key} for key in keys]}

    def init_producer_id(self, _):
        return {'producer_id': 4000, 'producer_epoch': 0}

    def create_topics(self, request):
        return {'topics': [{'name': t['name']} for t in request['topics']]}

    def delete_topics(self, request):
        names = request.get('topic_names') or [t['name'] for t in request.get('topics', [])]
        return {'responses': [{'name': name} for name in names]}


def snake(name):
    return ''.join(f'_{c.lower()}' if c.isupper() and i else c.lower() for i, c in enumerate(name))


KCAT = r'''
printf 'one\ntwo\n' | kcat -P -b "$BROKER" -t golden -p 0
printf 'one\ntwo\n' | kcat -P -b "$BROKER" -t golden -p 0 -z gzip -X acks=1 -X client.id=golden
kcat -L -b "$BROKER"
timeout 3 kcat -C -b "$BROKER" -t golden -p 0 -o beginning -e
timeout 3 kcat -Q -b "$BROKER" -t golden:0:1700000000000
'''

CONFLUENT = r'''
import os
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
broker = {'bootstrap.servers': os.environ['BROKER'], 'client.id': 'golden'}
producer = Producer({**broker, 'enable.idempotence': True, 'compression.type': 'lz4'})
producer.produce('golden', key='key', value='value', headers={'a': b'b'})
producer.flush(5)
consumer = Consumer({**broker, 'group.id': 'unused', 'enable.auto.commit': False})
consumer.assign([TopicPartition('golden', 0, 0)])
consumer.poll(2)
consumer.get_watermark_offsets(TopicPartition('golden', 0), timeout=2)
consumer.offsets_for_times([TopicPartition('golden', 0, 1700000000000)], timeout=2)
admin = AdminClient(broker)
made = NewTopic('made', 2, 1, config={'retention.ms': '1000'})
for future in admin.create_topics([made]).values():
    future.result(5)
for future in admin.delete_topics(['made']).values():
    future.result(5)
consumer.close()
'''

KAFKA_PYTHON = r'''
import os
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
for api_version in [(2, 0, 0), None]:
    broker = {'bootstrap_servers': os.environ['BROKER'], 'client_id': 'golden',
              'api_version': api_version}
    producer = KafkaProducer(**broker, acks='all')
    producer.send('golden', key=b'key', value=b'value', partition=0).get(5)
    producer.close(2)
    consumer = KafkaConsumer(**broker, consumer_timeout_ms=1000, auto_offset_reset='earliest')
    partition = TopicPartition('golden', 0)
    consumer.assign([partition])
    list(consumer)
    consumer.end_offsets([partition])
    consumer.offsets_for_times({partition: 1700000000000})
    consumer.close()
    admin = KafkaAdminClient(**broker)
    admin.create_topics([NewTopic('made', 2, 1, topic_configs={'retention.ms': '1000'})])
    admin.delete_topics(['made'])
    admin.close()
'''

KAFKAJS = r'''
const { Kafka, logLevel } = require('kafkajs')
const brokers = [process.env.BROKER]
const kafka = new Kafka({ clientId: 'golden', brokers, logLevel: logLevel.NOTHING })
async function main() {
  const producer = kafka.producer({ idempotent: true })
  await producer.connect()
  await producer.send({ topic: 'golden', messages: [{ key: 'key', value: 'value' }] })
  await producer.disconnect()
  const admin = kafka.admin()
  await admin.connect()
  await admin.fetchTopicOffsets('golden')
  await admin.fetchTopicOffsetsByTimestamp('golden', 1700000000000)
  await admin.createTopics({ topics: [{ topic: 'made', numPartitions: 2 }] })
  await admin.deleteTopics({ topics: ['made'] })
  await admin.describeCluster()
  await admin.disconnect()
}
main().then(() => process.exit(0))
'''

PYTHON = sys.executable  # Should have the modules confluent_kafka and kafka.
CONFLUENT_VERSION = ('import confluent_kafka as c; print("confluent-kafka", c.version()[0],'
                     ' "on librdkafka", c.libversion()[0])')
KAFKA_PYTHON_VERSION = 'import kafka; print("kafka-python", kafka.__version__)'
KAFKAJS_VERSION = '"kafkajs " + require("kafkajs/package.json").version'
CLIENTS = {  # Name: (what runs it, what prints its version).
    'kcat': (['sh', '-c', KCAT], ['kcat', '-V']),
    'confluent': ([PYTHON, '-c', CONFLUENT], [PYTHON, '-c', CONFLUENT_VERSION]),
    'kafka_python': ([PYTHON, '-c', KAFKA_PYTHON], [PYTHON, '-c', KAFKA_PYTHON_VERSION]),
    'kafkajs': (['node', '-e', KAFKAJS], ['node', '-p', KAFKAJS_VERSION]),
}


def version_of(command):
    """The first line with a version in it, or None where the client is not installed."""
    if not shutil.which(command[0]):
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line.strip() for line in done.stdout.splitlines() if re.search(r'\d\.\d', line)]
    return lines[0] if done.returncode == 0 and lines else None


async def capture(name):
    command, version_command = CLIENTS[name]
    if (version := version_of(version_command)) is None:
        return print(f'{name}: not installed, skipped')
    stand_in = StandIn()
    await stand_in.start()
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, 'BROKER': f'127.0.0.1:{stand_in.port}'})
    try:
        status = await asyncio.wait_for(process.wait(), SECONDS_MAX)
    except asyncio.TimeoutError:
        process.kill()
        status = 'no end'
    lines = [f'# Requests of {name} ({version}), recorded by scripts/capture_golden.py.']
    for (key, api_version), frame in sorted(stand_in.frames.items()):
        lines += ['', f'# {APIS[key].name} version {api_version}', 'request',
                  *textwrap.wrap(frame.hex(), LINE_HEX_DIGITS), 'end']
    path = ROOT / 'wire/kafka/testdata' / f'{name}.txt'
    path.parent.mkdir(exist_ok=True)
    path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    seen = ' '.join(f'{APIS[key].name}:{number}' for key, number in sorted(stand_in.frames))
    print(f'{name}: exit {status}; {seen}')


if __name__ == '__main__':
    for client in sys.argv[1:] or CLIENTS:
        asyncio.run(capture(client))
