// Does with kafkajs what one JSON object on stdin orders; the answer is one JSON line on stdout.
//
// {command: create | produce | consume, brokers, topic, partitions, ...}; bytes are base64 or null.
'use strict'

const { spawnSync } = require('child_process')
const { createRequire } = require('module')
const require_ = createRequire(process.cwd() + '/')  // node_modules is in the working directory.
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require_('kafkajs')

CompressionCodecs[CompressionTypes.Snappy] = require_('kafkajs-snappy')

// kafkajs takes these codecs from outside; here they are the programs of the same names.
function program(name) {
  const run = (args, input) => {
    const done = spawnSync(name, args, { input, maxBuffer: 1 << 28 })
    if (done.status !== 0) throw new Error(`${name}: ${done.stderr}`)
    return done.stdout
  }
  return () => ({
    compress: async encoder => run(['-q', '-c', '-'], encoder.buffer),
    decompress: async buffer => run(['-q', '-d', '-c', '-'], buffer),
  })
}
CompressionCodecs[CompressionTypes.LZ4] = program('lz4')
CompressionCodecs[CompressionTypes.ZSTD] = program('zstd')

const COMPRESSION = { none: 'None', gzip: 'GZIP', snappy: 'Snappy', lz4: 'LZ4', zstd: 'ZSTD' }
const decode = text => (text === null ? null : Buffer.from(text, 'base64'))
const encode = data => (data === null || data === undefined ? null : data.toString('base64'))

async function create(kafka, order) {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({
    waitForLeaders: true,
    topics: [{ topic: order.topic, numPartitions: order.partitions, replicationFactor: 3 }],
  })
  await admin.disconnect()
  return {}
}

async function produce(kafka, order) {
  const producer = kafka.producer()
  await producer.connect()
  await producer.send({
    topic: order.topic,
    acks: -1,
    compression: CompressionTypes[COMPRESSION[order.codec]],
    messages: order.records.map(r => ({
      key: decode(r.key),
      value: decode(r.value),
      headers: Object.fromEntries(Object.entries(r.headers).map(([k, v]) => [k, decode(v)])),
    })),
  })
  await producer.disconnect()
  return {}
}

// kafkajs consumes only in groups; below that, its cluster and broker fetch and decode like it does.
async function consume(kafka, order) {
  const [createCluster] = Object.getOwnPropertySymbols(kafka).filter(s =>
    s.description.endsWith(':createCluster'))
  const cluster = kafka[createCluster]({ allowAutoTopicCreation: false, isolationLevel: 0 })
  await cluster.connect()
  await cluster.addTargetTopic(order.topic)
  const found = []
  const next = new Array(order.partitions).fill(0)
  for (let tries = 0; found.length < order.count && tries < 20 * order.partitions; tries++) {
    const partition = tries % order.partitions
    const leaders = cluster.findLeaderForPartitions(order.topic, [partition])
    const broker = await cluster.findBroker({ nodeId: Object.keys(leaders)[0] })
    const answer = await broker.fetch({
      isolationLevel: 0,
      maxWaitTime: 100,
      topics: [{
        topic: order.topic,
        partitions: [{ partition, fetchOffset: String(next[partition]), maxBytes: 1 << 20 }],
      }],
    })
    for (const m of answer.responses[0].partitions[0].messages) {
      if (Number(m.offset) < next[partition]) continue
      next[partition] = Number(m.offset) + 1
      const headers = Object.entries(m.headers).map(([k, v]) => [k, encode(v)])
      found.push({ partition, key: encode(m.key), value: encode(m.value), headers })
    }
  }
  await cluster.disconnect()
  return found
}

async function main() {
  const order = JSON.parse(require('fs').readFileSync(0, 'utf8'))
  const kafka = new Kafka({ clientId: 'test', brokers: order.brokers, logLevel: logLevel.ERROR })
  console.log(JSON.stringify(await { create, produce, consume }[order.command](kafka, order)))
}

main().catch(error => {
  console.error(error)
  process.exit(1)
})
