import { isDrayError } from '#oci/error.ts'

/**
 * The exit code of a `run` that ended in an error, as docker and podman have it: 127 the command was not found, 126 it
 * cannot be executed, 125 everything else.
 */
export function exitCodeOf(error: unknown): number {
  if (isDrayError(error, 'COMMAND_NOT_FOUND')) return 127
  if (isDrayError(error, 'COMMAND_NOT_EXECUTABLE')) return 126
  return 125
}
