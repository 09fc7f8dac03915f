import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import {
  DrayError,
  ERRORS,
  type ErrorCode,
  errorMessage,
  isDrayError,
  isErrno,
} from '#oci/error.ts'

/** The codes of distribution-spec, "Error Codes", with the status that each is answered with. */
const SPEC: Readonly<Record<string, number>> = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 400,
  UNAUTHORIZED: 401,
  DENIED: 403,
  UNSUPPORTED: 405,
  TOOMANYREQUESTS: 429,
}

interface Row {
  readonly message: string
  readonly status?: number
  readonly wire?: string
}

const ROWS = Object.entries(ERRORS) as [ErrorCode, Row][]

describe('the error table', () => {
  it('has the fourteen codes of the spec with their statuses', () => {
    for (const [code, status] of Object.entries(SPEC)) {
      assert.equal(ERRORS[code as 'DENIED']?.status, status, code)
      assert.equal((ERRORS[code as 'DENIED'] as Row).wire, undefined, code)
    }
    assert.equal(Object.keys(SPEC).length, 14)
  })

  it('sends no code to a client that the spec does not have', () => {
    for (const [code, { status, wire }] of ROWS) {
      if (status === undefined) assert.equal(wire, undefined, `${code} is never sent`)
      else assert.ok((wire ?? code) in SPEC, `${code} is sent as ${wire ?? code}`)
    }
  })

  it('answers failures only: every status is one of an error', () => {
    for (const [code, { status }] of ROWS) {
      if (status !== undefined) assert.ok(status >= 400 && status < 600, code)
    }
  })

  it('writes codes in capitals, each once, each with a message of its own', () => {
    const source = readFileSync(new URL('../../oci/error.ts', import.meta.url), 'utf8')
    for (const [code, { message }] of ROWS) {
      assert.match(code, /^[A-Z]+(?:_[A-Z]+)*$/)
      assert.equal([...source.matchAll(new RegExp(`^  ${code}: `, 'gm'))].length, 1, code)
      assert.match(message, /^[^\n.]+$/, code)
    }
    assert.equal(new Set(ROWS.map(([, { message }]) => message)).size, ROWS.length)
  })
})

describe('DrayError', () => {
  it('carries code, detail, cause and whether a retry makes sense', () => {
    const cause = new Error('below')
    const error = new DrayError('STORAGE_FAILED', 'no answer', {
      detail: { key: 'k' },
      cause,
      retryable: true,
    })
    assert.ok(error instanceof Error)
    assert.equal(error.name, 'DrayError')
    assert.equal(error.code, 'STORAGE_FAILED')
    assert.equal(error.message, 'no answer')
    assert.deepEqual(error.detail, { key: 'k' })
    assert.equal(error.cause, cause)
    assert.equal(error.retryable, true)
  })

  it('takes its message from the table, and is not retryable, unless told otherwise', () => {
    const error = new DrayError('DENIED')
    assert.equal(error.message, ERRORS.DENIED.message)
    assert.equal(error.retryable, false)
    assert.equal(error.detail, undefined)
  })

  it('is told from other errors by its class and codes', () => {
    const error = new DrayError('DENIED')
    assert.equal(isDrayError(error), true)
    assert.equal(isDrayError(error, 'DENIED', 'UNAUTHORIZED'), true)
    assert.equal(isDrayError(error, 'UNAUTHORIZED'), false)
    for (const other of [new Error('x'), { code: 'DENIED' }, 'DENIED', null, undefined]) {
      assert.equal(isDrayError(other), false)
    }
  })
})

describe('isErrno', () => {
  it('tells failed system calls by their code', () => {
    const missing = catchError(() => readFileSync('/nonexistent/file'))
    assert.equal(isErrno(missing, 'ENOENT'), true)
    assert.equal(isErrno(missing, 'EEXIST', 'ENOENT'), true)
    assert.equal(isErrno(missing, 'EEXIST'), false)
    assert.equal(isErrno(missing), false)
    for (const other of [new Error('ENOENT'), { code: 'ENOENT' }, null, undefined, 'ENOENT']) {
      assert.equal(isErrno(other, 'ENOENT'), false)
    }
  })
})

describe('errorMessage', () => {
  it('says something of anything thrown', () => {
    assert.equal(errorMessage(new Error('x')), 'x')
    assert.equal(errorMessage('x'), 'x')
    assert.equal(errorMessage(undefined), 'undefined')
    assert.equal(errorMessage(null), 'null')
  })
})

function catchError(action: () => unknown): unknown {
  try {
    action()
  } catch (error) {
    return error
  }
  return assert.fail('nothing was thrown')
}
