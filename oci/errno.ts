import { DrayError } from './error.ts'

/** What `detail` of a SYSCALL_FAILED holds. */
export interface SyscallDetail {
  readonly call: string
  readonly errno: string
}

/** Tells the name (`ENOTSUP`) of an error by its number. @param numbers those of this system, by name */
export function errnoNames(numbers: Readonly<Record<string, number>>): (errno: number) => string {
  const names = new Map(Object.entries(numbers).map(([name, number]) => [number, name]))
  // EAGAIN and ENOTSUP have synonyms of the same number.
  for (const name of ['EAGAIN', 'ENOTSUP']) names.set(numbers[name] ?? -1, name)
  return (errno) => names.get(errno) ?? `errno ${errno}`
}

/** The errno name of a failed call, be it a SYSCALL_FAILED or an error of `node:fs`; undefined for any other error. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof DrayError) {
    return error.code === 'SYSCALL_FAILED' ? (error.detail as SyscallDetail).errno : undefined
  }
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
