import { type Cases, together } from './cases.ts'

/** How the command of a container is run, and what it may do. */
export const COMMAND: Cases = {
  'the command': [
    ['is the image’s', 'run --rm --network none I'],
    ['replaces the image’s', 'run --rm --network none I echo other'],
    ['has its exit code', `run --rm --network none I sh -c 'exit 7'`],
    ['has its exit code without --rm', `run --network none --name N I sh -c 'exit 7'`],
    ['killed by a signal has 128 and its number', `run --rm --network none I sh -c 'kill -9 $$'`],
    ['that is missing is 127', '~run --rm --network none I nosuch'],
    ['that is missing by its path is 127', '~run --rm --network none I /bin/nosuch'],
    ['that no one may execute is 126', '~run --rm --network none I /etc/passwd'],
    ['that is a directory is 126', '~run --rm --network none I /etc'],
    ['in an unknown image is 125', '~run --rm --pull never localhost/nosuch:1 true'],
    ['after an unknown flag is 125', '~run --frobnicate I true'],
    ['after an entrypoint is its arguments', 'run --rm --network none --entrypoint echo I a b'],
    [
      'after an entrypoint with arguments is more of them',
      `run --rm --network none --entrypoint '["echo","a"]' I b`,
    ],
    ['of the image is dropped by an entrypoint', 'run --rm --network none --entrypoint pwd I'],
    ['keeps flags of its own', 'run --rm --network none I echo --rm -it -v x'],
    [
      'has booleans with values before it, and others of its own',
      `run --rm=1 --read-only --read-only=false -it=F -eA=1 --network=none I sh -c 'echo $A $@; touch /x' sh --rm=maybe --`,
    ],
    [
      'has flags that a script left empty before it',
      `run --rm --net none --name '' -w '' -h '' -u '' --restart '' --stop-signal '' --pid '' --cpus 0 I sh -c 'pwd; id -u'`,
    ],
    [
      'keeps empty words and spaces',
      `run --rm --network none I sh -c 'echo "<$1><$2>"' sh '' 'a  b'`,
    ],
    ['has standard input with -i', 'run --rm -i --network none I cat'],
    ['has an empty standard input without', 'run --rm --network none I cat'],
    ['is process 1', `run --rm --network none I sh -c 'echo $$'`],
    ['has standard error apart', `run --rm --network none I sh -c 'echo no >&2; echo yes'`],
    ['writes much, whole', `run --rm --network none I sh -c 'seq 100000 | md5sum; seq 20000'`],
  ],
  'the environment': [
    ...together('run --rm --network none I', [
      ['has the image’s', 'echo $IMAGE'],
      ['has a PATH', 'echo $PATH'],
      ['has a HOME', 'echo $HOME'],
      ['has no TERM without a terminal', `echo <\${TERM-none}>`],
    ]),
    ...together(
      `run --rm --net none -h box -e A=1 -e B='x y' -e IMAGE=other -e FROM_HOST -e NOT_THERE -e C=b=c -e D= I`,
      [
        ['has what -e gives', 'echo $A,$B'],
        ['is overruled by -e', 'echo $IMAGE'],
        ['takes values from the host', 'echo $FROM_HOST'],
        ['leaves out what the host lacks', `echo <\${NOT_THERE-none}>`],
        ['keeps = in values', 'echo $C'],
        ['has empty values', `echo <\${D-none}>`],
        ['has the host name', 'echo $HOSTNAME; hostname; echo $(cat /etc/hostname)'],
      ],
    ),
    [
      'comes from files',
      `run --rm --network none --env-file F/env I sh -c 'echo $FILE,$FROM_HOST,<\${EMPTY-none}>'`,
    ],
    [
      'of -e wins over files',
      `run --rm --network none --env-file F/env -e FILE=arg I sh -c 'echo $FILE'`,
    ],
  ],
  'the user': [
    ['is root', 'run --rm --network none I id'],
    ...together('run --rm --network none -u app I', [
      ['is a name', 'id'],
      ['has the HOME of the user', 'echo $HOME'],
      ['has no capabilities', 'grep CapEff /proc/self/status'],
    ]),
    ['is a number', 'run --rm --network none -u 1000 I id'],
    ['is a number that nobody has', `run --rm --network none -u 4321 I sh -c 'id -u; id -g'`],
    ['is with a group', `run --rm --network none -u app:extra I sh -c 'id -u; id -g'`],
    ['is numbers', `run --rm --network none -u 7:8 I sh -c 'id -u; id -g'`],
    ['has more groups', `run --rm --network none --group-add 77 -u app I sh -c 'id -G'`],
  ],
  'the working directory': [
    ['is the image’s', 'run --rm --network none I pwd'],
    ['is another', 'run --rm --network none -w /etc I pwd'],
  ],
  'capabilities and security': [
    ...together('run --rm --network none --cap-drop ALL --cap-add NET_ADMIN --cap-add KILL I', [
      ['are added', 'grep CapEff /proc/self/status'],
      ['are bounded', 'grep CapBnd /proc/self/status'],
    ]),
    [
      'are dropped',
      `run --rm --network none --cap-drop chown I sh -c 'chown 1 /tmp 2>/dev/null || echo refused'`,
    ],
    ['are dropped all', 'run --rm --network none --cap-drop ALL I grep CapEff /proc/self/status'],
    ['that don’t exist are an error', '~run --rm --network none --cap-add NO_SUCH I true'],
    ...together(
      'run --rm --network none --security-opt no-new-privileges --security-opt seccomp=unconfined I',
      [
        ['no new privileges', 'grep NoNewPrivs /proc/self/status'],
        ['filter none when unconfined', 'grep Seccomp: /proc/self/status'],
      ],
    ),
    ...together('run --rm --network none I', [
      ['filter system calls', 'grep Seccomp: /proc/self/status'],
      ['refuse to mount', 'mount -t tmpfs none /tmp 2>/dev/null || echo refused'],
      ['refuse to change the host name', 'hostname x 2>/dev/null || echo refused'],
      ['keep /proc/sys read-only', 'echo 1 2>/dev/null > /proc/sys/kernel/panic || echo refused'],
      ['keep /sys read-only', 'mkdir /sys/x 2>/dev/null || echo refused'],
      ['mask /proc/kcore', 'head -c 1 /proc/kcore | wc -c'],
      ['give no other devices', 'ls /dev'],
    ]),
    [
      'give all with --privileged',
      `run --rm --network none --privileged I sh -c 'mount -t tmpfs none /tmp && echo mounted'`,
    ],
    [
      'give devices of the host',
      `run --rm --network none --device /dev/zero:/dev/nought I sh -c 'head -c 3 /dev/nought | wc -c'`,
    ],
  ],
}
