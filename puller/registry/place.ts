import type { Readable } from 'node:stream'
import type { HttpRequest, HttpResponse } from './http.ts'

/** A request to a registry, but for what it takes to be let in. A body may have to be sent twice. */
export interface Call extends Omit<HttpRequest, 'body'> {
  readonly body?: () => Readable | Buffer
}

/** One place of a repository's API, and how to speak to it. */
export interface Place {
  readonly url: URL
  readonly request: (url: URL, call: Call) => Promise<HttpResponse>
  /** Of the repository, for errors: `<registry>/<repository>`. */
  readonly name: string
}
