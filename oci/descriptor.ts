import * as z from 'zod'
import { type Digest, digestOf, parseDigest } from './digest.ts'
import type { Platform } from './platform.ts'
import { absentable, stringMap, strings } from './schema.ts'

/** What a document says about content that it points to (image-spec, descriptor.md). */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  /** Bytes. */
  readonly size: number
  /** Other places of the content; Dray never fetches from them. */
  readonly urls?: readonly string[] | undefined
  readonly annotations?: Readonly<Record<string, string>> | undefined
  /** The content itself in base64. */
  readonly data?: string | undefined
  readonly artifactType?: string | undefined
  readonly platform?: Platform | undefined
}

// RFC 6838, section 4.2, allows 127 characters on each side.
const MEDIA_TYPE =
  /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$/

export const mediaTypeSchema = z.string().regex(MEDIA_TYPE, 'not a media type')

export const digestSchema = z.string().transform((value, context) => {
  try {
    return parseDigest(value)
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
    return z.NEVER
  }
})

const platformSchema = z.object({
  os: z.string(),
  architecture: z.string(),
  variant: absentable(z.string()),
  'os.version': absentable(z.string()),
  'os.features': strings,
})

export const descriptorSchema = z.object({
  mediaType: mediaTypeSchema,
  digest: digestSchema,
  size: z.int().min(0),
  urls: strings,
  annotations: stringMap,
  data: absentable(z.base64()),
  artifactType: absentable(z.string()),
  platform: absentable(platformSchema),
})

/** Describes bytes held in memory. */
export function describe(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length }
}
