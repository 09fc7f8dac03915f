import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fillTemplate } from '#cli/output/template.ts'

const DATA = {
  Name: 'web',
  Count: 3,
  State: { Status: 'running', Running: true },
  Args: ['a', 'b'],
  Labels: { x: '1', 'with.dot': '2' },
  Mounts: [
    { Source: '/a', RW: true },
    { Source: '/b', RW: false },
  ],
  None: [],
  Label: (name: string) => `label ${name}`,
}

const GOOD: readonly (readonly [template: string, text: string])[] = [
  ['plain', 'plain'],
  ['{{.Name}} is {{.State.Status}}', 'web is running'],
  ['{{ .Name | upper }}', 'WEB'],
  ['{{json .Args}}', '["a","b"]'],
  ['{{.Args}} {{.Labels}}', '[a b] map[with.dot:2 x:1]'],
  ['{{range .Mounts}}{{.Source}} {{end}}', '/a /b '],
  ['{{range $i, $m := .Mounts}}{{$i}}={{$m.Source}};{{end}}', '0=/a;1=/b;'],
  ['{{range $k, $v := .Labels}}{{$k}}={{$v}},{{end}}', 'with.dot=2,x=1,'],
  ['{{range .None}}x{{else}}none{{end}}', 'none'],
  ['{{if .State.Running}}up{{else}}down{{end}}', 'up'],
  ['{{if eq .Name "db"}}a{{else if eq .Name "web"}}b{{else}}c{{end}}', 'b'],
  ['{{if and .Count (gt .Count 2)}}many{{end}}', 'many'],
  ['{{if not .None}}empty{{end}}', 'empty'],
  ['{{with .State}}{{.Status}}{{end}}', 'running'],
  ['{{$n := .Name}}{{range .Args}}{{$n}}{{.}} {{$.Count}};{{end}}', 'weba 3;webb 3;'],
  ['{{index .Labels "with.dot"}}{{index .Args 1}}', '2b'],
  ['{{.Labels.x}}|{{.Labels.nothing}}', '1|<no value>'],
  ['{{(index .Mounts 0).Source}}', '/a'],
  ['{{join .Args "-"}} {{len .Args}} {{printf "%-5s|%q" .Name "x"}}', 'a-b 2 web  |"x"'],
  ['a {{- /* a comment */ -}} b', 'ab'],
  ['{{"{{"}}', '{{'],
  ['{{.Label "a.b"}}; {{.Label "x" | upper}}', 'label a.b; LABEL X'],
  ['{{if eq (.Label "x") "label x"}}same{{end}}', 'same'],
]

const BAD = [
  '{{.Name',
  '{{.Nothing}}',
  '{{if .Name}}',
  '{{end}}',
  '{{nosuch .Name}}',
  '{{.Name | .Count}}',
  '{{}}',
  '{{.Name "x"}}',
  '{{.Label}}',
]

describe('a template', () => {
  for (const [template, text] of GOOD) {
    it(`${template} gives ${text}`, () => assert.equal(fillTemplate(template, DATA), text))
  }

  for (const template of BAD) {
    it(`${template} is refused`, () => {
      assert.throws(() => fillTemplate(template, DATA), { code: 'USAGE' })
    })
  }
})
