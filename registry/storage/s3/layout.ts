import { type Digest, digestAlgorithm, digestHex } from '#oci/digest.ts'
import type { UploadKey } from '../blob-driver.ts'

/**
 * Every key of a bucket, below a prefix that the operator may choose.
 *
 *     records/<key>                      one record each
 *     blobs/<algorithm>/<hex>            write-once pointer to the bytes of a complete blob
 *     data/<upload>/<sequence>-<nonce>   bytes; those of a blob stay where the upload put them
 *     uploads/<upload>/<sequence>        write-once states of an upload, counted down so that the newest lists first
 *     probe/<nonce>/<name>               short-lived objects of checks
 */
export interface S3Layout {
  readonly root: string
  readonly pointers: string
  readonly records: string
  readonly uploads: string
  readonly dataRoot: string
  record(key: string): string
  pointer(digest: Digest): string
  data(key: UploadKey): string
  dataObject(key: UploadKey, sequence: number, nonce: string): string
  /** The upload that an object of bytes is of. */
  uploadOf(objectKey: string): UploadKey
  states(key: UploadKey): string
  state(key: UploadKey, sequence: number): string
  /** What the key of a state says. */
  parseState(objectKey: string): { readonly key: UploadKey; readonly sequence: number }
  probe(nonce: string): string
}

const LAST_SEQUENCE = 99_999_999

/** @param prefix put before every key as it is: empty, or ending in `/` as a rule */
export function s3Layout(prefix: string): S3Layout {
  const uploads = `${prefix}uploads/`
  const pointers = `${prefix}blobs/`
  const dataRoot = `${prefix}data/`
  const states = (key: UploadKey) => `${uploads}${key}/`
  return {
    root: prefix,
    pointers,
    records: `${prefix}records/`,
    uploads,
    dataRoot,
    record: (key) => `${prefix}records/${key}`,
    pointer: (digest) => `${pointers}${digestAlgorithm(digest)}/${digestHex(digest)}`,
    data: (key) => `${dataRoot}${key}/`,
    dataObject: (key, sequence, nonce) => `${dataRoot}${key}/${padded(sequence)}-${nonce}`,
    uploadOf: (objectKey) => objectKey.slice(dataRoot.length).split('/')[0] as UploadKey,
    states,
    state: (key, sequence) => `${states(key)}${padded(LAST_SEQUENCE - sequence)}`,
    parseState(objectKey) {
      const [key = '', inverted] = objectKey.slice(uploads.length).split('/')
      return { key: key as UploadKey, sequence: LAST_SEQUENCE - Number(inverted) }
    },
    probe: (nonce) => `${prefix}probe/${nonce}`,
  }
}

function padded(sequence: number): string {
  return String(sequence).padStart(8, '0')
}
