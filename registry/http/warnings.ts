/** All warnings of one answer together, with their framing, may have so many bytes (distribution-spec, "Warnings"). */
const WARNING_LIMIT = 4096

/** The value of one `Warning` header. */
export function formatWarning(text: string): string {
  return `299 - "${text.replace(/["\\]/g, '\\$&')}"`
}

/** Whether the warnings can be sent: visible ASCII, and short enough in sum. */
export function areWarnings(texts: readonly string[]): boolean {
  const framing = 'Warning: \r\n'.length
  const size = texts.reduce((sum, text) => sum + formatWarning(text).length + framing, 0)
  return size <= WARNING_LIMIT && texts.every((text) => /^[\x20-\x7e]+$/.test(text))
}
