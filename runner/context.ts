export type HoldLayers = (
  lowerDirs: readonly string[],
) => Promise<{ readonly release: () => Promise<void> }>

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
  /**
   * Program and arguments that call `checkAndWait` with the id that is appended, and print what comes of it. Without it, the
   * health of containers is checked by nobody.
   */
  readonly checkHealth?: readonly string[] | undefined
  /**
   * Makes lower directories usable that aren't there all the time, up to the release. From then on the overlay that is made of
   * them says that they are in use. Without it, all are there.
   */
  readonly holdLayers?: HoldLayers | undefined
  /** Told what went wrong beside the point. */
  readonly onWarning?: ((message: string) => void) | undefined
}
