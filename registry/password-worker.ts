/** A thread that compares passwords with bcrypt hashes, which takes a tenth of a second each. */
import { parentPort } from 'node:worker_threads'
import bcrypt from 'bcryptjs'
import type { Comparison, ComparisonResult } from './password-thread.ts'

parentPort?.on('message', ({ id, password, hash }: Comparison) => {
  const isEqual = bcrypt.compareSync(password, hash)
  parentPort?.postMessage({ id, isEqual } satisfies ComparisonResult)
})
