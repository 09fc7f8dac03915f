import { formatTable } from './format.ts'
import { print } from './print.ts'
import { fillTemplate } from './template.ts'

/** A line of a listing: facts by their names in templates. */
export type Row = Readonly<Record<string, unknown>>

/** `{{.Label "x"}}` of a template. */
export function labelIn(labels: Readonly<Record<string, string>>): (name: unknown) => string {
  return (name) => labels[String(name)] ?? ''
}

/**
 * Prints a listing as a table, as JSON (one object a line), by a Go template a line, or as a table of a template's columns
 * (`table {{.A}}\t{{.B}}`).
 */
export function printRows(
  rows: readonly Row[],
  options: {
    readonly format?: string | undefined
    /** Heading and fact of each column. */
    readonly columns: readonly (readonly [heading: string, name: string])[]
    /** Whether a table says what its columns are. Default: true. */
    readonly heading?: boolean | undefined
  },
): void {
  const { format = 'table', columns, heading = true } = options
  if (format === 'json') {
    for (const row of rows) print(JSON.stringify(row))
  } else if (format === 'table') {
    const names = columns.map(([, name]) => name)
    const lines = rows.map((row) => names.map((name) => String(row[name] ?? '')))
    const first = heading ? [columns.map(([each]) => each)] : []
    if (heading || lines.length > 0) print(formatTable([...first, ...lines]))
  } else if (format.startsWith('table ')) {
    const template = unescaped(format.slice('table '.length))
    const headings = Object.fromEntries(columns.map(([heading, name]) => [name, heading]))
    // Without a line, nothing says which names there are.
    const asked = [...template.matchAll(/\.(\w+)/g)].map(([, name = '']) => name)
    const names = rows[0] === undefined ? asked : Object.keys(rows[0])
    const first = Object.fromEntries(
      [...names, ...Object.keys(headings)].map((name) => [name, headingOf(name, headings[name])]),
    )
    const shown = heading ? [first, ...rows] : rows
    if (shown.length > 0)
      print(formatTable(shown.map((row) => fillTemplate(template, row).split('\t'))))
  } else {
    for (const row of rows) print(fillTemplate(unescaped(format), row))
  }
}

/** That of a label is the last word of its name, as docker has it. */
function headingOf(name: string, heading = name.toUpperCase()): unknown {
  if (name !== 'Label') return heading
  return (label: unknown) => (String(label).split('.').at(-1) ?? '').replaceAll(/[-_]/g, ' ')
}

/** A shell hands `\t` on as it is written. */
function unescaped(template: string): string {
  return template.replaceAll('\\t', '\t').replaceAll('\\n', '\n')
}
