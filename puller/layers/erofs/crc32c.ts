const POLYNOMIAL = 0x82f63b78 // Castagnoli's, bits reversed

/** CRC-32C as EROFS has it: without the usual inversion at the end. */
export function crc32c(bytes: Buffer): number {
  let sum = 0xffffffff
  for (const byte of bytes) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ POLYNOMIAL : sum >>> 1
  }
  return sum >>> 0
}
