/** Runs one container as a program: `run-container.ts JSON`, with `{rootfs, options, context}`. Ends with its exit code. */
import type { Rootfs } from '#oci/rootfs.ts'
import { type ContainerOptions, exitCodeOf, type RunContext, runContainer } from '#runner/index.ts'

const { rootfs, options, context } = JSON.parse(process.argv[2] ?? '') as {
  rootfs: Rootfs
  options: ContainerOptions
  context: Omit<RunContext, 'hostEnv'>
}

try {
  const { exitCode } = await runContainer(rootfs, options, { ...context, hostEnv: process.env })
  process.exitCode = exitCode
} catch (error) {
  process.stderr.write(`${String(error)}\n`)
  process.exitCode = exitCodeOf(error)
}
