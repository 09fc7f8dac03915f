/**
 * Runs work side by side. When one part fails the others are told to stop, and have stopped before its error leaves.
 *
 * @param start gets the signal that tells the parts to stop
 * @returns what came of each, in their order
 */
export async function settleAll<T>(
  signal: AbortSignal,
  start: (signal: AbortSignal) => readonly Promise<T>[],
): Promise<T[]> {
  const stop = new AbortController()
  const parts = start(AbortSignal.any([signal, stop.signal]))
  await Promise.all(parts.map((part) => part.catch((error: unknown) => stop.abort(error))))
  stop.signal.throwIfAborted()
  return await Promise.all(parts)
}
