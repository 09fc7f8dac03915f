import { chmodSync } from 'node:fs'
import { errnoOf } from '#oci/errno.ts'
import { DrayError } from '#oci/error.ts'
import { isInUserNamespace } from '#oci/user-namespace.ts'
import { DEVICE_LIMIT } from '../sys.ts'
import { printable, type TarEntry } from '../tar/entry.ts'
import type { TarSink } from '../tar/reader.ts'
import { createLayerBuilder, type LayerBuilder } from './builder.ts'
import { createDirForm } from './dir/form.ts'
import { createErofsForm, type ErofsFiles } from './erofs/form.ts'
import type { LayerArchive, LayerForm } from './form.ts'
import { parseLayerName } from './name.ts'
import type { LeafNode } from './tree.ts'

/** How much of a layer is taken. */
export interface LayerLimits {
  /** The most entries, implied directories included. Default 10,000,000. */
  readonly maxEntries?: number
  /** The most bytes of file content stored in the archive (holes don't count). Default 1 TiB. */
  readonly maxBytes?: number
}

/** Options of {@link createDirExtractor}. */
export interface ExtractOptions extends LayerLimits {
  /** Whether to set owners and make devices. Default: whether the process runs as root. */
  readonly asRoot?: boolean
}

/** What a layer turned out to hold. Plain data: it survives JSON and postMessage. */
export interface ExtractResult {
  /** Entries of the archive, ignored and skipped ones included. */
  readonly entries: number
  /** Bytes of file content. */
  readonly bytes: number
  /**
   * Directories that the layer implies but doesn't list; made as mode 0755, owner 0:0, mtime 0. Sorted paths relative to the
   * layer's root, '' being the root, as binary strings: one character a byte, `Buffer.from(path, 'latin1')`.
   */
  readonly implied: readonly string[]
  /** Directories that hold whiteouts, in the same form; a stack needs them for its fix-up. */
  readonly whiteoutParents: readonly string[]
  /**
   * Whether the layer hides everything below it (`.wh..wh..opq` at its root). The directory carries overlay's mark, but the
   * kernel doesn't look at it there: leave the layers below it out of the mount.
   */
  readonly opaqueRoot: boolean
  /** Devices left out because only root can make them. */
  readonly skippedDevices: number
  /** Extended attributes left out because the file system or the process can't have them. */
  readonly skippedXattrs: number
}

/** A sink for a tar reader. After a throw, or instead of `finish`, call `abort`; the caller removes what was made. */
export interface LayerExtractor extends TarSink {
  /** Takes the archive's bytes as they are, before the reader does. */
  keep(chunk: Buffer): void
  /** Completes the tree. Nothing is synced to disk. */
  finish(archive: LayerArchive): ExtractResult
  /** Closes what is open; the tree stays half-made. */
  abort(): void
}

const MAX_ENTRIES = 10_000_000
const MAX_BYTES = 2 ** 40

/**
 * Unpacks a layer into `dir`, an empty directory that must not be shared, as {@link createLayerExtractor} says.
 *
 * @throws STORE_FAILED when there is no such directory
 */
export function createDirExtractor(
  dir: string | Buffer,
  options: ExtractOptions = {},
): LayerExtractor {
  const asRoot = options.asRoot ?? process.geteuid?.() === 0
  const path = Buffer.from(dir)
  try {
    // Nobody else looks in before the modes are final, and no setgid bit hands its group down.
    chmodSync(path, 0o700)
  } catch (error) {
    throw translate(error, path)
  }
  return createLayerExtractor(createDirForm(path, asRoot), options)
}

/**
 * Keeps a layer's archive as it is in a new file, and writes an EROFS image over it to another one.
 *
 * @throws STORE_FAILED when the files can't be made
 */
export function createErofsExtractor(files: ErofsFiles, limits: LayerLimits = {}): LayerExtractor {
  try {
    return createLayerExtractor(createErofsForm(files), limits)
  } catch (error) {
    throw translate(error, Buffer.from(files.tar))
  }
}

/**
 * Makes of a layer's archive the tree that it describes, as a lower directory of overlay (image-spec, layer.md "Applying
 * Changesets"): whiteouts become character devices 0:0, opaque directories carry overlay's mark.
 *
 * Paths are resolved in memory within the layer, so no symlink of the layer is ever followed by the kernel: `lib -> usr/lib` and
 * then `lib/x` gives `usr/lib/x`. Later entries replace earlier ones of the same name. Hard links must lead to what the
 * same layer has. A path through a file is refused, as containerd and umoci do.
 *
 * Its methods throw LAYER_INVALID, naming the entry, for whatever is the layer's fault, and STORE_FAILED when the disk is full or
 * fails.
 */
export function createLayerExtractor<Leaf extends LeafNode>(
  form: LayerForm<Leaf>,
  limits: LayerLimits = {},
): LayerExtractor {
  return new Extractor(form, limits)
}

class Extractor<Leaf extends LeafNode> implements LayerExtractor {
  readonly #form: LayerForm<Leaf>
  readonly #builder: LayerBuilder
  readonly #maxEntries: number
  readonly #maxBytes: number
  #current: Buffer = Buffer.alloc(0)
  #entries = 0
  #implied = 0
  #bytes = 0

  constructor(form: LayerForm<Leaf>, limits: LayerLimits) {
    this.#form = form
    this.#maxEntries = limits.maxEntries ?? MAX_ENTRIES
    this.#maxBytes = limits.maxBytes ?? MAX_BYTES
    this.#builder = createLayerBuilder(form, () => {
      this.#implied++
      this.#checkEntries()
    })
  }

  entry(entry: TarEntry): void {
    this.#current = entry.path
    this.#guard(() => {
      this.#entries++
      this.#checkEntries()
      const name = parseLayerName(entry.path)
      if (name.kind === 'whiteout') this.#builder.putWhiteout(name.names)
      else if (name.kind === 'opaque') this.#builder.putOpaque(name.names)
      else if (name.kind === 'path') this.#put(name.names, entry)
    })
  }

  data(chunk: Buffer, offsetInFile: number): void {
    this.#guard(() => this.#form.write(chunk, offsetInFile))
  }

  endEntry(): void {
    this.#guard(() => this.#form.endEntry())
  }

  keep(chunk: Buffer): void {
    this.#guard(() => this.#form.keep?.(chunk))
  }

  finish(archive: LayerArchive): ExtractResult {
    const built = this.#guard(() => this.#builder.finish(archive))
    const { skippedDevices, skippedXattrs } = this.#form
    return { ...built, entries: this.#entries, bytes: this.#bytes, skippedDevices, skippedXattrs }
  }

  abort(): void {
    this.#form.abort()
  }

  #put(names: readonly string[], entry: TarEntry): void {
    if (entry.type === 'directory') this.#builder.putDirectory(names, entry)
    else if (entry.type === 'hardlink') this.#builder.putHardlink(names, entry)
    else {
      this.#checkLeaf(entry)
      this.#builder.putLeaf(names, entry)
    }
  }

  #checkLeaf({ type, storedSize, devMajor, devMinor }: TarEntry): void {
    this.#bytes += storedSize
    if (this.#bytes > this.#maxBytes) {
      throw new DrayError('LAYER_INVALID', `the layer holds more than ${this.#maxBytes} bytes`)
    }
    if (type === 'character' && devMajor === 0 && devMinor === 0) {
      throw new DrayError('LAYER_INVALID', 'it is a character device 0:0, overlay’s whiteout')
    }
    if (devMajor > DEVICE_LIMIT.major || devMinor > DEVICE_LIMIT.minor) {
      throw new DrayError('LAYER_INVALID', `device number ${devMajor}:${devMinor} is out of range`)
    }
  }

  #checkEntries(): void {
    if (this.#entries + this.#implied <= this.#maxEntries) return
    throw new DrayError('LAYER_INVALID', `it has more than ${this.#maxEntries} entries`)
  }

  #guard<T>(action: () => T): T {
    try {
      return action()
    } catch (error) {
      throw translate(error, this.#current)
    }
  }
}

// What only a file system out of space, out of order or out of reach answers.
const STORE_ERRNOS = new Set(
  'ENOSPC EDQUOT EIO EROFS EACCES EPERM EMFILE ENFILE ENOMEM ENODEV ENXIO ESTALE EINTR ENOSYS'.split(
    ' ',
  ),
)

/** Names the entry in an error of ours, and turns a failed system call into an error of the layer or of the store. */
function translate(error: unknown, path: Buffer): unknown {
  const errno = errnoOf(error)
  if (errno === undefined) {
    if (!(error instanceof DrayError) || error.code !== 'LAYER_INVALID') return error
    const { detail, message } = error
    if (detail !== undefined) return error
    return new DrayError('LAYER_INVALID', `cannot unpack ${printable(path)}: ${message}`, {
      detail: { entry: printable(path) },
    })
  }
  if (errno === 'EINVAL' && isInUserNamespace() && /chown$/.test(callOf(error))) {
    const message = `cannot unpack ${printable(path)}: its owner is beyond the range in /etc/subuid or /etc/subgid, which should have 65536 numbers or more`
    return new DrayError('STORE_FAILED', message, { cause: error })
  }
  const code = STORE_ERRNOS.has(errno) ? 'STORE_FAILED' : 'LAYER_INVALID'
  const call = error instanceof Error ? error.message : errno
  return new DrayError(code, `cannot unpack ${printable(path)}: ${call}`, {
    detail: { entry: printable(path), errno },
    cause: error,
  })
}

function callOf(error: unknown): string {
  return error instanceof Error && 'syscall' in error ? String(error.syscall) : ''
}
