import { basename } from 'node:path'

/** What a benchmark is told of an image: `LAYOUT[:NAME]`, by default the one called `latest`. */
export function parseLayout(text: string): { readonly source: string; readonly name: string } {
  const source = /:[^/]*$/.test(text) ? text : `${text}:latest`
  return { source, name: basename(source.slice(0, source.lastIndexOf(':'))) }
}
