/** Bytes per second, with k, m or g for powers of 1024, such as `20m`. Undefined when it is none. */
export function parseByteRate(text: string): number | undefined {
  const [, number, unit = ''] = /^(\d{1,9}(?:\.\d{1,3})?)([kmg]?)$/i.exec(text) ?? []
  const bytes = Math.floor(Number(number) * 1024 ** ' kmg'.indexOf(unit.toLowerCase() || ' '))
  return bytes >= 1 ? bytes : undefined
}
