import { DrayError } from '#oci/error.ts'
import { type Expression, parseTemplate, type Node } from './template-parser.ts'

/**
 * Fills in a template as docker's `--format` has them (Go's text/template): `{{.Name}}`, `{{json .State}}`,
 * `{{range .Mounts}}{{.Source}} {{end}}`, `{{if eq .State.Status "running"}}up{{else}}down{{end}}`, pipes, variables.
 *
 * @throws USAGE for what is no template, or asks for what isn't there
 */
export function fillTemplate(template: string, data: unknown): string {
  return render(parseTemplate(template), { dot: data, variables: new Map([['$', data]]) })
}

interface Scope {
  readonly dot: unknown
  readonly variables: ReadonlyMap<string, unknown>
}

function render(nodes: readonly Node[], scope: Scope): string {
  let current = scope
  let text = ''
  for (const node of nodes) {
    if (node.kind === 'assign') {
      const value = evaluate(node.expression, current)
      current = { ...current, variables: new Map([...current.variables, [node.variable, value]]) }
    } else {
      text += renderNode(node, current)
    }
  }
  return text
}

function renderNode(node: Exclude<Node, { kind: 'assign' }>, scope: Scope): string {
  if (node.kind === 'text') return node.text
  if (node.kind === 'print') return asText(evaluate(node.expression, scope))
  const value = evaluate(node.expression, scope)
  if (node.kind === 'if') return render(isTrue(value) ? node.body : node.otherwise, scope)
  if (node.kind === 'with') {
    return isTrue(value)
      ? render(node.body, { ...scope, dot: value })
      : render(node.otherwise, scope)
  }
  const entries = entriesOf(value)
  if (entries.length === 0) return render(node.otherwise, scope)
  return entries
    .map(([key, item]) => {
      const [first, second] = node.variables
      const variables = new Map(scope.variables)
      if (second !== undefined) variables.set(second, item)
      if (first !== undefined) variables.set(first, second === undefined ? item : key)
      return render(node.body, { dot: item, variables })
    })
    .join('')
}

function evaluate(expression: Expression, scope: Scope): unknown {
  switch (expression.kind) {
    case 'literal':
      return expression.value
    case 'path':
      return expression.names.reduce<unknown>(
        (value, name) => member(value, name),
        expression.variable === undefined ? scope.dot : variableOf(expression.variable, scope),
      )
    case 'member':
      return expression.names.reduce<unknown>(
        (value, name) => member(value, name),
        evaluate(expression.of, scope),
      )
    case 'method': {
      const method = evaluate(expression.of, scope)
      if (typeof method !== 'function') throw usage('the template gives words to what takes none')
      return method(...expression.args.map((arg) => evaluate(arg, scope)))
    }
    case 'call': {
      const call = FUNCTIONS[expression.name]
      if (call === undefined)
        throw usage(`the template calls ${expression.name}, which is no function`)
      return call(...expression.args.map((arg) => evaluate(arg, scope)))
    }
  }
}

function variableOf(name: string, scope: Scope): unknown {
  if (scope.variables.has(name)) return scope.variables.get(name)
  throw usage(`the template has no variable ${name}`)
}

function member(value: unknown, name: string): unknown {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'object' && Object.hasOwn(value, name)) return Reflect.get(value, name)
  // A map without the key, such as labels, is no mistake; a name that nothing has is.
  if (typeof value === 'object' && !Object.keys(value).some((key) => /^[A-Z]/.test(key)))
    return undefined
  throw usage(`the template asks for .${name}, which isn't there: ${namesIn(value)}`)
}

function namesIn(value: unknown): string {
  return typeof value === 'object' && value !== null
    ? Object.keys(value).join(', ')
    : 'no names here'
}

type Function = (...args: readonly unknown[]) => unknown

const FUNCTIONS: Readonly<Record<string, Function>> = {
  json: (value) => JSON.stringify(value ?? null),
  join: (list, separator) =>
    entriesOf(list)
      .map(([, item]) => asText(item))
      .join(asText(separator)),
  split: (text, separator) => asText(text).split(asText(separator)),
  lower: (text) => asText(text).toLowerCase(),
  upper: (text) => asText(text).toUpperCase(),
  title: (text) => asText(text).replace(/\b[a-z]/g, (letter) => letter.toUpperCase()),
  truncate: (text, length) => asText(text).slice(0, Number(length)),
  pad: (text, before, after) =>
    `${' '.repeat(Number(before))}${asText(text)}${' '.repeat(Number(after))}`,
  table: (text) => text,
  println: (...values) => `${values.map(asText).join(' ')}\n`,
  print: (...values) => values.map(asText).join(''),
  printf: (format, ...values) => formatText(asText(format), values),
  len: (value) => (typeof value === 'string' ? Buffer.byteLength(value) : entriesOf(value).length),
  index: (value, ...keys) =>
    keys.reduce((at, key) => (at as Record<string, unknown>)?.[String(key)], value),
  not: (value) => !isTrue(value),
  and: (...values) => values.find((value) => !isTrue(value)) ?? values.at(-1),
  or: (...values) => values.find(isTrue) ?? values.at(-1),
  eq: (value, ...others) => others.some((other) => other === value),
  ne: (a, b) => a !== b,
  lt: (a, b) => Number(a) < Number(b),
  le: (a, b) => Number(a) <= Number(b),
  gt: (a, b) => Number(a) > Number(b),
  ge: (a, b) => Number(a) >= Number(b),
}

function formatText(format: string, values: readonly unknown[]): string {
  let next = 0
  return format.replace(/%(-?)(\d*)([sdvq%])/g, (_, left: string, width: string, verb: string) => {
    if (verb === '%') return '%'
    const text = verb === 'q' ? JSON.stringify(asText(values[next++])) : asText(values[next++])
    return left === '' ? text.padStart(Number(width)) : text.padEnd(Number(width))
  })
}

function isTrue(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return entriesOf(value).length > 0
  return Boolean(value)
}

/** As Go ranges over a list by position and over a map by sorted keys. */
function entriesOf(value: unknown): (readonly [unknown, unknown])[] {
  if (Array.isArray(value)) return value.map((item, at) => [at, item] as const)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
}

/** As Go prints values: lists as `[a b]`, maps as `map[k:v]`. */
function asText(value: unknown): string {
  if (value === undefined || value === null) return '<no value>'
  if (typeof value === 'function') throw usage('the template leaves out a name: {{.Label "name"}}')
  if (Array.isArray(value)) return `[${value.map(asText).join(' ')}]`
  if (typeof value !== 'object') return String(value)
  return `map[${entriesOf(value)
    .map(([key, item]) => `${key}:${asText(item)}`)
    .join(' ')}]`
}

function usage(message: string): DrayError {
  return new DrayError('USAGE', message)
}
