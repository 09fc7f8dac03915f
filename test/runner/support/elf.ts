/**
 * A Linux program of some 200 bytes that makes one system call with numbers for arguments and exits with its errno, 0 on
 * success: what a seccomp profile answers can so be seen without a compiler.
 */
export interface Syscall {
  /** By architecture, as Node names it. */
  readonly number: Readonly<Record<'x64' | 'arm64', number>>
  readonly args?: readonly bigint[]
}

const BASE = 0x400000n
const HEADER = 64 + 56 // ELF header and one program header

export function elfOf(syscall: Syscall, architecture: string = process.arch): Buffer {
  const isArm = architecture === 'arm64'
  const args = [...(syscall.args ?? []), 0n, 0n, 0n, 0n, 0n, 0n].slice(0, 6)
  const code = isArm ? arm64(syscall.number.arm64, args) : x64(syscall.number.x64, args)
  return Buffer.concat([header(isArm ? 183 : 62, HEADER + code.length), code])
}

function header(machine: number, size: number): Buffer {
  const elf = Buffer.alloc(HEADER)
  elf.write('\x7fELF\x02\x01\x01', 'latin1') // 64 bit, little endian
  elf.writeUInt16LE(2, 16) // executable
  elf.writeUInt16LE(machine, 18)
  elf.writeUInt32LE(1, 20)
  elf.writeBigUInt64LE(BASE + BigInt(HEADER), 24) // entry
  elf.writeBigUInt64LE(64n, 32) // program header
  elf.writeUInt16LE(64, 52)
  elf.writeUInt16LE(56, 54)
  elf.writeUInt16LE(1, 56)
  elf.writeUInt32LE(1, 64) // PT_LOAD
  elf.writeUInt32LE(5, 68) // read and execute
  elf.writeBigUInt64LE(BASE, 80)
  elf.writeBigUInt64LE(BASE, 88)
  elf.writeBigUInt64LE(BigInt(size), 96)
  elf.writeBigUInt64LE(BigInt(size), 104)
  elf.writeBigUInt64LE(0x1000n, 112)
  return elf
}

// mov imm64 to rdi, rsi, rdx, r10, r8, r9.
const X64_MOV = [
  [0x48, 0xbf],
  [0x48, 0xbe],
  [0x48, 0xba],
  [0x49, 0xba],
  [0x49, 0xb8],
  [0x49, 0xb9],
]

function x64(number: number, args: readonly bigint[]): Buffer {
  const loads = args.map((value, at) => Buffer.concat([Buffer.from(X64_MOV[at] ?? []), imm(value)]))
  return Buffer.concat([
    ...loads,
    Buffer.from([0x48, 0xb8]), // mov rax, number
    imm(BigInt(number)),
    Buffer.from([0x0f, 0x05]), // syscall
    Buffer.from([0x31, 0xff, 0x48, 0x85, 0xc0]), // xor edi, edi; test rax, rax
    Buffer.from([0x79, 0x04, 0x89, 0xc7, 0xf7, 0xdf]), // jns +4; mov edi, eax; neg edi
    Buffer.from([0xb8, 0xe7, 0, 0, 0, 0x0f, 0x05]), // mov eax, exit_group; syscall
  ])
}

function imm(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}

function arm64(number: number, args: readonly bigint[]): Buffer {
  const words = [
    ...args.flatMap((value, register) => arm64Load(register, value)),
    ...arm64Load(8, BigInt(number)),
    0xd4000001, // svc 0
    0xf100001f, // cmp x0, 0
    0x5400006a, // b.ge +12
    0xcb0003e0, // neg x0, x0
    0x14000002, // b +8
    0xd2800000, // mov x0, 0
    ...arm64Load(8, 94n), // exit_group
    0xd4000001,
  ]
  const code = Buffer.alloc(words.length * 4)
  for (const [at, word] of words.entries()) code.writeUInt32LE(word, at * 4)
  return code
}

/** movz and three movk of 16 bits each. */
function arm64Load(register: number, value: bigint): number[] {
  return [0, 1, 2, 3].map((part) => {
    const bits = Number((value >> BigInt(part * 16)) & 0xffffn)
    const base = part === 0 ? 0xd2800000 : 0xf2800000
    return base + part * 2 ** 21 + bits * 32 + register
  })
}
