import type { ExecutionConfig } from '#oci/image-config.ts'

/** The ports that an image exposes, as `80/tcp`. */
export function imagePorts(config: ExecutionConfig): string[] {
  return Object.keys(config.ExposedPorts ?? {}).map((port) =>
    port.includes('/') ? port : `${port}/tcp`,
  )
}
