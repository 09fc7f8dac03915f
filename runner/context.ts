/** Where containers live and what they are run with. */
export interface RunnerContext {
  /** The local store; containers live in `<root>/containers`. */
  readonly root: string
  /** Environment of the caller: for `-e KEY` and for the PATH that programs are found on. */
  readonly hostEnv: Readonly<Record<string, string | undefined>>
  /** Name or path of an OCI runtime. Default: crun or runc, whichever can work here. */
  readonly runtime?: string | undefined
  /** Where OCI runtimes keep their state; default /run/dray. Not on a disk. */
  readonly stateDir?: string | undefined
  /**
   * Program and arguments that call `containerEnded` with the id that is appended. The monitor runs it when a container has
   * ended. Without it, the next command that looks at the container tidies up.
   */
  readonly whenEnded?: readonly string[] | undefined
  /** Told what went wrong beside the point. */
  readonly onWarning?: ((message: string) => void) | undefined
}
