import {
  AggregatorRegistry,
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client'
import type { Observer } from './observer.ts'

/** What one process has counted. */
export type Counts = readonly MetricObjectWithValues<MetricValue<string>>[]

/** Counts what happens in this process. */
export interface Metrics extends Observer {
  /** In the primary of several processes: one of them had to be replaced. */
  workerReplaced(): void
  counts(): Promise<Counts>
}

// From a manifest out of a cache to a layer over a slow line.
const REQUEST_SECONDS = [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600]
const CALL_SECONDS = [0.005, 0.02, 0.1, 0.5, 2, 10]

export function createMetrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const requests = new Counter({
    name: 'dray_requests_total',
    help: 'Requests that were answered or whose connection was lost',
    labelNames: ['route', 'method', 'status'] as const,
    registers,
  })
  const seconds = new Histogram({
    name: 'dray_request_seconds',
    help: 'Time from the headers of a request to the last byte of its answer',
    labelNames: ['route', 'method'] as const,
    buckets: REQUEST_SECONDS,
    registers,
  })
  const bytes = new Counter({
    name: 'dray_bytes_total',
    help: 'Bytes to and from clients, headers included',
    labelNames: ['route', 'direction'] as const,
    registers,
  })
  const inFlight = new Gauge({
    name: 'dray_requests_in_flight',
    help: 'Requests that are being answered',
    registers,
  })
  const refused = new Counter({
    name: 'dray_refused_total',
    help: 'Requests that were refused: without a log-in, by wrong credentials, by the rules, by a limit',
    labelNames: ['reason'] as const,
    registers,
  })
  const replaced = new Counter({
    name: 'dray_workers_replaced_total',
    help: 'Workers that ended without being told to',
    registers,
  })
  return {
    ...countS3Calls(registers),
    requestBegan: () => inFlight.inc(),
    requestEnded({ route, method, status, seconds: taken, received, sent }) {
      inFlight.dec()
      requests.inc({ route, method, status })
      seconds.observe({ route, method }, taken)
      bytes.inc({ route, direction: 'received' }, received)
      bytes.inc({ route, direction: 'sent' }, sent)
    },
    requestRefused: (reason) => refused.inc({ reason }),
    workerReplaced: () => replaced.inc(),
    counts: () => registry.getMetricsAsJSON(),
  }
}

function countS3Calls(registers: Registry[]): Pick<Observer, 's3Called'> {
  const calls = new Counter({
    name: 'dray_s3_calls_total',
    help: 'Calls to S3, by the status of the last answer; 404 and 412 are answers like others',
    labelNames: ['operation', 'status'] as const,
    registers,
  })
  const retries = new Counter({
    name: 'dray_s3_retries_total',
    help: 'Further attempts that calls to S3 took',
    labelNames: ['operation'] as const,
    registers,
  })
  const seconds = new Histogram({
    name: 'dray_s3_call_seconds',
    help: 'Time of calls to S3, until the body of the answer begins, all attempts included',
    labelNames: ['operation'] as const,
    buckets: CALL_SECONDS,
    registers,
  })
  return {
    s3Called({ operation, status, attempts, seconds: taken }) {
      calls.inc({ operation, status })
      retries.inc({ operation }, attempts - 1)
      seconds.observe({ operation }, taken)
    },
  }
}

/** What several processes have counted, as if they were one. */
export function sumCounts(all: readonly Counts[]): Promise<Counts> {
  return aggregated(all).getMetricsAsJSON()
}

/** The same, in the text format of Prometheus. */
export function formatCounts(all: readonly Counts[]): Promise<string> {
  return aggregated(all).metrics()
}

function aggregated(all: readonly Counts[]): Registry {
  return AggregatorRegistry.aggregate(all.map((counts) => [...counts]))
}
