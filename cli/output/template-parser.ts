import { DrayError } from '#oci/error.ts'

/** A template, parsed. Paths are relative to the dot, or to a variable. */
export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly expression: Expression }
  | { readonly kind: 'assign'; readonly variable: string; readonly expression: Expression }
  | {
      readonly kind: 'if' | 'with' | 'range'
      readonly expression: Expression
      /** Of `range`: the position or key, and the item. */
      readonly variables: readonly string[]
      readonly body: readonly Node[]
      readonly otherwise: readonly Node[]
    }

export type Expression =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | undefined }
  | {
      readonly kind: 'path'
      readonly variable?: string | undefined
      readonly names: readonly string[]
    }
  | { readonly kind: 'member'; readonly of: Expression; readonly names: readonly string[] }
  /** A fact that has to be asked for by more words, such as `.Label "x"`. */
  | { readonly kind: 'method'; readonly of: Expression; readonly args: readonly Expression[] }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] }

const TOKEN =
  /\s*(?:("(?:[^"\\]|\\.)*"|`[^`]*`)|(-?\d+(?:\.\d+)?)|(\$\w*(?:\.\w+)*|\.\w+(?:\.\w+)*|\.)|([A-Za-z]\w*)|(:=|=|[|(),]))/y

/** @throws USAGE */
export function parseTemplate(template: string): Node[] {
  const parts = split(template)
  const { nodes, rest } = parseList(parts)
  if (rest.length > 0) throw usage(`${rest[0]?.text} has no beginning`)
  return nodes
}

interface Part {
  readonly isAction: boolean
  readonly text: string
}

/** Text and actions in turn. `{{-` and `-}}` take the white space beside them away; comments are dropped. */
function split(template: string): Part[] {
  const parts: Part[] = []
  let at = 0
  let trimNext = false
  for (const match of template.matchAll(/\{\{(- )?([\s\S]*?)( -)?\}\}/g)) {
    const before = template.slice(at, match.index)
    const text = trimNext ? before.trimStart() : before
    parts.push({ isAction: false, text: match[1] ? text.trimEnd() : text })
    const action = (match[2] ?? '').trim()
    if (!/^\/\*[\s\S]*\*\/$/.test(action)) parts.push({ isAction: true, text: action })
    trimNext = match[3] !== undefined
    at = match.index + match[0].length
  }
  const last = template.slice(at)
  if (last.includes('{{')) throw usage('{{ is not closed')
  return [...parts, { isAction: false, text: trimNext ? last.trimStart() : last }].filter(
    ({ isAction, text }) => isAction || text !== '',
  )
}

function parseList(parts: readonly Part[]): { nodes: Node[]; rest: readonly Part[] } {
  const nodes: Node[] = []
  let rest = parts
  for (let part = rest[0]; part !== undefined; part = rest[0]) {
    if (part.isAction && /^(?:end|else\b.*)$/.test(part.text)) break
    rest = rest.slice(1)
    if (!part.isAction) {
      nodes.push({ kind: 'text', text: part.text })
      continue
    }
    const block = /^(if|with|range)\s+([\s\S]+)$/.exec(part.text)
    if (block === null) {
      nodes.push(parseAction(part.text))
    } else {
      const parsed = parseBlock(block[1] as 'if' | 'with' | 'range', block[2] ?? '', rest)
      nodes.push(parsed.node)
      rest = parsed.rest
    }
  }
  return { nodes, rest }
}

function parseBlock(
  kind: 'if' | 'with' | 'range',
  head: string,
  parts: readonly Part[],
): { node: Node; rest: readonly Part[] } {
  const declared = /^(\$\w+)(?:\s*,\s*(\$\w+))?\s*:=\s*([\s\S]+)$/.exec(head)
  const variables = [declared?.[1], declared?.[2]].filter((name) => name !== undefined)
  const expression = parseExpression(declared?.[3] ?? head)
  const body = parseList(parts)
  const [next, ...after] = body.rest
  if (next === undefined) throw usage(`{{${kind} ${head}}} has no {{end}}`)
  const node = { kind, expression, variables, body: body.nodes, otherwise: [] as Node[] }
  if (next.text === 'end') return { node, rest: after }
  const chained = /^else\s+if\s+([\s\S]+)$/.exec(next.text)
  if (chained !== null) {
    const inner = parseBlock('if', chained[1] ?? '', after)
    return { node: { ...node, otherwise: [inner.node] }, rest: inner.rest }
  }
  const otherwise = parseList(after)
  if (otherwise.rest[0]?.text !== 'end') throw usage(`{{else}} has no {{end}}`)
  return { node: { ...node, otherwise: otherwise.nodes }, rest: otherwise.rest.slice(1) }
}

function parseAction(text: string): Node {
  const assigned = /^(\$\w+)\s*:?=\s*([\s\S]+)$/.exec(text)
  if (assigned === null) return { kind: 'print', expression: parseExpression(text) }
  const [, variable = '', expression = ''] = assigned
  return { kind: 'assign', variable, expression: parseExpression(expression) }
}

function parseExpression(text: string): Expression {
  const tokens = tokenize(text)
  const expression = parsePipe(tokens)
  if (tokens.length > 0) throw usage(`{{${text}}} can't be read from ${tokens[0]} on`)
  return expression
}

function tokenize(text: string): string[] {
  const tokens: string[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const from = TOKEN.lastIndex
    const match = TOKEN.exec(text)
    if (match === null) throw usage(`{{${text}}} can't be read from ${text.slice(from)} on`)
    tokens.push(match[0].trim())
  }
  return tokens
}

/** `a | f b` is `f b a`. */
function parsePipe(tokens: string[]): Expression {
  let value = parseCommand(tokens, undefined)
  while (tokens[0] === '|') {
    tokens.shift()
    value = parseCommand(tokens, value)
  }
  return value
}

function parseCommand(tokens: string[], piped: Expression | undefined): Expression {
  const [first] = tokens
  if (first !== undefined && /^[A-Za-z]/.test(first) && !/^(?:true|false|nil)$/.test(first)) {
    tokens.shift()
    const args = parseOperands(tokens)
    return { kind: 'call', name: first, args: piped === undefined ? args : [...args, piped] }
  }
  if (piped !== undefined) throw usage('a value is handed by | to what is no function')
  const operand = parseOperand(tokens)
  const args = operand.kind === 'path' ? parseOperands(tokens) : []
  return args.length === 0 ? operand : { kind: 'method', of: operand, args }
}

function parseOperands(tokens: string[]): Expression[] {
  const operands: Expression[] = []
  while (tokens[0] !== undefined && !['|', ')'].includes(tokens[0]))
    operands.push(parseOperand(tokens))
  return operands
}

function parseOperand(tokens: string[]): Expression {
  const token = tokens.shift()
  if (token === undefined) throw usage('{{}} is empty, or ends too early')
  if (token === '(') {
    const inner = parsePipe(tokens)
    if (tokens.shift() !== ')') throw usage('( is not closed')
    const next = tokens[0]
    if (next === undefined || !/^\.\w/.test(next)) return inner
    tokens.shift()
    return { kind: 'member', of: inner, names: namesOf(next) }
  }
  if (token.startsWith('"')) return { kind: 'literal', value: JSON.parse(token) as string }
  if (token.startsWith('`')) return { kind: 'literal', value: token.slice(1, -1) }
  if (/^-?\d/.test(token)) return { kind: 'literal', value: Number(token) }
  if (token === 'true' || token === 'false') return { kind: 'literal', value: token === 'true' }
  if (token === 'nil') return { kind: 'literal', value: undefined }
  if (token.startsWith('.')) return { kind: 'path', names: namesOf(token) }
  const dot = token.indexOf('.')
  const variable = dot < 0 ? token : token.slice(0, dot)
  if (variable.startsWith('$')) {
    return { kind: 'path', variable, names: dot < 0 ? [] : namesOf(token.slice(dot)) }
  }
  return { kind: 'call', name: token, args: [] }
}

function namesOf(path: string): string[] {
  return path.split('.').filter((name) => name !== '')
}

function usage(message: string): DrayError {
  return new DrayError('USAGE', `invalid template: ${message}`)
}
