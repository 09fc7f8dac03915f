import { DrayError } from '#oci/error.ts'

/** Parts of the name of a device, as patterns. */
export const VENDOR = '[A-Za-z][\\w.-]*'
export const CLASS = '[A-Za-z](?:[\\w.-]*[A-Za-z0-9])?'
export const NAME = '[A-Za-z0-9](?:[\\w.:-]*[A-Za-z0-9])?'
const QUALIFIED = new RegExp(`^${VENDOR}/${CLASS}=${NAME}$`)

/** Whether a text names a device of a vendor, such as `nvidia.com/gpu=0`, and not one by its path. */
export function isCdiName(text: string): boolean {
  return QUALIFIED.test(text)
}

/** The devices that docker's `--gpus` stands for: `all`, a number of them, or `device=0,2`. @throws USAGE */
export function parseGpus(text: string): string[] {
  const named = /^"?(?:device=)([\w,-]+)"?$/.exec(text)?.[1]
  const count = /^[1-9]\d?$/.test(text) ? Number(text) : undefined
  const names = named?.split(',') ?? (text === 'all' ? ['all'] : undefined)
  const wanted = names ?? (count && Array.from({ length: count }, (_, at) => String(at)))
  if (wanted) return wanted.map((name) => `nvidia.com/gpu=${name}`)
  throw new DrayError('USAGE', `invalid GPUs ${JSON.stringify(text)}: write all, 2 or device=0,1`)
}
